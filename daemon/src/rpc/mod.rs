//! JSON-RPC over the local socket.

pub(crate) mod connection;
pub(crate) mod listen;
mod machines;
mod scopes;
mod sealed;
pub(crate) mod service;
mod tokens;
pub(crate) mod translate;

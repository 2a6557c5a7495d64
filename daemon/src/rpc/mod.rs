//! JSON-RPC over the local socket.

pub(crate) mod clients;
pub(crate) mod connection;
pub(crate) mod listen;
mod locking;
mod machines;
mod scopes;
mod sealed;
pub(crate) mod service;
pub(crate) mod socket;
mod tokens;
pub(crate) mod translate;

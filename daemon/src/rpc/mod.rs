//! JSON-RPC over the local socket.

pub(crate) mod connection;
pub(crate) mod listen;
pub(crate) mod service;
pub(crate) mod translate;

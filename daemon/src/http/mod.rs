//! HTTP: what a browser sees of a sign-in, and two doors that tools come through.
//!
//! `http.sock` is the agent's own socket in another language (`v1`); the metadata service is a loopback
//! port that Databricks SDKs know how to ask (`metadata`). Both sit on one server (`server`), which
//! refuses whoever cannot be meant, and both ask the same service as JSON-RPC does (`ask`).

pub(crate) mod answer;
pub(crate) mod ask;
pub(crate) mod events;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
pub(crate) mod links;
pub(crate) mod login;
pub(crate) mod metadata;
pub(crate) mod metrics;
pub(crate) mod pages;
pub(crate) mod query;
pub(crate) mod redirect;
pub(crate) mod server;
pub(crate) mod v1;

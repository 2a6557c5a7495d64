//! How to ask `sso-agent` for a token.
//!
//! [`blocking`] needs no async runtime; [`mod@tokio`], behind the feature of that name, is the same over
//! tokio. Both find the agent of this user, start it when none is running, make sure that it *is* this
//! user's before a byte is written, and fail with an [`Error`] that says what to do next.
//!
//! A tool that asks often keeps a [`TokenSource`], which answers from memory until the token is
//! nearly over:
//!
//! ```no_run
//! use sso_agent_client::{TokenRequest, TokenSource};
//!
//! # fn main() -> Result<(), sso_agent_client::Error> {
//! let tokens = TokenSource::new(TokenRequest::host("https://adb-1.azuredatabricks.net"));
//! let (name, value) = tokens.header()?; // ("Authorization", "Bearer …")
//! # Ok(())
//! # }
//! ```
//!
//! A web app has a [`WebApp`], and keeps a [`WebSession`] for each of its users where it would have kept a
//! refresh token.

pub mod address;
mod advice;
mod any_agent;
pub mod autostart;
pub mod blocking;
mod cache;
mod deadline;
mod error;
mod patient;
mod request;
mod source;
mod stream;
#[cfg(feature = "tokio")]
pub mod tokio;
mod web;
mod wire;

#[cfg(test)]
mod fake;

pub use advice::Advice;
pub use any_agent::AnyAgent;
pub use error::Error;
pub use request::TokenRequest;
pub use source::TokenSource;
/// The words of the protocol.
pub use sso_agent_proto as proto;
pub use web::{Consent, WebApp, WebSession};

/// What a client's call gives.
pub type Result<T> = std::result::Result<T, Error>;

/// Compiles the Rust of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

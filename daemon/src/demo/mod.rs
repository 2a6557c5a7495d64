//! A small OAuth issuer of our own: what `sso demo` and the tests sign in to.
//!
//! It stands for a Databricks workspace or for any OAuth or OpenID issuer, on a free port of
//! 127.0.0.1: discovery, a page with a sign-in button, authorization code with PKCE, refresh tokens
//! that are good for one use, revocation, and two calls of a workspace that accept nobody else's
//! tokens. It is strict where real issuers are, counts what it is asked, and misbehaves on demand.
//!
//! It is for demonstrations and tests only: everybody who reaches it may sign in, and the signatures
//! of its tokens are random.
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! use sso_agent::demo::{Fault, Issuer, Options};
//!
//! let issuer = Issuer::start_in_thread(Options::default())?;
//! println!("sign in at {}", issuer.url());
//! issuer.inject_times(Fault::DropBeforeCommit, 2);
//! assert_eq!(issuer.counters().replays, 0);
//! # Ok(())
//! # }
//! ```

mod agent;
mod api;
mod authorize;
mod browser;
mod client_auth;
mod clock;
mod counters;
mod discovery;
mod faults;
mod form;
mod issuer;
mod mint;
mod options;
mod pages;
mod refusal;
mod reply;
mod revoke;
mod routes;
mod server;
mod state;
mod token;

#[cfg(test)]
mod tests;

pub use agent::Ephemeral;
pub use browser::follow;
pub use counters::Counters;
pub use faults::Fault;
pub use issuer::Issuer;
pub use options::{Consent, Options, Shape};

//! The OAuth side: discovery, sign-in, tokens, revocation.
//!
//! The hard part is to tell what an answer means. [`verdict`] does: only a well-formed OAuth error
//! ends a session, whatever else comes back is weather.

mod answer;
mod authorize;
mod discover;
mod http;
mod reply;
mod revoke;
#[cfg(test)]
pub(crate) mod testing;
mod token;
mod user;
mod verdict;

pub(crate) use self::{
    authorize::{Authorization, authorize},
    discover::{DiscoverError, discover},
    http::Http,
    revoke::revoke,
    token::{Client, exchange_code, refresh},
    user::{asked, told},
    verdict::{Grant, Outcome, Unreachable},
};

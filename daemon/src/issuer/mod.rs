//! The OAuth side: discovery, sign-in, tokens, revocation.
//!
//! The hard part is to tell what an answer means. [`verdict`] does: only a well-formed OAuth error
//! ends a session, whatever else comes back is weather.

mod answer;
mod authorize;
mod discover;
mod discovered;
mod documents;
mod entra;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod github;
mod grants;
mod http;
mod manner;
pub(crate) mod providers;
mod recorder;
mod reply;
mod revoke;
#[cfg(test)]
pub(crate) mod testing;
mod token;
mod user;
mod verdict;

pub(crate) use self::{
    authorize::{Authorization, authorize},
    discover::{By, DiscoverError, Sought, Via, find},
    github::{AssertionError, github_oidc},
    grants::{azure_client_secret, client_credentials, token_exchange},
    http::{Http, SendError, Sent},
    manner::{Manner, Wishes},
    reply::Reply,
    revoke::revoke,
    token::{Client, exchange_code, refresh},
    user::{asked, told},
    verdict::{Grant, Outcome, Unreachable},
};

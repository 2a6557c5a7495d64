//! The OAuth side: discovery, sign-in, tokens, revocation.
//!
//! The hard part is to tell what an answer means. [`verdict`] does: only a well-formed OAuth error
//! ends a session, whatever else comes back is weather.

mod answer;
mod authorize;
mod dial;
mod discover;
mod discovered;
mod documents;
mod entra;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod github;
mod grants;
mod http;
mod lookup;
mod manner;
pub(crate) mod providers;
mod proxy;
mod recorder;
mod reply;
mod revoke;
mod settings;
#[cfg(test)]
pub(crate) mod testing;
mod token;
mod trust;
mod user;
mod verdict;

pub(crate) use self::{
    authorize::{Authorization, authorize},
    discover::{By, DiscoverError, Sought, Via, find},
    github::{AssertionError, github_oidc},
    grants::{azure_client_secret, client_credentials, token_exchange},
    http::{Http, SendError, Sent, Waits},
    manner::{Manner, Wishes},
    proxy::check as check_proxy,
    reply::Reply,
    revoke::revoke,
    settings::{ProxyUrl, Settings},
    token::{Client, exchange_code, refresh},
    user::{asked, told},
    verdict::{Grant, Outcome, Unreachable},
};

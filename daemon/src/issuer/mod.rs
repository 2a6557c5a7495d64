//! The OAuth side: discovery, sign-in, tokens, revocation.
//!
//! The hard part is to tell what an answer means. [`verdict`] does: only a well-formed OAuth error
//! ends a session, whatever else comes back is weather.

mod answer;
mod authorize;
#[allow(dead_code, reason = "who asks for Entra comes with profiles")]
mod discover;
#[allow(dead_code, reason = "what makes it forget comes with profiles")]
mod discovered;
mod documents;
mod entra;
#[allow(dead_code, reason = "who signs in workloads comes with profiles")]
mod github;
#[allow(dead_code, reason = "who signs in machines comes with profiles")]
mod grants;
mod http;
#[allow(dead_code, reason = "what it says is asked for where a person signs in")]
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
    http::Http,
    revoke::revoke,
    token::{Client, exchange_code, refresh},
    user::{asked, told},
    verdict::{Grant, Outcome, Unreachable},
};
#[allow(unused_imports, reason = "callers come with profiles")]
pub(crate) use self::{
    discover::{By, DiscoverError, Found, Sought, Via, discover, find},
    github::{AssertionError, github_oidc},
    grants::{azure_client_secret, client_credentials, token_exchange},
};

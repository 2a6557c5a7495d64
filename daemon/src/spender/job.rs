//! What the spender is asked to do, and what it tells.

use std::sync::Arc;

use secrecy::SecretString;
use sso_agent_core::{
    refusal::Refusal,
    session::RenewError,
    words::{Lease, Renewable},
};

use crate::store::Record;

/// One thing that takes a refresh token, or brings one. Sessions are named by their ids.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    /// The next lease of a session.
    Renew {
        session: String,
        /// The id of the token that the agent has now: a lease on record that is another one was brought
        /// by somebody who had the turn before.
        has: Option<String>,
        /// Whether somebody waits for it, whom that token is not good enough for.
        urgent: bool,
    },
    /// A token of a session with these scopes only.
    Narrow { session: String, scopes: Vec<String> },
    /// What a sign-in brings, kept as this record's session.
    SignIn { record: Box<Record>, by: By },
    /// A token of a program for one call; nothing of it is kept.
    Once { record: Box<Record> },
    /// Everything that is kept of a session, and its right to be renewed.
    Forget { session: String },
    /// What an agent before this one began and left open.
    Settle { session: String },
}

/// What buys the first tokens of a session.
#[derive(Debug, Clone)]
pub(crate) enum By {
    /// An authorization code, and the verifier that belongs to it (RFC 7636).
    Code { code: SecretString, verifier: SecretString },
    /// What the record says that a program shows.
    Means,
    /// The refresh token in the record, which another tool has kept.
    Refresh,
}

/// What came of a job, in the order in which things happened to its session. Whatever had to be kept is
/// durable by then.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    Renewed(Result<Arc<Lease>, RenewError>),
    Bought(Result<Arc<Lease>, Refusal>),
    SignedIn(Result<Signed, Refusal>),
    /// Whether the issuer agreed.
    Forgotten(Result<bool, Refusal>),
    /// A lease, if what was open brought one.
    Settled(Option<Arc<Lease>>),
}

/// What a sign-in brought.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) scopes: Vec<String>,
    pub(crate) user: Option<String>,
    pub(crate) renewable: Renewable,
    pub(crate) lease: Arc<Lease>,
}

impl Job {
    /// How it is told that whoever was to do it is gone; says in words why.
    pub(super) fn lost(&self) -> fn(&str) -> Told {
        match self {
            Self::Renew { .. } => {
                |why| Told::Renewed(Err(RenewError::Unreachable { why: why.to_owned(), retry_after: None }))
            }
            Self::Narrow { .. } | Self::Once { .. } => |why| Told::Bought(Err(unavailable(why))),
            Self::SignIn { .. } => |why| Told::SignedIn(Err(unavailable(why))),
            Self::Forget { .. } => |why| Told::Forgotten(Err(unavailable(why))),
            Self::Settle { .. } => |_| Told::Settled(None),
        }
    }
}

fn unavailable(why: &str) -> Refusal {
    Refusal::Unavailable { why: why.to_owned(), retry_after: super::TRY_AGAIN }
}

//! What is told of a session to whoever looks on or waits.

use super::{Renewal, Session};
use crate::{
    time::Deadline,
    words::{Need, Ticket},
};

impl Session {
    /// Whether nothing will happen to it but a renewal that nobody waits for.
    pub fn waits_to_renew(&self) -> bool {
        match self.renewal {
            Renewal::Fresh { .. } | Renewal::Retrying { .. } => self.waiters.is_empty(),
            Renewal::Renewing { .. } | Renewal::Ending | Renewal::Ended { .. } => false,
        }
    }
}

/// What may interest somebody who did not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// There is a new lease.
    Refreshed,
    /// Somebody signed in.
    Added,
    /// Somebody signed out.
    Removed,
    /// Only a sign-in helps.
    LoginRequired,
    /// A renewal failed and will be tried again.
    Retrying,
}

/// How a session is doing, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// All is well.
    Active,
    /// A new lease is being fetched.
    Refreshing,
    /// The last renewal failed.
    Retrying,
    /// Only a sign-in helps.
    LoginRequired,
}

/// Somebody who wants a token from this session.
#[derive(Debug, Clone)]
pub struct Waiter {
    /// How to answer.
    pub ticket: Ticket,
    /// What the token must be like.
    pub need: Need,
    /// Until when it is worth answering.
    pub give_up: Deadline,
}

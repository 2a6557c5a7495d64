//! Tokens with fewer scopes than their session has: bought when somebody wants one, and kept for as
//! long as they are good, so that least privilege costs no second sign-in (RFC 6749, 6).
//!
//! The hard part is that they are bought with the session's own refresh token. So it is its turn that is
//! waited for, and what comes back is banked as ever; the session's own token is left alone. An issuer
//! that fails or refuses is not asked again for a while, or the session's own renewals would stand in
//! line behind those who go on asking.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sso_agent_core::{
    refusal::Refusal,
    time::Deadline,
    words::{Lease, Need, SessionId},
};

use super::TRY_AGAIN;
use crate::clock;

/// So many sets of scopes are kept for one session.
const MOST: usize = 64;

/// How long a no counts.
const NO_COUNTS: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Default)]
pub(super) struct Narrow(Mutex<HashMap<SessionId, Vec<Kept>>>);

/// What became of one set of scopes.
struct Kept {
    scopes: Vec<String>,
    lease: Option<Arc<Lease>>,
    /// Why there is none, or no newer one, and for how long that counts.
    failed: Option<(Refusal, Deadline)>,
}

impl Narrow {
    fn look(&self, id: &SessionId, scopes: &[String]) -> (Option<Arc<Lease>>, Option<(Refusal, Deadline)>) {
        let all = self.lock();
        let kept = all.get(id).and_then(|kept| kept.iter().find(|kept| kept.scopes == scopes));
        kept.map(|kept| (kept.lease.clone(), kept.failed.clone())).unwrap_or_default()
    }

    /// What is known without asking: a good lease, or for how long there is none.
    pub(super) fn known(
        &self,
        id: &SessionId,
        scopes: &[String],
        need: &Need,
    ) -> Option<Result<Arc<Lease>, Refusal>> {
        let now = clock::now();
        let (lease, failed) = self.look(id, scopes);
        if let Some(lease) = lease.clone().filter(|lease| need.is_met_by(lease, now)) {
            return Some(Ok(lease));
        }
        let (refusal, until) = failed.filter(|(_, until)| !until.is_over(now))?;
        let good_enough = lease.filter(|lease| need.is_nearly_met_by(lease, now));
        Some(match (refusal, good_enough) {
            (Refusal::Unavailable { .. } | Refusal::StoreFailed { .. }, Some(lease)) => Ok(lease),
            (Refusal::Unavailable { why, .. }, None) => {
                Err(Refusal::Unavailable { why, retry_after: until.left(now) })
            }
            (refusal, _) => Err(refusal),
        })
    }

    /// Keeps what came of asking.
    pub(super) fn note(&self, id: &SessionId, scopes: &[String], bought: &Result<Arc<Lease>, Refusal>) {
        let now = clock::now();
        let mut all = self.lock();
        let of_session = all.entry(id.clone()).or_default();
        let at = of_session.iter().position(|kept| kept.scopes == scopes);
        let mut kept = at.map(|at| of_session.swap_remove(at)).unwrap_or_else(|| Kept {
            scopes: scopes.to_vec(),
            lease: None,
            failed: None,
        });
        match bought {
            Ok(lease) => (kept.lease, kept.failed) = (Some(lease.clone()), None),
            Err(refusal) => kept.failed = Some((refusal.clone(), now.after(pause(refusal)))),
        }
        if of_session.len() >= MOST {
            of_session.remove(0);
        }
        of_session.push(kept);
    }

    /// Somebody signed in again, or out.
    pub(super) fn forget(&self, id: &SessionId) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Vec<Kept>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(refusal: &Refusal) -> Duration {
    match refusal {
        Refusal::Unavailable { retry_after, .. } => *retry_after,
        Refusal::StoreFailed { .. } | Refusal::Timeout => TRY_AGAIN,
        Refusal::LoginRequired { .. }
        | Refusal::ConsentRequired { .. }
        | Refusal::Denied { .. }
        | Refusal::Unknown { .. }
        | Refusal::Ambiguous { .. }
        | Refusal::Rejected(_)
        | Refusal::Cancelled { .. }
        | Refusal::Unsupported { .. } => NO_COUNTS,
    }
}

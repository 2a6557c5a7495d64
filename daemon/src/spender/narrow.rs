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
    refusal::{OAuthError, Refusal},
    session::RenewError,
    time::{Deadline, Now},
    words::{Lease, Need, SessionId},
};

use super::{Spender, Without, buy, leased};
use crate::{
    clock,
    issuer::{Grant, Outcome, Unreachable},
    store::{Record, Renewal, Slot, StoreError},
};

/// So many sets of scopes are kept for one session.
const MOST: usize = 64;

/// When an issuer that is down is worth another try, if it does not say.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How long a no counts.
const NO_COUNTS: Duration = Duration::from_secs(60);

/// Never part of a token.
const OFFLINE: &str = "offline_access";

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

    fn note(&self, id: &SessionId, scopes: &[String], bought: &Result<Arc<Lease>, Refusal>, now: Now) {
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

impl Spender {
    /// A token of a session with these scopes only, which are sorted, if its turn comes within `wait`.
    pub(crate) async fn narrow(
        &self,
        id: &SessionId,
        scopes: &[String],
        need: &Need,
        wait: Duration,
    ) -> Result<Arc<Lease>, Refusal> {
        if let Some(known) = self.known(id, scopes, need) {
            return known;
        }
        let turn = tokio::time::timeout(wait, self.turns.of(id)).await;
        let _turn = turn.map_err(|_| Refusal::Timeout)?;
        // Somebody may have had the turn before us and done what we came for.
        if let Some(known) = self.known(id, scopes, need) {
            return known;
        }
        let bought = self.buy_narrow(id, scopes).await;
        self.narrow.note(id, scopes, &bought, clock::now());
        self.known(id, scopes, need).unwrap_or(bought)
    }

    /// What is known without asking: a good lease, or for how long there is none.
    fn known(&self, id: &SessionId, scopes: &[String], need: &Need) -> Option<Result<Arc<Lease>, Refusal>> {
        let now = clock::now();
        let (lease, failed) = self.narrow.look(id, scopes);
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

    async fn buy_narrow(&self, id: &SessionId, scopes: &[String]) -> Result<Arc<Lease>, Refusal> {
        // What is held would be overwritten by the record on disk, which is older.
        self.bank_what_is_held(id).await.map_err(|error| refused(id, error))?;
        let record = self.record(id).await.map_err(|error| refused(id, error))?;
        if let Some(why) = &record.login_required {
            // A refresh token that was turned down is not sent again.
            return Err(not_granted(id, why.clone(), None));
        }
        let place = self.crowd.place(&record.token_endpoint).await;
        let _place = place.map_err(|why| unavailable(why.to_owned(), None))?;
        let slot = self.slot(id).await.map_err(|error| not_kept(&error))?;
        let asked = clock::now();
        match buy(&self.http, &record, scopes).await {
            Ok(Outcome::Granted(grant)) => {
                let lease = Arc::new(leased(&grant, scopes, asked));
                self.bank_change(id, slot, record, grant).await?;
                let got = lease.scopes.iter().filter(|scope| *scope != OFFLINE);
                let all_wanted = scopes.iter().all(|scope| lease.scopes.contains(scope));
                if !all_wanted || got.clone().any(|scope| !scopes.contains(scope)) {
                    return Err(not_granted(
                        id,
                        "the issuer gives these scopes no token of their own".into(),
                        None,
                    ));
                }
                Ok(lease)
            }
            Ok(Outcome::Rejected(said)) => {
                Err(not_granted(id, "the issuer gives no such token".to_owned(), Some(said)))
            }
            Ok(Outcome::Refused(said)) if said.error == "invalid_scope" => {
                Err(not_granted(id, "the issuer does not give these scopes".to_owned(), Some(said)))
            }
            Ok(Outcome::Refused(said)) => Err(Refusal::Rejected(said)),
            Ok(Outcome::Unreachable(Unreachable { why, retry_after, salvaged, .. })) => {
                if let Some(salvaged) = salvaged {
                    let record = Record { refresh_token: Some(salvaged), ..record };
                    self.bank(id, slot, record, false).await.map_err(|error| not_kept(&error))?;
                }
                Err(unavailable(why, retry_after))
            }
            Err(Without::Means(why)) => Err(not_granted(id, why, None)),
            Err(Without::Now(why)) => Err(unavailable(why, None)),
        }
    }

    /// Makes the next refresh token durable, if there is one, before anybody hears of the token.
    async fn bank_change(
        &self,
        id: &SessionId,
        slot: Box<dyn Slot>,
        record: Record,
        grant: Grant,
    ) -> Result<(), Refusal> {
        let by_refresh_token = matches!(record.renewal, Renewal::RefreshToken);
        let Some(next) = grant.refresh_token.filter(|_| by_refresh_token) else { return Ok(()) };
        let record = Record { refresh_token: Some(next), ..record };
        self.bank(id, slot, record, false).await.map_err(|error| not_kept(&error))
    }
}

fn unavailable(why: String, retry_after: Option<Duration>) -> Refusal {
    Refusal::Unavailable { why, retry_after: retry_after.unwrap_or(TRY_AGAIN) }
}

fn not_kept(error: &StoreError) -> Refusal {
    Refusal::StoreFailed { why: error.to_string() }
}

fn refused(id: &SessionId, error: RenewError) -> Refusal {
    match error {
        RenewError::Gone(why) => not_granted(id, why, None),
        RenewError::Store(why) => Refusal::StoreFailed { why },
        RenewError::Unreachable { why, retry_after } | RenewError::Unwell { why, retry_after } => {
            unavailable(why, retry_after)
        }
        RenewError::Rejected(said) | RenewError::Refused(said) => Refusal::Rejected(said),
    }
}

fn not_granted(id: &SessionId, why: String, said: Option<OAuthError>) -> Refusal {
    Refusal::LoginRequired { at: id.to_string(), why, said }
}

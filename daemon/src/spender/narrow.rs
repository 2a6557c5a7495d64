//! Tokens with fewer scopes than their session has: bought when somebody wants one, and kept for as
//! long as they are good, so that least privilege costs no second sign-in (RFC 6749, 6).
//!
//! The hard part is that they are bought with the session's own refresh token. So it is its turn that is
//! waited for, and what comes back is banked as ever; the session's own token is left alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sso_agent_core::{
    refusal::{OAuthError, Refusal},
    time::Now,
    words::{Lease, Need, SessionId},
};

use super::{Spender, Without, buy, leased};
use crate::{
    clock,
    issuer::{Grant, Outcome, Unreachable},
    store::{Record, Renewal, Slot},
};

/// So many sets of scopes are kept for one session.
const MOST: usize = 64;

/// When an issuer that is down is worth another try, if it does not say.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Default)]
pub(super) struct Narrow(Mutex<Kept>);

/// For each session, leases by their scopes.
type Kept = HashMap<SessionId, Vec<(Vec<String>, Arc<Lease>)>>;

impl Narrow {
    fn get(&self, id: &SessionId, scopes: &[String]) -> Option<Arc<Lease>> {
        let kept = self.lock();
        kept.get(id)?.iter().find(|(of, _)| of == scopes).map(|(_, lease)| lease.clone())
    }

    fn keep(&self, id: &SessionId, scopes: &[String], lease: Arc<Lease>, now: Now) {
        let mut kept = self.lock();
        let of_session = kept.entry(id.clone()).or_default();
        of_session.retain(|(of, lease)| of != scopes && !lease.expires.is_over(now));
        if of_session.len() >= MOST {
            of_session.remove(0);
        }
        of_session.push((scopes.to_vec(), lease));
    }

    /// Somebody signed in again, or out.
    pub(super) fn forget(&self, id: &SessionId) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spender {
    /// A token of a session with these scopes only, which are sorted.
    pub(crate) async fn narrow(
        &self,
        id: &SessionId,
        scopes: &[String],
        need: &Need,
    ) -> Result<Arc<Lease>, Refusal> {
        let good = |lease: &Arc<Lease>| need.is_met_by(lease, clock::now());
        if let Some(lease) = self.narrow.get(id, scopes).filter(good) {
            return Ok(lease);
        }
        let _turn = self.turns.of(id).await;
        let kept = self.narrow.get(id, scopes);
        if let Some(lease) = kept.clone().filter(good) {
            // Somebody had the turn before us and did what we came for.
            return Ok(lease);
        }
        let bought = self.buy_narrow(id, scopes).await;
        match (bought, kept) {
            (Err(Refusal::Unavailable { .. }), Some(lease))
                if need.is_nearly_met_by(&lease, clock::now()) =>
            {
                Ok(lease)
            }
            (bought, _) => bought,
        }
    }

    async fn buy_narrow(&self, id: &SessionId, scopes: &[String]) -> Result<Arc<Lease>, Refusal> {
        let unavailable = |why: String| Refusal::Unavailable { why, retry_after: TRY_AGAIN };
        // What it held would be overwritten by the record on disk, which is older.
        self.bank_what_is_held(id)
            .await
            .map_err(|_| unavailable("the store does not take anything".into()))?;
        let record = self.record(id).await.map_err(|_| unavailable(format!("{id} cannot be read")))?;
        let _place =
            self.crowd.place(&record.token_endpoint).await.map_err(|why| unavailable(why.to_owned()))?;
        let slot = self.slot(id).await.map_err(|error| Refusal::StoreFailed { why: error.to_string() })?;
        let asked = clock::now();
        match buy(&self.http, &record, scopes).await {
            Ok(Outcome::Granted(grant)) => {
                let lease = Arc::new(leased(&grant, scopes, asked));
                self.bank_change(id, slot, record, grant).await?;
                if let Some(missing) = scopes.iter().find(|scope| !lease.scopes.contains(scope)) {
                    return Err(not_granted(
                        id,
                        format!("the issuer does not give the scope {missing:?}"),
                        None,
                    ));
                }
                self.narrow.keep(id, scopes, lease.clone(), clock::now());
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
                    // What the store does not take is held in memory, and tried again.
                    let _ = self.bank(id, slot, record).await;
                }
                Err(Refusal::Unavailable { why, retry_after: retry_after.unwrap_or(TRY_AGAIN) })
            }
            Err(Without::Means(why)) => Err(not_granted(id, why, None)),
            Err(Without::Now(why)) => Err(unavailable(why)),
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
        let Some(next) = grant.refresh_token.filter(|_| matches!(record.renewal, Renewal::RefreshToken))
        else {
            return Ok(());
        };
        let record = Record { refresh_token: Some(next), ..record };
        self.bank(id, slot, record).await.map_err(|error| Refusal::StoreFailed { why: error.to_string() })
    }
}

fn not_granted(id: &SessionId, why: String, said: Option<OAuthError>) -> Refusal {
    Refusal::LoginRequired { at: id.to_string(), why, said }
}

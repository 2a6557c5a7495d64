//! Spends refresh tokens, one at a time for each session.
//!
//! Reserve room in the store, note the intent, spend, bank, tell: in this order, whatever happens. A refresh
//! token that comes back is durable before anybody judges the rest of the answer or hears of the access
//! token beside it. What the store will not take is held in memory and banked before anything else is tried.
//!
//! The hard part is an answer that is lost: the token may be spent, and its successor is nobody's. Then the
//! same token is sent once more, and at once, since issuers that forgive a second use do so for some seconds.

mod narrow;
mod pay;
mod sign_in;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sso_agent_core::{
    refusal::{OAuthError, Refusal},
    session::RenewError,
    words::{Lease, Renewable, SessionId},
};

use super::{
    Job, TRY_AGAIN, Told, Turns,
    crowd::Crowd,
    lease::{leased, restored, stored},
    ledger::{Entry, Ledger, fingerprint},
    means::{Without, client_of, server_of, show},
};
use crate::{
    clock,
    issuer::{self, Http, Outcome, Sent, Unreachable},
    store::{Kept, Record, Renewal, Slot, Store, StoreError},
};
use pay::Paid;

/// See the module.
pub(crate) struct Purse {
    store: Arc<dyn Store>,
    http: Arc<Http>,
    ledger: Arc<Ledger>,
    turns: Turns,
    crowd: Crowd,
    /// Banked nowhere yet: what an issuer gave while the store would not take it.
    unbanked: Mutex<HashMap<SessionId, Held>>,
}

/// What an issuer gave and the store would not take.
struct Held {
    record: Record,
    /// Whether the lease in it is what a renewal would bring.
    lease_is_new: bool,
    /// The session's place in the ledger, so that no other process takes what is on disk for the newest.
    entry: Entry,
}

/// How a session goes on that has these means.
pub(crate) fn renewable(record: &Record) -> Renewable {
    match &record.renewal {
        Renewal::RefreshToken if record.refresh_token.is_some() => Renewable::ByRefreshToken,
        Renewal::RefreshToken => Renewable::Never,
        Renewal::ClientCredentials { .. }
        | Renewal::Token { .. }
        | Renewal::File { .. }
        | Renewal::GitHub { .. } => Renewable::ByCredentials,
    }
}

impl Purse {
    /// A purse that keeps things in `store`.
    pub(crate) fn new(store: Arc<dyn Store>, http: Arc<Http>, ledger: Ledger) -> Self {
        Self {
            store,
            http,
            ledger: Arc::new(ledger),
            turns: Turns::default(),
            crowd: Crowd::default(),
            unbanked: Mutex::default(),
        }
    }

    /// Does a job; `tell` hears what came of it before the session's turn ends.
    pub(crate) async fn work(&self, job: Job, tell: impl FnOnce(Told)) {
        match job {
            Job::Renew { session, has, urgent } => {
                let id = SessionId::named(&session);
                let _turn = self.turns.of(&id).await;
                tell(Told::Renewed(self.renew(&id, has.as_deref(), urgent).await));
            }
            Job::Narrow { session, scopes } => {
                let id = SessionId::named(&session);
                let _turn = self.turns.of(&id).await;
                tell(Told::Bought(self.narrow(&id, &scopes).await));
            }
            Job::SignIn { record, by } => {
                let _turn = self.turns.of(&SessionId::named(&record.id)).await;
                tell(Told::SignedIn(self.sign_in(*record, by).await));
            }
            Job::Once { record } => tell(Told::Bought(self.once(&record).await)),
            Job::Forget { session } => {
                let id = SessionId::named(&session);
                let _turn = self.turns.of(&id).await;
                tell(Told::Forgotten(self.forget(&id).await));
            }
            Job::Settle { session } => {
                let id = SessionId::named(&session);
                let _turn = self.turns.of(&id).await;
                tell(Told::Settled(self.settle(&id).await));
            }
        }
    }

    /// Nothing more is spent; what is being spent comes to its end.
    pub(crate) fn stop(&self) {
        self.crowd.close();
    }

    /// Whether something is held that the store would not take.
    pub(super) fn holds(&self) -> bool {
        !self.held().is_empty()
    }

    /// Tries once more to bank what the store would not take.
    pub(crate) async fn bank_all(&self) {
        let held: Vec<(SessionId, Held)> = self.held().drain().collect();
        for (id, mut held) in held {
            let record = held.record.clone();
            match self.in_store(move |store| store.put(&record)).await {
                Ok(_) => held.entry.done(),
                Err(error) => {
                    tracing::error!(session = %id, %error, "a refresh token could not be kept yet");
                    self.held().insert(id, held);
                }
            }
        }
    }

    async fn renew(&self, id: &SessionId, has: Option<&str>, urgent: bool) -> Result<Arc<Lease>, RenewError> {
        if let Some(lease) = self.bank_what_is_held(id).await? {
            return Ok(lease);
        }
        let mut entry = self.entry(id).await.map_err(|error| RenewError::Store(error.to_string()))?;
        let record = self.record(id).await?;
        entry.look_at(record.refresh_token.as_ref());
        let now = clock::now();
        if let Some(lease) = record.lease.as_ref().map(|lease| restored(lease, now))
            && has != Some(&lease.token_id)
            && !lease.expires.is_over(now)
        {
            // Somebody had the turn before us and did what we came for.
            return Ok(Arc::new(lease));
        }
        if let Some(why) = record.login_required {
            entry.done();
            return Err(RenewError::Gone(why));
        }
        self.next_lease(id, record, urgent, &mut entry).await
    }

    async fn next_lease(
        &self,
        id: &SessionId,
        mut record: Record,
        urgent: bool,
        entry: &mut Entry,
    ) -> Result<Arc<Lease>, RenewError> {
        let busy = |why: &str| RenewError::Unreachable { why: why.to_owned(), retry_after: None };
        let _place = self.crowd.place(&record.token_endpoint).await.map_err(busy)?;
        let slot = self.slot(id, &record).await.map_err(|error| RenewError::Store(error.to_string()))?;
        let Paid { outcome, asked } = match self.pay(&record, &[], urgent, entry).await {
            Ok(paid) => paid,
            Err(Without::Means(why)) => return Err(RenewError::Gone(why)),
            Err(Without::Now { why, retry_after }) => {
                return Err(RenewError::Unreachable { why, retry_after });
            }
        };
        match outcome {
            Outcome::Granted(grant) => {
                let lease = leased(&grant, &record.scopes, asked);
                record.lease = Some(stored(&lease));
                self.bank_successor(id, slot, record, grant.refresh_token, true, entry)
                    .await
                    .map_err(|error| RenewError::Store(error.to_string()))?;
                Ok(Arc::new(lease))
            }
            Outcome::Refused(said) if record.made_from.is_none() => {
                if in_doubt(entry).is_none() {
                    entry.done();
                }
                Err(RenewError::Refused(said))
            }
            // A program whose settings are at hand signs in anew, with what they say now.
            Outcome::Rejected(said) | Outcome::Refused(said) => {
                let interrupted = in_doubt(entry);
                entry.done();
                let (why, error) = rejected(said, interrupted);
                record.login_required = Some(why);
                self.note(id, slot, record).await;
                Err(error)
            }
            Outcome::Unreachable(Unreachable { retry_after, why, salvaged, sent }) => {
                tracing::debug!(session = %id, ?sent, why, salvaged = salvaged.is_some(), "no usable answer");
                if salvaged.is_some() {
                    self.bank_successor(id, slot, record, salvaged, false, entry)
                        .await
                        .map_err(|error| RenewError::Store(error.to_string()))?;
                }
                Err(match sent {
                    Sent::No => RenewError::Unreachable { why, retry_after },
                    Sent::Maybe | Sent::Answered => RenewError::Unwell { why, retry_after },
                })
            }
        }
    }

    /// Ends what somebody before us began. While the access token is good there is no hurry, unless the
    /// issuer may still forgive that the refresh token comes again.
    async fn settle(&self, id: &SessionId) -> Option<Arc<Lease>> {
        if let Ok(Some(lease)) = self.bank_what_is_held(id).await {
            return Some(lease);
        }
        let mut entry = match self.entry(id).await {
            Ok(entry) => entry,
            Err(error) => {
                tracing::warn!(session = %id, %error, "what is open cannot be looked at");
                return None;
            }
        };
        let record = match self.record(id).await {
            Ok(record) => Some(record),
            Err(RenewError::Gone(_)) => None,
            // What cannot be read now is settled when it can be.
            Err(error) => {
                tracing::warn!(session = %id, ?error, "what is open cannot be looked at");
                return None;
            }
        };
        let open = record.as_ref().filter(|record| record.login_required.is_none());
        entry.look_at(open.and_then(|record| record.refresh_token.as_ref()));
        match (record, entry.left()) {
            (Some(record), Some(left)) => {
                tracing::warn!(session = %id, at = left.at, "a refresh was interrupted");
                self.next_lease(id, record, false, &mut entry).await.ok()
            }
            (_, None) | (None, _) => self.lease_on_record(id).await,
        }
    }

    /// What a process before us banked, and nobody heard of.
    async fn lease_on_record(&self, id: &SessionId) -> Option<Arc<Lease>> {
        let record = self.record(id).await.ok().filter(|record| record.login_required.is_none())?;
        let now = clock::now();
        let lease = restored(record.lease.as_ref()?, now);
        (!lease.expires.is_over(now)).then(|| Arc::new(lease))
    }

    async fn forget(&self, id: &SessionId) -> Result<bool, Refusal> {
        let held = self.held().remove(id);
        let (held, mut entry) = match held {
            Some(Held { record, entry, .. }) => (Some(record), entry),
            None => (None, self.entry(id).await.map_err(|error| not_kept(&error))?),
        };
        let name = id.to_string();
        let removed = self.in_store(move |store| {
            // What cannot be read cannot be revoked either, but it can be removed.
            let record = store.load(&name).unwrap_or_default();
            store.remove(&name).map(|()| record)
        });
        let on_disk = removed.await.map_err(|error| not_kept(&error))?;
        entry.done();
        let Some(record) = held.or(on_disk) else { return Ok(false) };
        let Some(token) = &record.refresh_token else { return Ok(false) };
        let revoked = issuer::revoke(&self.http, &server_of(&record), &client_of(&record), token).await;
        Ok(revoked.unwrap_or_else(|error| {
            tracing::warn!(session = %id, %error, "the issuer could not be told");
            false
        }))
    }

    async fn bank_what_is_held(&self, id: &SessionId) -> Result<Option<Arc<Lease>>, RenewError> {
        let Some(Held { record, lease_is_new, mut entry }) = self.held().remove(id) else { return Ok(None) };
        let lease = record.lease.as_ref().map(|lease| restored(lease, clock::now()));
        let lease = lease.filter(|_| lease_is_new);
        let banked = match self.slot(id, &record).await {
            Ok(slot) => self.bank(id, slot, record, lease_is_new, &mut entry).await,
            Err(error) => {
                self.held().insert(id.clone(), Held { record, lease_is_new, entry });
                Err(error)
            }
        };
        banked.map_err(|error| RenewError::Store(error.to_string()))?;
        Ok(lease.filter(|lease| !lease.expires.is_over(clock::now())).map(Arc::new))
    }

    async fn record(&self, id: &SessionId) -> Result<Record, RenewError> {
        let name = id.to_string();
        match self.in_store(move |store| store.load(&name)).await {
            Ok(Some(record)) => Ok(record),
            Ok(None) => Err(RenewError::Gone("the session is no longer on record".to_owned())),
            Err(error) => Err(RenewError::Store(error.to_string())),
        }
    }

    async fn entry(&self, id: &SessionId) -> Result<Entry, StoreError> {
        let (ledger, name) = (self.ledger.clone(), id.to_string());
        blocking(move || ledger.take(&name)).await
    }

    /// Room for what comes next. Who has a good access token waits for a disk that has none.
    async fn slot(&self, id: &SessionId, record: &Record) -> Result<Box<dyn Slot>, StoreError> {
        let name = id.to_string();
        let can_wait = !pay::good_for(record, clock::now()).is_zero();
        self.in_store(
            move |store| if can_wait { store.reserve(&name) } else { store.reserve_anywhere(&name) },
        )
        .await
    }

    /// Banks what an exchange brought; what was sent for it has a successor then, if there is another one.
    async fn bank_successor(
        &self,
        id: &SessionId,
        slot: Box<dyn Slot>,
        mut record: Record,
        successor: Option<secrecy::SecretString>,
        lease_is_new: bool,
        entry: &mut Entry,
    ) -> Result<(), StoreError> {
        let before = record.refresh_token.as_ref().map(fingerprint);
        record.refresh_token = successor.or(record.refresh_token);
        let after = record.refresh_token.as_ref().map(fingerprint);
        let banked = self.bank(id, slot, record, lease_is_new, entry).await;
        let ledger = self.ledger.clone();
        // Also while it is held: what was sent is spent.
        blocking(move || {
            if let (Some(before), true) = (before, before != after) {
                ledger.is_now_spent(&before);
            }
            // Whatever an issuer gives is good, whether it gave it before or not.
            after.iter().for_each(|after| ledger.is_good_again(after));
            Ok(())
        })
        .await?;
        banked
    }

    /// Makes a record durable, or holds it, and the session's place, until the store takes it.
    async fn bank(
        &self,
        id: &SessionId,
        slot: Box<dyn Slot>,
        record: Record,
        lease_is_new: bool,
        entry: &mut Entry,
    ) -> Result<(), StoreError> {
        let kept = record.clone();
        let banked = blocking(move || slot.commit(&record)).await;
        match banked {
            Ok(Kept::Disk | Kept::Spare) => {
                entry.done();
                Ok(())
            }
            Err(error) => {
                tracing::error!(session = %id, %error, "the new refresh token is held in memory: the store does not take it");
                let entry = std::mem::take(entry);
                self.held().insert(id.clone(), Held { record: kept, lease_is_new, entry });
                Err(error)
            }
        }
    }

    /// Makes durable that a session is over. It is over without, too.
    async fn note(&self, id: &SessionId, slot: Box<dyn Slot>, record: Record) {
        if let Err(error) = blocking(move || slot.commit(&record)).await {
            tracing::warn!(session = %id, %error, "the rejection could not be noted: a restart asks once more");
        }
    }

    async fn in_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.store.clone();
        blocking(move || work(&*store)).await
    }

    fn held(&self) -> MutexGuard<'_, HashMap<SessionId, Held>> {
        self.unbanked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the answer was lost after which nobody knows whether the token is spent.
fn in_doubt(entry: &Entry) -> Option<u64> {
    entry.left().filter(|intent| intent.in_doubt).map(|intent| intent.at)
}

/// What the record says of a rejection, and what the agent hears: after an answer that was lost it is no
/// mystery.
fn rejected(said: OAuthError, interrupted: Option<u64>) -> (String, RenewError) {
    let Some(at) = interrupted else { return (said.to_string(), RenewError::Rejected(said)) };
    let at = clock::timestamp(Duration::from_secs(at));
    let why = format!(
        "the answer to a refresh was lost (interrupted refresh at {at}), and the issuer takes its refresh token once only: {said}"
    );
    (why.clone(), RenewError::Gone(why))
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

/// Runs what may wait for a disk beside the loop.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(StoreError::Broken))
}

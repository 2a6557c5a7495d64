//! The only place where refresh tokens are spent.
//!
//! Reserve room in the store, spend, bank, report: in this order, whatever happens. A refresh token
//! that comes back is durable before anybody judges the rest of the answer or hears of the access
//! token beside it. The hard part is what goes wrong after the issuer has answered: then the new
//! token is held in memory and banked before anything else is tried.

mod crowd;
mod lease;
mod means;
mod narrow;
mod take;
#[cfg(test)]
mod tests;
mod turns;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use self::{crowd::Crowd, means::buy, narrow::Narrow};
pub(crate) use self::{
    lease::{leased, passed_through, restored, stored},
    means::{Without, client_of, server_of, show},
    take::Taken,
    turns::Turns,
};
use crate::{
    clock,
    issuer::{self, Http, Outcome, Sent, Unreachable},
    store::{Record, Slot, Store, StoreError},
};
use sso_agent_core::{
    refusal::Refusal,
    session::RenewError,
    time::Now,
    words::{Lease, SessionId},
};

/// See the module.
pub(crate) struct Spender {
    store: Arc<dyn Store>,
    http: Http,
    turns: Turns,
    crowd: Crowd,
    /// Banked nowhere yet: what an issuer gave while the store would not take it.
    unbanked: Mutex<HashMap<SessionId, Held>>,
    /// Tokens with fewer scopes than their session has.
    narrow: Narrow,
    /// Which refresh tokens of other tools were taken over, by their digests.
    taken: Mutex<HashSet<[u8; 32]>>,
}

/// What an issuer gave and the store would not take.
struct Held {
    record: Record,
    /// Whether the lease in it is what a renewal would bring.
    lease_is_new: bool,
}

impl Spender {
    /// A spender that keeps things in `store`.
    pub(crate) fn new(store: Arc<dyn Store>, http: Http) -> Self {
        Self {
            store,
            http,
            turns: Turns::default(),
            crowd: Crowd::default(),
            unbanked: Mutex::default(),
            narrow: Narrow::default(),
            taken: Mutex::default(),
        }
    }

    /// The client that talks to issuers.
    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// Fetches the next lease of a session.
    ///
    /// `report` is called before the session's turn ends, so that reports about one session come in
    /// the order in which things happened to it.
    pub(crate) async fn renew(&self, id: &SessionId, report: impl FnOnce(Result<Arc<Lease>, RenewError>)) {
        let wanted = clock::now();
        let _turn = self.turns.of(id).await;
        report(self.spend(id, wanted).await);
    }

    /// Nothing more is spent; what is being spent comes to its end.
    pub(crate) fn stop(&self) {
        self.crowd.close();
    }

    async fn spend(&self, id: &SessionId, wanted: Now) -> Result<Arc<Lease>, RenewError> {
        if let Some(lease) = self.bank_what_is_held(id).await? {
            return Ok(lease);
        }
        let record = self.record(id).await?;
        let now = clock::now();
        let meanwhile = wanted.wall.as_secs() + 1..=now.wall.as_secs();
        if let Some(lease) = record.lease.as_ref().filter(|lease| meanwhile.contains(&lease.issued_at)) {
            // Somebody had the turn before us and did what we came for.
            return Ok(Arc::new(restored(lease, now)));
        }
        let busy = |why: &str| RenewError::Unreachable { why: why.to_owned(), retry_after: None };
        let _place = self.crowd.place(&record.token_endpoint).await.map_err(busy)?;
        let slot = self.slot(id).await.map_err(|error| RenewError::Store(error.to_string()))?;
        self.exchange(id, record, slot).await
    }

    async fn exchange(
        &self,
        id: &SessionId,
        mut record: Record,
        slot: Box<dyn Slot>,
    ) -> Result<Arc<Lease>, RenewError> {
        let asked = clock::now();
        let outcome = match buy(&self.http, &record, &[]).await {
            Ok(outcome) => outcome,
            Err(Without::Means(why)) => return Err(RenewError::Gone(why)),
            Err(Without::Now(why)) => return Err(RenewError::Unreachable { why, retry_after: None }),
        };
        match outcome {
            Outcome::Granted(grant) => {
                let lease = leased(&grant, &record.scopes, asked);
                record.lease = Some(stored(&lease));
                record.refresh_token = grant.refresh_token.or(record.refresh_token);
                self.bank(id, slot, record, true)
                    .await
                    .map_err(|error| RenewError::Store(error.to_string()))?;
                Ok(Arc::new(lease))
            }
            Outcome::Refused(said) if record.made_from.is_none() => Err(RenewError::Refused(said)),
            // A program whose settings are at hand signs in anew, with what they say now.
            Outcome::Rejected(said) | Outcome::Refused(said) => {
                record.login_required = Some(said.to_string());
                if let Err(error) = self.bank(id, slot, record, false).await {
                    tracing::warn!(session = %id, %error, "the rejection could not be noted");
                }
                Err(RenewError::Rejected(said))
            }
            Outcome::Unreachable(Unreachable { retry_after, why, salvaged, sent }) => {
                tracing::debug!(session = %id, ?sent, why, salvaged = salvaged.is_some(), "no usable answer");
                if let Some(salvaged) = salvaged {
                    record.refresh_token = Some(salvaged);
                    self.bank(id, slot, record, false)
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

    /// Banks what a sign-in brought, then finds out whose it is if nobody said; `report` as for
    /// [`renew`](Self::renew).
    pub(crate) async fn sign_in(
        &self,
        record: Record,
        user: impl Future<Output = Option<String>>,
        report: impl FnOnce(Result<Option<String>, StoreError>),
    ) {
        let id = SessionId::named(&record.id);
        let _turn = self.turns.of(&id).await;
        self.narrow.forget(&id);
        report(self.keep(record, user).await);
    }

    async fn keep(
        &self,
        mut record: Record,
        user: impl Future<Output = Option<String>>,
    ) -> Result<Option<String>, StoreError> {
        let (id, kept) = (SessionId::named(&record.id), record.clone());
        self.in_store(move |store| store.put(&kept)).await?;
        // Only now is what was held of the one before of no use any more.
        self.held().remove(&id);
        if record.user.is_none() {
            record.user = user.await;
            let named = record.clone();
            if let Err(error) = self.in_store(move |store| store.put(&named)).await {
                tracing::warn!(session = record.id, %error, "whose session it is could not be noted");
            }
        }
        Ok(record.user)
    }

    /// Tries once more to bank what the store would not take.
    pub(crate) async fn bank_all(&self) {
        let held: Vec<(SessionId, Held)> = self.held().drain().collect();
        for (id, Held { record, .. }) in held {
            if let Err(error) = self.in_store(move |store| store.put(&record)).await {
                tracing::error!(session = %id, %error, "a refresh token could not be kept: sign in again");
            }
        }
    }

    /// Removes what is stored of a session, then tells the issuer (RFC 7009); whether it agreed.
    pub(crate) async fn forget(&self, id: &SessionId) -> Result<bool, Refusal> {
        let _turn = self.turns.of(id).await;
        self.narrow.forget(id);
        let name = id.to_string();
        let removed = self.in_store(move |store| {
            // What cannot be read cannot be revoked either, but it can be removed.
            let record = store.load(&name).unwrap_or_default();
            store.remove(&name).map(|()| record)
        });
        let on_disk = removed.await.map_err(|error| Refusal::StoreFailed { why: error.to_string() })?;
        let held = self.held().remove(id).map(|held| held.record);
        let Some(record) = held.or(on_disk) else { return Ok(false) };
        let Some(token) = &record.refresh_token else { return Ok(false) };
        let revoked = issuer::revoke(&self.http, &server_of(&record), &client_of(&record), token).await;
        Ok(revoked.unwrap_or_else(|error| {
            tracing::warn!(session = %id, %error, "the issuer could not be told");
            false
        }))
    }

    async fn bank_what_is_held(&self, id: &SessionId) -> Result<Option<Arc<Lease>>, RenewError> {
        let Some(Held { record, lease_is_new }) = self.held().remove(id) else { return Ok(None) };
        let lease = record.lease.as_ref().map(|lease| restored(lease, clock::now()));
        let lease = lease.filter(|_| lease_is_new);
        let slot = self.slot(id).await;
        let banked = match slot {
            Ok(slot) => self.bank(id, slot, record, lease_is_new).await,
            Err(error) => {
                self.held().insert(id.clone(), Held { record, lease_is_new });
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

    async fn slot(&self, id: &SessionId) -> Result<Box<dyn Slot>, StoreError> {
        let name = id.to_string();
        self.in_store(move |store| store.reserve(&name)).await
    }

    /// Makes a record durable, or holds it until the store takes it.
    async fn bank(
        &self,
        id: &SessionId,
        slot: Box<dyn Slot>,
        record: Record,
        lease_is_new: bool,
    ) -> Result<(), StoreError> {
        let kept = record.clone();
        let banked = blocking(move || slot.commit(&record)).await;
        if let Err(error) = &banked {
            tracing::error!(session = %id, %error, "the new refresh token is held in memory: the store does not take it");
            self.held().insert(id.clone(), Held { record: kept, lease_is_new });
        }
        banked
    }

    async fn in_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.store.clone();
        blocking(move || work(&*store)).await
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Held>> {
        self.unbanked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what may wait for a disk beside the loop.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(StoreError::Broken))
}

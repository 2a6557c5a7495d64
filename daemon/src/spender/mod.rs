//! The only place where refresh tokens are spent.
//!
//! Reserve room in the store, spend, bank, report: in this order, whatever happens. A refresh token
//! that comes back is durable before anybody judges the rest of the answer or hears of the access
//! token beside it. The hard part is what goes wrong after the issuer has answered: then the new
//! token is held in memory and banked before anything else is tried.

mod lease;
#[cfg(test)]
mod tests;
mod turns;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sso_agent_core::{
    discovery::{Flavor, Metadata},
    refusal::Refusal,
    session::RenewError,
    words::{Lease, SessionId},
};
use tokio::sync::Semaphore;

pub(crate) use self::lease::{leased, restored, stored};
use self::turns::Turns;
use crate::{
    clock,
    issuer::{self, Client, Http, Outcome, Unreachable},
    store::{Record, Slot, Store, StoreError},
};

/// So many exchanges at once are enough, also when ten thousand sessions want one.
const AT_ONCE: usize = 32;

/// See the module.
pub(crate) struct Spender {
    store: Arc<dyn Store>,
    http: Http,
    turns: Turns,
    at_once: Semaphore,
    /// Banked nowhere yet: what an issuer gave while the store would not take it.
    unbanked: Mutex<HashMap<SessionId, Record>>,
}

impl Spender {
    /// A spender that keeps things in `store`.
    pub(crate) fn new(store: Arc<dyn Store>, http: Http) -> Self {
        Self {
            store,
            http,
            turns: Turns::default(),
            at_once: Semaphore::new(AT_ONCE),
            unbanked: Mutex::default(),
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
        let _turn = self.turns.of(id).await;
        let Ok(_place) = self.at_once.acquire().await else { return };
        report(self.spend(id).await);
    }

    async fn spend(&self, id: &SessionId) -> Result<Arc<Lease>, RenewError> {
        if let Some(lease) = self.bank_what_is_held(id).await? {
            return Ok(lease);
        }
        let (mut record, slot) = self.reserve(id).await?;
        let Some(refresh_token) = record.refresh_token.clone() else {
            return Err(RenewError::Store("there is no refresh token on record".to_owned()));
        };
        let asked = clock::now();
        let outcome =
            issuer::refresh(&self.http, &server_of(&record), &client_of(&record), &refresh_token).await;
        match outcome {
            Outcome::Granted(grant) => {
                let lease = leased(&grant, &record.scopes, asked);
                record.lease = Some(stored(&lease));
                record.refresh_token = grant.refresh_token.or(record.refresh_token);
                self.bank(id, slot, record).await.map_err(|error| RenewError::Store(error.to_string()))?;
                Ok(Arc::new(lease))
            }
            Outcome::Rejected(said) => {
                record.login_required = Some(said.to_string());
                if let Err(error) = self.bank(id, slot, record).await {
                    tracing::warn!(session = %id, %error, "the rejection could not be noted");
                }
                Err(RenewError::Rejected(said))
            }
            Outcome::Refused(said) => Err(RenewError::Refused(said)),
            Outcome::Unreachable(Unreachable { retry_after, why, salvaged, sent }) => {
                tracing::debug!(session = %id, ?sent, why, salvaged = salvaged.is_some(), "no usable answer");
                if let Some(salvaged) = salvaged {
                    record.refresh_token = Some(salvaged);
                    self.bank(id, slot, record)
                        .await
                        .map_err(|error| RenewError::Store(error.to_string()))?;
                }
                Err(RenewError::Unreachable { why, retry_after })
            }
        }
    }

    /// Banks what a sign-in brought; `report` as for [`renew`](Self::renew).
    pub(crate) async fn sign_in(&self, record: Record, report: impl FnOnce(Result<(), StoreError>)) {
        let id = SessionId::named(&record.id);
        let _turn = self.turns.of(&id).await;
        self.held().remove(&id);
        report(self.in_store(move |store| store.put(&record)).await);
    }

    /// Removes what is stored of a session, then tells the issuer (RFC 7009); whether it agreed.
    pub(crate) async fn forget(&self, id: &SessionId) -> Result<bool, Refusal> {
        let _turn = self.turns.of(id).await;
        let held = self.held().remove(id);
        let name = id.to_string();
        let removed = self.in_store(move |store| {
            // What cannot be read cannot be revoked either, but it can be removed.
            let record = store.load(&name).unwrap_or_default();
            store.remove(&name).map(|()| record)
        });
        let on_disk = removed.await.map_err(|error| Refusal::StoreFailed { why: error.to_string() })?;
        let Some(record) = held.or(on_disk) else { return Ok(false) };
        let Some(token) = &record.refresh_token else { return Ok(false) };
        let revoked = issuer::revoke(&self.http, &server_of(&record), &client_of(&record), token).await;
        Ok(revoked.unwrap_or_else(|error| {
            tracing::warn!(session = %id, %error, "the issuer could not be told");
            false
        }))
    }

    async fn bank_what_is_held(&self, id: &SessionId) -> Result<Option<Arc<Lease>>, RenewError> {
        let Some(record) = self.held().remove(id) else { return Ok(None) };
        let lease = record.lease.as_ref().map(|lease| restored(lease, clock::now()));
        let slot = self.slot(id).await;
        let banked = match slot {
            Ok(slot) => self.bank(id, slot, record).await,
            Err(error) => {
                self.held().insert(id.clone(), record);
                Err(error)
            }
        };
        banked.map_err(|error| RenewError::Store(error.to_string()))?;
        Ok(lease.filter(|lease| !lease.expires.is_over(clock::now())).map(Arc::new))
    }

    async fn reserve(&self, id: &SessionId) -> Result<(Record, Box<dyn Slot>), RenewError> {
        let name = id.to_string();
        let both = self.in_store(move |store| Ok((store.load(&name)?, store.reserve(&name)?)));
        match both.await {
            Ok((Some(record), slot)) => Ok((record, slot)),
            Ok((None, _)) => Err(RenewError::Store("the session is no longer on record".to_owned())),
            Err(error) => Err(RenewError::Store(error.to_string())),
        }
    }

    async fn slot(&self, id: &SessionId) -> Result<Box<dyn Slot>, StoreError> {
        let name = id.to_string();
        self.in_store(move |store| store.reserve(&name)).await
    }

    /// Makes a record durable, or holds it until the store takes it.
    async fn bank(&self, id: &SessionId, slot: Box<dyn Slot>, record: Record) -> Result<(), StoreError> {
        let kept = record.clone();
        let banked = blocking(move || slot.commit(&record)).await;
        if let Err(error) = &banked {
            tracing::error!(session = %id, %error, "the new refresh token is held in memory: the store does not take it");
            self.held().insert(id.clone(), kept);
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

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Record>> {
        self.unbanked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client that a session signed in as.
fn client_of(record: &Record) -> Client {
    Client { id: record.client_id.clone(), secret: record.client_secret.clone() }
}

/// The server that a session signed in at: what it said then, whatever it says now.
fn server_of(record: &Record) -> Metadata {
    Metadata {
        issuer: record.issuer.clone(),
        authorization_endpoint: record.authorization_endpoint.clone(),
        token_endpoint: record.token_endpoint.clone(),
        revocation_endpoint: record.revocation_endpoint.clone(),
        userinfo_endpoint: record.userinfo_endpoint.clone(),
        iss_parameter_supported: false,
        scopes: None,
        grant_types: None,
        code_challenge_methods: None,
        token_endpoint_auth_methods: record.auth_methods.clone(),
        flavor: Flavor::Generic,
    }
}

/// Runs what may wait for a disk beside the loop.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(StoreError::Broken))
}

//! The only place where refresh tokens are spent.
//!
//! A [`Purse`] does it: reserve room in the store, note the intent, spend, bank, tell. Where sessions are on
//! disk the purse is in a process of its own ([`apart`]), which outlives the agent for as long as it takes
//! to bank what it has asked for: an agent that is killed loses nothing that an issuer has given, and has
//! no refresh token in its memory at any time. Where nothing is on disk the purse is here.

mod apart;
mod crowd;
mod frame;
mod job;
mod lease;
mod ledger;
mod means;
mod narrow;
mod purse;
mod serve;
#[cfg(test)]
mod tests;
mod turns;
mod wire;

use std::{path::PathBuf, sync::Arc, time::Duration};

use sso_agent_core::{
    refusal::Refusal,
    session::RenewError,
    words::{Lease, Need, SessionId},
};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, oneshot};

use self::{apart::Apart, ledger::Present, narrow::Narrow, purse::Purse};
pub(crate) use self::{
    apart::Handover,
    job::{By, Job, Signed, Told},
    lease::{passed_through, restored},
    ledger::Ledger,
    purse::renewable,
    serve::{Hello, serve},
    turns::Turns,
};
use crate::{
    issuer::{Http, Settings},
    store::{Record, Store, StoreError},
};

/// When an issuer that is down is worth another try, if it does not say.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct Spender {
    way: Way,
    http: Arc<Http>,
    /// Tokens with fewer scopes than their session has.
    narrow: Narrow,
    /// Of those who want such a token.
    turns: Turns,
    /// Every job goes through here; whoever holds it is alone with the store.
    gate: Arc<RwLock<()>>,
}

/// Nobody else is at the store.
pub(crate) struct Alone {
    _gate: OwnedRwLockWriteGuard<()>,
    _present: Option<Present>,
}

/// Where the purse is.
enum Way {
    Here(Arc<Purse>),
    Apart(Apart),
}

impl Spender {
    /// A spender in this process, for a store that is kept nowhere.
    pub(crate) fn here(store: Arc<dyn Store>, reach: Settings) -> Self {
        let http = Arc::new(Http::by(reach));
        let purse = Purse::new(store, http.clone(), Ledger::in_memory());
        Self::by(Way::Here(Arc::new(purse)), http)
    }

    /// A spender in a process of its own, which is this `program` again, for the store that `handover` opens.
    pub(crate) fn apart(program: PathBuf, state: PathBuf, reach: Settings, handover: Handover) -> Self {
        let http = Arc::new(Http::by(reach));
        Self::by(Way::Apart(Apart::new(program, state, http.clone(), handover)), http)
    }

    fn by(way: Way, http: Arc<Http>) -> Self {
        Self { way, http, narrow: Narrow::default(), turns: Turns::default(), gate: Arc::default() }
    }

    /// The client that talks to issuers where no refresh token is in question.
    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// Fetches the next lease of a session that has this one now, which may be of no use to somebody.
    ///
    /// `report` is called before the session's turn ends, so that reports about one session come in
    /// the order in which things happened to it.
    pub(crate) async fn renew(
        &self,
        id: &SessionId,
        has: Option<Arc<Lease>>,
        urgent: bool,
        report: impl FnOnce(Result<Arc<Lease>, RenewError>) + Send + 'static,
    ) {
        let job =
            Job::Renew { session: id.to_string(), has: has.map(|lease| lease.token_id.clone()), urgent };
        self.carry(job, move |told| {
            if let Told::Renewed(outcome) = told {
                report(outcome.clone());
            }
        })
        .await;
    }

    /// Signs in, and keeps what it brings as the session of `record`; `report` as for
    /// [`renew`](Self::renew).
    pub(crate) async fn sign_in(
        &self,
        record: Record,
        by: By,
        report: impl FnOnce(Result<Signed, Refusal>) + Send + 'static,
    ) -> Result<Signed, Refusal> {
        let id = SessionId::named(&record.id);
        let job = Job::SignIn { record: Box::new(record), by };
        let told = self.carry(job, move |told| {
            if let Told::SignedIn(outcome) = told {
                report(outcome.clone());
            }
        });
        let Told::SignedIn(outcome) = told.await else { return Err(out_of_step()) };
        if outcome.is_ok() {
            self.narrow.forget(&id);
        }
        outcome
    }

    /// Buys a token for one call, and keeps nothing of it.
    pub(crate) async fn once(&self, record: Record) -> Result<Arc<Lease>, Refusal> {
        let told = self.carry(Job::Once { record: Box::new(record) }, |_| ()).await;
        if let Told::Bought(outcome) = told { outcome } else { Err(out_of_step()) }
    }

    /// A token of a session with these scopes only, which are sorted, if its turn comes within `wait`.
    pub(crate) async fn narrow(
        &self,
        id: &SessionId,
        scopes: &[String],
        need: &Need,
        wait: Duration,
    ) -> Result<Arc<Lease>, Refusal> {
        if let Some(known) = self.narrow.known(id, scopes, need) {
            return known;
        }
        let turn = tokio::time::timeout(wait, self.turns.of(id)).await;
        let _turn = turn.map_err(|_| Refusal::Timeout)?;
        // Somebody may have had the turn before us and done what we came for.
        if let Some(known) = self.narrow.known(id, scopes, need) {
            return known;
        }
        let job = Job::Narrow { session: id.to_string(), scopes: scopes.to_vec() };
        let told = self.carry(job, |_| ()).await;
        let bought = if let Told::Bought(bought) = told { bought } else { Err(out_of_step()) };
        self.narrow.note(id, scopes, &bought);
        self.narrow.known(id, scopes, need).unwrap_or(bought)
    }

    /// Removes what is stored of a session, then tells the issuer (RFC 7009); whether it agreed.
    pub(crate) async fn forget(&self, id: &SessionId) -> Result<bool, Refusal> {
        self.narrow.forget(id);
        let told = self.carry(Job::Forget { session: id.to_string() }, |_| ()).await;
        if let Told::Forgotten(outcome) = told { outcome } else { Err(out_of_step()) }
    }

    /// Brings to an end what an agent before this one began at a session; a lease, if that brought one.
    pub(crate) async fn settle(&self, session: String, report: impl FnOnce(Arc<Lease>) + Send + 'static) {
        self.carry(Job::Settle { session }, move |told| {
            if let Told::Settled(Some(lease)) = told {
                report(lease.clone());
            }
        })
        .await;
    }

    /// From now on issuers are reached in this way.
    pub(crate) fn reach(&self, settings: Settings) {
        if self.http.adopt(settings) {
            self.begin_anew();
        }
    }

    /// Nothing more is spent; what is being spent comes to its end.
    pub(crate) fn stop(&self) {
        match &self.way {
            Way::Here(purse) => purse.stop(),
            Way::Apart(apart) => apart.stop(),
        }
    }

    /// Tries once more to bank what the store would not take.
    pub(crate) async fn bank_all(&self) {
        match &self.way {
            Way::Here(purse) => purse.bank_all().await,
            // It does so by itself when it ends.
            Way::Apart(_) => {}
        }
    }

    /// Keys or settings are others now: who spends next gets those.
    pub(crate) fn begin_anew(&self) {
        match &self.way {
            Way::Here(_) => {}
            Way::Apart(apart) => apart.retire(),
        }
    }

    /// Waits until nothing is being spent, and keeps it so for as long as what this gives is there.
    ///
    /// # Errors
    /// A process that an agent before this one has left is still at it after a minute.
    pub(crate) async fn hold(self: Arc<Self>) -> Result<Alone, StoreError> {
        let gate = self.gate.clone().write_owned().await;
        self.begin_anew();
        let present = match &self.way {
            Way::Here(_) => None,
            Way::Apart(apart) => {
                let state = apart.state();
                let alone = tokio::task::spawn_blocking(move || Present::alone(&state)).await;
                Some(alone.unwrap_or(Err(StoreError::Broken))?)
            }
        };
        Ok(Alone { _gate: gate, _present: present })
    }

    async fn carry(&self, job: Job, report: impl FnOnce(&Told) + Send + 'static) -> Told {
        let _pass = self.gate.read().await;
        let (done, told) = oneshot::channel();
        let lost = job.lost();
        let tell = move |told: Told| {
            report(&told);
            // Whoever asked may be gone by now.
            let _ = done.send(told);
        };
        match &self.way {
            Way::Here(purse) => purse.work(job, tell).await,
            Way::Apart(apart) => apart.send(job, Box::new(tell)),
        }
        told.await.unwrap_or_else(|_| lost("what spends refresh tokens has gone"))
    }
}

fn out_of_step() -> Refusal {
    Refusal::Unavailable {
        why: "what spends refresh tokens is out of step".to_owned(),
        retry_after: TRY_AGAIN,
    }
}

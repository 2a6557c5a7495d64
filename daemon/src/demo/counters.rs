//! What the issuer was asked so far, and a way to wait for it without sleeping.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// What the issuer was asked, and what it did, since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests for one of the well-known documents.
    pub discoveries: u64,
    /// Well-formed authorization requests.
    pub authorizations: u64,
    /// Codes that were sent back to a client.
    pub sign_ins: u64,
    /// Posts of an authorization code.
    pub exchanges: u64,
    /// Of these, how many gave tokens.
    pub granted_exchanges: u64,
    /// Posts of a refresh token.
    pub refreshes: u64,
    /// Of these, how many gave tokens, whether or not the answer arrived.
    pub granted_refreshes: u64,
    /// Posts of a refresh token that was spent before, beyond its grace.
    pub replays: u64,
    /// Posts to the revocation endpoint that ended something.
    pub revocations: u64,
    /// Requests that a fault spoilt.
    pub faults: u64,
    /// Requests at the token endpoint now.
    pub in_flight: u64,
    /// The most there ever were at once.
    pub max_in_flight: u64,
    /// Calls of the workspace.
    pub api_calls: u64,
    /// Of these, how many came without a good token.
    pub rejected_api_calls: u64,
}

/// The counters, and whoever waits for them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counters: Mutex<Counters>,
    threads: Condvar,
    tasks: Notify,
}

impl Tally {
    pub(super) fn now(&self) -> Counters {
        *self.lock()
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.lock());
        self.threads.notify_all();
        self.tasks.notify_waiters();
    }

    /// Counts a request as in flight until the answer is dropped.
    pub(super) fn enter(&self) -> InFlight<'_> {
        self.count(|counters| {
            counters.in_flight += 1;
            counters.max_in_flight = counters.max_in_flight.max(counters.in_flight);
        });
        InFlight(self)
    }

    pub(super) async fn until(&self, enough: impl Fn(&Counters) -> bool) -> Counters {
        loop {
            let changed = self.tasks.notified();
            let counters = self.now();
            if enough(&counters) {
                return counters;
            }
            changed.await;
        }
    }

    pub(super) fn wait(&self, limit: Duration, enough: impl Fn(&Counters) -> bool) -> Option<Counters> {
        let lacking = |counters: &mut Counters| !enough(counters);
        let (counters, waited) = self
            .threads
            .wait_timeout_while(self.lock(), limit, lacking)
            .unwrap_or_else(PoisonError::into_inner);
        (!waited.timed_out()).then_some(*counters)
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request at the token endpoint; over when dropped, also when the client hung up.
pub(super) struct InFlight<'a>(&'a Tally);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.count(|counters| counters.in_flight -= 1);
    }
}

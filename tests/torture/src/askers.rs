//! Clients that never stop asking.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sso_agent_tests::token;

use crate::house::{House, Told};

/// A restarted agent serves the last of the old token. The token's own claim is rounded down to a whole
/// second, while `expires_in` counts from the answer, so the two ends differ by less than this.
const ROUNDING_S: u64 = 1;

/// What for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Each time for another token than the last, so that there is always a refresh under way.
    Another,
    /// Now and then for the token that there is.
    Any,
}

/// Between two wishes for any token.
const PAUSE: Duration = Duration::from_millis(10);

/// What they were told so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) served: u64,
    pub(crate) expired: u64,
    /// In words, since it was last asked about.
    pub(crate) lost: Option<String>,
    /// Answers that were neither a token nor a lost session, by kind.
    pub(crate) errors: BTreeMap<String, u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Askers {
    seen: Mutex<Seen>,
    changed: Condvar,
    done: AtomicBool,
}

impl Askers {
    /// Asks until told to stop.
    pub(crate) fn keep_asking(&self, house: &House, wish: Wish) {
        let mut last = String::new();
        while !self.done.load(Ordering::Relaxed) {
            match house.ask_other(&last) {
                Ok(Told::Token { token, id }) => {
                    match wish {
                        Wish::Another => last = id,
                        Wish::Any => thread::park_timeout(PAUSE),
                    }
                    self.note(|seen| {
                        seen.served += 1;
                        seen.expired += u64::from(token::ended_for_s(&token) > ROUNDING_S);
                    });
                }
                Ok(Told::Error { kind, text }) if kind == "login_required" => {
                    self.note(|seen| seen.lost = Some(text));
                    thread::park_timeout(Duration::from_millis(50));
                }
                Ok(Told::Error { kind, .. }) => {
                    self.note(|seen| *seen.errors.entry(kind).or_default() += 1);
                    thread::park_timeout(Duration::from_millis(20));
                }
                // Killed just now; the next one is on its way.
                Err(_) => thread::park_timeout(Duration::from_millis(2)),
            }
        }
    }

    /// Waits until something was seen, for so long at most; whether it was.
    pub(crate) fn wait(&self, limit: Duration, enough: impl Fn(&Seen) -> bool) -> bool {
        let lacking = |seen: &mut Seen| !enough(seen);
        let waited = self.changed.wait_timeout_while(self.seen(), limit, lacking);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen());
        self.changed.notify_all();
    }

    /// Lets them go home when dropped, also when the scene breaks off.
    pub(crate) fn until_the_end(&self) -> impl Drop + '_ {
        AtEnd(&self.done)
    }
}

struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

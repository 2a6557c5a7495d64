//! One signed-in identity at one host: its lease, and how far the next one is.
//!
//! The hard part is that everything may happen at any time: askers come while a renewal runs, reports
//! come late or never, clocks jump. So every state that keeps somebody waiting has a deadline, and a
//! renewal is known by its number.

use std::{sync::Arc, time::Duration};

use crate::{
    refusal::{OAuthError, Refusal},
    schedule::{self, OfNoUse, Spread},
    time::{Deadline, Now},
    words::{Attempt, Lease, Renewable, Ticket},
};

mod about;
mod problem;
#[cfg(test)]
mod tests;
mod told;

use self::problem::Problem;
pub use self::{
    about::{About, place},
    problem::RenewError,
    told::{Doing, Notice, Waiter},
};

/// One signed-in identity at one host.
#[derive(Debug)]
pub struct Session {
    about: About,
    lease: Option<Arc<Lease>>,
    renewable: Renewable,
    renewal: Renewal,
    waiters: Vec<Waiter>,
    spread: Spread,
    attempts: u64,
    /// Whether the renewal that is due has its place in the line.
    placed: bool,
    of_no_use: OfNoUse,
}

#[derive(Debug)]
enum Renewal {
    /// All is well until then.
    Fresh { due: Deadline },
    /// A renewal is under way; the old lease is still served.
    Renewing { attempt: Attempt, failures: u32, give_up: Deadline },
    /// The last one failed; `firm` when the issuer named the time. One that was given up is still `out`, and
    /// what it says when it comes back counts if no other has begun by then.
    Retrying { until: Deadline, failures: u32, firm: bool, problem: Problem, out: Option<Attempt> },
    /// There is no refresh token: it ends with its lease.
    Ending,
    /// Only a sign-in helps.
    Ended { why: String, said: Option<OAuthError> },
}

/// What a session wants done.
#[derive(Debug)]
pub enum Want {
    /// Readers may have this lease from now on; comes before the answers that hold it.
    Offer(Arc<Lease>),
    /// Tell those who wait.
    Answer(Vec<Ticket>, Result<Arc<Lease>, Refusal>),
    /// Fetch the next lease.
    Renew(Attempt),
    /// Tell whoever listens.
    Tell(Notice),
}

impl Session {
    /// A session that has just been signed in to; `number` tells it from any other there ever was.
    pub fn new(about: About, renewable: Renewable, lease: Arc<Lease>, spread: Spread, number: u64) -> Self {
        let mut session = Self::empty(about, renewable, spread, number);
        session.keep(lease);
        session
    }

    /// A session as the store had it. A renewal that is overdue waits for up to 10 s, unless somebody
    /// asks, so that many sessions do not all come at once.
    pub fn restored(
        about: About,
        renewable: Renewable,
        lease: Option<Arc<Lease>>,
        ended: Option<String>,
        spread: Spread,
        number: u64,
        now: Now,
    ) -> Self {
        let mut session = Self::empty(about, renewable, spread, number);
        if let Some(lease) = lease {
            session.keep(lease);
        }
        if let Some(why) = ended {
            session.renewal = Renewal::Ended { why, said: None };
        } else if let Renewal::Fresh { due } = session.renewal
            && due.is_over(now)
        {
            let pause = Duration::from_millis(u64::from(session.spread.draw()) * 10);
            session.renewal = Renewal::Fresh { due: now.after(pause) };
        }
        session
    }

    fn empty(about: About, renewable: Renewable, spread: Spread, number: u64) -> Self {
        let overdue = Now { steady: Duration::ZERO, wall: Duration::ZERO }.after(Duration::ZERO);
        let renewal = match renewable {
            Renewable::ByRefreshToken | Renewable::ByCredentials => Renewal::Fresh { due: overdue },
            Renewable::Never => Renewal::Ending,
        };
        Self {
            about,
            lease: None,
            renewable,
            renewal,
            waiters: Vec::new(),
            spread,
            attempts: number << 32,
            placed: false,
            of_no_use: OfNoUse::default(),
        }
    }

    /// What does not change.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The lease that readers may have.
    pub fn lease(&self) -> Option<&Arc<Lease>> {
        self.lease.as_ref()
    }

    /// How it comes by its next lease.
    pub fn renewable(&self) -> Renewable {
        self.renewable
    }

    /// How it is doing.
    pub fn doing(&self, now: Now) -> Doing {
        match &self.renewal {
            Renewal::Fresh { .. } => Doing::Active,
            Renewal::Ending if self.lease.as_ref().is_some_and(|lease| !lease.expires.is_over(now)) => {
                Doing::Active
            }
            Renewal::Renewing { failures: 0, .. } => Doing::Refreshing,
            Renewal::Renewing { .. } | Renewal::Retrying { .. } => Doing::Retrying,
            Renewal::Ending | Renewal::Ended { .. } => Doing::LoginRequired,
        }
    }

    /// When the next renewal is planned.
    pub fn next_renewal(&self) -> Option<Deadline> {
        match &self.renewal {
            Renewal::Fresh { due } => Some(*due),
            Renewal::Retrying { until, .. } => Some(*until),
            Renewal::Renewing { .. } | Renewal::Ending | Renewal::Ended { .. } => None,
        }
    }

    /// Why the last renewal failed, if it did.
    pub fn last_error(&self) -> Option<String> {
        match &self.renewal {
            Renewal::Retrying { problem, .. } => Some(problem.to_string()),
            Renewal::Ended { why, said: Some(said) } => Some(format!("{why} ({said})")),
            Renewal::Ended { why, said: None } => Some(why.clone()),
            Renewal::Fresh { .. } | Renewal::Renewing { .. } | Renewal::Ending => None,
        }
    }

    /// Somebody signed in to the same session again.
    ///
    /// A renewal that is under way stays so, since two must never overlap. Its report is about the new
    /// refresh token: renewals and sign-ins of one session take turns at the store and report in that
    /// order.
    pub fn replace(&mut self, about: About, renewable: Renewable, lease: Arc<Lease>, now: Now) -> Vec<Want> {
        self.about = about;
        self.renewable = renewable;
        let under_way = matches!(self.renewal, Renewal::Renewing { .. });
        let before = std::mem::replace(&mut self.renewal, Renewal::Ending);
        let wants = self.adopt(lease, 0, now);
        if under_way {
            self.renewal = before;
        }
        wants
    }

    /// Somebody wants a token.
    pub fn ask(&mut self, waiter: Waiter, now: Now) -> Vec<Want> {
        if let Some(lease) = self.lease.as_ref().filter(|lease| waiter.need.is_met_by(lease, now)) {
            return vec![Want::Answer(vec![waiter.ticket], Ok(lease.clone()))];
        }
        let mut wants = Vec::new();
        match &mut self.renewal {
            Renewal::Fresh { .. } => wants.push(self.begin(0, now)),
            Renewal::Renewing { .. } => {}
            Renewal::Retrying { until, failures, firm, problem, .. } => {
                let pause = if matches!(problem, Problem::Unwell(_)) {
                    self.of_no_use.pause(schedule::PAUSE_OF_UNWELL_WITH_WAITERS, now)
                } else {
                    schedule::pause(*failures, true, 500)
                };
                let sooner = now.steadily_after(pause);
                if !*firm && sooner.left(now) < until.left(now) {
                    *until = sooner;
                }
                let in_time = until.left(now) < waiter.give_up.left(now);
                if !in_time || self.can_be_put_off(&waiter, now) {
                    return vec![self.put_off(&waiter, now)];
                }
            }
            Renewal::Ending | Renewal::Ended { .. } => return vec![self.put_off(&waiter, now)],
        }
        self.waiters.push(waiter);
        wants
    }

    /// Whether anybody waits.
    pub fn is_awaited(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// Whoever waited for `ticket` is gone.
    pub fn forget(&mut self, ticket: Ticket) {
        self.waiters.retain(|waiter| waiter.ticket != ticket);
    }

    /// What became of a renewal; `Ok` means that its refresh token is banked.
    pub fn renewed(&mut self, by: Attempt, outcome: Result<Arc<Lease>, RenewError>, now: Now) -> Vec<Want> {
        let current = match self.renewal {
            Renewal::Renewing { attempt, failures, .. } if attempt == by => Some(failures),
            Renewal::Retrying { out: Some(attempt), failures, .. } if attempt == by => {
                Some(failures.saturating_sub(1))
            }
            Renewal::Renewing { .. }
            | Renewal::Fresh { .. }
            | Renewal::Retrying { .. }
            | Renewal::Ending
            | Renewal::Ended { .. } => None,
        };
        match (outcome, current) {
            (Ok(lease), failures) => self.adopt(lease, failures.unwrap_or_default(), now),
            (Err(_), None) => Vec::new(),
            (Err(RenewError::Rejected(said)), Some(_)) => {
                self.end("the issuer no longer accepts this sign-in".to_owned(), Some(said), now)
            }
            (Err(RenewError::Gone(why)), Some(_)) => self.end(why, None, now),
            (Err(RenewError::Unreachable { why, retry_after }), Some(failures)) => {
                self.retry(Problem::Unreachable(why), failures + 1, retry_after, now)
            }
            (Err(RenewError::Unwell { why, retry_after }), Some(failures)) => {
                self.of_no_use.note(now);
                self.retry(Problem::Unwell(why), failures + 1, retry_after, now)
            }
            (Err(RenewError::Store(why)), Some(failures)) => {
                self.retry(Problem::Store(why), failures + 1, None, now)
            }
            (Err(RenewError::Refused(said)), Some(failures)) => {
                self.retry(Problem::Refused(said), failures + 1, Some(schedule::PAUSE_AFTER_REFUSAL), now)
            }
        }
    }

    /// Time has passed.
    pub fn wake(&mut self, now: Now) -> Vec<Want> {
        let mut wants = match &self.renewal {
            Renewal::Fresh { due } if due.is_over(now) => vec![self.begin(0, now)],
            Renewal::Retrying { until, failures, .. } if until.is_over(now) => {
                vec![self.begin(*failures, now)]
            }
            Renewal::Renewing { failures, give_up, attempt } if give_up.is_over(now) => {
                let (problem, given_up) = (Problem::Unwell("no answer in time".to_owned()), *attempt);
                let failures = failures + 1;
                self.of_no_use.note(now);
                let wants = self.retry(problem, failures, None, now);
                if let Renewal::Retrying { out, .. } = &mut self.renewal {
                    *out = Some(given_up);
                }
                wants
            }
            Renewal::Ending if self.lease.as_ref().is_none_or(|lease| lease.expires.is_over(now)) => self
                .end(
                    "the issuer gave no refresh token, and the access token has ended".to_owned(),
                    None,
                    now,
                ),
            Renewal::Fresh { .. }
            | Renewal::Retrying { .. }
            | Renewal::Renewing { .. }
            | Renewal::Ending
            | Renewal::Ended { .. } => Vec::new(),
        };
        let (late, waiting) = self.waiters.drain(..).partition(|waiter: &Waiter| waiter.give_up.is_over(now));
        self.waiters = waiting;
        wants.extend(late.iter().map(|waiter: &Waiter| self.put_off(waiter, now)));
        wants
    }

    /// Whether the issuer does not like our request.
    pub fn is_refused(&self) -> bool {
        matches!(self.renewal, Renewal::Retrying { problem: Problem::Refused(_), .. })
    }

    /// Settings have changed: what was refused is worth another try at once.
    pub fn reconsider(&mut self, now: Now) -> Vec<Want> {
        if let Renewal::Retrying { until, problem: Problem::Refused(_), .. } = &mut self.renewal {
            *until = now.after(Duration::ZERO);
        }
        Vec::new()
    }

    /// Whether a renewal is due that nobody waits for, and that has no place in the line yet.
    pub fn wants_place(&self, now: Now) -> bool {
        let due = match &self.renewal {
            Renewal::Fresh { due } => due.is_over(now),
            Renewal::Retrying { until, .. } => until.is_over(now),
            Renewal::Renewing { .. } | Renewal::Ending | Renewal::Ended { .. } => false,
        };
        due && !self.placed && self.waiters.is_empty()
    }

    /// Its renewal begins then, unless somebody asks before.
    pub fn place(&mut self, at: Deadline) {
        match &mut self.renewal {
            Renewal::Fresh { due: when } | Renewal::Retrying { until: when, .. } => {
                (*when, self.placed) = (at, true);
            }
            Renewal::Renewing { .. } | Renewal::Ending | Renewal::Ended { .. } => {}
        }
    }

    /// When [`wake`](Self::wake) has something to do.
    pub fn wake_at(&self, now: Now) -> Option<Deadline> {
        let own = match &self.renewal {
            Renewal::Fresh { due } => Some(*due),
            Renewal::Renewing { give_up, .. } => Some(*give_up),
            Renewal::Retrying { until, .. } => Some(*until),
            Renewal::Ending => {
                Some(self.lease.as_ref().map_or(now.after(Duration::ZERO), |lease| lease.expires))
            }
            Renewal::Ended { .. } => None,
        };
        own.into_iter().chain(self.waiters.iter().map(|waiter| waiter.give_up)).min_by_key(|at| at.left(now))
    }

    /// The session goes away: nobody waits any longer.
    pub fn close(mut self, why: &str) -> Vec<Want> {
        self.renewal = Renewal::Ended { why: why.to_owned(), said: None };
        self.refuse_all(&self.login_required()).into_iter().collect()
    }

    fn begin(&mut self, failures: u32, now: Now) -> Want {
        self.attempts += 1;
        self.placed = false;
        let attempt = Attempt(self.attempts);
        // Were it to come early, the next renewal would overlap this one.
        let give_up = now.steadily_after(schedule::RENEWAL_GIVE_UP);
        self.renewal = Renewal::Renewing { attempt, failures, give_up };
        Want::Renew(attempt)
    }

    fn keep(&mut self, lease: Arc<Lease>) {
        self.placed = false;
        self.of_no_use.clear();
        self.renewal = match self.renewable {
            Renewable::ByRefreshToken | Renewable::ByCredentials => {
                Renewal::Fresh { due: schedule::refresh_at(&lease, self.spread.draw()) }
            }
            Renewable::Never => Renewal::Ending,
        };
        self.lease = Some(lease);
    }

    fn adopt(&mut self, lease: Arc<Lease>, failures: u32, now: Now) -> Vec<Want> {
        self.keep(lease.clone());
        let (served, waiting) =
            self.waiters.drain(..).partition(|waiter: &Waiter| waiter.need.is_met_by(&lease, now));
        self.waiters = waiting;
        let mut wants = vec![Want::Offer(lease.clone())];
        if !served.is_empty() {
            wants.push(Want::Answer(served.iter().map(|waiter: &Waiter| waiter.ticket).collect(), Ok(lease)));
        }
        wants.push(Want::Tell(Notice::Refreshed));
        if !self.waiters.is_empty() {
            wants.extend(self.not_good_enough(failures + 1, now));
        }
        wants
    }

    /// Somebody needs a better lease than the one that has just come. Asking for the next one at once
    /// could go on for ever.
    fn not_good_enough(&mut self, failures: u32, now: Now) -> Vec<Want> {
        match self.renewable {
            Renewable::ByRefreshToken | Renewable::ByCredentials => {
                let problem = Problem::Unreachable("the new token is not what was asked for".to_owned());
                let mut wants = self.retry(problem, failures, None, now);
                wants.retain(|want| !matches!(want, Want::Tell(_)));
                wants
            }
            Renewable::Never => self.put_off_all(now),
        }
    }

    fn retry(
        &mut self,
        problem: Problem,
        failures: u32,
        retry_after: Option<Duration>,
        now: Now,
    ) -> Vec<Want> {
        // Somebody who waits makes more of a difference to the way to an issuer than to the issuer.
        let unwell = matches!(problem, Problem::Unwell(_));
        let mut pause = schedule::pause(failures, !self.waiters.is_empty() && !unwell, self.spread.draw());
        if unwell {
            let longest =
                if self.waiters.is_empty() { pause } else { schedule::PAUSE_OF_UNWELL_WITH_WAITERS };
            pause = self.of_no_use.pause(pause.min(longest), now);
        }
        let pause = retry_after.map_or(pause, |asked| schedule::pause_as_asked(asked, pause));
        // Not even a clock that is set forward makes it sooner.
        let until = now.steadily_after(pause);
        let firm = retry_after.is_some();
        self.renewal = Renewal::Retrying { until, failures, firm, problem, out: None };
        let (early, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiters).into_iter().partition(|waiter| {
                until.left(now) >= waiter.give_up.left(now) || self.can_be_put_off(waiter, now)
            });
        self.waiters = waiting;
        let mut wants: Vec<Want> = early.iter().map(|waiter| self.put_off(waiter, now)).collect();
        wants.push(Want::Tell(Notice::Retrying));
        wants
    }

    fn end(&mut self, why: String, said: Option<OAuthError>, now: Now) -> Vec<Want> {
        self.renewal = Renewal::Ended { why, said };
        let mut wants = self.put_off_all(now);
        wants.push(Want::Tell(Notice::LoginRequired));
        wants
    }

    fn put_off_all(&mut self, now: Now) -> Vec<Want> {
        let waiters = std::mem::take(&mut self.waiters);
        waiters.iter().map(|waiter| self.put_off(waiter, now)).collect()
    }

    fn refuse_all(&mut self, why: &Refusal) -> Option<Want> {
        let tickets: Vec<Ticket> = self.waiters.drain(..).map(|waiter| waiter.ticket).collect();
        (!tickets.is_empty()).then(|| Want::Answer(tickets, Err(why.clone())))
    }

    /// Whether somebody can go on with the token there is while no better one can be had.
    fn can_be_put_off(&self, waiter: &Waiter, now: Now) -> bool {
        self.lease.as_ref().is_some_and(|lease| waiter.need.is_nearly_met_by(lease, now))
    }

    /// The answer for somebody whom the next renewal does not reach in time.
    fn put_off(&self, waiter: &Waiter, now: Now) -> Want {
        let answer = match self.lease.as_ref().filter(|lease| waiter.need.is_nearly_met_by(lease, now)) {
            Some(lease) => Ok(lease.clone()),
            None => Err(self.not_now(now)),
        };
        Want::Answer(vec![waiter.ticket], answer)
    }

    fn not_now(&self, now: Now) -> Refusal {
        match &self.renewal {
            Renewal::Retrying { until, problem, .. } => match problem.clone() {
                Problem::Unreachable(why) | Problem::Unwell(why) => {
                    Refusal::Unavailable { why, retry_after: until.left(now) }
                }
                Problem::Refused(said) => Refusal::Rejected(said),
                Problem::Store(why) => Refusal::StoreFailed { why },
            },
            Renewal::Ending | Renewal::Ended { .. } => self.login_required(),
            Renewal::Fresh { .. } | Renewal::Renewing { .. } => Refusal::Timeout,
        }
    }

    fn login_required(&self) -> Refusal {
        let (why, said) = match &self.renewal {
            Renewal::Ended { why, said } => (why.clone(), said.clone()),
            Renewal::Fresh { .. } | Renewal::Renewing { .. } | Renewal::Retrying { .. } | Renewal::Ending => {
                ("the issuer gave no refresh token".to_owned(), None)
            }
        };
        if self.about.id.is_web() {
            Refusal::ConsentRequired { why, said }
        } else {
            Refusal::LoginRequired { at: place(&self.about.host, &self.about.label), why, said }
        }
    }
}

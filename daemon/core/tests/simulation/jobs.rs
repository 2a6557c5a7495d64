//! The spender: one job at a time for each session, reserve, spend, bank, report; and sign-ins.

use std::{sync::Arc, time::Duration};

use sso_agent_core::{
    agent::Event,
    login::{LoginId, Step},
    refusal::{OAuthError, Refusal},
    session::RenewError,
    time::Now,
    words::{Attempt, Lease, Renewable, SessionId, Ticket},
};

use crate::{
    issuer::Said,
    world::{Rec, World, about, leased, restored, signed_in, stored},
};

/// Something that wants a session's turn.
#[derive(Debug)]
pub(crate) struct Job {
    /// Which run of the agent started it.
    run: u64,
    work: Work,
    phase: Phase,
    /// When it is further, by true time.
    pub(crate) at: Duration,
}

#[derive(Debug)]
enum Work {
    Renew(Attempt, Now),
    Bank(LoginId, Box<Rec>, Arc<Lease>),
    Forget(Option<Ticket>),
}

#[derive(Debug)]
enum Phase {
    Waiting,
    /// The request is on its way; the issuer decides next.
    Sent {
        asked: Now,
        again: bool,
    },
    /// The issuer has decided.
    Decided {
        asked: Now,
        said: Said,
        lost: bool,
        again: bool,
    },
    /// The answer is there and is being made durable.
    Banking {
        rec: Box<Rec>,
        outcome: Result<Arc<Lease>, RenewError>,
        new: bool,
    },
}

/// A sign-in before it has its turn.
#[derive(Debug)]
pub(crate) struct Login {
    run: u64,
    who: u64,
    pub(crate) step: Option<Step>,
    pub(crate) at: Duration,
}

fn said(error: &str) -> OAuthError {
    OAuthError { error: error.to_owned(), description: None }
}

impl World {
    pub(crate) fn renew(&mut self, id: SessionId, attempt: Attempt) {
        let wanted = self.now();
        self.queue(id, Work::Renew(attempt, wanted));
    }

    pub(crate) fn forget(&mut self, id: SessionId, ticket: Option<Ticket>) {
        self.queue(id, Work::Forget(ticket));
    }

    fn queue(&mut self, id: SessionId, work: Work) {
        let job = Job { run: self.run, work, phase: Phase::Waiting, at: self.real };
        self.turns.entry(id).or_default().push_back(job);
    }

    pub(crate) fn sign_in(&mut self, login: LoginId, id: &SessionId) {
        let who = (0..7).find(|who| about(*who).0.id == *id).unwrap_or_default();
        let at = self.real + self.random.ms(10, 2000);
        self.logins.insert(login, Login { run: self.run, who, step: None, at });
    }

    /// When the next job or sign-in is further.
    pub(crate) fn next_job(&self) -> Option<Duration> {
        let jobs = self.turns.values().filter_map(|turn| turn.front()).map(|job| job.at);
        jobs.chain(self.logins.values().map(|login| login.at)).min()
    }

    /// All that is sent and not yet banked.
    pub(crate) fn is_spending(&self) -> bool {
        self.turns.values().filter_map(|turn| turn.front()).any(|job| !matches!(job.phase, Phase::Waiting))
    }

    /// While the machine sleeps nothing gets further.
    pub(crate) fn sleep_through(&mut self, by: Duration) {
        self.turns.values_mut().flatten().for_each(|job| job.at += by);
        self.logins.values_mut().for_each(|login| login.at += by);
    }

    /// Does what is due now.
    pub(crate) fn work(&mut self) {
        let real = self.real;
        let due: Vec<LoginId> =
            self.logins.iter().filter(|(_, login)| login.at <= real).map(|(id, _)| *id).collect();
        due.into_iter().for_each(|login| self.step(login));
        let due: Vec<SessionId> = self
            .turns
            .iter()
            .filter(|(_, turn)| turn.front().is_some_and(|job| job.at <= real))
            .map(|(id, _)| id.clone())
            .collect();
        due.into_iter().for_each(|id| self.further(&id));
    }

    fn step(&mut self, id: LoginId) {
        let Some(login) = self.logins.get(&id) else { return };
        let (run, who, step) = (login.run, login.who, login.step);
        let next = match step {
            None => Step::Authorize,
            Some(Step::Authorize) => Step::Waiting,
            Some(Step::Waiting) => Step::Exchanging,
            Some(Step::Exchanging) => return self.exchanged(id, run, who),
        };
        let fails = self.random.percent(4);
        if fails {
            self.logins.remove(&id);
            let why = Refusal::Cancelled { why: "the person said no".to_owned() };
            return self.report(run, Event::SignedIn(id, Err(why)));
        }
        let pause =
            if next == Step::Waiting { self.random.ms(500, 90_000) } else { self.random.ms(10, 9000) };
        if let Some(login) = self.logins.get_mut(&id) {
            (login.step, login.at) = (Some(next), self.real + pause);
        }
        self.report(run, Event::Stepped(id, next));
    }

    fn exchanged(&mut self, login: LoginId, run: u64, who: u64) {
        self.logins.remove(&login);
        let (about, renewable) = about(who);
        let id = about.id.clone();
        let asked = self.now();
        let tokens = self.issuer.grant(&id, self.real, &mut self.random);
        let lease = leased(&tokens, asked);
        let refresh = if renewable == Renewable::ByRefreshToken { tokens.refresh } else { None };
        let rec = Rec { about, renewable, refresh, lease: Some(stored(&lease, self.boot)), ended: None };
        let job =
            Job { run, work: Work::Bank(login, Box::new(rec), lease), phase: Phase::Waiting, at: self.real };
        self.turns.entry(id).or_default().push_back(job);
    }

    fn further(&mut self, id: &SessionId) {
        let Some(job) = self.turns.get_mut(id).and_then(std::collections::VecDeque::pop_front) else {
            return;
        };
        let Job { run, work, phase, .. } = job;
        match (work, phase) {
            (Work::Forget(ticket), _) => {
                let on_disk = self.store.remove(id);
                let rec = self.held.remove(id).or(on_disk);
                self.issuer.revoke(rec.and_then(|rec| rec.refresh));
                if let Some(ticket) = ticket.filter(|_| run == self.run) {
                    self.leaving.remove(&ticket);
                }
            }
            (Work::Bank(login, rec, lease), _) => self.bank_sign_in(id, run, login, *rec, lease),
            (Work::Renew(attempt, wanted), Phase::Waiting) => self.begin(id, run, attempt, wanted),
            (Work::Renew(attempt, wanted), Phase::Sent { asked, again }) => {
                let said = self.decide(id);
                let lost = self.random.percent(6);
                let at = self.real + self.random.ms(1, 4000);
                let phase = Phase::Decided { asked, said, lost, again };
                self.go_on(id, Job { run, work: Work::Renew(attempt, wanted), phase, at });
            }
            (Work::Renew(attempt, wanted), Phase::Decided { asked, said, lost, again }) => {
                self.issuer.leave(id);
                self.heard(id, run, attempt, wanted, asked, &said, lost, again);
            }
            (Work::Renew(attempt, _), Phase::Banking { rec, outcome, new }) => {
                let outcome = self.bank(id, *rec, outcome, new);
                self.done(run, id, attempt, outcome);
            }
        }
    }

    fn go_on(&mut self, id: &SessionId, job: Job) {
        self.turns.entry(id.clone()).or_default().push_front(job);
    }

    fn begin(&mut self, id: &SessionId, run: u64, attempt: Attempt, wanted: Now) {
        let store = |why: &str| Err(RenewError::Store(why.to_owned()));
        let now = self.now();
        if let Some(rec) = self.held.get(id).cloned() {
            if self.disk_is_full() {
                return self.done(run, id, attempt, store("full"));
            }
            self.held.remove(id);
            let lease = rec.lease.map(|lease| restored(&lease, now, self.boot));
            self.store.insert(id.clone(), rec);
            if let Some(lease) = lease.filter(|lease| !lease.expires.is_over(now)) {
                return self.done(run, id, attempt, Ok(lease));
            }
        }
        let Some(rec) = self.store.get(id) else {
            return self.done(run, id, attempt, Err(RenewError::Gone("no record".to_owned())));
        };
        let meanwhile = wanted.wall.as_secs() + 1..=now.wall.as_secs();
        if let Some(lease) = rec.lease.filter(|lease| meanwhile.contains(&lease.issued_at)) {
            let lease = restored(&lease, now, self.boot);
            return self.done(run, id, attempt, Ok(lease));
        }
        if self.disk_is_full() {
            return self.done(run, id, attempt, store("full"));
        }
        if self.random.percent(8) {
            let why = "connection refused".to_owned();
            return self.done(run, id, attempt, Err(RenewError::Unreachable { why, retry_after: None }));
        }
        self.send(
            id,
            Job { run, work: Work::Renew(attempt, wanted), phase: Phase::Waiting, at: self.real },
            false,
        );
    }

    fn send(&mut self, id: &SessionId, job: Job, again: bool) {
        self.issuer.enter(id);
        let (asked, slow) = (self.now(), self.random.percent(10));
        let takes = if slow { self.random.ms(1000, 9000) } else { self.random.ms(5, 300) };
        self.go_on(id, Job { phase: Phase::Sent { asked, again }, at: self.real + takes, ..job });
    }

    fn decide(&mut self, id: &SessionId) -> Said {
        let Some(rec) = self.store.get(id) else { return Said::Unwell { retry_after: None } };
        match (rec.renewable, rec.refresh) {
            (Renewable::ByRefreshToken, Some(token)) => {
                self.issuer.redeem(id, token, self.real, &mut self.random)
            }
            _ => self.issuer.by_credentials(self.real, &mut self.random),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all that is known of one exchange")]
    fn heard(
        &mut self,
        id: &SessionId,
        run: u64,
        attempt: Attempt,
        wanted: Now,
        asked: Now,
        said_: &Said,
        lost: bool,
        again: bool,
    ) {
        let Some(rec) = self.store.get(id).cloned() else {
            return self.done(run, id, attempt, Err(RenewError::Gone("no record".to_owned())));
        };
        if lost {
            self.tally.lost_answers += 1;
            self.say(|| format!("{id}: the answer was lost"));
            if matches!(said_, Said::Granted(tokens) if tokens.refresh.is_some()) {
                self.issuer.excuse(rec.refresh);
            }
            if !again && self.random.percent(60) {
                let job =
                    Job { run, work: Work::Renew(attempt, wanted), phase: Phase::Waiting, at: self.real };
                return self.send(id, job, true);
            }
            let why = "the answer was lost".to_owned();
            return self.done(run, id, attempt, Err(RenewError::Unreachable { why, retry_after: None }));
        }
        let outcome = match said_ {
            Said::Granted(tokens) => {
                let lease = leased(tokens, asked);
                let refresh = tokens.refresh.or(rec.refresh);
                let rec = Rec { refresh, lease: Some(stored(&lease, self.boot)), ..rec };
                return self.soon_banked(id, run, attempt, wanted, rec, Ok(lease), true);
            }
            Said::Rejected => {
                let rec = Rec { ended: Some("invalid_grant".to_owned()), ..rec };
                let outcome = Err(RenewError::Rejected(said("invalid_grant")));
                return self.soon_banked(id, run, attempt, wanted, rec, outcome, false);
            }
            Said::Refused => Err(RenewError::Refused(said("invalid_client"))),
            Said::Unwell { retry_after } => {
                Err(RenewError::Unreachable { why: "503".to_owned(), retry_after: *retry_after })
            }
        };
        self.done(run, id, attempt, outcome);
    }

    #[expect(clippy::too_many_arguments, reason = "all that is known of one exchange")]
    fn soon_banked(
        &mut self,
        id: &SessionId,
        run: u64,
        attempt: Attempt,
        wanted: Now,
        rec: Rec,
        outcome: Result<Arc<Lease>, RenewError>,
        new: bool,
    ) {
        let at = self.real + self.random.ms(0, 60);
        let phase = Phase::Banking { rec: Box::new(rec), outcome, new };
        self.go_on(id, Job { run, work: Work::Renew(attempt, wanted), phase, at });
    }

    fn bank(
        &mut self,
        id: &SessionId,
        rec: Rec,
        outcome: Result<Arc<Lease>, RenewError>,
        new: bool,
    ) -> Result<Arc<Lease>, RenewError> {
        if self.disk_is_full() {
            if new {
                self.say(|| format!("{id}: held in memory"));
                self.held.insert(id.clone(), rec);
                return Err(RenewError::Store("full".to_owned()));
            }
            return outcome;
        }
        self.store.insert(id.clone(), rec);
        outcome
    }

    fn bank_sign_in(&mut self, id: &SessionId, run: u64, login: LoginId, rec: Rec, lease: Arc<Lease>) {
        if self.disk_is_full() {
            let why = Refusal::StoreFailed { why: "full".to_owned() };
            return self.report(run, Event::SignedIn(login, Err(why)));
        }
        self.held.remove(id);
        let brought = Box::new(signed_in(&rec, lease));
        self.store.insert(id.clone(), rec);
        self.tally.sign_ins += 1;
        self.report(run, Event::SignedIn(login, Ok(brought)));
    }

    fn done(&mut self, run: u64, id: &SessionId, attempt: Attempt, outcome: Result<Arc<Lease>, RenewError>) {
        if self.random.percent(2) {
            self.say(|| format!("{id}: attempt {} never reports", attempt.0));
            return;
        }
        self.report(run, Event::Renewed(id.clone(), attempt, outcome.clone()));
        if self.random.percent(3) {
            self.report(run, Event::Renewed(id.clone(), attempt, outcome));
        }
    }

    /// A report to an agent that is gone reaches nobody.
    fn report(&mut self, run: u64, event: Event) {
        if run == self.run {
            self.happened(event);
        }
    }

    /// All processes are killed: what was decided and is banked nowhere is lost to everybody.
    pub(crate) fn all_killed(&mut self) {
        for (id, turn) in std::mem::take(&mut self.turns) {
            let Some(job) = turn.into_iter().next() else { continue };
            let spent = self.store.get(&id).and_then(|rec| rec.refresh);
            match job.phase {
                Phase::Waiting => {}
                Phase::Sent { .. } => self.issuer.leave(&id),
                Phase::Decided { said, .. } => {
                    self.issuer.leave(&id);
                    if matches!(said, Said::Granted(tokens) if tokens.refresh.is_some()) {
                        self.issuer.excuse(spent);
                    }
                }
                Phase::Banking { new: true, .. } => self.issuer.excuse(spent),
                Phase::Banking { new: false, .. } => {}
            }
        }
        for id in std::mem::take(&mut self.held).into_keys() {
            let spent = self.store.get(&id).and_then(|rec| rec.refresh);
            self.issuer.excuse(spent);
        }
        self.logins.clear();
    }

    /// Only the agent is killed: what was begun comes to its end, what waits for its turn does not.
    pub(crate) fn agent_killed(&mut self) {
        for turn in self.turns.values_mut() {
            turn.truncate(1);
            turn.retain(|job| !matches!(job.phase, Phase::Waiting));
        }
        self.logins.clear();
    }
}

//! What must hold, looked at whenever the agent does anything.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use sso_agent_core::{
    agent::{Answer, Effect, Event},
    login::Step,
    session::{Doing, RenewError, Session},
    time::Now,
    words::{Lease, Need, Renewable, SessionId, Ticket},
};

use crate::{
    issuer::Mood,
    world::{Expected, Stored, World},
};

/// How long the agent waits for a report.
const GIVE_UP: Duration = Duration::from_secs(30);

/// A clock that is set by less is not noticed, and may be set so several times.
const UNNOTICED: Duration = Duration::from_secs(10);

const STALE: Duration = Duration::from_secs(20 * 60);

impl World {
    /// Tells the agent, and does what it says.
    pub(crate) fn happened(&mut self, event: Event) {
        self.tally.events += 1;
        self.say(|| format!("{event:?}"));
        let must_be_nothing = self.foresee(&event);
        let now = self.now();
        let effects = self.agent.handle(event, now);
        assert!(!must_be_nothing || effects.is_empty(), "a late failure changed something: {effects:?}");
        self.perform(effects);
    }

    /// Notes what follows from an event; whether nothing may.
    fn foresee(&mut self, event: &Event) -> bool {
        let steady = self.now().steady;
        match event {
            Event::Renewed(id, attempt, outcome) => {
                let Some(expected) = self.expected.get_mut(id) else { return false };
                let current = expected.renewing.is_some_and(|(under_way, _)| under_way == *attempt);
                match outcome {
                    Ok(_) => {
                        expected.renewing = None;
                        (expected.failures, expected.not_before) = (0, Duration::ZERO);
                    }
                    Err(_) if expected.unsure == Some(*attempt) => {}
                    Err(_) if !current => return true,
                    Err(error) => {
                        expected.renewing = None;
                        expected.failures += 1;
                        match pause(error, expected.failures) {
                            Some(pause) => expected.not_before = steady + pause,
                            None => expected.over = true,
                        }
                    }
                }
            }
            Event::SignedIn(_, Ok(brought)) => self.anew(&brought.about.id.clone()),
            Event::Brought(brought) => self.anew(&brought.about.id.clone()),
            // What was refused may have been mended.
            Event::SettingsChanged(_) => {
                self.expected.values_mut().for_each(|expected| expected.not_before = Duration::ZERO);
            }
            Event::Asked(..)
            | Event::LoginAsked(..)
            | Event::Stepped(..)
            | Event::SignedIn(..)
            | Event::Abandoned(_)
            | Event::LogoutAsked(..)
            | Event::Paused(_)
            | Event::HungUp(_)
            | Event::Woke
            | Event::Stop => {}
        }
        false
    }

    fn anew(&mut self, id: &SessionId) {
        let steady = self.now().steady;
        let before = self.expected.get(id).cloned();
        let renewing = before.as_ref().and_then(|before| before.renewing);
        let (renewing, given_up) = match renewing {
            Some((_, give_up)) if steady < give_up => (renewing, None),
            given_up => (None, given_up),
        };
        let unsure = given_up.map(|(attempt, _)| attempt);
        // Its lease may be from before a clock was set.
        let (extra, steps) = before.map(|before| (before.extra, before.steps)).unwrap_or_default();
        self.expected.insert(id.clone(), Expected { renewing, unsure, extra, steps, ..Expected::default() });
    }

    /// Does what the agent wants done, and looks whether it may want that.
    pub(crate) fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.say(|| format!("  {effect:?}"));
            match effect {
                Effect::Offer(id, lease) => self.offer(id, lease),
                Effect::Withdraw(id) => {
                    self.offered.remove(&id);
                    self.expected.remove(&id);
                }
                Effect::Renew(id, attempt) => {
                    self.may_renew(&id);
                    let give_up = self.now().steady + GIVE_UP;
                    self.expected.entry(id.clone()).or_default().renewing = Some((attempt, give_up));
                    self.renew(id, attempt);
                }
                Effect::Reply(tickets, answer) => {
                    tickets.into_iter().for_each(|ticket| self.answer(ticket, &answer));
                }
                Effect::SignIn(login, plan) => self.sign_in(login, &plan.session()),
                Effect::CallOff(login) => {
                    if let Some(gone) = self.logins.remove(&login) {
                        assert_ne!(gone.step, Some(Step::Exchanging), "its code is spent already");
                    }
                }
                Effect::Invite(_, ticket) => assert!(self.watching.contains(&ticket), "nobody watches"),
                Effect::Progress(tickets, _) => {
                    assert!(tickets.iter().all(|ticket| self.watching.contains(ticket)), "nobody watches");
                }
                Effect::Forget(id, ticket) => self.forget(id, ticket),
                Effect::Tell(..) => {}
            }
        }
    }

    fn offer(&mut self, id: SessionId, lease: Arc<Lease>) {
        let expected = self.expected.entry(id.clone()).or_default();
        expected.fresh_at = self.booted + lease.obtained.steady;
        expected.life = lease.lifetime;
        expected.pressed = false;
        self.offered.insert(id, lease);
    }

    fn may_renew(&mut self, id: &SessionId) {
        let (steady, real) = (self.now().steady, self.real);
        let renewable = self.agent.session(id).map(Session::renewable);
        assert!(renewable.is_some_and(|how| how != Renewable::Never), "{id}: nothing to renew");
        let Some(expected) = self.expected.get_mut(id) else { return };
        assert!(!expected.over, "{id}: renewed although only a sign-in helps");
        assert!(
            steady >= expected.not_before,
            "{id}: renewed {:?} before the pause was over",
            expected.not_before - steady
        );
        let under_way = expected.renewing.is_some_and(|(_, give_up)| steady < give_up);
        assert!(!under_way, "{id}: two renewals at once");
        let plain = expected.failures == 0 && expected.renewing.is_none() && !expected.pressed;
        let life = expected.life;
        let early = life.saturating_sub(STALE.min(life / 2) + life / 10 + Duration::from_secs(2));
        if plain && real < expected.fresh_at + early {
            expected.extra += 1;
            assert!(
                expected.extra <= 2 * expected.steps,
                "{id}: renewed {:?} too early",
                expected.fresh_at + early - real
            );
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: &Answer) {
        match answer {
            Answer::Token(id, lease) => {
                let waiter = self.waiting.remove(&ticket).expect("answered once, and somebody who is there");
                let now = self.now();
                assert!(waiter.need.is_nearly_met_by(lease, now), "{id}: not what was asked for");
                let offered = self.offered.get(id).map(|lease| &lease.token_id);
                assert_eq!(offered, Some(&lease.token_id), "{id}: answered before it was offered");
                self.is_no_stale_token(id, lease);
                self.tally.tokens += 1;
            }
            Answer::SignedIn(_) => assert!(self.watching.remove(&ticket), "answered once"),
            Answer::Refused(_) => {
                let asked = self.waiting.remove(&ticket).is_some();
                let watched = self.watching.remove(&ticket);
                let left = self.leaving.remove(&ticket).is_some();
                assert!(asked || watched || left, "answered twice, or nobody");
                self.tally.refused += 1;
            }
        }
    }

    /// By the issuer's own time, which nobody can set.
    pub(crate) fn is_no_stale_token(&self, id: &SessionId, lease: &Lease) {
        let token = lease.token_id.parse().expect("tokens are numbers");
        let good = self.issuer.is_good(token, self.real) || self.murky.contains(&token);
        assert!(good, "{id}: the token {token} had ended");
    }

    /// Whoever's time was up has been told.
    pub(crate) fn nobody_is_late(&self) {
        let now = self.now();
        let before =
            Now { steady: now.steady.saturating_sub(UNNOTICED), wall: now.wall.saturating_sub(UNNOTICED) };
        for waiter in self.waiting.values() {
            assert!(!waiter.give_up.is_over(before), "{:?} still waits", waiter.ticket);
        }
    }

    /// Notes who needs more than there is, by true time.
    pub(crate) fn pressed(&mut self, id: &SessionId, need: &Need) {
        let Some(expected) = self.expected.get_mut(id) else { return };
        let left = (expected.fresh_at + expected.life).saturating_sub(self.real);
        let short = left < need.min_valid.min(expected.life / 2) + Duration::from_secs(3);
        expected.pressed |= short || need.youth.is_some() || need.not.is_some();
    }

    /// A clock was set, which explains two renewals of each session.
    pub(crate) fn stepped(&mut self) {
        self.expected.values_mut().for_each(|expected| expected.steps += 1);
    }

    /// The agent is another one, and remembers what the store has.
    pub(crate) fn started(&mut self) {
        self.expected.clear();
        for id in self.store.keys() {
            // What was set meanwhile is found out only when it starts, and once more by each clock.
            self.expected.insert(id.clone(), Expected { steps: 1, ..Expected::default() });
        }
    }

    /// Whether a lease looks younger than it is, and nobody can tell.
    pub(crate) fn is_murky(&mut self, stored: Option<&Stored>, lease: Option<&Lease>, now: Now) {
        let (Some(stored), Some(lease)) = (stored, lease) else { return };
        let seems_to_end = self.real + lease.expires.left(now);
        if stored.boot != self.boot && seems_to_end > self.issuer.end_of(stored.access) {
            self.murky.insert(stored.access);
            self.tally.murky += 1;
        }
    }

    /// When nothing is wrong any more, everything is well within little more than an hour, without a stir.
    pub(crate) fn all_is_well_again(&mut self) {
        (self.issuer.mood, self.full_until) = (Mood::Well, Duration::ZERO);
        self.issuer.lives = vec![3600];
        self.say(|| "all is well again".to_owned());
        let wakes = self.tally.wakes;
        self.pass(Duration::from_secs(3600 + 900));
        let wakes = self.tally.wakes - wakes;
        for _ in 0..60 {
            if self.turns.values().any(|turn| !turn.is_empty()) {
                self.pass(Duration::from_secs(1));
            }
        }
        assert!(wakes < 600, "{wakes} wakes in a quiet hour");
        assert!(self.waiting.is_empty(), "still waiting: {:?}", self.waiting);
        assert!(self.watching.is_empty(), "still watching: {:?}", self.watching);
        assert!(self.leaving.is_empty(), "still leaving: {:?}", self.leaving);
        assert!(self.turns.values().all(VecDeque::is_empty), "still at work");
        let now = self.now();
        for (id, rec) in &self.store {
            let session = self.agent.session(id).unwrap_or_else(|| panic!("{id} is on record and not known"));
            let over = rec.renewable == Renewable::Never
                || self.issuer.has_revoked(rec.refresh) && rec.refresh.is_some();
            assert!(rec.ended.is_none() || over, "{id} was lost");
            let good = session.lease().is_some_and(|lease| !lease.expires.is_over(now));
            // Answers are lost on quiet days, too.
            let doing = session.doing(now);
            let well = good && doing != Doing::LoginRequired;
            assert!(well || over, "{id} is {doing:?}: {:?}", session.last_error());
        }
        let known = self.agent.sessions().chain(self.agent.web_sessions());
        for session in known {
            assert!(
                self.store.contains_key(&session.about().id),
                "{} is known and not on record",
                session.about().id
            );
        }
    }
}

/// At least so long the issuer is left alone; nothing if only a sign-in helps.
fn pause(error: &RenewError, failures: u32) -> Option<Duration> {
    let doubled = Duration::from_secs(1) * 2u32.saturating_pow(failures.saturating_sub(1).min(10));
    let backed_off = doubled.min(Duration::from_secs(4)) * 8 / 10;
    if matches!(error, RenewError::Rejected(_) | RenewError::Gone(_)) {
        return None;
    }
    if matches!(error, RenewError::Refused(_)) {
        return Some(Duration::from_secs(3600));
    }
    let asked = if let RenewError::Unreachable { retry_after, .. } = error { *retry_after } else { None };
    let asked = asked.map(|asked| asked.min(Duration::from_secs(3600)));
    Some(asked.unwrap_or(backed_off).max(backed_off))
}

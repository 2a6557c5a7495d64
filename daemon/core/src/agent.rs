//! Everything that can happen in the daemon ([`Event`]) and everything it can do ([`Effect`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    login::{Finished, Joined, LoginId, Logins, Plan, Step},
    refusal::Refusal,
    schedule::{Line, Spread},
    session::{About, Notice, RenewError, Session, Waiter, Want},
    time::{Deadline, Now},
    words::{Attempt, Lease, Renewable, SessionId, Ticket},
};

mod sessions;
mod target;
#[cfg(test)]
mod tests;

use self::sessions::{Sessions, behind};
pub use self::target::{Target, Which};

/// What can happen.
#[derive(Debug)]
pub enum Event {
    /// Somebody wants a token.
    Asked(Target, Waiter),
    /// A renewal came to an end; `Ok` means that its refresh token is banked.
    Renewed(SessionId, Attempt, Result<Arc<Lease>, RenewError>),
    /// Somebody wants to sign in.
    LoginAsked(Box<Plan>, Ticket),
    /// A sign-in is further.
    Stepped(LoginId, Step),
    /// A sign-in came to an end; `Ok` means that its refresh token is banked.
    SignedIn(LoginId, Result<Box<SignedIn>, Refusal>),
    /// A sign-in that nobody watched brought this, and it is banked.
    Brought(Box<SignedIn>),
    /// Nobody has used these web sessions for long, or whoever they were for went away.
    Abandoned(Vec<SessionId>),
    /// Somebody wants to sign out.
    LogoutAsked(Target, Ticket),
    /// These are the settings that programs sign in from now.
    SettingsChanged(BTreeSet<String>),
    /// Renewals that nobody waits for begin no more, or begin again.
    Paused(bool),
    /// Whoever held the ticket is gone.
    HungUp(Ticket),
    /// Time has passed.
    Woke,
    /// The agent shall stop.
    Stop,
}

/// What a sign-in brought.
#[derive(Debug)]
pub struct SignedIn {
    /// Who, where.
    pub about: About,
    /// How it goes on.
    pub renewable: Renewable,
    /// The first lease.
    pub lease: Arc<Lease>,
}

/// What can be done.
#[derive(Debug)]
pub enum Effect {
    /// Readers may have this lease from now on.
    Offer(SessionId, Arc<Lease>),
    /// Readers may have no lease of this session any more.
    Withdraw(SessionId),
    /// Tell those who wait.
    Reply(Vec<Ticket>, Answer),
    /// Fetch the next lease.
    Renew(SessionId, Attempt),
    /// Begin a sign-in.
    SignIn(LoginId, Box<Plan>),
    /// Give a watcher a link of its own into a sign-in.
    Invite(LoginId, Ticket),
    /// Tell watchers how far a sign-in is.
    Progress(Vec<Ticket>, Step),
    /// Call a sign-in off.
    CallOff(LoginId),
    /// Revoke and remove what is stored of a session, and tell whoever asked for it, if anybody did.
    Forget(SessionId, Option<Ticket>),
    /// Tell whoever listens.
    Tell(SessionId, Notice),
}

/// What somebody who waited is told.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A token.
    Token(SessionId, Arc<Lease>),
    /// The sign-in worked.
    SignedIn(SessionId),
    /// No.
    Refused(Refusal),
}

/// All sessions, and all sign-ins under way.
#[derive(Debug)]
pub struct Agent {
    sessions: Sessions,
    logins: Logins,
    /// When each session wants to be woken, on the steady clock: in order, and the way back.
    due: BTreeSet<(Duration, SessionId)>,
    due_of: BTreeMap<SessionId, Duration>,
    seed: Spread,
    /// For renewals that nobody waits for.
    line: Line,
    /// How many sessions there ever were.
    known: u64,
    /// How the clocks stood to each other when sessions were last woken, or first heard of.
    seen: Option<Now>,
    stopping: bool,
    /// Whether renewals that nobody waits for are left alone.
    paused: bool,
    /// What programs sign in from, once somebody said.
    settings: Option<BTreeSet<String>>,
}

/// A wall clock that moved by more than this against the steady one was set.
const CLOCK_WAS_SET: Duration = Duration::from_secs(2);

impl Agent {
    /// An agent without sessions; `seed` spreads their refreshes.
    pub fn new(seed: u64) -> Self {
        Self {
            sessions: Sessions::default(),
            logins: Logins::default(),
            due: BTreeSet::new(),
            due_of: BTreeMap::new(),
            seed: Spread::seeded(seed),
            line: Line::default(),
            known: 0,
            seen: None,
            stopping: false,
            paused: false,
            settings: None,
        }
    }

    /// Takes in a session as the store had it.
    pub fn restore(
        &mut self,
        about: About,
        renewable: Renewable,
        lease: Option<Arc<Lease>>,
        ended: Option<String>,
        now: Now,
    ) -> Vec<Effect> {
        self.seen.get_or_insert(now);
        let id = about.id.clone();
        let offer = lease.clone().map(|lease| Effect::Offer(id.clone(), lease));
        let (spread, number) = self.another();
        self.sessions
            .insert(id.clone(), Session::restored(about, renewable, lease, ended, spread, number, now));
        self.reschedule(&id, now);
        offer.into_iter().collect()
    }

    /// Every session of the person's own, in the order of their ids.
    pub fn sessions(&self) -> impl ExactSizeIterator<Item = &Session> {
        self.sessions.own.values()
    }

    /// Every session of a web app's user, in the order of their ids.
    pub fn web_sessions(&self) -> impl ExactSizeIterator<Item = &Session> {
        self.sessions.web.values()
    }

    /// Those of the person's own behind this one.
    pub fn sessions_after(&self, id: Option<&SessionId>) -> impl Iterator<Item = &Session> {
        behind(&self.sessions.own, id)
    }

    /// Those of web apps' users behind this one.
    pub fn web_sessions_after(&self, id: Option<&SessionId>) -> impl Iterator<Item = &Session> {
        behind(&self.sessions.web, id)
    }

    /// One session.
    pub fn session(&self, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// Takes in what happened and says what to do about it, in this order.
    pub fn handle(&mut self, event: Event, now: Now) -> Vec<Effect> {
        self.seen.get_or_insert(now);
        match event {
            Event::Asked(target, waiter) => self.asked(&target, waiter, now),
            Event::Renewed(id, by, outcome) => {
                self.with(&id, now, |session| session.renewed(by, outcome, now)).unwrap_or_default()
            }
            Event::LoginAsked(plan, ticket) => self.login_asked(plan, ticket, now),
            Event::Stepped(id, step) => self.stepped(id, step),
            Event::SignedIn(id, outcome) => self.signed_in(id, outcome, now),
            Event::Brought(signed_in) => self.adopt(*signed_in, now),
            Event::Abandoned(ids) => self.abandoned(ids),
            Event::LogoutAsked(target, ticket) => self.logout_asked(&target, ticket),
            Event::SettingsChanged(settings) => self.settings_changed(settings, now),
            Event::Paused(paused) => self.pause(paused, now),
            Event::HungUp(ticket) => self.hung_up(ticket),
            Event::Woke => self.woke(now),
            Event::Stop => self.stop(),
        }
    }

    /// When [`Event::Woke`] has something to do.
    pub fn wake_at(&self, now: Now) -> Option<Deadline> {
        let session = self.due.first().map(|(due, _)| now.after(due.saturating_sub(now.steady)));
        session.into_iter().chain(self.logins.wake_at(now)).min_by_key(|at| at.left(now))
    }

    fn asked(&mut self, target: &Target, waiter: Waiter, now: Now) -> Vec<Effect> {
        let ticket = waiter.ticket;
        match self.find(target) {
            Ok(id) => self.with(&id, now, |session| session.ask(waiter, now)).unwrap_or_default(),
            Err(refusal) => vec![refuse(ticket, refusal)],
        }
    }

    fn login_asked(&mut self, plan: Box<Plan>, ticket: Ticket, now: Now) -> Vec<Effect> {
        if self.stopping {
            return vec![refuse(ticket, stopping())];
        }
        match self.logins.join(&plan, ticket, now) {
            Joined::Began(id) => vec![Effect::SignIn(id, plan)],
            Joined::Joined(id, Some(Step::Authorize | Step::Waiting)) => vec![Effect::Invite(id, ticket)],
            Joined::Joined(_, Some(step @ Step::Exchanging)) => vec![Effect::Progress(vec![ticket], step)],
            Joined::Joined(_, None) => Vec::new(),
            Joined::Full => {
                let why = "too many sign-ins are waiting for somebody already".to_owned();
                vec![refuse(ticket, Refusal::Unavailable { why, retry_after: Duration::from_secs(60) })]
            }
        }
    }

    fn stepped(&mut self, id: LoginId, step: Step) -> Vec<Effect> {
        let watchers = self.logins.stepped(id, step);
        match step {
            Step::Authorize => watchers.into_iter().map(|ticket| Effect::Invite(id, ticket)).collect(),
            Step::Waiting | Step::Exchanging if watchers.is_empty() => Vec::new(),
            Step::Waiting | Step::Exchanging => vec![Effect::Progress(watchers, step)],
        }
    }

    /// What a sign-in brought is kept even when everybody who waited for it is gone by now: it is banked.
    fn signed_in(&mut self, id: LoginId, outcome: Result<Box<SignedIn>, Refusal>, now: Now) -> Vec<Effect> {
        let Finished { watchers, void } = self.logins.finish(id).unwrap_or_default();
        let outcome = match outcome {
            Ok(signed_in) if void || !self.may_live(&signed_in.about) => {
                let session = signed_in.about.id.clone();
                let mut effects = vec![Effect::Forget(session, None)];
                if !watchers.is_empty() {
                    let why = "it was signed out, or its profile changed, in the meantime".to_owned();
                    effects.push(Effect::Reply(watchers, Answer::Refused(Refusal::Cancelled { why })));
                }
                return effects;
            }
            outcome => outcome,
        };
        match outcome {
            Ok(signed_in) => {
                let session = signed_in.about.id.clone();
                let mut effects = self.adopt(*signed_in, now);
                if !watchers.is_empty() {
                    effects.push(Effect::Reply(watchers, Answer::SignedIn(session)));
                }
                effects
            }
            Err(_) if watchers.is_empty() => Vec::new(),
            Err(refusal) => vec![Effect::Reply(watchers, Answer::Refused(refusal))],
        }
    }

    fn adopt(&mut self, new: SignedIn, now: Now) -> Vec<Effect> {
        let SignedIn { about, renewable, lease } = new;
        let id = about.id.clone();
        if self.sessions.contains(&id) {
            return self
                .with(&id, now, |session| session.replace(about, renewable, lease, now))
                .unwrap_or_default();
        }
        let (spread, number) = self.another();
        self.sessions.insert(id.clone(), Session::new(about, renewable, lease.clone(), spread, number));
        self.reschedule(&id, now);
        vec![Effect::Offer(id.clone(), lease), Effect::Tell(id, Notice::Added)]
    }

    fn logout_asked(&mut self, target: &Target, ticket: Ticket) -> Vec<Effect> {
        let found = match self.find(target) {
            // Nobody is signed in: for whoever signs out, that host or session is not known.
            Err(Refusal::LoginRequired { at, why, .. }) => Err(Refusal::Unknown {
                what: if at.is_empty() { why } else { format!("{at} is not known here") },
            }),
            found => found,
        };
        let id = match found {
            Ok(id) => id,
            Err(refusal) => return vec![refuse(ticket, refusal)],
        };
        self.drop_session(id, "signed out just now", Some(ticket))
    }

    /// Whether what it was made from is still written down, as far as is known.
    fn may_live(&self, about: &About) -> bool {
        match (&about.made_from, &self.settings) {
            (Some(made_from), Some(settings)) => settings.contains(made_from),
            (None, _) | (_, None) => true,
        }
    }

    /// What a program signed in with that is written nowhere any more is not to be used any longer; what an
    /// issuer refused may have been mended.
    fn settings_changed(&mut self, settings: BTreeSet<String>, now: Now) -> Vec<Effect> {
        self.settings = Some(settings);
        let all = self.sessions.own.values().map(Session::about);
        let ids: Vec<SessionId> =
            all.filter(|about| !self.may_live(about)).map(|about| about.id.clone()).collect();
        let dropped: Vec<Effect> = ids
            .into_iter()
            .flat_map(|id| self.drop_session(id, "its profile was changed just now", None))
            .collect();
        let refused = self.sessions.own.values().filter(|session| session.is_refused());
        let refused: Vec<SessionId> = refused.map(|session| session.about().id.clone()).collect();
        for id in refused {
            self.with(&id, now, |session| session.reconsider(now));
        }
        dropped
    }

    fn abandoned(&mut self, ids: Vec<SessionId>) -> Vec<Effect> {
        let known: Vec<_> = ids.into_iter().filter(|id| self.sessions.contains(id)).collect();
        known
            .into_iter()
            .flat_map(|id| {
                self.drop_session(id, "its web app gave it up, or nobody has used it for long", None)
            })
            .collect()
    }

    fn drop_session(&mut self, id: SessionId, why: &str, ticket: Option<Ticket>) -> Vec<Effect> {
        self.logins.void(&id);
        let mut effects = vec![Effect::Withdraw(id.clone())];
        if let Some(session) = self.sessions.remove(&id) {
            effects.extend(effects_of(&id, session.close(why)));
        }
        self.unschedule(&id);
        effects.push(Effect::Forget(id.clone(), ticket));
        effects.push(Effect::Tell(id, Notice::Removed));
        effects
    }

    /// What is due meanwhile is due when it goes on.
    fn pause(&mut self, paused: bool, now: Now) -> Vec<Effect> {
        self.paused = paused;
        let ids: Vec<SessionId> = self.sessions.ids().cloned().collect();
        ids.iter().for_each(|id| self.reschedule(id, now));
        Vec::new()
    }

    fn rests(&self, id: &SessionId) -> bool {
        self.paused && self.sessions.get(id).is_some_and(Session::waits_to_renew)
    }

    /// Asked for tokens or watched a sign-in: either way nobody is there to be told.
    fn hung_up(&mut self, ticket: Ticket) -> Vec<Effect> {
        for session in self.sessions.all_mut().filter(|session| session.is_awaited()) {
            session.forget(ticket);
        }
        self.logins.forget(ticket).map(Effect::CallOff).into_iter().collect()
    }

    fn woke(&mut self, now: Now) -> Vec<Effect> {
        let ids: Vec<SessionId> = if self.clock_was_set(now) {
            self.sessions.ids().cloned().collect()
        } else {
            self.due.iter().take_while(|(due, _)| *due <= now.steady).map(|(_, id)| id.clone()).collect()
        };
        let mut effects = Vec::new();
        for id in ids {
            if self.rests(&id) {
                self.unschedule(&id);
                continue;
            }
            let wants_place = self.sessions.get(&id).is_some_and(|session| session.wants_place(now));
            match wants_place.then(|| self.line.take(now)).flatten() {
                Some(place) => self.put_in_line(&id, place, now),
                None => effects.extend(self.with(&id, now, |session| session.wake(now)).unwrap_or_default()),
            }
        }
        for (id, watchers) in self.logins.overdue(now) {
            effects.push(Effect::CallOff(id));
            effects.push(Effect::Reply(watchers, Answer::Refused(Refusal::Timeout)));
        }
        effects
    }

    fn put_in_line(&mut self, id: &SessionId, place: Deadline, now: Now) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.place(place);
        }
        self.reschedule(id, now);
    }

    fn stop(&mut self) -> Vec<Effect> {
        self.stopping = true;
        let mut effects = Vec::new();
        for (id, watchers) in self.logins.drain() {
            effects.push(Effect::CallOff(id));
            effects.push(Effect::Reply(watchers, Answer::Refused(stopping())));
        }
        effects
    }

    fn clock_was_set(&mut self, now: Now) -> bool {
        let apart = |now: Now| now.wall.as_millis() as i128 - now.steady.as_millis() as i128;
        let before = self.seen.replace(now);
        before.is_some_and(|before| apart(now).abs_diff(apart(before)) > CLOCK_WAS_SET.as_millis())
    }

    /// Lets a session act; `None` when it is gone.
    fn with(
        &mut self,
        id: &SessionId,
        now: Now,
        act: impl FnOnce(&mut Session) -> Vec<Want>,
    ) -> Option<Vec<Effect>> {
        let wants = act(self.sessions.get_mut(id)?);
        self.reschedule(id, now);
        Some(effects_of(id, wants))
    }

    fn reschedule(&mut self, id: &SessionId, now: Now) {
        self.unschedule(id);
        if self.rests(id) {
            return;
        }
        if let Some(at) = self.sessions.get(id).and_then(|session| session.wake_at(now)) {
            let due = now.steady.saturating_add(at.left(now));
            self.due.insert((due, id.clone()));
            self.due_of.insert(id.clone(), due);
        }
    }

    fn unschedule(&mut self, id: &SessionId) {
        if let Some(due) = self.due_of.remove(id) {
            self.due.remove(&(due, id.clone()));
        }
    }

    /// What the next session needs to be different from all others.
    fn another(&mut self) -> (Spread, u64) {
        self.known += 1;
        let seed = u64::from(self.seed.draw()) << 32 | u64::from(self.seed.draw()) << 16;
        (Spread::seeded(seed ^ self.known), self.known)
    }
}

fn effects_of(id: &SessionId, wants: Vec<Want>) -> Vec<Effect> {
    let effect = |want| match want {
        Want::Offer(lease) => Effect::Offer(id.clone(), lease),
        Want::Answer(tickets, Ok(lease)) => Effect::Reply(tickets, Answer::Token(id.clone(), lease)),
        Want::Answer(tickets, Err(refusal)) => Effect::Reply(tickets, Answer::Refused(refusal)),
        Want::Renew(attempt) => Effect::Renew(id.clone(), attempt),
        Want::Tell(notice) => Effect::Tell(id.clone(), notice),
    };
    wants.into_iter().map(effect).collect()
}

fn refuse(ticket: Ticket, refusal: Refusal) -> Effect {
    Effect::Reply(vec![ticket], Answer::Refused(refusal))
}

fn stopping() -> Refusal {
    Refusal::Unavailable { why: "the agent is stopping".to_owned(), retry_after: Duration::from_secs(1) }
}

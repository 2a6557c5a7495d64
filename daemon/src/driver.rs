//! The loop that owns every session: the whole of the concurrency story.
//!
//! Messages come in one at a time and become events; the agent says what to do; slow work is a job
//! whose result comes back as a message. Nothing here waits for anything but the inbox and the clock.

use std::{collections::HashMap, sync::Arc, time::Duration};

use sso_agent_core::{
    agent::{Agent, Answer, Effect, Event, SignedIn},
    login::{LoginId, Plan, Step},
    refusal::Refusal,
    session::{Notice, Waiter},
    time::Deadline,
    words::{Attempt, SessionId, Ticket},
};
use sso_agent_proto::events::{self, EventKind};
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app, clock,
    config::Config,
    handle::{Handle, LoginNews, Message, TokenAsk},
    manager,
    signin::{self, Links, Takeover},
    spender::Spender,
    store::Record,
    web::Handles,
};

/// Timers stand still while the machine sleeps, so nobody naps for longer.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// Web sessions are looked through this often, at most.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is under way gets this long when the agent stops; an exchange takes 20 s at the most.
const FINISH: Duration = Duration::from_secs(30);

/// See the module.
pub(crate) struct Driver {
    agent: Agent,
    inbox: mpsc::UnboundedReceiver<Message>,
    handle: Handle,
    spender: Arc<Spender>,
    jobs: TaskTracker,
    tokens: HashMap<Ticket, oneshot::Sender<Answer>>,
    logouts: HashMap<Ticket, oneshot::Sender<Result<bool, Refusal>>>,
    watchers: HashMap<Ticket, mpsc::UnboundedSender<LoginNews>>,
    logins: HashMap<LoginId, SignIn>,
    handles: Arc<Handles>,
    config: Arc<Config>,
    /// When web sessions are looked through again for those that nobody uses.
    look_again: Option<Deadline>,
    /// Cancelled when the agent stops.
    no_more_clients: CancellationToken,
}

/// A sign-in under way, as far as the driver can reach it.
struct SignIn {
    links: Links,
    call_off: CancellationToken,
}

impl Driver {
    /// A driver for these sessions.
    pub(crate) fn new(
        agent: Agent,
        inbox: mpsc::UnboundedReceiver<Message>,
        handle: Handle,
        spender: Arc<Spender>,
        handles: Arc<Handles>,
        config: Arc<Config>,
        no_more_clients: CancellationToken,
    ) -> Self {
        Self {
            agent,
            inbox,
            handle,
            spender,
            jobs: TaskTracker::new(),
            tokens: HashMap::new(),
            logouts: HashMap::new(),
            watchers: HashMap::new(),
            logins: HashMap::new(),
            handles,
            config,
            look_again: None,
            no_more_clients,
        }
    }

    /// Runs until somebody sends [`Message::Stop`] and what was under way then is done.
    pub(crate) async fn run(mut self) {
        let longest = manager::watchdog().map_or(LONGEST_NAP, |limit| limit.min(LONGEST_NAP));
        let mut woke = clock::now();
        loop {
            let now = clock::now();
            let patience = longest.saturating_sub(now.since(woke));
            let nap = self.agent.wake_at(now).map_or(patience, |at| at.left(now).min(patience));
            let message = tokio::select! {
                biased;
                () = tokio::time::sleep(nap) => {
                    woke = now;
                    self.rounds();
                    continue;
                }
                message = self.inbox.recv() => message,
            };
            match message {
                Some(Message::Stop) | None => return self.finish().await,
                Some(message) => self.take(message),
            }
        }
    }

    /// What has to be done every now and then, however busy the inbox is.
    fn rounds(&mut self) {
        manager::alive();
        self.happened(Event::Woke);
        self.end_idle();
    }

    /// Ends web sessions that nobody has used for long.
    fn end_idle(&mut self) {
        let now = clock::now();
        if self.look_again.is_some_and(|at| !at.is_over(now)) {
            return;
        }
        self.look_again = Some(now.after(LOOK_EVERY));
        let idle = self.handles.idle(self.config.known().settings.web_session_idle, now);
        if !idle.is_empty() {
            self.happened(Event::Abandoned(idle));
        }
        if self.handles.is_to_be_noted(now) {
            let handles = self.handles.clone();
            self.jobs.spawn_blocking(move || handles.write_uses(now));
        }
    }

    /// Lets jobs end, so that no refresh token is lost on its way; their results still count.
    async fn finish(mut self) {
        manager::stopping();
        self.no_more_clients.cancel();
        self.happened(Event::Stop);
        self.jobs.close();
        self.spender.stop();
        let jobs = self.jobs.clone();
        let everything = async {
            loop {
                tokio::select! {
                    biased;
                    Some(message) = self.inbox.recv() => self.take(message),
                    () = jobs.wait() => break,
                }
            }
            while let Ok(message) = self.inbox.try_recv() {
                self.take(message);
            }
        };
        if tokio::time::timeout(FINISH, everything).await.is_err() {
            tracing::error!(jobs = jobs.len(), "stopped with work under way");
        }
        self.spender.bank_all().await;
        self.handles.write_uses(clock::now());
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Token(TokenAsk { target, need, wait, ticket, answer }) => {
                self.tokens.insert(ticket, answer);
                let give_up = clock::now().after(wait);
                self.happened(Event::Asked(target, Waiter { ticket, need, give_up }));
            }
            Message::Narrow { session, scopes, need, wait, answer } => {
                let spender = self.spender.clone();
                self.jobs.spawn(async move {
                    let told = match spender.narrow(&session, &scopes, &need, wait).await {
                        Ok(lease) => Answer::Token(session, lease),
                        Err(refusal) => Answer::Refused(refusal),
                    };
                    // Whoever asked may be gone by now, which is no fault.
                    let _ = answer.send(told);
                });
            }
            Message::Job(job) => {
                self.jobs.spawn(job);
            }
            Message::TakeOver { takeover, done } => self.take_over(*takeover, done),
            Message::Login { plan, ticket, news } => {
                self.watchers.insert(ticket, news);
                self.happened(Event::LoginAsked(plan, ticket));
            }
            Message::Logout { target, ticket, done } => {
                self.logouts.insert(ticket, done);
                self.happened(Event::LogoutAsked(target, ticket));
            }
            Message::Restore { records, done } => {
                // Whoever asked may be gone by now, which is no fault.
                let _ = done.send(self.restore(&records));
            }
            // What is known of a host may be due to what they were.
            Message::SettingsChanged(settings) => {
                self.spender.reach(self.config.reach());
                self.spender.http().discoveries().forget();
                if let Some(settings) = settings {
                    self.happened(Event::SettingsChanged(settings));
                }
            }
            Message::Look(look) => look(&self.agent, clock::now()),
            Message::Happened(event) => {
                self.let_go(&event);
                self.happened(event);
            }
            Message::Stop => {}
        }
    }

    /// Takes in what could not be read when the agent started.
    fn restore(&mut self, records: &[Record]) -> Vec<String> {
        let mut wrong = Vec::new();
        for record in records {
            let id = SessionId::named(&record.id);
            if self.agent.session(&id).is_some() {
                continue;
            }
            match app::restore(&mut self.agent, &self.handles, record) {
                Ok(effects) => effects.into_iter().for_each(|effect| self.perform(effect)),
                Err(why) => wrong.push(format!("{id}: {why}")),
            }
        }
        wrong
    }

    fn let_go(&mut self, event: &Event) {
        if let Event::HungUp(ticket) = event {
            self.tokens.remove(ticket);
            self.watchers.remove(ticket);
        }
        if let Event::SignedIn(id, _) = event {
            self.logins.remove(id);
        }
    }

    fn happened(&mut self, event: Event) {
        for effect in self.agent.handle(event, clock::now()) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Offer(id, lease) => self.handle.snapshot().offer(id, lease),
            Effect::Withdraw(id) => {
                self.handle.snapshot().withdraw(&id);
                self.handles.forget(&id, clock::now());
            }
            Effect::Reply(tickets, answer) => {
                tickets.into_iter().for_each(|ticket| self.reply(ticket, &answer));
            }
            Effect::Renew(id, attempt) => self.renew(id, attempt),
            Effect::SignIn(id, plan) => self.sign_in(id, plan),
            Effect::Invite(id, ticket) => self.invite(id, ticket),
            Effect::Progress(tickets, step) => {
                tickets.into_iter().for_each(|ticket| self.news(ticket, LoginNews::Step(step)));
            }
            Effect::CallOff(id) => {
                if let Some(login) = self.logins.remove(&id) {
                    login.call_off.cancel();
                }
            }
            Effect::Forget(id, ticket) => self.forget(id, ticket),
            Effect::Tell(id, notice) => self.tell(&id, notice),
        }
    }

    /// Whoever asked may be gone by now, which is no fault.
    fn reply(&mut self, ticket: Ticket, answer: &Answer) {
        if let Some(asker) = self.tokens.remove(&ticket) {
            let _ = asker.send(answer.clone());
        } else if let Some(asker) = self.logouts.remove(&ticket) {
            let _ = asker.send(Err(match answer {
                Answer::Refused(refusal) => refusal.clone(),
                Answer::Token(..) | Answer::SignedIn(_) => {
                    Refusal::Cancelled { why: "no token was asked for".into() }
                }
            }));
        } else if let Some(watcher) = self.watchers.remove(&ticket) {
            let _ = watcher.send(LoginNews::Done(match answer {
                Answer::SignedIn(id) | Answer::Token(id, _) => Ok(id.clone()),
                Answer::Refused(refusal) => Err(refusal.clone()),
            }));
        }
    }

    fn news(&self, ticket: Ticket, news: LoginNews) {
        if let Some(watcher) = self.watchers.get(&ticket) {
            let _ = watcher.send(news);
        }
    }

    fn renew(&self, id: SessionId, attempt: Attempt) {
        let (spender, handle) = (self.spender.clone(), self.handle.clone());
        tracing::debug!(session = %id, attempt = attempt.0, "renewal begun");
        let session = self.agent.session(&id);
        let has = session.and_then(|session| session.lease().cloned());
        let urgent = session.is_some_and(sso_agent_core::session::Session::is_awaited);
        self.jobs.spawn(async move {
            let of = id.clone();
            let report = move |outcome| handle.send(Message::Happened(Event::Renewed(of, attempt, outcome)));
            spender.renew(&id, has, urgent, report).await;
        });
    }

    fn sign_in(&mut self, id: LoginId, plan: Box<Plan>) {
        let login = SignIn { links: Links::default(), call_off: CancellationToken::new() };
        let (links, call_off) = (login.links.clone(), login.call_off.clone());
        self.logins.insert(id, login);
        let (spender, handle) = (self.spender.clone(), self.handle.clone());
        self.jobs.spawn(async move {
            let teller = handle.clone();
            let step = move |step: Step| teller.send(Message::Happened(Event::Stepped(id, step)));
            let report = move |outcome| handle.send(Message::Happened(Event::SignedIn(id, outcome)));
            signin::sign_in(&plan, &spender, links, call_off, step, report).await;
        });
    }

    fn take_over(&self, takeover: Takeover, done: oneshot::Sender<Result<SessionId, Refusal>>) {
        let (spender, handle) = (self.spender.clone(), self.handle.clone());
        self.jobs.spawn(async move {
            let report = move |outcome: Result<Box<SignedIn>, Refusal>| {
                let outcome = outcome.map(|signed_in| {
                    let id = signed_in.about.id.clone();
                    handle.send(Message::Happened(Event::Brought(signed_in)));
                    id
                });
                // Whoever asked may be gone by now, which is no fault.
                let _ = done.send(outcome);
            };
            signin::take_over(takeover, &spender, report).await;
        });
    }

    fn invite(&self, id: LoginId, ticket: Ticket) {
        match self.logins.get(&id).and_then(|login| login.links.issue()) {
            Some(url) => self.news(ticket, LoginNews::Authorize(url)),
            // Too many have one already: this one just waits with them.
            None => self.news(ticket, LoginNews::Step(Step::Waiting)),
        }
    }

    fn forget(&mut self, id: SessionId, ticket: Option<Ticket>) {
        let asker = ticket.and_then(|ticket| self.logouts.remove(&ticket));
        let spender = self.spender.clone();
        self.jobs.spawn(async move {
            let outcome = spender.forget(&id).await;
            if let Some(asker) = asker {
                let _ = asker.send(outcome);
            }
        });
    }

    fn tell(&self, id: &SessionId, notice: Notice) {
        let kind = match notice {
            Notice::Refreshed => EventKind::TokenRefreshed,
            Notice::Added => EventKind::SessionAdded,
            Notice::Removed => EventKind::SessionRemoved,
            Notice::LoginRequired => EventKind::SessionLoginRequired,
            Notice::Retrying => EventKind::SessionRetrying,
        };
        let now = clock::now();
        let session = self.agent.session(id);
        let error = session.and_then(sso_agent_core::session::Session::last_error);
        match notice {
            Notice::Refreshed | Notice::Added | Notice::Removed => {
                tracing::info!(session = %id, ?kind, "session changed");
            }
            Notice::LoginRequired | Notice::Retrying => {
                tracing::warn!(session = %id, ?kind, error, "session in trouble");
            }
        }
        self.handle.tell(events::Event {
            kind,
            session: Some(id.to_string()),
            at: clock::timestamp(now.wall),
        });
    }
}

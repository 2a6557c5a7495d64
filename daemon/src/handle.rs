//! How everybody else in the daemon talks to the driver.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sso_agent_core::{
    agent::{Agent, Answer, Event, Target},
    login::{Plan, Step},
    refusal::Refusal,
    time::Now,
    words::{Need, SessionId, Ticket},
};
use sso_agent_proto::events;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{http::metrics::Tally, signin::Takeover, snapshot::Snapshot, store::Record};

/// What reaches the driver.
pub(crate) enum Message {
    /// Somebody wants a token.
    Token(TokenAsk),
    /// Somebody wants a token with fewer scopes than its session has.
    Narrow {
        session: SessionId,
        scopes: Vec<String>,
        need: Need,
        wait: Duration,
        answer: oneshot::Sender<Answer>,
    },
    /// Something that has to come to its end before the agent stops.
    Job(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// A sign-in of another tool is to be taken over.
    TakeOver { takeover: Box<Takeover>, done: oneshot::Sender<Result<SessionId, Refusal>> },
    /// Somebody wants to sign in.
    Login { plan: Box<Plan>, ticket: Ticket, news: mpsc::UnboundedSender<LoginNews> },
    /// Somebody wants to sign out.
    Logout { target: Target, ticket: Ticket, done: oneshot::Sender<Result<bool, Refusal>> },
    /// These are on record: those that are not known yet are taken in. Tells what is wrong with any.
    Restore { records: Vec<Record>, done: oneshot::Sender<Vec<String>> },
    /// The person's settings have changed; these are those that programs sign in from, if all of them
    /// could be read.
    SettingsChanged(Option<BTreeSet<String>>),
    /// Somebody wants to look at what there is.
    Look(Look),
    /// A job came to an end, or somebody hung up.
    Happened(Event),
    /// The agent shall stop.
    Stop,
}

/// What somebody does who looks.
pub(crate) type Look = Box<dyn FnOnce(&Agent, Now) + Send>;

/// One `token.get` that could not be answered at once.
pub(crate) struct TokenAsk {
    pub(crate) target: Target,
    pub(crate) need: Need,
    pub(crate) wait: Duration,
    pub(crate) ticket: Ticket,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// What whoever signs in is told.
#[derive(Debug)]
pub(crate) enum LoginNews {
    /// Visit this one-shot address.
    Authorize(String),
    /// How far it is otherwise.
    Step(Step),
    /// It is over.
    Done(Result<SessionId, Refusal>),
}

/// The driver, seen from outside. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    inbox: mpsc::UnboundedSender<Message>,
    snapshot: Arc<Snapshot>,
    tickets: Arc<AtomicU64>,
    tally: Arc<Tally>,
    events: broadcast::Sender<events::Event>,
}

/// Tells the driver when whoever held it is gone before the answer came.
pub(crate) struct Held {
    ticket: Ticket,
    handle: Handle,
    answered: bool,
}

impl Held {
    /// The answer came: there is nothing to tell.
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.answered {
            self.handle.send(Message::Happened(Event::HungUp(self.ticket)));
        }
    }
}

impl Handle {
    /// A handle, and the inbox that belongs to it.
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> (Self, mpsc::UnboundedReceiver<Message>) {
        let (inbox, messages) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(256);
        (Self { inbox, snapshot, tickets: Arc::default(), tally: Arc::default(), events }, messages)
    }

    /// What can be answered without the driver.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What has happened so far, counted.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Everything that happens from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<events::Event> {
        self.events.subscribe()
    }

    /// Tells whoever listens.
    pub(crate) fn tell(&self, event: events::Event) {
        self.tally.event(event.kind);
        // Nobody listens: nothing to do.
        let _ = self.events.send(event);
    }

    /// Asks for a token and waits for the answer.
    pub(crate) async fn token(&self, target: Target, need: Need, wait: Duration) -> Answer {
        let (answer, told) = oneshot::channel();
        let held = self.hold();
        self.send(Message::Token(TokenAsk { target, need, wait, ticket: held.ticket, answer }));
        let answer = told.await.unwrap_or_else(|_| Answer::Refused(gone()));
        held.answered();
        answer
    }

    /// Asks for a token with fewer scopes than its session has. Whoever does not wait for it takes
    /// nothing back: the next one finds it.
    pub(crate) async fn narrow(
        &self,
        session: SessionId,
        scopes: Vec<String>,
        need: Need,
        wait: Duration,
    ) -> Answer {
        let (answer, told) = oneshot::channel();
        self.send(Message::Narrow { session, scopes, need, wait, answer });
        match tokio::time::timeout(wait, told).await {
            Ok(answer) => answer.unwrap_or_else(|_| Answer::Refused(gone())),
            Err(_) => Answer::Refused(Refusal::Timeout),
        }
    }

    /// Takes over a sign-in of another tool.
    pub(crate) async fn take_over(&self, takeover: Takeover) -> Result<SessionId, Refusal> {
        let (done, told) = oneshot::channel();
        self.send(Message::TakeOver { takeover: Box::new(takeover), done });
        told.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Begins or joins a sign-in; whoever drops what this gives takes itself out of it.
    pub(crate) fn login(&self, plan: Plan) -> LoginWatch {
        let (news, heard) = mpsc::unbounded_channel();
        let held = self.hold();
        self.send(Message::Login { plan: Box::new(plan), ticket: held.ticket, news });
        LoginWatch { heard, held: Some(held) }
    }

    /// Signs out: whether the issuer confirmed it.
    pub(crate) async fn logout(&self, target: Target) -> Result<bool, Refusal> {
        let (done, told) = oneshot::channel();
        self.send(Message::Logout { target, ticket: self.ticket(), done });
        told.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Looks at what there is, between two events.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Agent, Now) -> T + Send + 'static,
    ) -> Option<T> {
        let (seen, told) = oneshot::channel();
        self.send(Message::Look(Box::new(move |agent, now| {
            // Whoever looked may be gone by now.
            let _ = seen.send(look(agent, now));
        })));
        told.await.ok()
    }

    /// Something for the driver. One that has stopped needs nothing any more.
    pub(crate) fn send(&self, message: Message) {
        let _ = self.inbox.send(message);
    }

    fn ticket(&self) -> Ticket {
        Ticket(self.tickets.fetch_add(1, Ordering::Relaxed))
    }

    fn hold(&self) -> Held {
        Held { ticket: self.ticket(), handle: self.clone(), answered: false }
    }
}

/// A sign-in, watched.
pub(crate) struct LoginWatch {
    heard: mpsc::UnboundedReceiver<LoginNews>,
    held: Option<Held>,
}

impl LoginWatch {
    /// What comes next; nothing comes after [`LoginNews::Done`].
    pub(crate) async fn next(&mut self) -> LoginNews {
        let news = self.heard.recv().await.unwrap_or_else(|| LoginNews::Done(Err(gone())));
        if matches!(news, LoginNews::Done(_)) {
            self.held.take().into_iter().for_each(Held::answered);
        }
        news
    }
}

fn gone() -> Refusal {
    Refusal::Unavailable { why: "the agent is stopping".to_owned(), retry_after: Duration::from_secs(1) }
}

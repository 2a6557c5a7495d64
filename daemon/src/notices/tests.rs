use std::{
    cell::LazyCell,
    io,
    path::Path,
    sync::mpsc::{self, Receiver, Sender},
    time::Duration,
};

use sso_agent_core::{
    host::Host,
    session::About,
    words::{Label, Renewable},
};
use sso_agent_proto::events::{Event, EventKind};
use tokio::time::{Instant, sleep};

use super::*;
use crate::{handle::Message, snapshot::Snapshot, store};

/// What every desk must do; what it showed comes by `seen`.
pub(super) fn shows_what_it_is_given(desk: &impl Desk, seen: &Receiver<(String, String)>) {
    for body in ["b", "é is over: run `sso login é`", ""] {
        desk.show(&Notice { title: "Sign-in needed".to_owned(), body: body.to_owned() }).unwrap();
        assert_eq!(seen.recv().unwrap(), ("Sign-in needed".to_owned(), body.to_owned()));
    }
}

/// A desk whose notices come out again.
struct Window(Sender<(String, String)>);

impl Desk for Window {
    fn show(&self, notice: &Notice) -> io::Result<()> {
        self.0.send((notice.title.clone(), notice.body.clone())).map_err(io::Error::other)
    }
}

#[test]
fn a_window_is_a_desk() {
    let (shown, seen) = mpsc::channel();
    shows_what_it_is_given(&Window(shown), &seen);
}

#[tokio::test(start_paused = true)]
async fn a_person_is_told_of_what_only_they_can_bring_back() {
    let mut house = House::new("");
    for host in ["a.example", "b.example", "program.example", "fine.example", "gone.example"] {
        house.happens(EventKind::SessionLoginRequired, host);
    }
    assert_eq!(house.told().await, ["2 sessions need a sign-in: run `sso status`"]);
    house.happens(EventKind::SessionLoginRequired, "a.example");
    assert_eq!(house.told().await, Vec::<String>::new());
    house.happens(EventKind::SessionAdded, "a.example");
    house.happens(EventKind::SessionLoginRequired, "a.example");
    assert_eq!(house.told().await, ["a.example is over: run `sso login a.example`"]);
}

#[tokio::test(start_paused = true)]
async fn more_than_can_be_heard_at_once_is_told_of_all_the_same() {
    let mut house = House::new("");
    for _ in 0..300 {
        house.happens(EventKind::TokenRefreshed, "fine.example");
    }
    assert_eq!(house.told().await, ["2 sessions need a sign-in: run `sso status`"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_no_notices_gets_none() {
    let mut house = House::new("notifications = false\n");
    house.happens(EventKind::SessionLoginRequired, "a.example");
    assert_eq!(house.told().await, Vec::<String>::new());
}

/// An agent in which two sessions of the person's and one of a program's are over, and somebody who looks
/// at the desktop.
struct House {
    handle: Handle,
    seen: Receiver<(String, String)>,
}

impl House {
    fn new(settings: &str) -> Self {
        let (handle, mut inbox) = Handle::new(Arc::new(Snapshot::default()));
        let mut notices = Notices::new(handle.clone(), Arc::new(config(settings)), &Agent::new(0));
        notices.now = now;
        let agent = agent();
        tokio::spawn(async move {
            while let Some(message) = inbox.recv().await {
                if let Message::Look(look) = message {
                    look(&agent, now());
                }
            }
        });
        let (shown, seen) = mpsc::channel();
        tokio::spawn(notices.run(Window(shown)));
        Self { handle, seen }
    }

    fn happens(&self, kind: EventKind, host: &str) {
        let session = Some(about(host, false).id.to_string());
        self.handle.tell(Event { kind, session, at: jiff::Timestamp::UNIX_EPOCH });
    }

    /// What the person reads within five minutes.
    async fn told(&mut self) -> Vec<String> {
        sleep(Duration::from_secs(300)).await;
        self.seen.try_iter().map(|(_, body)| body).collect()
    }
}

fn agent() -> Agent {
    let mut agent = Agent::new(0);
    for (host, by_program) in [("a.example", false), ("b.example", false), ("program.example", true)] {
        let over = Some("it is over".to_owned());
        agent.restore(about(host, by_program), Renewable::ByRefreshToken, None, over, now());
    }
    agent.restore(about("fine.example", false), Renewable::ByRefreshToken, None, None, now());
    agent
}

fn about(host: &str, by_program: bool) -> About {
    let (host, label) = (Host::parse(host, None).unwrap(), Label::default());
    About {
        id: SessionId::of(&host, &label),
        issuer: host.url().to_owned(),
        host,
        label,
        client_id: "c".to_owned(),
        user: None,
        scopes: Vec::new(),
        made_from: by_program.then(|| "settings".to_owned()),
    }
}

fn config(settings: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    store::write_private(&path, settings.as_bytes()).unwrap();
    Config::of_files(Path::new(&path).to_owned(), None)
}

/// The clock of the test, which goes when everybody waits.
fn now() -> Now {
    thread_local! {
        static START: LazyCell<Instant> = const { LazyCell::new(Instant::now) };
    }
    let steady = START.with(|start| start.elapsed());
    Now { steady, wall: Duration::from_secs(1_000_000) + steady }
}

//! `sso demo`: the whole thing on one machine, without an account.
//!
//! An issuer and an agent run in threads of this program; the clients are real processes of it. What
//! is claimed at the end is what the issuer counted.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde::Serialize;
use sso_agent::demo::{Consent, Counters, Ephemeral, Issuer, Options, follow};
use sso_agent_client::{
    blocking::{Agent, Events},
    proto::{
        events::EventKind,
        places::SOCK,
        session::{Login, Session, Step, Target},
    },
};

use crate::{args, browser, exit::Failure, output::Output};

/// Short, so that the refresh can be watched; long enough that a hundred processes start before it, which takes
/// Windows its time.
const LIFETIME: Duration = Duration::from_secs(if cfg!(windows) { 30 } else { 10 });

/// What the demo showed.
#[derive(Debug, Serialize)]
struct Shown {
    issuer: String,
    session: String,
    user: Option<String>,
    clients: usize,
    clients_ms: u128,
    sign_ins: u64,
    refreshes: u64,
    replays: u64,
    revoked: bool,
}

pub(crate) fn run(args: args::Demo, output: &Output) -> Result<(), Failure> {
    let say = |text: &str| if output.is_json() { Ok(()) } else { output.text(text) };
    let consent = if args.browser { Consent::Page } else { Consent::Auto };
    let issuer = Issuer::start_in_thread(Options { lifetime: LIFETIME, consent, ..Options::default() })
        .map_err(broken("the demo issuer does not start"))?;
    let folder = tempfile::tempdir().map_err(broken("there is no room for the demo"))?;
    let running = Ephemeral::start(folder.path()).map_err(broken("the agent does not start"))?;
    let socket = running.socket().to_owned();
    say(&format!("1. An issuer at {}, and an agent that keeps nothing on disk.", issuer.url()))?;

    let mut agent = Agent::connect_to(&socket)?;
    let session = sign_in(&mut agent, &issuer, args.browser, output)?;
    let user = session.user.clone();
    say(&format!(
        "2. Signed in once, as {}; the refresh token stays with the agent.",
        user.as_deref().unwrap_or("somebody")
    ))?;

    let host = issuer.url();
    let events = Agent::connect_to(&socket)?.subscribe(Vec::new())?;
    let before = Instant::now();
    let first = ask(&host, &socket, args.clients)?;
    let clients_ms = before.elapsed().as_millis();
    expect(
        first.len() == 1 && issuer.accepts(&first[0]),
        "every client should have got the same good token",
    )?;
    say(&format!(
        "3. {} processes asked for a token and got it in {clients_ms} ms; the issuer heard nothing of it.",
        args.clients
    ))?;
    expect(issuer.counters().refreshes == 0, "no refresh was due yet")?;

    say(&format!(
        "4. The token lives for {} s. Waiting for the agent to refresh it ahead of time...",
        LIFETIME.as_secs()
    ))?;
    wait_for_refresh(events)?;
    let second = ask(&host, &socket, args.clients)?;
    expect(second.len() == 1 && second != first, "everybody should have got the new token")?;
    expect(issuer.accepts(&second[0]), "the new token should be good")?;
    let Counters { exchanges, granted_refreshes, replays, .. } = issuer.counters();
    expect(replays == 0, "no refresh token may be spent twice")?;
    say(&format!(
        "   Done. {} more processes got the new one; refreshes at the issuer: {granted_refreshes}, tokens spent twice: {replays}.",
        args.clients
    ))?;

    let revoked = agent.logout(Target { host: Some(host.clone()), ..Target::default() })?.revoked;
    expect(revoked && !issuer.accepts(&second[0]), "signing out should end the session at the issuer")?;
    say("5. Signed out: the issuer revoked the session.")?;
    agent.shutdown()?;
    running.join().map_err(broken("the agent did not end well"))?;
    let shown = Shown {
        issuer: host,
        session: session.id,
        user,
        clients: args.clients,
        clients_ms,
        sign_ins: exchanges,
        refreshes: granted_refreshes,
        replays,
        revoked,
    };
    output.result(&shown, || {
        "\nIt works on this machine. For real use: `sso login HOST`, then `sso token` from any tool."
            .to_owned()
    })
}

fn sign_in(agent: &mut Agent, issuer: &Issuer, by_person: bool, output: &Output) -> Result<Session, Failure> {
    let login = Login { host: Some(issuer.url()), ..Login::default() };
    let mut way = Ok(());
    let session = agent.login(login, |step| {
        if let Step::Authorize { url } = step {
            way = if by_person { send_out(&url, output) } else { go_there(url) };
        }
    });
    way.and(session.map_err(Failure::from))
}

/// The browser waits for us while we wait for the agent, so it has a thread of its own.
fn go_there(url: String) -> Result<(), Failure> {
    let spawned = std::thread::Builder::new().spawn(move || follow(&url).is_ok());
    spawned.map(|_| ()).map_err(broken("no thread for the browser"))
}

fn send_out(url: &str, output: &Output) -> Result<(), Failure> {
    output.note(&format!("Sign in at {url}"));
    if !browser::open(url) {
        output.note("(no browser could be opened)");
    }
    Ok(())
}

/// Lets `count` processes ask at once; gives the different tokens that they got.
fn ask(host: &str, socket: &Path, count: usize) -> Result<Vec<String>, Failure> {
    let program = std::env::current_exe().map_err(broken("this program cannot be found"))?;
    let children: Result<Vec<Child>, Failure> = (0..count).map(|_| spawn(&program, host, socket)).collect();
    let mut tokens = Vec::new();
    for child in children? {
        let output = child.wait_with_output().map_err(broken("a client cannot be waited for"))?;
        expect(output.status.success(), "every client should have got a token")?;
        tokens.push(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    tokens.sort_unstable();
    tokens.dedup();
    Ok(tokens)
}

fn spawn(program: &PathBuf, host: &str, socket: &Path) -> Result<Child, Failure> {
    Command::new(program)
        .args(["token", host])
        .env(SOCK, socket)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(broken("a client cannot be started"))
}

fn wait_for_refresh(events: Events) -> Result<(), Failure> {
    for event in events {
        match event?.kind {
            EventKind::TokenRefreshed => return Ok(()),
            EventKind::SessionAdded
            | EventKind::AgentLocked
            | EventKind::AgentUnlocked
            | EventKind::ConfigReloaded
            | EventKind::ConfigInvalid => {}
            EventKind::SessionRemoved | EventKind::SessionLoginRequired | EventKind::SessionRetrying => break,
        }
    }
    Err(Failure::failed("the demo failed: the token was not refreshed", "run it again, or report it"))
}

fn expect(holds: bool, what: &str) -> Result<(), Failure> {
    if holds {
        return Ok(());
    }
    Err(Failure::failed(
        format!("the demo failed: {what}"),
        "please report this with the output of `sso --version`",
    ))
}

fn broken<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> Failure {
    move |error| Failure::failed(format!("{what}: {error}"), "try again, or report it")
}

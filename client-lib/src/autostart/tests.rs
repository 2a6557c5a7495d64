//! Starting, with programs that are no agents.

use std::process::Command;

use super::*;

struct Sandbox(tempfile::TempDir);

impl Sandbox {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn places(&self) -> Places {
        let at = |name: &str| self.0.path().join(name);
        let socket = |name: &str| if cfg!(windows) { pipe(&at(name)) } else { at(name) };
        Places {
            socket: socket("agent.sock"),
            http_socket: socket("http.sock"),
            config: at("config.toml"),
            state: at("state"),
        }
    }

    /// A program that says this and ends with that.
    fn saying(&self, words: &str, code: i32) -> Child {
        let log = log::Log::open(&self.places().state).unwrap();
        shell(words, code).stderr(log.end().unwrap()).spawn().unwrap()
    }
}

#[cfg(unix)]
fn shell(words: &str, code: i32) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("echo '{words}' >&2; exit {code}")]);
    shell
}

#[cfg(windows)]
fn shell(words: &str, code: i32) -> Command {
    let mut shell = Command::new("cmd");
    shell.args(["/d", "/c", &format!("echo {words}>&2& exit {code}")]);
    shell
}

/// A name that nobody else has.
fn pipe(path: &std::path::Path) -> PathBuf {
    PathBuf::from(format!(r"\\.\pipe\sso-agent-test-{}", path.to_string_lossy().replace(['\\', '/'], "-")))
}

fn ended(starter: &mut Starter<'_>, mut child: Child) {
    child.wait().unwrap();
    starter.turn = Turn::Started(child);
}

#[test]
fn an_agent_that_stops_at_its_start_is_told_with_its_last_words() {
    let sandbox = Sandbox::new();
    let places = sandbox.places();
    let mut starter = Starter::new(&places).unwrap();
    ended(&mut starter, sandbox.saying("the key is missing", 1));
    let error = starter.step().unwrap_err();
    assert!(error.to_string().ends_with(": 1): the key is missing"), "{error}");
    assert!(error.hint().ends_with("agent.log"));
}

#[test]
fn an_agent_that_makes_way_for_another_is_started_again_should_that_one_be_about_to_stop() {
    let sandbox = Sandbox::new();
    let places = sandbox.places();
    let mut starter = Starter::new(&places).unwrap();
    ended(&mut starter, sandbox.saying("another", ANOTHER_RUNS));
    starter.step().unwrap();
    assert!(matches!(starter.turn, Turn::Ours));
}

#[test]
fn one_of_many_clients_starts_the_agent_and_the_next_takes_its_place() {
    let sandbox = Sandbox::new();
    let places = sandbox.places();
    let (first, mut second) = (Starter::new(&places).unwrap(), Starter::new(&places).unwrap());
    first.lock.try_lock().unwrap();
    second.step().unwrap();
    assert!(matches!(second.turn, Turn::Waiting));
    drop(first);
    assert!(second.lock.try_lock().is_ok());
}

#[test]
fn a_route_that_may_not_start_says_that_nobody_listens() {
    let sandbox = Sandbox::new();
    let route = Route::Own { places: sandbox.places(), start: false };
    let error = route.open().unwrap_err();
    assert!(error.to_string().starts_with("no agent is listening at "), "{error}");
    assert!(!sandbox.places().state.exists(), "looking leaves nothing behind");
}

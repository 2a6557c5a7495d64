//! Who may connect: this user, and nobody else, whatever somebody did to the folder; and which agent
//! owns the socket.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as it may")]

use rustix::process::Signal;
use serde_json::json;
use sso_agent::demo::{Consent, Issuer, Options, follow};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::{Agent, Finished, Sandbox, need, parts};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// `nobody` on every system.
const STRANGER: &str = "65534";

#[test]
fn a_second_user_cannot_connect_even_through_an_open_folder() {
    let sandbox = Sandbox::new();
    let agent = Agent::start(&sandbox);
    let socat = need!("a second user", parts::system("socat"), "socat is missing");
    need!("a second user", parts::is_root().then_some(()), "only root can become somebody else");

    open(&sandbox.path(""), 0o755);
    open(&sandbox.path("run"), 0o755);
    let refused = as_a_stranger(&socat, &sandbox);
    assert!(refused.stderr.contains("Permission denied"), "the folder keeps strangers out: {refused:?}");

    open(&sandbox.socket_folder(), 0o777);
    open(&sandbox.socket(), 0o777);
    let ignored = as_a_stranger(&socat, &sandbox);
    assert!(
        !ignored.stderr.contains("Permission denied"),
        "now only the agent is left to say no: {ignored:?}"
    );
    assert_eq!(ignored.stdout, "", "and it says nothing at all");
    assert!(sandbox.logs().contains("65534"), "but it notes who came:\n{}", sandbox.logs());

    open(&sandbox.socket_folder(), 0o700);
    open(&sandbox.socket(), 0o600);
    assert!(info(&sandbox)["pid"] == agent.pid(), "its own user is served as before");
}

#[test]
fn a_second_user_cannot_answer_for_the_browser() {
    let test = "a second user at the redirect";
    let curl = need!(test, parts::system("curl"), "curl is missing");
    need!(test, parts::is_root().then_some(()), "only root can become somebody else");
    let sandbox = Sandbox::new();
    let issuer = Issuer::start_in_thread(Options { consent: Consent::Auto, ..Options::default() }).unwrap();
    let _agent = Agent::start(&sandbox);
    let mut login = sandbox.sso_command();
    login.args(["login", "--no-browser", &issuer.url()]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut login = login.spawn().unwrap();
    let told = BufReader::new(login.stderr.take().unwrap()).lines().map_while(Result::ok);
    let url = told.map(|line| line.trim().to_owned()).find(|line| line.starts_with("http://")).unwrap();

    let ids = [format!("--reuid={STRANGER}"), format!("--regid={STRANGER}"), "--clear-groups".to_owned()];
    let mut stranger = Command::new("setpriv");
    stranger.args(ids).arg(curl).args(["--silent", "--include", "--max-time", "20", &url]);
    let refused = Finished::of(&mut stranger);
    assert_eq!(refused.stdout, "", "not even where it leads: {refused:?}");
    assert!(sandbox.logs().contains(STRANGER), "it notes who came");

    follow(&url).unwrap();
    assert!(login.wait().unwrap().success(), "the link was not used up");
}

#[test]
fn folders_are_private_whatever_the_umask() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("sh");
    command.args(["-c", "umask 000; exec \"$0\" run"]).arg(parts::program("sso-agent"));
    let _agent = Agent::spawn(&sandbox, command).unwrap();

    assert_eq!(mode(&sandbox.socket_folder()), 0o700);
    assert_eq!(mode(&sandbox.socket()), 0o600);
    assert_eq!(mode(&sandbox.state()), 0o700);
    for file in sso_agent_tests::sandbox::files(&sandbox.state()) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.socket_folder()).unwrap();
    open(&sandbox.socket_folder(), 0o777);
    let (status, log) = Agent::try_start(&sandbox).unwrap_err();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains(&sandbox.socket_folder().display().to_string()), "it says which folder: {log}");
    assert!(!sandbox.socket().exists());
}

#[test]
fn a_stale_socket_is_replaced() {
    let sandbox = Sandbox::new();
    Agent::start(&sandbox).kill();
    assert!(sandbox.socket().exists(), "what was killed leaves its socket behind");
    assert!(Connection::open(&sandbox.socket()).is_err());
    let agent = Agent::start(&sandbox);
    assert!(info(&sandbox)["pid"] == agent.pid());
    assert!(agent.stop().success());
    assert!(!sandbox.socket().exists(), "an agent that ends in order takes its socket along");
}

#[test]
fn a_live_agents_socket_is_left_alone() {
    let sandbox = Sandbox::new();
    let first = Agent::start(&sandbox);
    let socket = fs::symlink_metadata(sandbox.socket()).unwrap().ino();

    let (status, log) = Agent::try_start(&sandbox).unwrap_err();
    assert_eq!(status.code(), Some(75), "{log}");
    assert_eq!(fs::symlink_metadata(sandbox.socket()).unwrap().ino(), socket);
    assert!(info(&sandbox)["pid"] == first.pid());

    // The same with a state of its own, so that only the socket is contested, and a first agent too busy to answer.
    first.signal(Signal::STOP);
    let mut other = sandbox.command(parts::program("sso-agent"));
    other.arg("run").env("SSO_AGENT_STATE", sandbox.path("home/other"));
    let (status, log) = Agent::spawn(&sandbox, other).unwrap_err();
    first.signal(Signal::CONT);
    assert_eq!(status.code(), Some(75), "{log}");
    assert!(info(&sandbox)["pid"] == first.pid());
}

#[test]
fn somebody_elses_program_at_the_socket_is_left_alone() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.socket_folder()).unwrap();
    open(&sandbox.socket_folder(), 0o700);
    fs::write(sandbox.socket(), "a file, not a socket").unwrap();
    Agent::try_start(&sandbox).unwrap_err();
    assert_eq!(fs::read_to_string(sandbox.socket()).unwrap(), "a file, not a socket");

    fs::remove_file(sandbox.socket()).unwrap();
    let _alive = UnixListener::bind(sandbox.socket()).unwrap();
    let inode = fs::symlink_metadata(sandbox.socket()).unwrap().ino();
    Agent::try_start(&sandbox).unwrap_err();
    assert_eq!(fs::symlink_metadata(sandbox.socket()).unwrap().ino(), inode, "somebody listens there");
}

fn as_a_stranger(socat: &Path, sandbox: &Sandbox) -> Finished {
    let line = r#"{"jsonrpc":"2.0","id":1,"method":"agent.info"}"#;
    let script =
        format!("echo '{line}' | {} -t2 - UNIX-CONNECT:{}", socat.display(), sandbox.socket().display());
    let ids = [format!("--reuid={STRANGER}"), format!("--regid={STRANGER}"), "--clear-groups".to_owned()];
    Finished::of(Command::new("setpriv").args(ids).args(["sh", "-c", &script]))
}

fn info(sandbox: &Sandbox) -> serde_json::Value {
    let mut connection = Connection::open(&sandbox.socket()).unwrap();
    connection.call("agent.info", &json!({})).unwrap().unwrap()
}

fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

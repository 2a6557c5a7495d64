//! The Python package with the real agent: alone, with the Databricks SDK, and many at once.

#![cfg(unix)]

use serde_json::{Value, json};
use sso_agent_tests::{Agent, Finished, Provider, Sandbox, need, parts, token};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const NO_PYTHON: &str = "the tools for the Python package are missing";
const NO_PROVIDER: &str = "the OpenID provider is missing";

/// So many processes at once start one agent.
const CROWD: usize = 6;

#[test]
fn the_sdk_goes_on_when_a_token_ends() {
    let story = "the Python package";
    let python = need!(story, python(), NO_PYTHON);
    let provider = need!(story, Provider::start(8), NO_PROVIDER);
    let sandbox = Sandbox::new();
    let _agent = Agent::start(&sandbox);
    let mut script = Script::start(&sandbox, &python, "tests/python/story.py", &provider.url);

    assert_eq!(
        script.says(),
        json!({"refusal": "LoginRequired", "session": provider.session(), "user": "ada@example.com", "state": "active"})
    );
    let first = script.says();
    let mut listed = first.clone();
    let old = listed["token"].take().as_str().expect("a token").to_owned();
    assert_eq!(
        listed,
        json!({"host": provider.url, "me": "ada@example.com", "auth_type": "sso-agent",
               "clusters": ["shared-autoscaling", "nightly-jobs"], "token": null})
    );
    token::outlive(&old);
    let second = script.says();
    let new = second["token"].as_str().expect("a token");
    assert!(token::is_alive(new) && new != old);
    assert_eq!(second["clusters"], first["clusters"]);
    assert_eq!(provider.count("authorizations"), 1);
    assert_eq!((provider.count("api_refused"), provider.count("replays")), (0, 0));

    assert_eq!(script.says(), json!({"revoked": true, "refusal": "LoginRequired", "sessions": 0}));
    assert!(!sandbox.logs().contains(&old), "the log tells no token");
}

#[test]
fn a_web_app_signs_its_users_in_and_out() {
    let story = "a web app with the package";
    let python = need!(story, python(), NO_PYTHON);
    let provider = need!(story, Provider::start(3600), NO_PROVIDER);
    provider.register(&json!({"client_id": "web", "redirect_uris": ["http://localhost:5000/callback"]}));
    let sandbox = Sandbox::new();
    let _agent = Agent::start(&sandbox);
    let script = parts::source().join("tests/python/web.py");
    let mut command = of_package(&sandbox, &python, &[]);
    let ran = Finished::of(command.arg(script).arg(&provider.url).arg("web"));
    ran.ok();
    let mut said = ran.json();

    let handles = said["handles"].take();
    let length = said["longest"].take().as_u64().expect("a length");
    assert!(length < 2500, "a consent fits into a cookie: {length}");
    let denied = json!(["Refused", "denied", "start_over"]);
    let users = json!(["ada@example.com", "grace@example.com"]);
    assert_eq!(
        said,
        json!({"forged": denied, "twice": denied, "crossed": denied, "changed": denied, "replayed": denied,
               "users": users, "whose": users, "own": [], "web": users, "ended": [true, false],
               "over": ["LoginRequired", "login_required", "start_over"], "left": ["grace@example.com"],
               "handles": null, "longest": null})
    );
    assert_eq!((provider.count("code_exchanges"), provider.count("grant_errors")), (2, 0));
    let log = sandbox.logs();
    for handle in handles.as_array().expect("a list").iter().filter_map(Value::as_str) {
        assert!(handle.len() >= 43 && !log.contains(handle), "the log tells no handle");
    }
}

#[test]
fn every_release_of_the_sdk_takes_the_credentials() {
    let story = "older SDKs with the package";
    let python = need!(story, python(), NO_PYTHON);
    let older = need!(story, parts::fetched("older"), "older releases of the SDK are missing");
    let provider = need!(story, Provider::start(3600), NO_PROVIDER);
    let sandbox = Sandbox::new();
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();

    let releases: Vec<PathBuf> = fs::read_dir(older)
        .expect("our own folder")
        .map(|entry| entry.expect("our own folder").path())
        .filter(|path| path.is_dir())
        .collect();
    assert!(releases.len() >= 4, "{releases:?}");
    for release in releases {
        let listed = clusters(&sandbox, &python, Some(&release), &json!({"host": provider.url}), &json!({}));
        assert_eq!(listed["clusters"], json!(["shared-autoscaling", "nightly-jobs"]));
        assert_eq!(listed["release"], release.file_name().and_then(OsStr::to_str).expect("a version"));
    }
    assert_eq!(provider.count("token_requests"), 1, "all of them use the token of the sign-in");
}

#[test]
fn a_profile_names_the_host_to_the_sdk_or_to_the_agent() {
    let story = "profiles with the package";
    let python = need!(story, python(), NO_PYTHON);
    let provider = need!(story, Provider::start(3600), NO_PROVIDER);
    let mut sandbox = Sandbox::new();
    fs::write(sandbox.path("home/.databrickscfg"), format!("[work]\nhost = {}\n", provider.url))
        .expect("a file");
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", "--profile", "work"]).ok();

    let read_by_the_sdk = clusters(&sandbox, &python, None, &json!({"profile": "work"}), &json!({}));
    sandbox.set("DATABRICKS_CONFIG_FILE", "/dev/null");
    let read_by_the_agent = clusters(&sandbox, &python, None, &json!({}), &json!({"profile": "work"}));
    for listed in [read_by_the_sdk, read_by_the_agent] {
        assert_eq!(listed["host"], provider.url.as_str());
        assert_eq!(listed["clusters"], json!(["shared-autoscaling", "nightly-jobs"]));
    }
}

#[test]
fn the_sql_connector_sends_the_token() {
    let story = "the SQL connector with the package";
    let environment = need!(story, parts::fetched("dbt"), "the SQL connector is missing");
    let provider = need!(story, Provider::start(3600), NO_PROVIDER);
    let sandbox = Sandbox::new();
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();

    let script = parts::source().join("tests/python/connector.py");
    let mut connector = of_package(&sandbox, &environment.join("bin/python"), &[]);
    let sent = Finished::of(connector.arg(script).arg(&provider.url));
    let token = sent.ok().strip_prefix("Bearer ").expect("a bearer token");
    assert_eq!(provider.judge(token), 200);
}

#[test]
fn python_and_the_command_line_start_one_agent_between_them() {
    let python = need!("starting by Python", python(), NO_PYTHON);
    let mut sandbox = Sandbox::new();
    sandbox.set("SSO_AGENT_AUTOSTART", "1");
    sandbox.set("PATH", parts::program("sso").parent().expect("a folder").display().to_string());
    let ask = "import sso_agent; print(sso_agent.Agent.connect().info().pid)";
    let processes: Vec<Child> = (0..CROWD)
        .flat_map(|_| [of_package(&sandbox, &python, &["-c", ask]), status(&sandbox)])
        .map(|mut command| {
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("room for a process")
        })
        .collect();
    let ended: Vec<_> =
        processes.into_iter().map(|child| child.wait_with_output().expect("our own child")).collect();

    assert!(ended.iter().all(|one| one.status.success()), "{ended:?}");
    let pids: Vec<&[u8]> = ended.iter().step_by(2).map(|one| &*one.stdout).collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    let stop = "import sso_agent; print(sso_agent.Agent.connect().call('agent.shutdown'))";
    assert_eq!(Finished::of(&mut of_package(&sandbox, &python, &["-c", stop])).ok(), "{}");
}

#[test]
fn a_socket_folder_that_others_can_write_gets_no_byte_from_python() {
    let python = need!("a hostile folder", python(), NO_PYTHON);
    let sandbox = Sandbox::new();
    let agent = Agent::start(&sandbox);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(sandbox.socket_folder(), open).expect("our own folder");

    let refused = Finished::of(&mut of_package(
        &sandbox,
        &python,
        &["-c", "import sso_agent; sso_agent.Agent.connect()"],
    ));
    refused.failed_with(1);
    assert!(refused.stderr.contains("AgentUnreachable: the socket folder"), "{refused:?}");
    assert!(refused.stderr.contains("nothing was sent"), "{refused:?}");
    assert!(agent.stop().success());
}

fn python() -> Option<PathBuf> {
    parts::fetched("python").map(|folder| folder.join("bin/python"))
}

/// What the script of that name says, with some release of the SDK instead of the newest.
fn clusters(sandbox: &Sandbox, python: &Path, release: Option<&Path>, client: &Value, ours: &Value) -> Value {
    let script = parts::source().join("tests/python/clusters.py");
    let mut command = of_package(sandbox, python, &[]);
    if let Some(release) = release {
        let folders = [release.to_owned(), package()];
        command.env("PYTHONPATH", std::env::join_paths(folders).expect("folders of a path"));
    }
    let listed = Finished::of(command.arg(script).arg(client.to_string()).arg(ours.to_string()));
    listed.ok();
    listed.json()
}

fn package() -> PathBuf {
    parts::source().join("client-lib/python/src")
}

fn status(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command(parts::program("sso"));
    command.arg("status");
    command
}

/// Python that finds the package in the source tree, and leaves nothing there.
fn of_package(sandbox: &Sandbox, python: &Path, args: &[&str]) -> Command {
    let mut command = sandbox.command(python);
    command
        .env("PYTHONPATH", package())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONWARNINGS", "ignore::ResourceWarning")
        .args(args);
    command
}

/// A script that says lines of JSON and waits for a word after each.
struct Script {
    child: Child,
    words: ChildStdin,
    lines: BufReader<ChildStdout>,
    waits: bool,
}

impl Script {
    fn start(sandbox: &Sandbox, python: &Path, file: &str, host: &str) -> Self {
        let file = parts::source().join(file);
        let mut command = of_package(sandbox, python, &[]);
        command.arg(file).arg(host).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python runs");
        let words = child.stdin.take().expect("stdin is a pipe");
        let lines = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        Self { child, words, lines, waits: false }
    }

    /// Lets it go on, and gives what it says next.
    fn says(&mut self) -> Value {
        if std::mem::replace(&mut self.waits, true) {
            self.words.write_all(b"\n").expect("it waits for a line");
        }
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it prints text");
        serde_json::from_str(&line).expect("it says a line of JSON")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

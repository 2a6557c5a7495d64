//! What happens to programs that are running when the agent has nothing for them: they go on to their next
//! way to sign in, or say what to type, and are healed by it.

#![cfg(unix)]

use serde_json::json;
use sso_agent_tests::clients::{Bench, Client, Way};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::{Agent, Provider, Sandbox, need, parts, token};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

const NO_PROVIDER: &str = "the OpenID provider is missing";

#[test]
fn an_unknown_host_sends_every_sdk_on_to_its_next_way() {
    let sandbox = Sandbox::new();
    let provider = need!("the chain", Provider::start(3600), NO_PROVIDER);
    let _agent = Agent::start(&sandbox);
    let bench = match Bench::set_up(&sandbox, &provider.url) {
        Ok(bench) => bench,
        Err(why) => need!("the chain", None, why),
    };
    for client in Client::sdks() {
        let alone = bench.run(&sandbox, client, Way::Path, &[]);
        assert_ne!(alone.code, Some(0));
        assert!(alone.stderr.contains("cannot configure default credentials"), "{client:?}: {alone:?}");
        let next = [("DATABRICKS_CLIENT_ID", "sp-client"), ("DATABRICKS_CLIENT_SECRET", "dose-sp-secret")];
        let more = bench.run(&sandbox, client, Way::Path, &next);
        assert!(more.ok().contains("sp-client"), "{client:?}: {more:?}");
    }
}

#[test]
fn a_dead_session_says_what_to_type_and_that_heals_programs_that_run() {
    let sandbox = Sandbox::new();
    let provider = need!("healing", Provider::start(8), NO_PROVIDER);
    let python = need!("healing", parts::fetched("venv"), "the Databricks SDK is missing").join("bin/python");
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    let mut program = Lasting::start(&sandbox, &python, &provider.url);
    assert_eq!(program.ask(), "ada@example.com");

    let last = sandbox.sso(["token"]).ok().to_owned();
    provider.set(&json!({"token_fault": {"status": 400, "content_type": "application/json",
        "body": r#"{"error":"invalid_grant","error_description":"Refresh token is invalid"}"#}}));
    token::outlive(&last);
    let dead = program.ask();
    let command = format!("databricks auth login --host {}", provider.url);
    assert!(dead.starts_with("failed:") && dead.contains(&command), "{dead}");

    provider.set(&json!({"token_fault": null}));
    sandbox.sso(["login", &provider.url]).ok();
    assert_eq!(program.ask(), "ada@example.com", "without a restart");
}

#[test]
fn without_a_network_a_restarted_agent_serves_its_valid_token_at_once() {
    let sandbox = Sandbox::new();
    let provider = need!("offline", Provider::start(3600), NO_PROVIDER);
    let agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    let (url, online) = (provider.url.clone(), sandbox.sso(["token"]).ok().to_owned());
    agent.kill();
    drop(provider);

    let _agent = Agent::start(&sandbox);
    let start = Instant::now();
    let mut connection = Connection::open(&sandbox.socket()).unwrap();
    let offline = connection.call("token.get", &json!({"host": url})).unwrap().unwrap();
    let took = start.elapsed();
    assert_eq!(offline["access_token"], online.as_str());
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert!(sandbox.databricks(["auth", "token", "--host", &url]).ok().contains(&online));
}

/// A program that stays (`tests/clients/lasting.py`), with the stand-in on its path.
struct Lasting {
    child: Child,
    says: BufReader<ChildStdout>,
    hears: ChildStdin,
}

impl Lasting {
    fn start(sandbox: &Sandbox, python: &std::path::Path, host: &str) -> Self {
        let path = format!("{}:{}", sandbox.shim().display(), std::env::var("PATH").unwrap_or_default());
        let mut command = sandbox.command(python);
        command.env("PATH", path).env("DATABRICKS_HOST", host);
        command.arg(parts::source().join("tests/clients/lasting.py"));
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = pipes.spawn().expect("Python runs");
        let (says, hears) = (child.stdout.take().expect("a pipe"), child.stdin.take().expect("a pipe"));
        Self { child, says: BufReader::new(says), hears }
    }

    fn ask(&mut self) -> String {
        self.hears.write_all(b"\n").expect("it listens");
        let mut line = String::new();
        self.says.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

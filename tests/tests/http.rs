//! `http.sock`: the methods of the socket for tools that speak HTTP, curl among them.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as it may")]

use serde_json::{Value, json};
use sso_agent::demo::{Consent, Issuer, Options, follow};
use sso_agent_tests::http::{Answer, send_to};
use sso_agent_tests::{Agent, Finished, Sandbox, need, parts};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

fn start() -> (Sandbox, Issuer, Agent) {
    let sandbox = Sandbox::new();
    let issuer = Issuer::start_in_thread(Options { consent: Consent::Auto, ..Options::default() }).unwrap();
    let agent = Agent::start(&sandbox);
    (sandbox, issuer, agent)
}

fn socket(sandbox: &Sandbox) -> PathBuf {
    sandbox.socket_folder().join("http.sock")
}

fn post(sandbox: &Sandbox, method: &str, params: &Value) -> Answer {
    send_to(&socket(sandbox), "POST", &format!("/v1/{method}"), &[], Some(&params.to_string())).unwrap()
}

fn get(sandbox: &Sandbox, target: &str) -> Answer {
    send_to(&socket(sandbox), "GET", target, &[], None).unwrap()
}

fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

#[test]
fn curl_gets_a_token() {
    let curl = need!("curl", parts::system("curl"), "curl is missing");
    let (sandbox, issuer, _agent) = start();
    sandbox.sso(["login", &issuer.url()]).ok();
    let token = sandbox.sso(["token"]).ok().to_owned();

    let socket = socket(&sandbox);
    let ask = |more: &[&str]| {
        let mut command = Command::new(&curl);
        command.args(["--silent", "--max-time", "20", "--unix-socket"]).arg(&socket);
        Finished::of(command.args(more))
    };
    let url = format!("http://localhost/v1/token.get?host={}&min_valid_s=300", issuer.url());
    assert_eq!(ask(&[&url]).json()["access_token"], token);
    let params = json!({"host": issuer.url()}).to_string();
    let posted = ask(&["--data", &params, "http://localhost/v1/token.get"]);
    assert_eq!(posted.json()["access_token"], token);
    let headers = ask(&["--head", "--request", "GET", &url]);
    assert!(headers.stdout.to_lowercase().contains("cache-control: no-store"), "{headers:?}");
}

#[test]
fn every_door_of_the_socket_has_the_promised_status() {
    let (sandbox, issuer, agent) = start();
    let info = post(&sandbox, "agent.info", &json!({}));
    assert_eq!((info.status, &body(&info)["pid"]), (200, &agent.pid().into()));
    assert_eq!(body(&post(&sandbox, "session.list", &json!({}))), json!({"sessions": []}));

    let nobody = get(&sandbox, &format!("/v1/token.get?host={}", issuer.url()));
    assert_eq!((nobody.status, &body(&nobody)["error"]["kind"]), (401, &"login_required".into()));
    let with = |header| send_to(&socket(&sandbox), "GET", "/metrics", &[header], None).unwrap();
    let cases = [
        (post(&sandbox, "no.such", &json!({})), 404),
        (post(&sandbox, "token.get", &json!({"min_valid": 1})), 400),
        (post(&sandbox, "token.get", &json!([1])), 400),
        (get(&sandbox, "/v1/token.get?min_valid=1"), 400),
        (get(&sandbox, "/v1/session.list"), 405),
        (get(&sandbox, "/"), 404),
        (get(&sandbox, "/v1/events?kinds=nonsense"), 400),
        (with(("Host", "evil.example")), 421),
        (with(("Origin", "http://localhost")), 403),
        (with(("X-Forwarded-For", "::1")), 403),
    ];
    for (answer, status) in cases {
        assert_eq!(answer.status, status, "{answer:?}");
        let error = &body(&answer)["error"];
        assert!(error["message"].is_string() && error["hint"].is_string(), "{answer:?}");
    }

    let api = body(&get(&sandbox, "/openapi.json"));
    for method in body(&info)["methods"].as_array().unwrap() {
        let path = format!("/v1/{}", method.as_str().unwrap());
        assert!(api["paths"][&path]["post"].is_object(), "{path} is not described");
    }
}

#[test]
fn the_socket_is_private_and_goes_with_the_agent() {
    let (sandbox, _issuer, agent) = start();
    let about = std::fs::symlink_metadata(socket(&sandbox)).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    assert_eq!(about.uid(), rustix::process::geteuid().as_raw());
    agent.kill();
    let agent = Agent::start(&sandbox);
    assert_eq!(get(&sandbox, "/openapi.json").status, 200, "what a dead agent left is replaced");
    assert!(agent.stop().success());
    assert!(!socket(&sandbox).exists());
}

#[test]
fn what_happens_is_told_as_it_happens() {
    let curl = need!("events", parts::system("curl"), "curl is missing");
    let (sandbox, issuer, agent) = start();
    let mut events = Events::follow(&curl, &sandbox, "/v1/events?kinds=session.added,session.removed");
    assert_eq!(events.next(), ": here");
    sandbox.sso(["login", &issuer.url()]).ok();
    assert_eq!(events.next(), "event: session.added");
    let data: Value = serde_json::from_str(events.next().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(data["kind"], "session.added");
    assert!(data["session"].is_string() && data["at"].is_string(), "{data}");
    sandbox.sso(["logout", &issuer.url()]).ok();
    assert_eq!(events.next(), "event: session.removed");
    assert!(agent.stop().success());
    assert!(events.ends(), "an agent that stops ends the stream");
}

#[test]
fn a_sign_in_tells_its_steps_and_then_the_session() {
    let curl = need!("a sign-in over HTTP", parts::system("curl"), "curl is missing");
    let (sandbox, issuer, _agent) = start();
    let params = json!({"host": issuer.url()}).to_string();
    let mut events = Events::post(&curl, &sandbox, "/v1/session.login", &params);
    let mut steps = Vec::new();
    let session = loop {
        let line = events.next();
        let Some(name) = line.strip_prefix("event: ") else { continue };
        let data: Value = serde_json::from_str(events.next().strip_prefix("data: ").unwrap()).unwrap();
        if name != "progress" {
            assert_eq!(name, "result", "{data}");
            break data;
        }
        if let Some(url) = data["url"].as_str() {
            follow(url).unwrap();
        }
        steps.push(data["step"].as_str().unwrap().to_owned());
    };
    assert_eq!(session["host"], issuer.url());
    assert_eq!(session["state"], "active");
    assert!(steps.iter().any(|step| step == "authorize"), "{steps:?}");
    assert!(events.ends());
    let wrong = post(&sandbox, "session.login", &json!({"host": "http://evil.example"}));
    assert_eq!(wrong.status, 404, "what cannot be begun is plainly refused");
}

#[test]
fn counters_say_how_many_and_never_who() {
    let (sandbox, issuer, _agent) = start();
    sandbox.sso(["login", &issuer.url()]).ok();
    let token = sandbox.sso(["token"]).ok().to_owned();
    get(&sandbox, &format!("/v1/token.get?host={}", issuer.url()));
    let answer = get(&sandbox, "/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "sso_agent_tokens_total{door=\"rpc\"} 1",
        "sso_agent_tokens_total{door=\"http\"} 1",
        "sso_agent_sessions{state=\"active\"} 1",
        "sso_agent_http_requests_total{door=\"http\",status=\"200\"} 1",
    ] {
        assert!(answer.body.contains(line), "{line} is not in {}", answer.body);
    }
    let host = issuer.url();
    let name = host.trim_start_matches("http://");
    assert!(!answer.body.contains(name) && !answer.body.contains(&token), "{}", answer.body);
    assert!(!sandbox.logs().contains(&token), "no door writes a token into the log");
}

/// A stream of events that curl reads.
struct Events {
    curl: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Events {
    fn follow(curl: &PathBuf, sandbox: &Sandbox, target: &str) -> Self {
        Self::spawn(Command::new(curl).arg(format!("http://localhost{target}")), sandbox)
    }

    fn post(curl: &PathBuf, sandbox: &Sandbox, target: &str, body: &str) -> Self {
        let mut command = Command::new(curl);
        Self::spawn(command.args(["--data", body]).arg(format!("http://localhost{target}")), sandbox)
    }

    fn spawn(command: &mut Command, sandbox: &Sandbox) -> Self {
        command.args(["--silent", "--no-buffer", "--max-time", "60", "--unix-socket"]).arg(socket(sandbox));
        let mut curl = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(curl.stdout.take().unwrap());
        Self { curl, lines }
    }

    /// The next line that is not empty; nothing when it ended.
    fn next(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).unwrap();
            if read == 0 || !line.trim().is_empty() {
                return line.trim_end().to_owned();
            }
        }
    }

    fn ends(mut self) -> bool {
        let rest = std::iter::repeat_with(|| self.next()).find(String::is_empty);
        rest.is_some() && self.curl.wait().unwrap().code() != Some(28)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

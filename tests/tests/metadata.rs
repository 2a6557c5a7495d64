//! The metadata service: what Databricks SDKs get, and who gets nothing. A port of 127.0.0.1 is open to
//! every user, every container on the host's network and every page in a browser.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as it may")]

use serde_json::Value;
use sso_agent::demo::{Consent, Fault, Issuer, Options};
use sso_agent_tests::http::{self, Answer};
use sso_agent_tests::{Agent, Finished, Sandbox, need, parts};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

const VERSION: (&str, &str) = ("X-Databricks-Metadata-Version", "1");

/// Who asks where with which headers, and the status that it gets.
type Case<'a> = (&'a str, &'a Url, &'a [(&'a str, &'a str)], u16);

/// A person who is signed in at an issuer.
struct Desk {
    sandbox: Sandbox,
    issuer: Issuer,
    host: String,
}

impl Desk {
    fn new(lifetime: Duration) -> (Self, Agent) {
        let sandbox = Sandbox::new();
        let options = Options { consent: Consent::Auto, lifetime, ..Options::default() };
        let issuer = Issuer::start_in_thread(options).unwrap();
        let agent = Agent::start(&sandbox);
        sandbox.sso(["login", &issuer.url()]).ok();
        let host = issuer.url();
        (Self { sandbox, issuer, host }, agent)
    }

    fn address(&self) -> Url {
        self.sandbox.sso(["metadata-url", &self.host]).ok().parse().unwrap()
    }

    /// Asks as an SDK does.
    fn ask(&self, url: &Url) -> Answer {
        http::send(url, &[VERSION, ("X-Databricks-Host", &self.host)], None).unwrap()
    }

    fn token(&self) -> String {
        self.sandbox.sso(["token", &self.host]).ok().to_owned()
    }
}

#[test]
fn an_sdk_gets_tokens_from_an_address_that_outlives_the_agent() {
    let (desk, agent) = Desk::new(Duration::from_secs(3600));
    let url = desk.address();
    assert_eq!(url.host_str(), Some("127.0.0.1"), "the Go and JavaScript SDKs allow little else");
    assert_eq!(url.path().len(), 65, "256 bits");

    let answer = desk.ask(&url);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&body["access_token"], &body["token_type"]), (&desk.token().into(), &"Bearer".into()));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let left = body["expires_on"].as_u64().expect("an integer").saturating_sub(now);
    assert!((3590..=3600).contains(&left), "{left}");

    assert_eq!(desk.address(), url, "the same question, the same answer");
    let mut by_name = url.clone();
    by_name.set_host(Some("localhost")).unwrap();
    assert_eq!(desk.ask(&by_name).status, 200);
    let shouted = desk.host.to_uppercase() + "/";
    let spelled = http::send(&url, &[VERSION, ("X-Databricks-Host", &shouted)], None).unwrap();
    assert_eq!(spelled.status, 200, "however the host is spelled");

    agent.kill();
    let _agent = Agent::start(&desk.sandbox);
    let again = desk.ask(&url);
    let after: Value = serde_json::from_str(&again.body).unwrap();
    assert_eq!(
        (again.status, &after["access_token"]),
        (200, &body["access_token"]),
        "nobody had to ask for it anew"
    );
    let [before, after] = [&body, &after].map(|answer| answer["expires_on"].as_u64().unwrap());
    assert!((before - 3..=before).contains(&after), "it can only have become less: {before}, {after}");
    assert_eq!(desk.address(), url);
}

#[test]
fn whoever_is_not_meant_gets_no_token() {
    let (desk, _agent) = Desk::new(Duration::from_secs(3600));
    let url = desk.address();
    let host = ("X-Databricks-Host", desk.host.as_str());
    let mut elsewhere = url.clone();
    elsewhere.set_path(&format!("/{}", "0".repeat(64)));
    let mut root = url.clone();
    root.set_path("/");
    let cases: [Case<'_>; 14] = [
        ("another path", &elsewhere, &[VERSION, host], 404),
        ("no path", &root, &[VERSION, host], 404),
        ("another host", &url, &[VERSION, ("X-Databricks-Host", "https://other.example")], 404),
        ("no host", &url, &[VERSION], 404),
        ("two hosts", &url, &[VERSION, host, host], 404),
        ("another version", &url, &[("X-Databricks-Metadata-Version", "2"), host], 400),
        ("no version", &url, &[host], 400),
        ("a page", &url, &[VERSION, host, ("Origin", "http://127.0.0.1")], 403),
        ("a page of ours", &url, &[VERSION, host, ("Referer", "http://127.0.0.1/")], 403),
        ("DNS rebinding", &url, &[VERSION, host, ("Host", "evil.example")], 421),
        ("another port", &url, &[VERSION, host, ("Host", "127.0.0.1:1")], 421),
        ("a proxy", &url, &[VERSION, host, ("X-Forwarded-For", "10.0.0.1")], 403),
        ("a proxy by the book", &url, &[VERSION, host, ("Forwarded", "for=10.0.0.1")], 403),
        ("a gateway", &url, &[VERSION, host, ("Via", "1.1 gateway")], 403),
    ];
    let token = desk.token();
    for (who, url, headers, status) in cases {
        let answer = http::send(url, headers, None).unwrap();
        assert_eq!(answer.status, status, "{who}: {answer:?}");
        is_no_token(&answer, &token);
        match status {
            404 => assert_eq!(answer.body, r#"{"not_found":true}"#, "{who}"),
            400 => assert_eq!(answer.body, r#"{"bad_version":true}"#, "{who}"),
            _ => {}
        }
    }
    let posted = http::send(&url, &[VERSION, host], Some("")).unwrap();
    assert_eq!(posted.status, 405);
    is_no_token(&posted, &token);
    assert_eq!(desk.ask(&url).status, 200, "its own user is served as before");
    let logs = desk.sandbox.logs();
    assert!(!logs.contains(&token) && !logs.contains(&url.path()[1..]), "neither is in the log");
}

#[test]
fn a_session_that_needs_its_person_or_its_issuer_says_so() {
    let (desk, _agent) = Desk::new(Duration::from_secs(2));
    let url = desk.address();
    let token = desk.token();
    desk.issuer.inject(Fault::HtmlOk);
    let answer = loop {
        match desk.ask(&url) {
            answer if answer.status == 200 => std::thread::park_timeout(Duration::from_millis(50)),
            answer => break answer,
        }
    };
    assert_eq!(answer.status, 503, "{answer:?}");
    let wait: u64 = answer.header("retry-after").expect("when to come back").parse().unwrap();
    assert!(wait >= 1);
    assert_eq!(error(&answer)["kind"], "issuer_unavailable");
    is_no_token(&answer, &token);

    desk.issuer.clear_faults();
    desk.sandbox.sso(["logout", &desk.host]).ok();
    let answer = desk.ask(&url);
    assert!([401, 404].contains(&answer.status), "{answer:?}");
    assert!(!error(&answer)["hint"].as_str().unwrap().is_empty());
    is_no_token(&answer, &token);
    desk.sandbox.sso(["metadata-url", &desk.host]).failed_with(4);

    desk.sandbox.sso(["login", &desk.host]).ok();
    assert_eq!(desk.ask(&url).status, 200, "the address is the session's");
}

#[test]
fn another_user_gets_nothing() {
    let test = "another user at the metadata service";
    let curl = need!(test, parts::system("curl"), "curl is missing");
    need!(test, parts::is_root().then_some(()), "only root can become somebody else");
    let (desk, _agent) = Desk::new(Duration::from_secs(3600));
    let url = desk.address();
    let ask = |command: &mut Command| {
        command.args(["--silent", "--max-time", "20", "--header", "X-Databricks-Metadata-Version: 1"]);
        command.args(["--header", &format!("X-Databricks-Host: {}", desk.host), url.as_str()]);
        Finished::of(command)
    };
    assert!(ask(&mut Command::new(&curl)).ok().contains("access_token"));

    let mut stranger = Command::new("setpriv");
    stranger.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&curl);
    let refused = ask(&mut stranger);
    assert_eq!(refused.stdout, "", "not even a refusal: {refused:?}");
    assert_ne!(refused.code, Some(0));
    assert!(desk.sandbox.logs().contains("65534"), "it notes who came");
}

#[test]
fn programs_are_told_where_to_get_tokens() {
    let (desk, _agent) = Desk::new(Duration::from_secs(3600));
    let url = desk.address();
    let child = desk.sandbox.sso(["exec", &desk.host, "--metadata", "--", "env"]);
    let told = |name: &str| {
        let value = child.ok().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().to_owned()
    };
    assert_eq!(told("DATABRICKS_METADATA_SERVICE_URL"), url.as_str());
    assert_eq!(told("DATABRICKS_HOST"), desk.host);
    assert_eq!(told("DATABRICKS_AUTH_TYPE"), "metadata-service");
    assert!(!child.stdout.contains(&desk.token()));
}

#[test]
fn the_python_sdk_gets_its_tokens_there() {
    let python = need!("the SDK", parts::fetched("venv"), "the Databricks SDK is missing").join("bin/python");
    let (desk, _agent) = Desk::new(Duration::from_secs(3600));
    let script = parts::source().join("tests/databricks-sdk/list_clusters.py");
    let mut exec = desk.sandbox.sso_command();
    exec.args(["exec", &desk.host, "--metadata", "--"]).arg(&python).arg(&script);
    // Each alone would be a second way to authenticate.
    exec.env("DATABRICKS_TOKEN", "stale")
        .env("DATABRICKS_CLIENT_ID", "c")
        .env("DATABRICKS_CLIENT_SECRET", "s");
    let listed = Finished::of(&mut exec);
    assert!(listed.ok().starts_with("ada@example.com metadata-service\n"), "{listed:?}");

    let eval =
        format!("eval \"$({} env {})\" && exec \"$0\" \"$1\"", parts::program("sso").display(), desk.host);
    let mut shell = desk.sandbox.command("sh");
    assert_eq!(Finished::of(shell.args(["-c", &eval]).arg(&python).arg(&script)).ok(), listed.ok());
}

fn error(answer: &Answer) -> Value {
    serde_json::from_str::<Value>(&answer.body).unwrap()["error"].take()
}

/// Some SDKs look at nothing but the field, whatever the status.
#[track_caller]
fn is_no_token(answer: &Answer, token: &str) {
    assert!(!answer.body.contains(token) && !answer.body.contains("\"access_token\""), "{answer:?}");
    assert!(!answer.body.contains("\"token\""), "{answer:?}");
}

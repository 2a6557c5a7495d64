//! `sso lock`: no token leaves a locked agent by any door, a restart opens nothing, and guessing is slow.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as it may")]

use serde_json::{Value, json};
use sso_agent::demo::{Consent, Issuer, Options};
use sso_agent_tests::http::{self, send_to};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::sandbox::{files, read};
use sso_agent_tests::{Agent, Finished, Sandbox};
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};
use url::Url;

const WORDS: &str = "correct horse battery staple";

/// A person who is signed in at an issuer.
struct Desk {
    sandbox: Sandbox,
    issuer: Issuer,
    host: String,
}

impl Desk {
    fn new(lifetime: u64) -> (Self, Agent) {
        let sandbox = Sandbox::new();
        let lifetime = Duration::from_secs(lifetime);
        let options = Options { consent: Consent::Auto, lifetime, ..Options::default() };
        let issuer = Issuer::start_in_thread(options).unwrap();
        let agent = Agent::start(&sandbox);
        let host = issuer.url();
        sandbox.sso(["login", &host]).ok();
        (Self { sandbox, issuer, host }, agent)
    }

    fn typed(&self, command: &str, words: &str) -> Finished {
        piped(&self.sandbox, &[command, "--json"], words)
    }

    fn call(&self, method: &str, params: &Value) -> Result<Value, Value> {
        Connection::open(&self.sandbox.socket()).unwrap().call(method, params).unwrap()
    }

    fn is_locked(&self) -> bool {
        self.call("agent.info", &json!({})).unwrap()["locked"].as_bool().unwrap()
    }
}

/// Runs `sso` with a line on its stdin.
fn piped(sandbox: &Sandbox, args: &[&str], line: &str) -> Finished {
    let mut command = sandbox.sso_command();
    let mut child = command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{line}").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn no_token_leaves_a_locked_agent_by_any_door() {
    let (desk, _agent) = Desk::new(3600);
    let token = desk.sandbox.sso(["token"]).ok().to_owned();
    let address: Url = desk.sandbox.sso(["metadata-url", &desk.host]).ok().parse().unwrap();
    let mut connected = Connection::open(&desk.sandbox.socket()).unwrap();
    connected.call("token.get", &json!({})).unwrap().unwrap();
    desk.sandbox.write_databrickscfg("[pat]\nhost = https://a.cloud.databricks.com\ntoken = dapi-canary-1\n");
    desk.call("agent.reload", &json!({})).unwrap();

    assert_eq!(desk.typed("lock", WORDS).json(), json!({"locked": true}));
    for error in [
        connected.call("token.get", &json!({})).unwrap(),
        desk.call("token.get", &json!({"host": desk.host})),
        desk.call("token.get", &json!({"session": desk.host.trim_start_matches("http://")})),
        desk.call("token.get", &json!({"profile": "pat"})),
        desk.call("token.get", &json!({"handle": "h"})),
        desk.call("token.get", &json!({"host": desk.host, "force_refresh": true})),
        desk.call("session.login", &json!({"host": desk.host})),
        desk.call("session.import", &json!({"host": desk.host, "refresh_token": "r"})),
        desk.call("session.logout", &json!({"host": desk.host})),
        desk.call("metadata.url", &json!({"host": desk.host})),
        desk.call("consent.start", &json!({"host": desk.host, "redirect_url": "http://127.0.0.1/"})),
        desk.call("consent.end", &json!({"handle": "h"})),
        desk.call("app.list", &json!({"host": desk.host})),
        desk.call("agent.lock", &json!({"passphrase": "another"})),
    ] {
        let error = error.unwrap_err();
        assert_eq!(error["data"]["kind"], "locked", "{error}");
    }
    let http = desk.sandbox.socket_folder().join("http.sock");
    for (method, target, body) in [
        ("GET", "/v1/token.get", None),
        ("POST", "/v1/token.get", Some("{}")),
        ("POST", "/v1/session.login", Some("{\"host\":\"h\"}")),
        ("POST", "/v1/app.list", Some("{}")),
    ] {
        let answer = send_to(&http, method, target, &[], body).unwrap();
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(answer.body.contains("\"locked\""), "{answer:?}");
    }
    let headers = [("X-Databricks-Metadata-Version", "1"), ("X-Databricks-Host", desk.host.as_str())];
    let answer = http::send(&address, &headers, None).unwrap();
    assert_eq!(answer.status, 403, "{answer:?}");
    for args in
        [["token", &desk.host].as_slice(), &["exec", &desk.host, "--", "env"], &["logout", &desk.host]]
    {
        let said = desk.sandbox.sso(args);
        said.failed_with(6);
        assert!(!said.stdout.contains(&token));
    }
    assert_eq!(desk.call("session.list", &json!({})).unwrap()["sessions"].as_array().unwrap().len(), 1);
    assert!(desk.sandbox.sso(["status"]).ok().contains("The agent is locked"));
    assert_eq!(desk.sandbox.sso(["status", "--json"]).json()["agent"]["locked"], true);

    assert_eq!(desk.typed("unlock", WORDS).json(), json!({"locked": false}));
    assert_eq!(desk.sandbox.sso(["token", &desk.host]).ok(), token, "the same token, from memory");
    assert_eq!(http::send(&address, &headers, None).unwrap().status, 200);
    assert!(!desk.sandbox.state().join("locked.json").exists());
    desk.typed("unlock", WORDS).failed_with(1);
}

#[test]
fn a_token_that_is_waited_for_stays_in_when_the_lock_comes() {
    let (desk, _agent) = Desk::new(3600);
    let first = desk.call("token.get", &json!({})).unwrap();
    desk.issuer.inject(sso_agent::demo::Fault::Slow(Duration::from_secs(4)));
    let socket = desk.sandbox.socket();
    let another = json!({"refused": first["token_id"]});
    let waiter =
        std::thread::spawn(move || Connection::open(&socket).unwrap().call("token.get", &another).unwrap());
    while desk.call("session.list", &json!({})).unwrap()["sessions"][0]["state"] != "refreshing" {
        assert!(!waiter.is_finished(), "{:?}", waiter.join());
        std::thread::park_timeout(Duration::from_millis(5));
    }
    desk.call("agent.lock", &json!({"passphrase": WORDS})).unwrap();
    assert_eq!(waiter.join().unwrap().unwrap_err()["data"]["kind"], "locked");
}

#[test]
fn a_kill_opens_nothing_and_the_passphrase_is_nowhere() {
    let (desk, agent) = Desk::new(3600);
    desk.typed("lock", WORDS).ok();
    agent.kill();
    let agent = Agent::start(&desk.sandbox);
    assert!(desk.is_locked());
    desk.sandbox.sso(["token"]).failed_with(6);
    let log = desk.sandbox.logs();
    assert!(log.contains("locked") && !log.contains("battery"), "{log}");
    for file in files(&desk.sandbox.path("home")) {
        assert!(!String::from_utf8_lossy(&read(&file)).contains("battery"), "{}", file.display());
    }
    desk.typed("unlock", WORDS).ok();
    desk.sandbox.sso(["token"]).ok();
    assert!(agent.stop().success());
    let _agent = Agent::start(&desk.sandbox);
    assert!(!desk.is_locked(), "and what was opened stays open");
}

#[test]
fn wrong_passphrases_take_longer_whoever_brings_them() {
    let (desk, _agent) = Desk::new(3600);
    desk.typed("lock", WORDS).ok();
    let guess = |words: &str| {
        let began = Instant::now();
        let said = desk.call("agent.unlock", &json!({"passphrase": words}));
        (said, began.elapsed())
    };
    let refused: Vec<_> = (0..4).map(|_| guess("wrong")).collect();
    for (said, _) in &refused {
        assert_eq!(said.as_ref().unwrap_err()["data"]["kind"], "denied");
    }
    assert!(refused[2].1 >= Duration::from_secs(1) && refused[3].1 >= Duration::from_secs(2), "{refused:?}");

    // Whoever hangs up and comes back waits for the delay that it ran away from.
    let mut left = std::os::unix::net::UnixStream::connect(desk.sandbox.socket()).unwrap();
    let request =
        json!({"jsonrpc": "2.0", "id": 1, "method": "agent.unlock", "params": {"passphrase": "wrong"}});
    left.write_all(format!("{request}\n").as_bytes()).unwrap();
    // The next request of the same client is read only after that one was.
    left.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"agent.info\"}\n").unwrap();
    std::io::Read::read(&mut left, &mut [0; 4096]).unwrap();
    drop(left);
    let (said, took) = guess(WORDS);
    assert_eq!(said.unwrap(), json!({}));
    assert!(took >= Duration::from_secs(3), "{took:?}");
    assert!(!desk.is_locked());
}

#[test]
fn refreshing_goes_on_behind_the_lock_or_pauses_as_the_settings_say() {
    for (text, goes_on) in [("", true), ("refresh_while_locked = false\n", false)] {
        let sandbox = Sandbox::new();
        std::fs::create_dir_all(sandbox.path("home/.config/sso-agent")).unwrap();
        std::fs::write(sandbox.path("home/.config/sso-agent/config.toml"), text).unwrap();
        let options =
            Options { consent: Consent::Auto, lifetime: Duration::from_secs(4), ..Options::default() };
        let issuer = Issuer::start_in_thread(options).unwrap();
        let _agent = Agent::start(&sandbox);
        sandbox.sso(["login", &issuer.url()]).ok();
        piped(&sandbox, &["lock"], WORDS).ok();
        let refreshes = || issuer.counters().refreshes;
        let before = refreshes();
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && (refreshes() == before || !goes_on) {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        assert_eq!(refreshes() > before, goes_on, "{text:?}");
        piped(&sandbox, &["unlock"], WORDS).ok();
        let token = sandbox.sso(["token"]).ok().to_owned();
        assert!(token.len() > 10 && refreshes() > before, "what was due is made up for");
    }
}

#[test]
fn who_subscribes_is_told() {
    let (desk, _agent) = Desk::new(3600);
    let mut events = Connection::open(&desk.sandbox.socket()).unwrap();
    events.call("events.subscribe", &json!({"kinds": ["agent.locked", "agent.unlocked"]})).unwrap().unwrap();
    desk.call("agent.lock", &json!({"passphrase": WORDS})).unwrap();
    assert_eq!(events.notice().unwrap()["params"]["kind"], "agent.locked");
    desk.call("agent.unlock", &json!({"passphrase": WORDS})).unwrap();
    assert_eq!(events.notice().unwrap()["params"]["kind"], "agent.unlocked");
    assert_eq!(desk.call("agent.lock", &json!({"passphrase": ""})).unwrap_err()["code"], -32602);
}

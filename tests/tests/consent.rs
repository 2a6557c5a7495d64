//! Web apps over the plain socket: a user signs in, the app holds a handle, and whatever is not that user's
//! own callback changes nothing.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

use serde_json::{Value, json};
use sso_agent::demo::{Consent, Issuer, Options, Shape};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::{Agent, Sandbox, http};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use url::Url;

const CALLBACK: &str = "http://localhost:5000/callback";

/// A web app, its agent and its issuer.
struct App {
    sandbox: Sandbox,
    agent: Option<Agent>,
    socket: Connection,
    issuer: Issuer,
    host: String,
    client: Value,
}

/// A sign-in that waits for its user.
struct Begun {
    address: Url,
    consent: String,
}

impl App {
    fn new(options: Options) -> Self {
        let client =
            json!({ "client_id": "my-app", "client_secret": options.client_secret.as_ref().map(|_| SECRET) });
        let sandbox = Sandbox::new();
        let issuer = Issuer::start_in_thread(Options { consent: Consent::Auto, ..options }).unwrap();
        let agent = Agent::start(&sandbox);
        let socket = Connection::open(&sandbox.socket()).unwrap();
        Self { sandbox, agent: Some(agent), socket, host: issuer.url(), issuer, client }
    }

    fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.socket.call(method, &params).unwrap()
    }

    /// Why a call is refused.
    #[track_caller]
    fn refused(&mut self, method: &str, params: Value) -> String {
        let error = self.call(method, params).unwrap_err();
        assert!(!error["message"].as_str().unwrap().is_empty(), "{error}");
        let hint = error["data"]["hint"].as_str();
        assert!(error["code"] == -32602 || hint.is_some_and(|hint| !hint.is_empty()), "{error}");
        error["data"]["kind"].as_str().unwrap_or("bad params").to_owned()
    }

    fn begin(&mut self) -> Begun {
        self.begin_with(json!({}))
    }

    fn begin_with(&mut self, more: Value) -> Begun {
        let mut params = json!({ "host": self.host, "redirect_url": CALLBACK });
        for (name, value) in self.client.as_object().unwrap().iter().chain(more.as_object().unwrap()) {
            if !value.is_null() {
                params[name] = value.clone();
            }
        }
        let begun = self.call("consent.start", params).unwrap();
        Begun {
            address: Url::parse(begun["authorization_url"].as_str().unwrap()).unwrap(),
            consent: begun["consent"].as_str().unwrap().to_owned(),
        }
    }

    #[track_caller]
    fn finish(&mut self, begun: &Begun, params: &BTreeMap<String, String>) -> Value {
        self.call("consent.finish", json!({ "consent": begun.consent, "params": params })).unwrap()
    }

    fn sign_in(&mut self) -> Value {
        let begun = self.begin();
        let query = begun.visit();
        self.finish(&begun, &query)
    }

    fn token(&mut self, finished: &Value) -> Result<Value, Value> {
        self.call("token.get", json!({ "handle": finished["handle"] }))
    }

    fn restart(&mut self) {
        self.agent.take().unwrap().kill();
        self.start_again();
    }

    fn start_again(&mut self) {
        self.agent = Some(Agent::start(&self.sandbox));
        self.socket = Connection::open(&self.sandbox.socket()).unwrap();
    }

    /// Every session of a web app's user.
    fn web_sessions(&mut self) -> Vec<Value> {
        let list = self.call("session.list", json!({ "web": true })).unwrap();
        list["sessions"].as_array().unwrap().clone()
    }
}

const SECRET: &str = "canary-app-secret";

impl Begun {
    /// The user agrees: where the browser comes back to, taken apart.
    fn visit(&self) -> BTreeMap<String, String> {
        self.comes_back().query_pairs().into_owned().collect()
    }

    fn comes_back(&self) -> Url {
        let answer = http::send(&self.address, &[], None).unwrap();
        Url::parse(answer.header("location").expect("a redirect")).unwrap()
    }

    fn asked(&self, name: &str) -> String {
        self.address.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
    }
}

fn every_shape_and_client() -> Vec<Options> {
    let mut all = Vec::new();
    for shape in [Shape::Databricks, Shape::Oidc, Shape::OAuth] {
        for secret in [None, Some(SECRET)] {
            let client_secret = secret.map(Into::into);
            all.push(Options { shape, client_secret, ..Options::default() });
        }
    }
    all
}

#[test]
fn a_user_signs_in_and_the_app_gets_tokens_for_its_handle_until_it_ends() {
    for options in every_shape_and_client() {
        let mut app = App::new(options);
        let begun = app.begin_with(json!({ "scopes": ["clusters", "offline_access"] }));
        assert_eq!(begun.asked("scope"), "clusters offline_access", "nothing is added");
        assert_eq!(begun.asked("redirect_uri"), CALLBACK);
        assert_eq!(begun.asked("code_challenge_method"), "S256");
        assert!(begun.asked("state").len() >= 22 && !begun.address.as_str().contains(SECRET));

        let query = begun.visit();
        let finished = app.finish(&begun, &query);
        assert_eq!(finished["handle"].as_str().unwrap().len(), 43, "256 bits");
        assert_eq!((&finished["refreshable"], &finished["user"]), (&json!(true), &json!("ada@example.com")));
        let token = app.token(&finished).unwrap();
        assert_eq!(token["session"], finished["session"]);
        assert!(app.issuer.accepts(token["access_token"].as_str().unwrap()));

        let forced = json!({ "handle": finished["handle"], "refused": token["token_id"] });
        let another = app.call("token.get", forced).unwrap();
        assert_ne!(another["token_id"], token["token_id"]);
        app.restart();
        assert_eq!(app.token(&finished).unwrap()["token_id"], another["token_id"]);

        let end = json!({ "handle": finished["handle"] });
        let revocations = app.issuer.counters().revocations;
        assert_eq!(app.call("consent.end", end.clone()).unwrap(), json!({ "revoked": true }));
        assert_eq!(app.issuer.counters().revocations, revocations + 1);
        assert_eq!(app.refused("token.get", end.clone()), "login_required");
        assert_eq!(app.call("consent.end", end).unwrap(), json!({ "revoked": false }));
        assert_eq!(app.web_sessions(), Vec::<Value>::new());
        let exchanges = app.issuer.counters().exchanges;
        app.agent.take().unwrap().stop();
        app.start_again();
        let replayed = json!({ "consent": begun.consent, "params": query });
        assert_eq!(app.refused("consent.finish", replayed), "denied", "nor after it ended");
        assert_eq!(app.issuer.counters().exchanges, exchanges);
    }
}

#[test]
fn a_web_session_is_for_its_handle_alone() {
    let mut app = App::new(Options::default());
    let [one, other] = [app.sign_in(), app.sign_in()];
    assert_ne!(one["handle"], other["handle"]);
    assert_ne!(one["session"], other["session"]);
    assert_ne!(app.token(&one).unwrap()["token_id"], app.token(&other).unwrap()["token_id"]);

    let session = one["session"].as_str().unwrap().to_owned();
    assert_eq!(app.refused("token.get", json!({})), "login_required");
    assert_eq!(app.refused("token.get", json!({ "host": app.host })), "login_required");
    assert_eq!(app.refused("token.get", json!({ "session": session })), "denied");
    assert_eq!(app.refused("metadata.url", json!({ "session": session })), "denied");
    for none in [json!(""), Value::Null, json!(session)] {
        assert_eq!(app.refused("token.get", json!({ "handle": none })), "login_required");
    }
    assert_eq!(app.refused("token.get", json!({ "handle": one["handle"], "host": app.host })), "bad params");
    assert_eq!(app.call("session.list", json!({})).unwrap()["sessions"], json!([]));
    assert_eq!(app.sandbox.sso(["token"]).code, Some(4));

    let listed = app.web_sessions();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|session| session["web"]["idle_at"].is_string()));
    let status = app.sandbox.sso(["status", "--web"]);
    assert!(status.ok().contains(&session) && status.ok().contains("ada@example.com"), "{status:?}");
    let shown = app.call("session.show", json!({ "session": session })).unwrap();
    assert_eq!(shown["client_id"], "my-app");
    let unknown = json!({ "session": format!("{session}0") });
    assert_eq!(app.refused("session.show", unknown.clone()), "unknown_host");
    assert_eq!(app.refused("session.logout", unknown), "unknown_host");
    let by_label = json!({ "web": true, "host": app.host, "label": "work" });
    assert_eq!(app.refused("session.list", by_label), "bad params");
    app.sandbox.sso(["logout", &session]).ok();
    assert_eq!(app.refused("token.get", json!({ "handle": one["handle"] })), "login_required");
    assert!(app.token(&other).is_ok(), "the other one stays");
}

#[test]
fn a_session_without_a_refresh_token_says_so_at_once_and_ends_with_its_token() {
    let mut app = App::new(Options { lifetime: Duration::from_secs(3), ..Options::default() });
    let begun = app.begin_with(json!({ "scopes": ["clusters"] }));
    assert_eq!(begun.asked("scope"), "clusters");
    let finished = app.finish(&begun, &begun.visit());
    assert_eq!(finished["refreshable"], false);
    assert!(app.token(&finished).is_ok());
    let shown = &app.web_sessions()[0];
    assert_eq!((&shown["refreshable"], &shown["next_refresh_at"]), (&json!(false), &Value::Null));
    assert!(app.sandbox.sso(["status", "--web"]).ok().contains("never: no refresh token"));
    let over = std::iter::repeat_with(|| {
        std::thread::park_timeout(Duration::from_millis(50));
        app.token(&finished)
    })
    .take(400)
    .find_map(Result::err)
    .expect("a token ends");
    assert_eq!(over["data"]["kind"], "login_required");
    assert!(over["message"].as_str().unwrap().contains("no refresh token"), "{over}");
    assert!(over["data"]["hint"].as_str().unwrap().contains("consent.start"), "{over}");
}

#[test]
fn a_list_of_many_comes_in_parts() {
    let mut app = App::new(Options::default());
    let mut ids: Vec<Value> = (0..5).map(|_| app.sign_in()["session"].clone()).collect();
    ids.sort_by_key(ToString::to_string);
    let mut found = Vec::new();
    let mut after = Value::Null;
    loop {
        let mut params = json!({ "web": true, "limit": 2, "host": app.host });
        if !after.is_null() {
            params["after"] = after;
        }
        let part = app.call("session.list", params).unwrap();
        let sessions = part["sessions"].as_array().unwrap();
        assert!(sessions.len() <= 2);
        found.extend(sessions.iter().map(|session| session["id"].clone()));
        after = part["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(found, ids);
    let elsewhere = json!({ "web": true, "host": "https://elsewhere.example" });
    assert_eq!(app.call("session.list", elsewhere).unwrap()["sessions"], json!([]));
}

#[test]
fn whatever_is_not_the_honest_callback_fails_and_changes_nothing() {
    let mut app = App::new(Options::default());
    let [begun, swapped] = [app.begin(), app.begin()];
    let (honest, of_the_other) = (begun.visit(), swapped.visit());
    let with = |changes: &[(&str, &str)]| {
        let mut query = honest.clone();
        for (name, value) in changes {
            query.insert((*name).to_owned(), (*value).to_owned());
        }
        json!(query)
    };
    let without = |name: &str| {
        let mut query = honest.clone();
        query.remove(name);
        json!(query)
    };
    let mut tampered = begun.consent.clone();
    tampered.replace_range(80..81, if &tampered[80..81] == "A" { "B" } else { "A" });
    let answer = |consent: &str, params: Value| json!({ "consent": consent, "params": params });
    let at = |url: &str| json!({ "consent": begun.consent, "callback_url": url });
    let cases = [
        ("another state", answer(&begun.consent, with(&[("state", "guessed")])), "denied"),
        ("no state", answer(&begun.consent, without("state")), "denied"),
        (
            "two states",
            answer(&begun.consent, json!({"code": "c", "state": [honest["state"], "x"]})),
            "denied",
        ),
        ("another's callback", answer(&begun.consent, json!(of_the_other)), "denied"),
        ("to another's consent", answer(&swapped.consent, json!(honest)), "denied"),
        ("no code", answer(&begun.consent, without("code")), "denied"),
        ("another issuer", answer(&begun.consent, with(&[("iss", "https://evil.example")])), "denied"),
        ("no issuer", answer(&begun.consent, without("iss")), "denied"),
        ("a stranger's error", answer(&begun.consent, json!({"error": "access_denied"})), "denied"),
        ("a tampered consent", answer(&tampered, json!(honest)), "denied"),
        ("no consent", answer("", json!(honest)), "denied"),
        ("a handle for a consent", answer(&"A".repeat(43), json!(honest)), "denied"),
        ("another address", at("https://evil.example/callback?code=c&state=s"), "denied"),
        ("another path", at("/elsewhere?code=c"), "denied"),
        ("neither", json!({ "consent": begun.consent }), "bad params"),
    ];
    for (what, params, kind) in cases {
        assert_eq!(app.refused("consent.finish", params), kind, "{what}");
    }
    assert_eq!(app.issuer.counters().exchanges, 0, "nothing was asked of the issuer");

    let wrong_code = answer(&begun.consent, with(&[("code", "guessed")]));
    assert_eq!(app.refused("consent.finish", wrong_code), "issuer_rejected");
    let no = json!({"error": "access_denied", "state": honest["state"], "iss": honest["iss"]});
    let refused = app.call("consent.finish", answer(&begun.consent, no)).unwrap_err();
    assert_eq!(refused["data"]["kind"], "issuer_rejected");
    assert_eq!(refused["data"]["oauth_error"], "access_denied");
    assert_eq!(app.web_sessions(), Vec::<Value>::new());

    let finished = app.finish(&begun, &honest);
    assert!(app.token(&finished).is_ok(), "an honest callback still works");
    let replayed = answer(&begun.consent, json!(honest));
    assert_eq!(app.refused("consent.finish", replayed.clone()), "denied");
    app.restart();
    assert_eq!(app.refused("consent.finish", replayed), "denied", "and after a restart");
    assert!(app.token(&finished).is_ok(), "a replay takes nothing away");
    let finished = app.finish(&swapped, &of_the_other);
    assert!(app.token(&finished).is_ok(), "and a consent outlives the agent");
    assert_eq!(app.web_sessions().len(), 2);
}

#[test]
fn two_at_once_with_one_callback_are_one_sign_in() {
    let mut app = App::new(Options { latency: Duration::from_millis(200), ..Options::default() });
    let begun = app.begin();
    let params = json!({ "consent": begun.consent, "params": begun.visit() });
    let socket = app.sandbox.socket();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let finish = || Connection::open(&socket).unwrap().call("consent.finish", &params).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(finish)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(app.issuer.counters().exchanges, 1);
    assert!(
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(|e| e["data"]["kind"] == "denied")
    );
}

#[test]
fn an_app_that_goes_away_before_it_has_its_handle_leaves_no_session_behind() {
    const PATIENCE: Duration = Duration::from_secs(60);
    let mut app = App::new(Options { latency: Duration::from_millis(500), ..Options::default() });
    let begun = app.begin();
    let params = json!({ "consent": begun.consent, "params": begun.visit() });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "consent.finish", "params": params });
    let mut stream = UnixStream::connect(app.sandbox.socket()).unwrap();
    stream.write_all(format!("{request}\n").as_bytes()).unwrap();
    app.issuer.wait_until(PATIENCE, |counters| counters.exchanges == 1).unwrap();
    drop(stream);
    app.issuer.wait_until(PATIENCE, |counters| counters.revocations == 1).expect("it is revoked");
    assert_eq!(app.web_sessions(), Vec::<Value>::new());
}

#[test]
fn what_cannot_be_a_sign_in_is_refused_before_anything_is_sent() {
    let mut app = App::new(Options::default());
    let start = |redirect: &str| json!({ "host": app.host, "client_id": "my-app", "redirect_url": redirect });
    let mut long = start(CALLBACK);
    long["scopes"] = (0..400).map(|n| format!("scope-number-{n:020}")).collect();
    let mut bad: Vec<Value> = [
        "http://app.example/callback",
        "https://*.example/callback",
        "https://app.example/callback#fragment",
        "https://user:password@app.example/callback",
        "app.example/callback",
        "",
    ]
    .iter()
    .map(|redirect| start(redirect))
    .collect();
    bad.push(long);
    for params in bad {
        assert_eq!(app.refused("consent.start", params), "unsupported");
    }
    for params in [
        json!({ "host": app.host, "client_secret": SECRET, "redirect_url": CALLBACK }),
        json!({ "host": app.host, "redirect_url": CALLBACK, "scopes": [""] }),
        json!({ "host": app.host, "redirect_url": CALLBACK, "scopes": ["a\"b"] }),
    ] {
        assert_eq!(app.refused("consent.start", params), "unsupported");
    }
    let no_redirect = json!({ "host": app.host, "client_id": "my-app" });
    assert_eq!(app.refused("consent.start", no_redirect), "unsupported");
    let no_app = json!({ "host": app.host, "app": "no-such-app", "redirect_url": CALLBACK });
    assert_eq!(app.refused("consent.start", no_app), "unknown_host");
    assert_eq!(app.issuer.counters().authorizations, 0);
}

#[test]
fn no_secret_of_a_web_session_is_anywhere_but_with_the_app() {
    let mut app = App::new(Options { client_secret: Some(SECRET.into()), ..Options::default() });
    let begun = app.begin();
    let query = begun.visit();
    let finished = app.finish(&begun, &query);
    let token = app.token(&finished).unwrap();
    app.restart();
    let mut secrets = app.issuer.secrets();
    secrets.push(finished["handle"].as_str().unwrap().to_owned());
    secrets.push(query["state"].clone());
    assert!(secrets.iter().any(|secret| secret == SECRET) && secrets.len() >= 5);
    assert!(!secrets.iter().any(|secret| begun.consent.contains(secret.as_str())));
    secrets.push(token["access_token"].as_str().unwrap().to_owned());
    let logs = app.sandbox.logs();
    let written = sso_agent_tests::sandbox::files(&app.sandbox.path("home"));
    for secret in &secrets {
        assert!(!logs.contains(secret.as_str()), "the log has a secret");
        for file in &written {
            let text = sso_agent_tests::sandbox::read(file);
            let found = text.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{} has a secret", file.display());
        }
    }
}

/// The memory of a process that is its own, in KiB.
fn memory(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Pss_Anon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn sign_ins_that_nobody_finishes_cost_nothing_and_nobody() {
    // Were a kilobyte kept of each, it would be more than is allowed below.
    const MANY: usize = 40_000;
    const AT_ONCE: usize = 200;
    let mut app = App::new(Options::default());
    let pending = app.begin();
    let pid = app.agent.as_ref().unwrap().pid();
    let before = memory(pid);
    let mut other = Connection::open(&app.sandbox.socket()).unwrap();
    let params = json!({ "host": app.host, "client_id": "greedy", "redirect_url": CALLBACK });
    for _ in 0..MANY / AT_ONCE {
        let answers = other.call_many("consent.start", &params, AT_ONCE).unwrap();
        assert!(answers.iter().all(Result::is_ok));
    }
    let grown = memory(pid).saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB");
    let finished = app.finish(&pending, &pending.visit());
    assert!(app.token(&finished).is_ok(), "another app's user comes back all the same");
}

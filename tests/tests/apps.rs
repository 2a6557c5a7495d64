//! Custom OAuth apps of an account: the same requests as the SDK's, one app for one creation, and its secret
//! where it belongs.

#![cfg(unix)]

use serde_json::{Value, json};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::sandbox::{files, read};
use sso_agent_tests::{Agent, Finished, Provider, Sandbox, arguments, need, parts, token};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Seek, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const NO_PROVIDER: &str = "the OpenID provider is missing";
const NO_SDK: &str = "the Databricks SDK is missing";
const ACCOUNT: &str = "00000000-0000-0000-0000-000000000042";
const CALLBACK: &str = "https://host.domain/path/to/callback";
const PASSWORD: &str = "password";
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_sdk_and_sso_app_send_the_same_requests() {
    for shape in ["account", "unified"] {
        let place = need!("the SDK's requests", Place::shaped(shape), NO_PROVIDER);
        place.provider.set(&json!({"enrollment": true}));
        let token =
            place.sandbox.sso(["token", &place.provider.url, "--account-id", ACCOUNT]).ok().to_owned();
        let theirs = need!("the SDK's requests", place.by_sdk(&[], &token), NO_SDK);
        let ours = place.by_sso(&[], "");
        assert_eq!(ours.len(), 22, "{shape}");
        assert_same(&theirs, &ours);
    }
}

#[test]
fn a_name_and_a_password_make_the_requests_of_the_seed_where_they_are_taken() {
    let place = need!("passwords", Place::shaped("account"), NO_PROVIDER);
    place.provider.set(&json!({"enrollment": true, "passwords": true}));
    let theirs = need!("passwords", place.by_sdk(&["password"], PASSWORD), NO_SDK);
    let ours = place.by_sso(&["--username", "admin@example.com", "--password-stdin"], PASSWORD);
    assert!(ours.iter().all(|request| request["scheme"] == "Basic"), "{ours:?}");
    assert_same(&theirs, &ours);
}

#[test]
fn a_password_that_is_refused_is_told_since_when_there_are_none() {
    let place = need!("a refused password", Place::shaped("account"), NO_PROVIDER);
    let more = ["--username", "admin@example.com", "--password-stdin"];
    let refused = place.app_with(&["list"], &more, "hunter2-CANARY");
    refused.failed_with(6);
    assert!(refused.stderr.contains("2024-07-10"), "{refused:?}");
    assert!(
        refused.stderr.contains(&format!("sso login {} --account-id {ACCOUNT}", place.provider.url)),
        "{refused:?}"
    );
    place.app(&["list", "--username", "admin@example.com"]).failed_with(2);
    place.assert_nowhere("hunter2-CANARY");
}

#[test]
fn an_account_that_needs_no_enrolment_says_so_and_nothing_has_failed() {
    let place = need!("no enrolment", Place::shaped("account"), NO_PROVIDER);
    for command in ["enroll", "enrollment"] {
        let said = place.app(&[command]);
        assert!(said.ok().contains("not needed any more"), "{said:?}");
        assert!(said.stdout.contains("ENDPOINT_NOT_FOUND: No API found"), "{said:?}");
        let answer = place.app(&[command, "--json"]).json();
        assert_eq!((&answer["needed"], &answer["status"]), (&json!(false), &json!(404)));
    }
    place.provider.set(&json!({"enrollment": true}));
    assert!(place.app(&["enrollment"]).ok().contains("is enrolled"));
}

#[test]
fn a_client_does_it_for_one_call_and_leaves_no_session() {
    let sandbox = Sandbox::new();
    let provider = need!("a client", Provider::shaped("account", 3600), NO_PROVIDER);
    let agent = Some(Agent::start(&sandbox));
    let place = Place { sandbox, provider, agent };
    let nobody = place.app_with(&["list"], &[], "");
    nobody.failed_with(4);
    let more = ["--host", &place.provider.url, "--account-id", ACCOUNT, "--client-id", "sp-client"];
    let more = [&more[..], &["--client-secret-stdin"]].concat();
    assert_eq!(place.app_with(&["list", "--json"], &more, "dose-sp-secret").json(), json!({"apps": []}));
    assert_eq!(place.provider.count("client_credentials"), 1);
    assert_eq!(place.sandbox.sso(["status", "--json"]).json()["sessions"], json!([]));
    place.app_with(&["list"], &more, "dose-wrong-CANARY").failed_with(1);
    place.sandbox.write_databrickscfg(&format!(
        "[robot]\nhost = {}\naccount_id = {ACCOUNT}\nclient_id = sp-client\nclient_secret = dose-sp-secret\n",
        place.provider.url
    ));
    place.sandbox.sso(["config", "check"]);
    assert_eq!(place.app(&["list", "--json", "--profile", "robot"]).json(), json!({"apps": []}));
    fs::remove_file(place.sandbox.path("home/.databrickscfg")).unwrap();
    for secret in ["dose-sp-secret", "dose-wrong-CANARY"] {
        place.assert_nowhere(secret);
    }
}

#[test]
fn what_the_account_refuses_is_passed_on_plainly() {
    let place = need!("refusals", Place::shaped("account"), NO_PROVIDER);
    let missing = place.app(&["show", "11111111-1111-1111-1111-111111111111"]);
    missing.failed_with(1);
    assert!(missing.stderr.contains("NOT_FOUND"), "{missing:?}");
    let scopes = ["--scope", "sql", "--user-authorized-scope", "all-apis"];
    let wrong = place.app(&[&["create", "--name", "x", "--redirect-url", CALLBACK][..], &scopes].concat());
    assert!(
        wrong.stderr.contains("INVALID_PARAMETER_VALUE: user_authorized_scopes must be a subset"),
        "{wrong:?}"
    );
    place.provider.set(&json!({"admin": false}));
    let denied = place.app(&["list"]);
    denied.failed_with(6);
    assert!(
        denied.stderr.contains("PERMISSION_DENIED") && denied.stderr.contains("account admin"),
        "{denied:?}"
    );
}

#[test]
fn what_will_not_do_is_not_sent() {
    let place = need!("bad redirect URLs", Place::shaped("account"), NO_PROVIDER);
    place.provider.reset();
    for url in [
        "http://host.domain/cb",
        "https://*.domain/cb",
        "https://host.domain/cb#x",
        "https://u:p@host.domain/",
    ] {
        let refused = place.app(&["create", "--name", "x", "--redirect-url", url]);
        refused.failed_with(1);
        assert!(refused.stderr.contains("will not do"), "{refused:?}");
    }
    let create = ["create", "--name", "x", "--redirect-url", CALLBACK];
    for policy in
        [["--access-token-ttl", "4m"], ["--access-token-ttl", "25h"], ["--refresh-token-ttl", "91d"]]
    {
        place.app(&[&create[..], &policy].concat()).failed_with(2);
    }
    place
        .app(&[&create[..], &["--access-token-ttl", "2h", "--refresh-token-ttl", "1h"]].concat())
        .failed_with(2);
    assert!(place.provider.requests().is_empty());
}

#[test]
fn a_secret_that_is_kept_is_printed_nowhere_and_signs_in_by_the_apps_name() {
    let mut place = need!("a kept secret", Place::shaped("account"), NO_PROVIDER);
    let create = ["create", "--name", "awesome app", "--redirect-url", CALLBACK, "--confidential", "--keep"];
    let over = AtomicBool::new(false);
    let (created, lines) = thread::scope(|scope| {
        let watch = scope.spawn(|| arguments::watch(&over));
        let created = place.app(&create);
        over.store(true, Ordering::Relaxed);
        (created, watch.join().unwrap())
    });
    assert!(created.ok().contains("consent.start"), "{created:?}");
    let secrets = place.provider.secrets();
    let secret = secrets.iter().find(|secret| secret.starts_with("dose")).unwrap().clone();
    assert!(!format!("{created:?}").contains(&secret));
    assert!(lines.iter().all(|line| !line.contains(&secret)));
    place.assert_nowhere(&secret);
    let id = field(&created.stdout, "integration id");

    place.restart();
    let kept = place.app(&["kept", "--json"]).json();
    assert_eq!(kept["apps"][0]["name"], "awesome app");
    assert_eq!(
        (&kept["apps"][0]["confidential"], &kept["apps"][0]["integration_id"]),
        (&json!(true), &json!(id))
    );
    place.provider.reset();
    let twice = place.app(&create);
    twice.failed_with(2);
    assert!(twice.stderr.contains(&id), "{twice:?}");
    assert!(place.provider.requests().is_empty(), "it is told before anything is sent");

    place.app(&["update", "awesome app", "--redirect-url", "https://host.domain/new"]).ok();
    let started = place.call(
        "consent.start",
        &json!({"app": "awesome app", "host": place.provider.url, "account_id": ACCOUNT}),
    );
    let url = started["authorization_url"].as_str().unwrap_or_default().to_owned();
    let client = kept["apps"][0]["client_id"].as_str().unwrap();
    assert!(url.contains(&format!("client_id={client}")) && url.contains("host.domain%2Fnew"), "{started}");
    assert!(!started.to_string().contains(&secret));

    place.app(&["delete", "awesome app"]).ok();
    assert_eq!(place.app(&["kept", "--json"]).json(), json!({"apps": []}));
    assert!(files(&place.sandbox.state().join("apps")).is_empty());
    place.app(&["forget", "awesome app"]).failed_with(7);
}

#[test]
fn a_secret_that_is_not_kept_is_printed_once_and_stands_nowhere_else() {
    let place = need!("a printed secret", Place::shaped("unified"), NO_PROVIDER);
    let created =
        place.app(&["create", "--name", "a", "--redirect-url", CALLBACK, "--confidential", "--json"]);
    let secret = created.json()["client_secret"].as_str().unwrap().to_owned();
    assert!(place.provider.secrets().contains(&secret));
    assert_eq!(created.stderr, "", "nobody looks on");
    place.assert_nowhere(&secret);
    place.app(&["create", "--name", "a", "--redirect-url", CALLBACK]).ok();
    let several = place.app(&["show", "a"]);
    several.failed_with(2);
    assert!(several.stderr.contains("several apps are called"), "{several:?}");
}

#[test]
fn a_creation_whose_answer_is_lost_is_found_and_not_repeated() {
    let mut place = need!("a lost answer", Place::shaped("account"), NO_PROVIDER);
    let create = ["create", "--name", "a", "--redirect-url", CALLBACK, "--confidential"];
    place.app(&create).ok();
    place.provider.set(&json!({"reset": true, "app_answer": "lost"}));
    place.app(&create).failed_with(5);
    place.provider.set(&json!({"app_answer": "json"}));
    place.restart();
    let found = place.app(&create);
    found.failed_with(2);
    let apps = place.app(&["list", "--json"]).json();
    let orphan = apps["apps"][1]["integration_id"].as_str().unwrap();
    assert!(found.stderr.contains(&format!("sso app delete {orphan}")), "{found:?}");
    assert_eq!(place.posts(), 1);

    place.app(&["delete", orphan]).ok();
    place.app(&create).ok();
    let (posts, asked) = (place.posts(), place.provider.requests().len());
    assert_eq!(posts, 2);
    place.app(&create).ok();
    assert_eq!(place.provider.requests().len(), asked + 1, "nobody looks for what is not lost");
}

#[test]
fn whoever_hangs_up_or_is_killed_neither_loses_what_is_to_be_kept_nor_makes_a_second_app() {
    let mut place = need!("hanging up", Place::shaped("account"), NO_PROVIDER);
    place.provider.set(&json!({"reset": true, "app_delay_ms": 500}));
    place.begin("kept", true);
    until(|| place.app(&["kept", "--json"]).json()["apps"][0]["name"] == "kept");
    let twice = |place: &Place, name: &str| {
        let again = place.app(&["create", "--name", name, "--redirect-url", CALLBACK, "--keep"]);
        again.failed_with(2);
        assert!(again.stderr.contains("sso app delete"), "{again:?}");
    };
    place.begin("lost", false);
    twice(&place, "lost");
    place.begin("killed", true);
    place.restart();
    twice(&place, "killed");
    assert_eq!(place.posts(), 3);
}

#[test]
fn which_account_is_meant_is_never_guessed() {
    let place = need!("several sessions", Place::shaped("account"), NO_PROVIDER);
    place.sandbox.sso(["login", &place.provider.url, "--account-id", ACCOUNT, "--as", "work"]).ok();
    place.provider.reset();
    let several = place.app(&["list"]);
    several.failed_with(2);
    assert!(several.stderr.contains("#work"), "{several:?}");
    let workspace = place.app(&["list", "--host", "adb-1.2.azuredatabricks.net", "--account-id", ACCOUNT]);
    assert!(workspace.stderr.contains("--host accounts.azuredatabricks.net"), "{workspace:?}");
    place.app(&["list", "--account-id", "00000000-0000-0000-0000-000000000043"]).failed_with(4);
    assert!(place.provider.requests().is_empty());
    place.app(&["list", "--as", "work"]).ok();
    place.app(&["list", "--host", &place.provider.url, "--account-id", ACCOUNT]).ok();
}

#[test]
fn users_sign_in_to_an_app_that_is_kept_by_its_name_alone() {
    let place = need!("a kept app's users", Place::shaped("account"), NO_PROVIDER);
    let web_app = TcpListener::bind("127.0.0.1:0").unwrap();
    let callback = format!("http://127.0.0.1:{}/cb", web_app.local_addr().unwrap().port());
    let create = ["create", "--name", "awesome-app", "--redirect-url", &callback, "--confidential", "--keep"];
    place.app(&[&create[..], &["--scope", "all-apis", "--scope", "offline_access"]].concat()).ok();

    let elsewhere = json!({"app": "awesome-app", "host": "https://evil.example"});
    let refused = place.refused("consent.start", &elsewhere);
    assert_eq!(refused["data"]["kind"], "unsupported", "{refused}");
    let host = json!({"app": "awesome-app", "host": place.provider.url, "account_id": ACCOUNT});
    let started = place.call("consent.start", &host);
    let url = started["authorization_url"].as_str().unwrap().to_owned();
    let mut browser = place.sandbox.command(parts::program("follow"));
    let mut browser = browser.arg(url).env("SSO_TEST_USER", "ada@example.com").spawn().unwrap();
    let path = visited(&web_app);
    browser.wait().unwrap();

    let back = json!({"consent": started["consent"], "callback_url": format!("{}{path}", callback.trim_end_matches("/cb"))});
    let finished = place.call("consent.finish", &back);
    assert_eq!(finished["user"], "ada@example.com", "{finished}");
    let token = place.call("token.get", &json!({"handle": finished["handle"]}));
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(token::user(token).as_deref(), Some("ada@example.com"));
    for secret in place.provider.secrets() {
        place.assert_nowhere(&secret);
    }
}

/// What a browser asks a web app for; it gets a page.
fn visited(web_app: &TcpListener) -> String {
    let (mut stream, _) = web_app.accept().expect("a browser comes");
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).expect("it asks for something");
    let page = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(page).expect("it waits for the page");
    line.split(' ').nth(1).expect("a path").to_owned()
}

#[track_caller]
fn until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "it does not happen");
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// An account with its admin signed in.
struct Place {
    sandbox: Sandbox,
    provider: Provider,
    agent: Option<Agent>,
}

impl Place {
    fn shaped(shape: &str) -> Option<Self> {
        let sandbox = Sandbox::new();
        let provider = Provider::shaped(shape, 3600)?;
        let agent = Some(Agent::start(&sandbox));
        sandbox.sso(["login", &provider.url, "--account-id", ACCOUNT]).ok();
        Some(Self { sandbox, provider, agent })
    }

    /// Asks for an app, and hangs up when the account has heard of it.
    fn begin(&self, name: &str, keep: bool) {
        let params = json!({"name": name, "redirect_urls": [CALLBACK], "confidential": true, "keep": keep});
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "app.create", "params": params});
        let before = self.posts();
        let mut stream = UnixStream::connect(self.sandbox.socket()).expect("the agent runs");
        stream.write_all(format!("{request}\n").as_bytes()).expect("it reads");
        until(|| self.posts() > before);
    }

    /// As after a power cut.
    fn restart(&mut self) {
        self.agent = None;
        self.agent = Some(Agent::start(&self.sandbox));
    }

    fn app(&self, args: &[&str]) -> Finished {
        self.app_with(args, &[], "")
    }

    fn app_with(&self, args: &[&str], more: &[&str], stdin: &str) -> Finished {
        let mut command = self.sandbox.sso_command();
        Finished::of(command.arg("app").args(args).args(more).stdin(piped(stdin)))
    }

    fn call(&self, method: &str, params: &Value) -> Value {
        let mut connection = Connection::open(&self.sandbox.socket()).expect("the agent runs");
        connection.call(method, params).expect("it answers").expect("it does it")
    }

    fn refused(&self, method: &str, params: &Value) -> Value {
        let mut connection = Connection::open(&self.sandbox.socket()).expect("the agent runs");
        connection.call(method, params).expect("it answers").expect_err("it refuses")
    }

    fn posts(&self) -> usize {
        self.provider.requests().iter().filter(|request| request["method"] == "POST").count()
    }

    /// What the SDK asks for; nothing where it is missing.
    fn by_sdk(&self, way: &[&str], secret: &str) -> Option<Vec<Value>> {
        let python = parts::fetched("venv")?.join("bin/python");
        self.provider.reset();
        let mut command = self.sandbox.command(python);
        command.arg(parts::source().join("tests/clients/account_apps.py"));
        command.args([&self.provider.url, ACCOUNT]).args(way);
        Finished::of(command.stdin(piped(secret))).ok();
        Some(self.provider.requests())
    }

    /// The same with our own commands.
    fn by_sso(&self, more: &[&str], secret: &str) -> Vec<Value> {
        self.provider.reset();
        let where_to = ["--host", self.provider.url.as_str(), "--account-id", ACCOUNT];
        let more = [&where_to[..], more].concat();
        let run = |args: &[&str]| self.app_with(args, &more, secret);
        let create = |args: &[&str]| {
            field(run(&[&["create", "--redirect-url", CALLBACK], args].concat()).ok(), "integration id")
        };
        let first = create(&["--name", "awesome-app", "--confidential"]);
        let policy = ["--access-token-ttl", "1h", "--refresh-token-ttl", "90d", "--session-lifetime", "30d"];
        let tuned = ["--redirect-url", "http://localhost:8080/cb?a=b", "--scope", "all-apis", "--scope"];
        let tuned =
            [&tuned[..], &["offline_access", "--user-authorized-scope", "all-apis"], &policy].concat();
        let second = create(&[&["--name", "tuned app", "--single-use-refresh-tokens"], &tuned[..]].concat());
        let third = create(&["--name", "third"]);
        assert_eq!(run(&["list", "--json"]).json()["apps"].as_array().map(Vec::len), Some(3));
        assert!(run(&["list", "--page-size", "2", "--creators"]).ok().contains("third"));
        assert!(
            run(&["show", &second]).ok().contains("token_access_policy.refresh_token_ttl_in_minutes: 129600")
        );
        run(&["update", &first, "--redirect-url", "https://other.domain/cb", "--scope", "sql"]).ok();
        run(&["update", &second, "--access-token-ttl", "5m"]).ok();
        assert!(run(&["show", &first]).ok().contains("https://other.domain/cb"));
        for id in [&first, &second, &third] {
            run(&["delete", id]).ok();
        }
        run(&["show", &first]).failed_with(1);
        assert!(run(&["published", "catalogue", "--page-size", "2"]).ok().contains("databricks-dbt-adapter"));
        let added = run(&["published", "add", "power-bi", "--refresh-token-ttl", "1h"]);
        let added = field(added.ok(), "integration id");
        assert!(run(&["published", "list"]).ok().contains(&added));
        run(&["published", "update", &added, "--access-token-ttl", "30m"]).ok();
        run(&["published", "remove", &added]).ok();
        run(&["enroll"]).ok();
        assert!(run(&["enrollment"]).ok().contains("is enrolled"));
        self.provider.requests()
    }

    /// Neither in a log nor in a file.
    #[track_caller]
    fn assert_nowhere(&self, secret: &str) {
        assert!(!self.sandbox.logs().contains(secret), "it is in the log");
        for file in files(&self.sandbox.path("home")).iter().chain(&files(&self.sandbox.path("run"))) {
            let text = read(file);
            let there = text.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!there, "it is in {}", file.display());
        }
    }
}

/// A text as the stdin of a program; it has no name that could be looked up.
fn piped(text: &str) -> Stdio {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(text.as_bytes()).and_then(|()| file.rewind()).expect("it can be written");
    file.into()
}

/// Method, path, query and body of each, field by field. Ids are drawn by lot, so each is called by the order
/// in which it comes up.
#[track_caller]
fn assert_same(theirs: &[Value], ours: &[Value]) {
    let (theirs, ours) = (numbered(theirs), numbered(ours));
    assert_eq!(theirs.len(), ours.len(), "{theirs:#?}\n{ours:#?}");
    for (one, other) in theirs.iter().zip(&ours) {
        for part in ["method", "path", "query", "body", "scheme", "content_type"] {
            assert_eq!(one[part], other[part], "{part} of {one} and {other}");
        }
    }
}

fn numbered(requests: &[Value]) -> Vec<Value> {
    let mut names = BTreeMap::new();
    let mut renamed = requests.to_vec();
    for request in &mut renamed {
        let path = request["path"].as_str().expect("a path").to_owned();
        if let Some((kind, id)) = path.split_once("-integrations/") {
            let next = names.len();
            let number = *names.entry(id.to_owned()).or_insert(next);
            request["path"] = json!(format!("{kind}-integrations/{number}"));
        }
    }
    renamed
}

/// What stands behind a name in what was printed.
#[track_caller]
fn field(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    assert!(line.is_some(), "there is no {name} in {text}");
    line.unwrap_or_default().to_owned()
}

//! Canaries in memory: what the issuer and the agent alone should know is looked for in every process of
//! the agent, in all of its writable memory, while it goes through everything that can happen to it.
//!
//! Only root can look; anybody else leaves these out.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as it may")]

use serde_json::{Value, json};
use sso_agent::demo::{Consent, Fault, Issuer, Options};
use sso_agent_tests::memory::{Needles, family, writable};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::sandbox::{files, read};
use sso_agent_tests::{Agent, Provider, Sandbox, http, need, parts};
use std::collections::BTreeSet;
use url::Url;

const CLIENT_SECRET: &str = "dose-canary-secret-of-a-client-0123456789";

/// An agent that is watched.
struct Cage {
    sandbox: Sandbox,
    issuer: Issuer,
    agent: Option<Agent>,
    host: String,
    /// What else must not be found.
    more: Vec<String>,
}

impl Cage {
    /// `None` for whoever may not look.
    fn new(options: Options) -> Option<Self> {
        if !parts::is_root() {
            parts::leave_out("canaries in memory", "only root can look into other processes");
            return None;
        }
        let sandbox = Sandbox::new();
        let issuer = Issuer::start_in_thread(options).unwrap();
        let agent = Agent::start(&sandbox);
        let host = issuer.url();
        Some(Self { sandbox, issuer, agent: Some(agent), host, more: Vec::new() })
    }

    fn pid(&self) -> u32 {
        self.agent.as_ref().unwrap().pid()
    }

    fn needles(&self) -> Needles {
        let issued = self.issuer.secrets().into_iter().chain(self.more.iter().cloned());
        Needles::new(issued.enumerate().map(|(n, secret)| (format!("secret {n} ({:.5}…)", secret), secret)))
    }

    /// Nothing is found, anywhere.
    #[track_caller]
    fn is_clean(&self, when: &str) {
        // Whatever is under way comes to its end first: the agent answers in order.
        self.call("agent.info", &json!({})).unwrap();
        let needles = self.needles();
        let mut found = BTreeSet::new();
        for pid in family(self.pid()) {
            found.extend(needles.in_process(pid));
        }
        for folder in ["home", "run", "log"] {
            for file in files(&self.sandbox.path(folder)) {
                let names = needles.in_bytes(&read(&file));
                found.extend(names.iter().map(|name| format!("{}: {name}", file.display())));
            }
        }
        assert!(found.is_empty(), "{when}: {found:#?}");
    }

    fn call(&self, method: &str, params: &Value) -> Result<Value, Value> {
        Connection::open(&self.sandbox.socket()).unwrap().call(method, params).unwrap()
    }

    fn refresh(&self) -> Result<Value, Value> {
        let id = self.call("token.get", &json!({"min_valid_s": 0}))?["token_id"].clone();
        self.call("token.get", &json!({"refused": id, "wait_s": 3}))
    }
}

fn auto() -> Options {
    Options { consent: Consent::Auto, ..Options::default() }
}

#[test]
fn a_sign_in_and_its_refreshes_leave_nothing_in_memory() {
    let Some(cage) = Cage::new(auto()) else { return };
    cage.sandbox.sso(["login", &cage.host]).ok();
    assert!(cage.issuer.secrets().len() >= 3, "a code, a verifier, a refresh token");
    cage.is_clean("signed in");
    for _ in 0..3 {
        cage.refresh().unwrap();
    }
    cage.is_clean("refreshed three times");
    let tokens = cage.issuer.access_tokens().into_iter().map(|token| ("an access token", token));
    assert!(!Needles::new(tokens).in_process(cage.pid()).is_empty(), "what is there is found");
    cage.call("agent.lock", &json!({"passphrase": CLIENT_SECRET})).unwrap();
    cage.is_clean("locked");
    cage.call("agent.unlock", &json!({"passphrase": CLIENT_SECRET})).unwrap();
    cage.sandbox.sso(["logout", &cage.host]).ok();
    cage.is_clean("signed out");
}

#[test]
fn a_passphrase_is_in_memory_for_as_long_as_it_is_hashed() {
    let Some(mut cage) = Cage::new(auto()) else { return };
    cage.more.push("correct horse battery staple".to_owned());
    let words = json!({"passphrase": cage.more[0]});
    cage.call("agent.lock", &words).unwrap();
    cage.is_clean("locked");
    assert!(cage.call("agent.unlock", &json!({"passphrase": "a wrong one"})).is_err());
    cage.call("agent.unlock", &words).unwrap();
    cage.is_clean("unlocked");
}

#[test]
fn refreshes_that_fail_leave_nothing_in_memory() {
    let Some(cage) = Cage::new(auto()) else { return };
    let status = |code, body: &str| Fault::Status {
        code,
        retry_after: None,
        content_type: "text/html".into(),
        body: body.into(),
    };
    let faults = [
        status(500, "broken"),
        status(503, ""),
        Fault::HtmlOk,
        Fault::Truncated,
        Fault::EmptyOk,
        Fault::InvalidUtf8,
        Fault::HugeBody(2 << 20),
        Fault::Redirect("http://127.0.0.1:9/".into()),
        Fault::DropBeforeCommit,
        Fault::NoExpiresIn,
        Fault::NoRefreshToken,
        Fault::WrongTokenType,
        Fault::ExpiresIn(json!("soon")),
        Fault::OAuthError { status: 401, error: "invalid_client".into(), description: None },
        Fault::LoseAnswer,
        Fault::CutOff,
        Fault::OAuthError { status: 400, error: "invalid_grant".into(), description: Some("gone".into()) },
    ];
    for fault in faults {
        let name = format!("{fault:?}");
        cage.sandbox.sso(["login", &cage.host]).ok();
        cage.issuer.inject_times(fault, 2);
        // How it ends is not what this is about.
        let _ = cage.refresh();
        cage.issuer.clear_faults();
        cage.is_clean(&name);
    }
}

#[test]
fn a_sign_in_that_waits_and_one_that_is_called_off_leave_nothing_in_memory() {
    let Some(cage) = Cage::new(auto()) else { return };
    let mut client = Connection::open(&cage.sandbox.socket()).unwrap();
    let started = client.begin("session.login", &json!({"host": cage.host})).unwrap();
    let link: Url = started["params"]["url"].as_str().unwrap().parse().unwrap();
    // The browser is at the issuer's page, and nobody clicks. What the verifier is, nobody knows by then.
    let address = http::send(&link, &[], None).unwrap().header("location").unwrap().to_owned();
    cage.call("agent.info", &json!({})).unwrap();
    let waiting: Vec<_> = family(cage.pid()).into_iter().flat_map(writable).collect();
    sso_agent::demo::follow(&address).unwrap();
    while client.notice().unwrap().get("result").is_none() {}
    assert!(cage.issuer.secrets().len() >= 3, "a code, a verifier, a refresh token");
    let found = cage.needles().in_memory(&waiting);
    assert!(found.is_empty(), "while it waited: {found:#?}");
    cage.is_clean("signed in");

    let mut client = Connection::open(&cage.sandbox.socket()).unwrap();
    client.begin("session.login", &json!({"host": cage.host})).unwrap();
    drop(client);
    cage.is_clean("called off");
}

#[test]
fn a_program_and_its_secret_leave_nothing_in_memory() {
    const SECRET: &str = "dose-sp-secret";
    if !parts::is_root() {
        return parts::leave_out("canaries in memory", "only root can look into other processes");
    }
    let provider = need!("a program's secret", Provider::start(3600), "the OpenID provider is missing");
    let sandbox = Sandbox::new();
    let agent = Agent::start(&sandbox);
    let needles = Needles::new([("the secret of the client", SECRET)]);
    let clean = |when: &str| {
        let found: Vec<_> = family(agent.pid()).iter().flat_map(|pid| needles.in_process(*pid)).collect();
        assert!(found.is_empty(), "{when}: {found:#?}");
        assert!(needles.in_bytes(sandbox.logs().as_bytes()).is_empty(), "{when}: in the log");
        for file in files(&sandbox.state()) {
            assert!(needles.in_bytes(&read(&file)).is_empty(), "{when}: {}", file.display());
        }
    };
    let call = |method: &str, params: Value| {
        Connection::open(&sandbox.socket()).unwrap().call(method, &params).unwrap().unwrap()
    };
    sandbox.write_databrickscfg(&format!(
        "[robot]\nhost = {}\nclient_id = sp-client\nclient_secret = {SECRET}\n",
        provider.url
    ));
    call("agent.reload", json!({}));
    clean("the profile is read");
    let first = call("token.get", json!({"profile": "robot"}));
    clean("signed in");
    call("token.get", json!({"profile": "robot", "refused": first["token_id"]}));
    clean("renewed");
    call("session.logout", json!({"profile": "robot"}));
    clean("signed out");
}

#[test]
fn a_web_apps_user_leaves_nothing_in_memory() {
    let options = Options { client_secret: Some(CLIENT_SECRET.into()), ..auto() };
    let Some(mut cage) = Cage::new(options) else { return };
    let callback = "http://localhost:5000/callback";
    let start = json!({"host": cage.host, "client_id": "my-app", "client_secret": CLIENT_SECRET,
        "redirect_url": callback, "scopes": ["all-apis", "offline_access"]});
    let begun = cage.call("consent.start", &start).unwrap();
    cage.is_clean("waiting for the user");
    let address: Url = begun["authorization_url"].as_str().unwrap().parse().unwrap();
    let back = http::send(&address, &[], None).unwrap().header("location").unwrap().to_owned();
    let finish = json!({"consent": begun["consent"], "callback_url": back});
    let finished = cage.call("consent.finish", &finish).unwrap();
    cage.is_clean("signed in");
    let handle = finished["handle"].as_str().unwrap().to_owned();
    cage.call("token.get", &json!({"handle": handle})).unwrap();
    cage.more.push(handle.clone());
    cage.is_clean("a token was fetched");
    cage.call("consent.end", &json!({"handle": handle})).unwrap();
    cage.is_clean("ended");
}

#[test]
fn an_import_and_a_restart_leave_nothing_in_memory() {
    let Some(mut cage) = Cage::new(auto()) else { return };
    cage.sandbox.sso(["login", &cage.host]).ok();
    let before: BTreeSet<_> = cage.issuer.secrets().into_iter().collect();
    cage.refresh().unwrap();
    let fresh = cage.issuer.secrets().into_iter().find(|secret| !before.contains(secret)).unwrap();
    let import = json!({"host": cage.host, "label": "imported", "refresh_token": fresh});
    cage.call("session.import", &import).unwrap();
    cage.is_clean("imported");
    cage.agent.take().unwrap().kill();
    cage.agent = Some(Agent::start(&cage.sandbox));
    cage.is_clean("killed and started");
}

#[test]
fn what_other_tools_keep_in_the_environment_is_not_kept() {
    if !parts::is_root() {
        return parts::leave_out("the environment", "only root can look into other processes");
    }
    let mut sandbox = Sandbox::new();
    let secret = "dapi-canary-0123456789abcdef";
    for name in ["DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY"] {
        sandbox.set(name, secret);
    }
    let keys = sandbox.path("keys.log");
    sandbox.set("SSLKEYLOGFILE", keys.display().to_string());
    let agent = Agent::start(&sandbox);
    let needles = Needles::new([("a token in the environment", secret), ("a key log", "SSLKEYLOGFILE=")]);
    for pid in family(agent.pid()) {
        let found = needles.in_process(pid);
        assert!(found.is_empty(), "{found:#?}");
    }
    assert!(!keys.exists());
    let name = std::fs::read_to_string(format!("/proc/{}/comm", agent.pid())).unwrap();
    assert_eq!(name.trim_end(), "sso-agent", "it goes by its name, though it began anew");
    let arguments = std::fs::read(format!("/proc/{}/cmdline", agent.pid())).unwrap();
    assert!(arguments.ends_with(b"sso-agent\0run\0"), "{}", String::from_utf8_lossy(&arguments));
}

#[test]
fn another_process_of_the_same_user_cannot_look() {
    let (Some(setpriv), true) = (parts::system("setpriv"), parts::is_root()) else {
        return parts::leave_out("the same user looks", "setpriv is missing, or this is not root");
    };
    let sandbox = Sandbox::new();
    let nobody = "65534";
    let chown = std::process::Command::new("chown").args(["-R", nobody]).arg(sandbox.path("")).status();
    assert!(chown.unwrap().success());
    let as_nobody = |program: &str| {
        let mut command = sandbox.command(&setpriv);
        command.args(["--reuid", nobody, "--regid", nobody, "--clear-groups", program]);
        command
    };
    let copy = sandbox.path("run/agent-of-nobody");
    std::fs::copy(parts::program("sso-agent"), &copy).unwrap();
    let mut command = as_nobody(copy.to_str().unwrap());
    command.arg("run");
    std::fs::set_permissions(sandbox.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let agent = Agent::spawn(&sandbox, command).unwrap();
    for file in ["environ", "mem", "maps", "fd", "io"] {
        let path = format!("/proc/{}/{file}", agent.pid());
        let mut look = as_nobody("sh");
        let said =
            sso_agent_tests::Finished::of(look.args(["-c", &format!("ls {path}/ || head -c 1 {path}")]));
        assert_ne!(said.code, Some(0), "{file}: {said:?}");
        assert!(said.stderr.contains("Permission denied"), "{file}: {said:?}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", agent.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
}

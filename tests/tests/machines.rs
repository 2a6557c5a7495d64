//! Programs that sign in as themselves: by a secret, by a token of their platform, by what stands in a
//! file. Their secrets stay where they are.

#![cfg(unix)]

use sso_agent_tests::herd::Herd;
use sso_agent_tests::sandbox::{files, read};
use sso_agent_tests::{Agent, Finished, Provider, Sandbox, need, token};
use std::fs;
use std::process::Stdio;

const NO_PROVIDER: &str = "the OpenID provider is missing";
const SECRET: &str = "dose-sp-secret";

#[test]
fn a_secret_on_stdin_signs_in_for_good_and_stands_nowhere() {
    let sandbox = Sandbox::new();
    let provider = need!("a secret on stdin", Provider::start(4), NO_PROVIDER);
    let url = &provider.url;
    let agent = Agent::start(&sandbox);
    fs::write(sandbox.path("secret.txt"), format!("{SECRET}\n")).unwrap();
    let mut login = sandbox.sso_command();
    login.args(["login", url, "--client-id", "sp-client", "--client-secret-stdin"]);
    let stdin = fs::File::open(sandbox.path("secret.txt")).unwrap();
    let said = Finished::of(login.stdin(Stdio::from(stdin)));
    assert!(said.ok().contains("as sp-client"), "{said:?}");
    fs::remove_file(sandbox.path("secret.txt")).unwrap();

    let first = sandbox.sso(["token", url]).ok().to_owned();
    agent.kill();
    let _agent = Agent::start(&sandbox);
    token::outlive(&first);
    let second = sandbox.sso(["token", url]).ok().to_owned();
    assert_ne!(second, first, "it renews by itself, also after a restart");
    assert_eq!((provider.judge(&second), provider.count("authorizations")), (200, 0));
    assert_nowhere(&sandbox, SECRET);
    assert!(!format!("{said:?}").contains(SECRET));
}

#[test]
fn nothing_on_stdin_is_no_secret() {
    let sandbox = Sandbox::new();
    let mut login = sandbox.sso_command();
    let empty = Finished::of(login.args(["login", "a.example", "--client-id", "c", "--client-secret-stdin"]));
    empty.failed_with(2);
    assert!(empty.stderr.contains("no client secret on stdin"), "{empty:?}");
}

#[test]
fn a_crowd_that_asks_for_a_program_signs_it_in_once() {
    let sandbox = Sandbox::new();
    let provider = need!("a crowd", Provider::start(3600), NO_PROVIDER);
    sandbox.write_databrickscfg(&robot(&provider.url, SECRET));
    let _agent = Agent::start(&sandbox);
    let tokens = Herd::gather(&sandbox, 50, &["token", "--profile", "robot"]).release().finish();
    assert!(tokens.iter().all(|one| one.ok() == tokens[0].ok()));
    assert_eq!(provider.count("client_credentials"), 1);
}

#[test]
fn a_changed_secret_signs_in_anew_and_one_that_is_gone_is_not_used_any_more() {
    let sandbox = Sandbox::new();
    let provider = need!("changed secrets", Provider::start(3600), NO_PROVIDER);
    let _agent = Agent::start(&sandbox);
    let ask = |secret: &str| {
        sandbox.write_databrickscfg(&robot(&provider.url, secret));
        sandbox.sso(["config", "check"]);
        sandbox.sso(["token", "--profile", "robot"])
    };
    ask(SECRET).ok();
    let wrong = ask("dose-wrong");
    assert_eq!(wrong.code, Some(1), "the token of before is not given for other settings: {wrong:?}");
    let asked = provider.count("token_requests");
    sandbox.sso(["token", "--profile", "robot"]).failed_with(1);
    assert_eq!(provider.count("token_requests"), asked, "a no counts for a minute");
    ask(SECRET).ok();

    sandbox.write_databrickscfg("[other]\nhost = https://other.example.com\n");
    sandbox.sso(["config", "check"]);
    sandbox.sso(["token", "--profile", "robot"]).failed_with(7);
    assert!(!sandbox.sso(["status"]).stdout.contains("robot"), "it is forgotten");
}

#[test]
fn a_variable_of_whoever_signs_in_is_exchanged() {
    let sandbox = Sandbox::new();
    let provider = need!("a variable", Provider::start(3600), NO_PROVIDER);
    sandbox.write_databrickscfg(&format!("[job]\nhost = {}\nauth_type = env-oidc\n", provider.url));
    let _agent = Agent::start(&sandbox);
    let missing = sandbox.sso(["token", "--profile", "job"]);
    missing.failed_with(4);
    assert!(missing.stderr.contains("DATABRICKS_OIDC_TOKEN"), "{missing:?}");

    let subject = provider.subject("job-8");
    let mut login = sandbox.sso_command();
    login.args(["login", "--profile", "job"]).env("DATABRICKS_OIDC_TOKEN", &subject);
    Finished::of(&mut login).ok();
    let token = sandbox.sso(["token", "--profile", "job"]).ok().to_owned();
    assert_eq!(token::user(&token).as_deref(), Some("job-8"));
    assert_nowhere(&sandbox, &subject);
}

#[test]
fn programs_and_plain_tokens_serve_commands_in_every_way() {
    let sandbox = Sandbox::new();
    let provider = need!("commands", Provider::start(3600), NO_PROVIDER);
    let url = &provider.url;
    sandbox.write_databrickscfg(&format!(
        "{}\n[old]\nhost = {url}\ntoken = dapi0123456789\n",
        robot(url, SECRET)
    ));
    let _agent = Agent::start(&sandbox);
    let show = "echo $DATABRICKS_HOST $DATABRICKS_TOKEN";
    let exec = |profile: &str| sandbox.sso(["exec", "--profile", profile, "--", "sh", "-c", show]);
    assert_eq!(exec("old").ok(), format!("{url} dapi0123456789"));
    assert!(exec("robot").ok().starts_with(&format!("{url} eyJ")));
    for (profile, begins) in [("old", "dapi"), ("robot", "eyJ")] {
        let address = sandbox.sso(["metadata-url", "--profile", profile]).ok().to_owned();
        let mut curl = sandbox.command("curl");
        curl.args(["--silent", "-H", "X-Databricks-Metadata-Version: 1", "-H"]);
        let answer = Finished::of(curl.arg(format!("X-Databricks-Host: {url}")).arg(&address)).json();
        assert!(answer["access_token"].as_str().is_some_and(|token| token.starts_with(begins)), "{answer}");
        assert!(answer["expires_on"].is_i64(), "{answer}");
        let path = address.rsplit('/').next().unwrap();
        assert_nowhere(&sandbox, path);
    }
    assert_nowhere(&sandbox, "dapi0123456789");
}

fn robot(url: &str, secret: &str) -> String {
    format!("[robot]\nhost = {url}\nclient_id = sp-client\nclient_secret = {secret}\n")
}

/// Neither in a log nor in a file of the agent's.
#[track_caller]
fn assert_nowhere(sandbox: &Sandbox, secret: &str) {
    assert!(!sandbox.logs().contains(secret), "it is in the log");
    for file in files(&sandbox.state()).iter().chain(&files(&sandbox.path("run"))) {
        let text = read(file);
        let there = text.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!there, "it is in {}", file.display());
    }
}

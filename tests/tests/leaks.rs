//! Canaries: what the provider and the agent alone should know is looked for everywhere else.
//!
//! The provider keeps a list of every code, verifier and refresh token that it has seen or made. The
//! scenario has a sign-in, renewals, a careless server that repeats what it was sent, a rejection, a
//! kill and a sign-out, at the most verbose level, while every process's arguments are watched.

#![cfg(unix)]

use serde_json::json;
use sso_agent_tests::sandbox::{files, read};
use sso_agent_tests::{Agent, Finished, Provider, Sandbox, arguments, need, token};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn no_secret_is_in_logs_arguments_errors_or_files() {
    let sandbox = Sandbox::new();
    let provider = need!("the canaries", Provider::start(4), "the OpenID provider is missing");
    let over = AtomicBool::new(false);

    let (said, tokens, lines) = thread::scope(|scope| {
        let watch = scope.spawn(|| arguments::watch(&over));
        let (said, tokens) = scenario(&sandbox, &provider);
        over.store(true, Ordering::Relaxed);
        (said, tokens, watch.join().unwrap())
    });

    let secrets = provider.secrets();
    assert!(secrets.len() >= 6, "a code, a verifier and some refresh tokens: {}", secrets.len());
    let logs = sandbox.logs();
    assert!(logs.contains("TRACE") || logs.contains("DEBUG"), "the log is verbose");
    assert!(lines.iter().any(|line| line.contains("sso-agent")), "processes were watched");
    let mut found = BTreeSet::new();
    let mut nowhere = |what: &str, text: &[u8], secrets: &[String]| {
        for secret in secrets {
            if contains(text, secret) {
                found.insert(format!("{what}: {}", around(text, secret)));
            }
        }
    };
    for secrets in [&secrets, &tokens] {
        nowhere("the log", logs.as_bytes(), secrets);
        for line in &lines {
            nowhere("a process's arguments", line.as_bytes(), secrets);
        }
        for file in files(&sandbox.path("home")).iter().chain(&files(&sandbox.path("run"))) {
            nowhere(&file.display().to_string(), &read(file), secrets);
        }
    }
    for text in &said {
        nowhere("what the command line said", text.as_bytes(), &secrets);
    }
    assert!(found.is_empty(), "secrets in {found:#?}");
}

/// Gives all that was printed, and the access tokens that were handed out.
fn scenario(sandbox: &Sandbox, provider: &Provider) -> (Vec<String>, Vec<String>) {
    let mut said = Vec::new();
    let mut run = |args: &[&str]| {
        let Finished { stdout, stderr, .. } = sandbox.sso(args);
        said.extend([stdout.clone(), stderr]);
        stdout.trim_end().to_owned()
    };
    let url = provider.url.as_str();
    let agent = Agent::start(sandbox);
    run(&["login", url]);
    let first = run(&["token", url]);
    token::outlive(&first);
    let second = run(&["token", url]);

    provider.set(&json!({"token_fault": {"status": 500, "content_type": "text/plain", "echo": true, "body": "failed: ECHO"}}));
    token::outlive(&second);
    agent.kill();
    let agent = Agent::start(sandbox);
    run(&["status", "--json"]);
    run(&["status"]);
    provider.set(&json!({"token_fault": null}));
    let third = run(&["token", url]);
    run(&["logout", url]);

    run(&["login", url]);
    let fourth = run(&["token", url]);
    provider.set(&json!({"token_fault": {"status": 400, "content_type": "application/json", "echo": true,
        "body": r#"{"error":"invalid_grant","error_description":"unknown: ECHO"}"#}}));
    token::outlive(&fourth);
    run(&["token", url]);
    run(&["--json", "token", url]);
    run(&["status", "--json"]);
    agent.stop();
    (said, [first, second, third, fourth].into_iter().filter(|token| token.len() > 20).collect())
}

/// The line that it is in, without it.
fn around(text: &[u8], secret: &str) -> String {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().find(|line| line.contains(secret)).unwrap_or("(not as plain text)");
    line.replace(secret, "<the secret>")
}

fn contains(text: &[u8], secret: &str) -> bool {
    // As it is, and as it stands in a URL or in JSON.
    [secret.to_owned(), secret.replace('/', "%2F"), secret.replace('/', "\\/")]
        .iter()
        .any(|form| text.windows(form.len()).any(|part| part == form.as_bytes()))
}

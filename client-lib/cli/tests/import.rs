//! `sso import` in a home where other tools have signed in.

mod common;

use std::{
    fs,
    path::Path,
    sync::{Arc, OnceLock},
};

use common::{Answer, home::Home};
use serde_json::{Value, json};

const CACHE: &str = ".databricks/token-cache.json";
const PROFILES: &str =
    "[work]\nhost = https://adb-1.azuredatabricks.net\n[play]\nhost = https://adb-2.azuredatabricks.net\n";
/// Of adb-3 and no profile.
const PYTHON: &str =
    ".config/databricks-sdk-py/oauth/f1ab5bac79e502cb95701fbf395c1c73b289b3eefedbd8c6a0b71b65478ca0f7.json";

/// An agent that takes all refresh tokens but `worthless`.
fn takes(_: &str, asked: &Value) -> Answer {
    if asked["refresh_token"] == "worthless" {
        let data = json!({"kind": "login_required", "hint": "sign in"});
        return Err(json!({"code": -32000, "message": "it is over", "data": data}));
    }
    let host = asked["host"].as_str().unwrap_or_default();
    let id = match asked["label"].as_str() {
        Some(label) => format!("{}#{label}", host.trim_start_matches("https://")),
        None => host.trim_start_matches("https://").to_owned(),
    };
    Ok(session(&id, "active"))
}

fn session(id: &str, state: &str) -> Value {
    json!({
        "id": id, "host": format!("https://{id}"), "label": "", "cloud": null, "issuer": "https://h",
        "client_id": "c", "user": "me@example.com", "scopes": [], "state": state, "expires_at": null,
        "next_refresh_at": null, "last_error": null,
    })
}

fn token(refresh: &str) -> Value {
    json!({"access_token": "CANARY-a", "token_type": "Bearer", "refresh_token": refresh, "expiry": "2026-01-01T00:00:00Z"})
}

/// Signed in with the CLI to `work` and, with this refresh token, to `play`, and with the Python SDK.
fn home(play: &str, sessions: &[Value]) -> Home {
    let sessions = sessions.to_vec();
    let home = Home::with_agent(move |method, asked| match method {
        "session.list" => Ok(json!({"sessions": sessions})),
        _ => takes(method, asked),
    });
    let tokens = json!({
        "work": token("CANARY-work"), "https://adb-1.azuredatabricks.net": token("CANARY-work"),
        "play": token(play),
    });
    home.has(CACHE, &json!({"version": 1, "tokens": tokens}).to_string());
    home.has(".databrickscfg", PROFILES);
    home.has(PYTHON, &json!({"token": token("CANARY-python")}).to_string());
    home
}

fn keys(cache: &Path) -> Vec<String> {
    let cache: Value = serde_json::from_slice(&fs::read(cache).expect("a file")).expect("JSON");
    cache["tokens"].as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let home = home("CANARY-play", &[]);
    let ran = home.run(&["import", "--dry-run"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let row = |a: &str, b: &str| ran.stdout.lines().any(|line| line.contains(a) && line.ends_with(b));
    assert!(row("(work, https://adb-1.azuredatabricks.net)", " adb-1.azuredatabricks.net#work"), "{ran:?}");
    assert!(row("token-cache.json (play)", " adb-2.azuredatabricks.net#play"), "{ran:?}");
    assert!(
        row(
            PYTHON.rsplit('/').next().expect("a name"),
            "it does not tell its host; say it: `sso import HOST`"
        ),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("used once") && !ran.stdout.contains("CANARY"));
    assert!(home.asked("session.import").is_empty());
    assert_eq!(keys(&home.path(CACHE)).len(), 3);
}

#[test]
fn without_a_terminal_and_without_consent_nothing_is_done() {
    let home = home("CANARY-play", &[]);
    let ran = home.run(&["import"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stdout.contains("To be taken over") && ran.stderr.contains("\nhint: say that you want it"));
    assert!(home.asked("session.import").is_empty());
}

#[test]
fn each_sign_in_is_taken_over_once_and_the_originals_are_kept() {
    let home = home("CANARY-play", &[]);
    let ran = home.run(&["import", "--yes"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    let first = "Took over adb-1.azuredatabricks.net#work as me@example.com from ";
    assert!(ran.stdout.starts_with(first), "{ran:?}");
    assert!(ran.stderr.contains("To be taken over") && ran.stderr.contains("The originals were kept"));
    let asked = json!({
        "host": "https://adb-1.azuredatabricks.net", "label": "work", "client_id": "databricks-cli",
        "refresh_token": "CANARY-work",
    });
    assert_eq!(home.asked("session.import")[0], asked);
    assert_eq!(home.asked("session.import").len(), 2);
    assert_eq!(keys(&home.path(CACHE)).len(), 3);
    assert!(!(ran.stdout + &ran.stderr).contains("CANARY"));
}

#[test]
fn one_that_is_no_good_is_told_and_stays_while_the_others_go_on() {
    let home = home("worthless", &[]);
    let ran = home.run(&["import", "--yes", "--remove", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
    let report = ran.json();
    assert_eq!(report["imported"][0]["id"], "adb-1.azuredatabricks.net#work");
    assert_eq!(report["failed"][0]["session"], "adb-2.azuredatabricks.net#play");
    let error = json!({"kind": "login_required", "message": "it is over", "hint": "sign in"});
    assert_eq!(report["failed"][0]["error"], error);
    assert_eq!(report["found"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["skipped"][0]["path"], json!(home.path(PYTHON)));
    assert_eq!(report["removed"], json!([home.path(CACHE)]));
    assert!(!ran.stdout.contains("CANARY") && !ran.stdout.contains("worthless"));
    assert_eq!(keys(&home.path(CACHE)), ["play"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = home.path(CACHE).metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let ran = home.run(&["import", "--yes"]);
    assert!(ran.stderr.contains("error: 1 of 1 sign-ins could not be taken over\nhint: "), "{ran:?}");
}

#[test]
fn a_host_that_is_named_is_the_only_one_and_finds_what_the_sdk_has_of_it() {
    let home = home("CANARY-play", &[]);
    let ran = home.run(&["import", "ADB-3.azuredatabricks.net/", "--yes", "--remove"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let asked = json!({
        "host": "https://adb-3.azuredatabricks.net", "client_id": "databricks-cli",
        "scopes": ["all-apis", "offline_access"], "refresh_token": "CANARY-python",
    });
    assert_eq!(home.asked("session.import"), [asked]);
    assert!(!home.path(PYTHON).exists());
    assert_eq!(keys(&home.path(CACHE)).len(), 3);
}

#[test]
fn a_session_that_the_agent_has_is_left_alone_unless_asked_for() {
    let ids = ["adb-1.azuredatabricks.net#work", "adb-2.azuredatabricks.net#play"];
    let home = home("CANARY-play", &[session(ids[0], "retrying"), session(ids[1], "login_required")]);
    let skipped = home.run(&["import", "--dry-run", "--json"]).json();
    assert_eq!(skipped["found"].as_array().map(Vec::len), Some(1), "{skipped}");
    assert_eq!(skipped["found"][0]["session"], ids[1]);
    let why = "the agent is signed in as adb-1.azuredatabricks.net#work; `--replace` takes this one instead";
    assert_eq!((&skipped["skipped"][1]["key"], &skipped["skipped"][1]["why"]), (&json!("work"), &json!(why)));
    assert_eq!(home.run(&["import", "--replace", "--yes", "--keep"]).code, Some(0));
    assert_eq!(home.asked("session.import").len(), 2);
}

#[test]
fn of_two_sign_ins_for_one_session_the_second_is_spare() {
    for (first, imported) in [("CANARY-1", 1), ("worthless", 2)] {
        let home = home("CANARY-play", &[]);
        let tokens = json!({"https://adb-3.azuredatabricks.net": token(first)});
        home.has(CACHE, &json!({"version": 1, "tokens": tokens}).to_string());
        let ran = home.run(&["import", "--yes", "--keep"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains("(if the one above is no good)"), "{ran:?}");
        assert_eq!(home.asked("session.import").len(), imported);
    }
}

#[test]
fn what_another_tool_uses_meanwhile_is_neither_tried_nor_removed() {
    let place = Arc::new(OnceLock::new());
    let cache = Arc::clone(&place);
    let home = Home::with_agent(move |method, asked| match (method, cache.get()) {
        ("session.import", Some(cache)) => {
            fs::write(cache, json!({"version": 1, "tokens": {"play": token("new")}}).to_string())
                .expect("our file");
            takes(method, asked)
        }
        _ => Ok(json!({"sessions": []})),
    });
    home.has(".databrickscfg", PROFILES);
    let tokens = json!({"work": token("one"), "play": token("two")});
    let path = home.has(CACHE, &json!({"version": 1, "tokens": tokens}).to_string());
    place.set(path.clone()).expect("once");
    let ran = home.run(&["import", "--yes", "--remove"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(home.asked("session.import").len(), 1);
    assert_eq!(ran.stderr.matches("it changed after it was read").count(), 2, "{ran:?}");
    assert_eq!(keys(&path), ["play"]);
}

#[test]
fn where_nothing_is_there_is_nothing_to_do() {
    let home = Home::with_agent(|_, _| Ok(json!({"sessions": []})));
    let ran = home.run(&["import"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.starts_with("There is no sign-in to take over. "), "{ran:?}");
    home.has(CACHE, "{\"version\":1,\"tokens\":{\"CANARY");
    home.has(".databrickscfg", "CANARY");
    let ran = home.run(&["import"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("it is no token cache") && ran.stdout.contains("line 1"), "{ran:?}");
    assert!(!ran.stdout.contains("CANARY"));
}

#[test]
fn without_an_agent_a_plan_can_be_made_and_nothing_else() {
    let home = home("CANARY-play", &[]);
    let ran = |args: &[&str]| {
        let mut sso = home.sso(args);
        common::Ran::from(sso.env("SSO_AGENT_SOCK", common::NOBODY).output().expect("sso runs"))
    };
    assert_eq!(ran(&["import", "--dry-run"]).code, Some(0));
    assert_eq!(ran(&["import", "--yes"]).code, Some(3));
}

#[test]
fn what_is_no_host_is_wrong_usage() {
    let ran = home("CANARY-play", &[]).run(&["import", "not a host", "--yes"]);
    assert_eq!(ran.code, Some(2));
}

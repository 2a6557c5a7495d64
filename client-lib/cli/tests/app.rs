//! `sso app` against an agent that answers what it is told to.

mod common;

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use common::{Answer, Fake, Ran};
use serde_json::{Value, json};

const ID: &str = "11111111-1111-1111-1111-111111111111";

/// An account with two apps, one on each page.
fn account(method: &str, params: &Value) -> Answer {
    let app = |name: &str, id: &str, secret: bool| {
        json!({
            "name": name, "integration_id": id, "client_id": format!("c-{name}"), "confidential": secret,
            "create_time": "2026-01-02T03:04:05Z", "redirect_urls": ["https://a.example/cb"],
        })
    };
    let known = |id: &Value| id == ID || id == "i-a";
    if params.get("integration_id").is_some_and(|id| !known(id)) {
        let data = json!({"kind": "issuer_rejected", "hint": "look"});
        return Err(json!({"code": -32000, "message": "there is no such app", "data": data}));
    }
    Ok(match method {
        "app.create" if params["keep"] == true => {
            json!({"integration_id": ID, "client_id": "c", "kept": true})
        }
        "app.create" => json!({"integration_id": ID, "client_id": "c", "client_secret": "dose"}),
        "app.list" if params["page_token"] == "two" => json!({"apps": [app("b\u{1b}[2J", ID, false)]}),
        "app.list" => json!({"apps": [app("a", "i-a", true)], "next_page_token": "two"}),
        "app.get" => app("a", "i-a", true),
        "app.enroll" => json!({}),
        "app.enrollment" => json!({"needed": false, "status": 404, "answer": "NOPE: gone"}),
        "app.kept" => json!({"apps": []}),
        "app.published.list" | "app.published.catalogue" => json!({"apps": [{"app_id": "power-bi"}]}),
        "app.published.add" => json!({"integration_id": ID}),
        _ => json!({}),
    })
}

fn with_stdin(mut command: Command, text: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sso runs");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    Ran::from(child.wait_with_output().expect("our child"))
}

#[test]
fn what_is_said_of_a_new_app_is_asked_for() {
    let fake = Fake::judging(account);
    let create = ["app", "create", "--name", "a", "--redirect-url", "https://a.example/cb"];
    let ran = fake.run(&create);
    let words = format!("Created a\nintegration id: {ID}\nclient id: c\nclient secret: dose\n");
    assert_eq!((ran.stdout, ran.stderr.as_str()), (words, ""));
    let plain = json!({"name": "a", "redirect_urls": ["https://a.example/cb"]});
    assert_eq!(fake.asked("app.create")[0], plain);

    let more = ["--confidential", "--scope", "x", "--scope", "y", "--user-authorized-scope", "x", "--keep"];
    let lives = ["--access-token-ttl", "1h", "--refresh-token-ttl", "90d", "--session-lifetime", "12h"];
    let at = ["--single-use-refresh-tokens", "--host", "h", "--account-id", "acc", "--as", "work", "--json"];
    let ran = fake.run(&[&create[..], &more, &lives, &at].concat());
    assert_eq!(ran.json(), json!({"integration_id": ID, "client_id": "c", "kept": true}));
    assert_eq!(
        fake.asked("app.create")[1],
        json!({
            "host": "h", "account_id": "acc", "label": "work", "name": "a",
            "redirect_urls": ["https://a.example/cb"], "confidential": true, "scopes": ["x", "y"],
            "user_authorized_scopes": ["x"], "keep": true,
            "token_access_policy": {
                "access_token_ttl_in_minutes": 60, "refresh_token_ttl_in_minutes": 129_600,
                "absolute_session_lifetime_in_minutes": 720, "enable_single_use_refresh_tokens": true,
            },
        })
    );
}

#[test]
fn a_secret_is_brought_on_stdin_and_goes_to_the_agent_alone() {
    let fake = Fake::judging(account);
    let by_client =
        with_stdin(fake.sso(&["app", "list", "--client-id", "c", "--client-secret-stdin"]), "s3cret\n");
    assert_eq!(by_client.code, Some(0), "{by_client:?}");
    let by_name = with_stdin(fake.sso(&["app", "list", "--username", "u", "--password-stdin"]), "pa ss\n");
    assert_eq!(by_name.code, Some(0), "{by_name:?}");
    let asked = fake.asked("app.list");
    assert_eq!(asked[0], json!({"client_id": "c", "client_secret": "s3cret"}));
    assert_eq!(asked[2], json!({"username": "u", "password": "pa ss"}));
    with_stdin(fake.sso(&["app", "list", "--username", "u"]), "pa ss\n");
    let last = json!({"username": "u", "password": "pa ss", "page_token": "two"});
    assert_eq!(fake.asked("app.list").last(), Some(&last));
    let none = with_stdin(fake.sso(&["app", "list", "--username", "u", "--password-stdin"]), "\n");
    assert_eq!(none.code, Some(2), "{none:?}");
}

#[test]
fn a_list_is_whole_and_does_not_steer_the_terminal() {
    let fake = Fake::judging(account);
    let ran = fake.run(&["app", "list", "--page-size", "1"]);
    let lines: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "INTEGRATION", "ID", "CLIENT", "ID", "KIND", "CREATED"]);
    assert_eq!(lines[1], ["a", "i-a", "c-a", "confidential", "2026-01-02"]);
    assert_eq!(lines[2].last(), Some(&"2026-01-02"));
    assert!(!ran.stdout.contains('\u{1b}'), "{ran:?}");
    assert_eq!(fake.asked("app.list")[1], json!({"page_size": 1, "page_token": "two"}));
    let all = fake.run(&["app", "list", "--creators", "--json"]).json();
    assert_eq!(all["apps"].as_array().map(Vec::len), Some(2));
    assert_eq!(fake.asked("app.list")[2], json!({"include_creator_username": true}));
}

#[test]
fn an_app_is_named_by_its_id_or_by_its_name() {
    let fake = Fake::judging(account);
    assert!(fake.run(&["app", "show", "a"]).stdout.contains("redirect_urls: https://a.example/cb\n"));
    fake.run(&["app", "update", ID, "--scope", "sql", "--single-use-refresh-tokens=false"]);
    assert_eq!(fake.run(&["app", "delete", "i-a"]).stdout, "Deleted i-a\n");
    let missing = fake.run(&["app", "delete", "nobody"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""), "{missing:?}");
    let tried = |ids: &[&str]| ids.iter().map(|id| json!({"integration_id": id})).collect::<Vec<_>>();
    assert_eq!(fake.asked("app.get"), tried(&["a", "i-a"]), "as an id first");
    assert_eq!(fake.asked("app.delete"), tried(&["i-a", "nobody"]));
    fake.run(&["app", "show", "a b"]);
    assert_eq!(fake.asked("app.get").len(), 2, "which is no id");
    let policy = json!({"enable_single_use_refresh_tokens": false});
    let update = json!({"integration_id": ID, "scopes": ["sql"], "token_access_policy": policy});
    assert_eq!(fake.asked("app.update"), [update]);
}

#[test]
fn an_account_that_needs_no_enrolment_is_no_failure() {
    let fake = Fake::judging(account);
    let told = fake.run(&["app", "enrollment"]);
    assert_eq!(told.code, Some(0));
    assert_eq!(
        told.stdout,
        "Enrolment is not needed any more: OAuth is on for all accounts since 2023. The account says: NOPE: gone\n"
    );
    assert!(fake.run(&["app", "enroll"]).stdout.contains("takes some minutes"));
    fake.run(&["app", "enroll", "--without-published-apps"]);
    assert_eq!(fake.asked("app.enroll"), [json!({}), json!({"enable_all_published_apps": false})]);
}

#[test]
fn published_apps_and_kept_ones_have_lists_of_their_own() {
    let fake = Fake::judging(account);
    assert!(fake.run(&["app", "published", "list"]).stdout.contains("power-bi  -"));
    assert!(fake.run(&["app", "published", "catalogue"]).stdout.contains("DESCRIPTION"));
    let added = fake.run(&["app", "published", "add", "power-bi"]).stdout;
    assert_eq!(added, format!("Enabled power-bi\nintegration id: {ID}\n"));
    assert_eq!(fake.run(&["app", "published", "update", ID]).code, Some(2));
    assert_eq!(fake.run(&["app", "published", "remove", ID]).stdout, format!("Disabled {ID}\n"));
    assert!(fake.run(&["app", "kept"]).stdout.contains("keeps no apps"));
    assert!(fake.run(&["app", "forget", "a"]).stdout.starts_with("Forgot a;"));
    assert_eq!(fake.asked("app.forget"), [json!({"app": "a"})]);
}

#[test]
fn the_environment_names_the_account() {
    let fake = Fake::judging(account);
    let mut list = fake.sso(&["app", "list"]);
    list.env("DATABRICKS_HOST", "h").env("DATABRICKS_ACCOUNT_ID", "acc").output().unwrap();
    assert_eq!(fake.asked("app.list")[0], json!({"host": "h", "account_id": "acc"}));
}

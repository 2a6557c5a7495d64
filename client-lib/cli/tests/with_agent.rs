//! The commands against an agent that answers what it is told to: output, streams, exit codes.

mod common;

use std::fs;

use common::{Fake, Ran, path, script};
use serde_json::{Value, json};

#[test]
fn a_token_is_printed_in_three_ways() {
    let fake = Fake::well();
    assert_eq!(fake.run(&["token"]).stdout, "secret\n");
    assert_eq!(fake.run(&["token", "-o", "header"]).stdout, "Authorization: Bearer secret\n");
    let json =
        "{\"access_token\":\"secret\",\"token_type\":\"Bearer\",\"expiry\":\"2026-01-01T00:00:00Z\"}\n";
    assert_eq!(fake.run(&["token", "-o", "json"]).stdout, json);
    assert_eq!(fake.run(&["token", "--json"]).stdout, json);
}

#[test]
fn what_the_command_line_and_the_environment_name_is_asked_for() {
    let fake = Fake::well();
    fake.run(&["token", "x", "--as", "work", "--min-valid", "5m", "--force-refresh"]);
    let asked = json!({"host": "x", "label": "work", "min_valid_s": 300, "force_refresh": true});
    assert_eq!(fake.asked("token.get")[0], asked);
    fake.sso(&["token"]).env("DATABRICKS_CONFIG_PROFILE", "p").output().expect("sso runs");
    assert_eq!(fake.asked("token.get")[1], json!({"profile": "p"}));
}

#[test]
fn a_failure_is_two_lines_on_stderr_and_the_promised_code() {
    let promised = [
        ("login_required", 4),
        ("issuer_unavailable", 5),
        ("timeout", 5),
        ("denied", 6),
        ("locked", 6),
        ("unknown_host", 7),
        ("ambiguous", 2),
        ("issuer_rejected", 1),
    ];
    for (kind, code) in promised {
        let ran = Fake::refusing(kind).run(&["token"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{kind}");
        assert_eq!(ran.stderr, "error: it did not go well\nhint: do this\n");
    }
}

#[test]
fn a_failure_as_json_is_on_stderr_too() {
    let ran = Fake::refusing("denied").run(&["token", "--json"]);
    let error = json!({"error": {"kind": "denied", "message": "it did not go well", "hint": "do this"}});
    assert_eq!(serde_json::from_str::<Value>(&ran.stderr).expect("JSON"), error);
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_sign_in_opens_the_browser_that_is_named() {
    let fake = Fake::well();
    let opened = fake.folder.path().join("opened");
    let script = fake.script(
        &format!("echo \"$#:$1\" > {0}.new; mv {0}.new {0}", opened.display()),
        &format!(">{0}.new echo 1:%~1\nmove {0}.new {0} >nul", opened.display()),
    );
    let ran = Ran::from(fake.sso(&["login", "h"]).env("BROWSER", script).output().expect("sso runs"));
    assert_eq!(ran.stdout, "Signed in to https://h as me@example.com\n");
    // The browser runs on by itself; it is no child that could be waited for any more.
    while !opened.exists() {
        std::thread::yield_now();
    }
    assert_eq!(fs::read_to_string(opened).expect("a file").trim_end(), "1:http://127.0.0.1:9/start/x");
}

#[test]
fn a_sign_in_without_a_browser_prints_the_address_on_stderr() {
    let fake = Fake::well();
    let ran = fake.run(&["login", "h", "--no-browser", "--timeout", "1m", "--port", "8020", "--scope", "a"]);
    assert!(ran.stderr.contains("\n    http://127.0.0.1:9/start/x\n"), "{ran:?}");
    let asked =
        json!({"host": "h", "scopes": ["a"], "flow": "browser", "redirect_port": 8020, "timeout_s": 60});
    assert_eq!(fake.asked("session.login")[0], asked);
    let json: Value = serde_json::from_str(&fake.run(&["login", "h", "--json"]).stdout).expect("JSON");
    assert_eq!(json["user"], "me@example.com");
}

#[test]
fn status_tells_sessions_and_what_the_key_is_worth() {
    let fake = Fake::well();
    let ran = fake.run(&["status"]);
    assert!(ran.stdout.contains("https://h") && ran.stdout.contains("not the account"), "{ran:?}");
    assert!(!ran.stdout.contains('\x1b'), "no colours where no terminal is");
    let json: Value = serde_json::from_str(&fake.run(&["status", "h", "--json"]).stdout).expect("JSON");
    assert_eq!((&json["agent"]["pid"], &json["sessions"][0]["id"]), (&json!(7), &json!("h")));
}

#[test]
fn watching_without_a_terminal_prints_a_line_for_each_event() {
    let ran = Fake::well().run(&["status", "--watch"]);
    assert_eq!(ran.stdout, "2026-01-01T00:00:00Z session.added h\n");
    assert_eq!(ran.code, Some(3), "the agent went away");
}

#[test]
fn signing_out_says_what_became_of_each_session() {
    let fake = Fake::well();
    assert_eq!(fake.run(&["logout", "h"]).stdout, "Signed out of h: revoked\n");
    assert_eq!(fake.run(&["logout", "h#~0123"]).stdout, "Signed out of h: revoked\n");
    assert_eq!(fake.asked("session.show"), [json!({"host": "h"}), json!({"session": "h#~0123"})]);
    assert_eq!(fake.asked("session.logout"), [json!({"session": "h"}), json!({"session": "h"})]);
}

#[test]
fn signing_out_everywhere_takes_the_users_of_web_apps_along() {
    let lists = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::answering(move |method| {
        let of_web_apps = || lists.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0;
        Ok(match method {
            "session.list" if of_web_apps() => json!({"sessions": [with_id("h#~0123")]}),
            "session.list" => json!({"sessions": [with_id("h")]}),
            _ => json!({"revoked": true}),
        })
    });
    let ran = fake.run(&["logout", "--all"]);
    assert_eq!(ran.stdout, "Signed out of h: revoked\nSigned out of h#~0123: revoked\n");
    assert_eq!(fake.asked("session.list"), [json!({}), json!({"web": true})]);
}

fn with_id(id: &str) -> Value {
    let mut session = common::session();
    session["id"] = json!(id);
    session
}

#[test]
fn a_doctor_fails_only_for_what_does_not_work() {
    let with = |unreadable: Value| {
        let info = json!({
            "version": env!("CARGO_PKG_VERSION"), "protocol": 1, "pid": 7, "started_at": "2026-01-01T00:00:00Z",
            "sessions": 0, "locked": false, "methods": [], "key": "file", "unreadable": unreadable,
        });
        let fake = Fake::answering(move |method| {
            Ok(if method == "agent.info" { info.clone() } else { json!({"sessions": []}) })
        });
        let state = fake.folder.path().join("state");
        let output = fake.sso(&["doctor", "--json"]).env("SSO_AGENT_STATE", &state).output();
        assert!(!state.exists(), "it only looks");
        Ran::from(output.expect("sso runs"))
    };
    let lived_with = with(json!([]));
    assert_eq!((lived_with.code, lived_with.stderr.as_str()), (Some(0), ""));
    assert!(lived_with.stdout.contains("protects copies and backups, not the account"));
    let lost = with(json!(["sessions/x: of a newer version"]));
    assert_eq!(lost.code, Some(1));
    assert!(lost.stdout.contains("not loaded: sessions/x: of a newer version"));
}

#[test]
fn to_sign_out_where_nobody_is_signed_in_is_an_unknown_host() {
    let fake = Fake::answering(|method| {
        let kind = if method == "session.logout" { "unknown_host" } else { "login_required" };
        Err(json!({"code": -32000, "message": "m", "data": {"kind": kind, "hint": "h"}}))
    });
    assert_eq!(fake.run(&["logout", "h"]).code, Some(7));
}

#[test]
fn a_command_gets_the_token_and_its_code_is_ours() {
    let fake = Fake::well();
    let show = fake.script(
        "echo $DATABRICKS_HOST $DATABRICKS_TOKEN $DATABRICKS_AUTH_TYPE [$DATABRICKS_CONFIG_PROFILE]; exit 42",
        "echo %DATABRICKS_HOST% %DATABRICKS_TOKEN% %DATABRICKS_AUTH_TYPE% [%DATABRICKS_CONFIG_PROFILE%]\nexit 1042",
    );
    let mut exec = fake.sso(&["exec", "h", "--"]);
    exec.arg(&show).env("DATABRICKS_CONFIG_PROFILE", "other");
    let ran = Ran::from(exec.output().expect("sso runs"));
    let code = if cfg!(windows) { 1042 } else { 42 };
    assert_eq!((ran.code, ran.stdout.trim_end()), (Some(code), "https://h secret pat []"), "{ran:?}");
    let show = fake.script("echo $A $B [$DATABRICKS_TOKEN]", "echo %A% %B% [%DATABRICKS_TOKEN%]");
    let mut exec = fake.sso(&["exec", "--env", "A", "--env", "B", "--"]);
    let ran = Ran::from(exec.arg(&show).output().expect("sso runs"));
    assert_eq!(ran.stdout.trim_end(), "secret secret []");
}

#[test]
fn a_command_is_found_as_a_shell_finds_it_and_gets_what_is_typed() {
    let fake = Fake::well();
    let folder = fake.folder.path().join("my programs");
    fs::create_dir(&folder).expect("a folder");
    script(&folder.join("tell"), "echo \"$1|$2\"", "echo %~1^|%~2");
    let mut exec = fake.sso(&["exec", "h", "--", "tell", "a b", "c&d"]);
    let ran = Ran::from(exec.env("PATH", path(&[&folder])).output().expect("sso runs"));
    if cfg!(windows) {
        // What a script makes of it is its own matter.
        assert!(ran.stdout.starts_with("a b|c"), "{ran:?}");
    } else {
        assert_eq!(ran.stdout, "a b|c&d\n", "{ran:?}");
    }
}

/// Ends of programs that crash are more than a byte, and below zero for who takes them so.
#[cfg(windows)]
#[test]
fn the_end_of_a_crashed_command_is_passed_on() {
    let ran = Fake::well().run(&["exec", "h", "--", "cmd", "/d", "/c", "exit -1073741819"]);
    assert_eq!(ran.code, Some(-1_073_741_819));
}

#[test]
fn a_command_is_told_where_to_get_tokens_and_of_no_other_way() {
    let fake = Fake::well();
    let show: &[&str] = if cfg!(windows) { &["cmd", "/d", "/c", "set"] } else { &["env"] };
    let mut exec = fake.sso(&[&["exec", "h", "--metadata", "--"], show].concat());
    for name in ["TOKEN", "CLIENT_ID", "CLIENT_SECRET", "CONFIG_PROFILE", "USERNAME", "PASSWORD"] {
        exec.env(format!("DATABRICKS_{name}"), "other");
    }
    let ran = Ran::from(exec.output().expect("sso runs"));
    let mut told: Vec<_> = ran.stdout.lines().filter(|line| line.starts_with("DATABRICKS_")).collect();
    told.sort_unstable();
    let expected = [
        "DATABRICKS_ACCOUNT_ID=a-1",
        "DATABRICKS_AUTH_TYPE=metadata-service",
        "DATABRICKS_HOST=https://h",
        "DATABRICKS_METADATA_SERVICE_URL=http://127.0.0.1:9/secret",
    ];
    assert_eq!(told, expected, "{ran:?}");
    assert_eq!(fake.asked("metadata.url")[0], json!({"host": "h"}));
    assert_eq!(fake.asked("token.get").len(), 0, "it gets none of its own");
}

#[cfg(unix)]
#[test]
fn a_shell_is_set_up_quoted_or_not() {
    let fake = Fake::well();
    for eval in ["eval \"$(SSO env h)\"", "eval $(SSO env h)"] {
        let eval = eval.replace("SSO", env!("CARGO_BIN_EXE_sso"));
        let show = "echo $DATABRICKS_AUTH_TYPE $DATABRICKS_METADATA_SERVICE_URL [$DATABRICKS_TOKEN]";
        let mut shell = fake.command("sh", &["-c", &format!("{eval}; {show}")]);
        let ran = Ran::from(shell.env("DATABRICKS_TOKEN", "other").output().expect("sh runs"));
        assert_eq!(ran.stdout, "metadata-service http://127.0.0.1:9/secret []\n", "{ran:?}");
    }
}

#[test]
fn what_sets_up_a_shell_is_told_as_json() {
    let fake = Fake::well();
    let json: Value = serde_json::from_str(&fake.run(&["env", "h", "--json"]).stdout).expect("JSON");
    assert_eq!(json["set"]["DATABRICKS_ACCOUNT_ID"], "a-1");
    let unset = json["unset"].as_array().expect("a list");
    assert!(unset.contains(&json!("DATABRICKS_TOKEN")) && !unset.contains(&json!("DATABRICKS_ACCOUNT_ID")));
}

#[test]
fn the_address_of_the_metadata_service_is_printed_alone_or_with_what_belongs_to_it() {
    let fake = Fake::well();
    let ran = fake.run(&["metadata-url", "x", "--as", "work", "--account-id", "a-1", "--scope", "s"]);
    assert_eq!(ran.stdout, "http://127.0.0.1:9/secret\n");
    let asked = json!({"host": "x", "label": "work", "account_id": "a-1", "scopes": ["s"]});
    assert_eq!(fake.asked("metadata.url")[0], asked);
    let json: Value = serde_json::from_str(&fake.run(&["metadata-url", "--json"]).stdout).expect("JSON");
    assert_eq!((&json["url"], &json["session"]), (&json!("http://127.0.0.1:9/secret"), &json!("h")));
}

#[test]
fn a_command_that_cannot_run_fails_as_in_a_shell() {
    let fake = Fake::well();
    assert_eq!(fake.run(&["exec", "--", "/nonexistent/command"]).code, Some(127));
    let folder = if cfg!(windows) { r"C:\windows" } else { "/" };
    assert_eq!(fake.run(&["exec", "--", folder]).code, Some(126));
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let fake = Fake::well();
    for args in [&["token"][..], &["status"], &["man"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ran = Ran::from(fake.sso(args).stdout(writer).output().expect("sso runs"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let ran = Ran::from(Fake::well().sso(&["token"]).stdout(full).output().expect("sso runs"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("error: the result cannot be written: "), "{ran:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn arguments_that_are_no_text_are_wrong_usage_or_passed_on() {
    use std::os::unix::ffi::OsStrExt as _;
    let odd = std::ffi::OsStr::from_bytes(b"\xff");
    let fake = Fake::well();
    assert_eq!(fake.sso(&["token"]).arg(odd).output().expect("sso runs").status.code(), Some(2));
    let echoed = fake.sso(&["exec", "--", "printf", "%s"]).arg(odd).output().expect("sso runs");
    assert_eq!(echoed.stdout, b"\xff");
}

#[test]
fn hosts_are_completed_from_the_agent() {
    let fake = Fake::well();
    let mut shell = fake.sso(&["--", "sso", "token", ""]);
    let ran = Ran::from(shell.env("SSO_COMPLETE", "fish").output().expect("sso runs"));
    assert!(ran.stdout.lines().any(|line| line == "h"), "{ran:?}");
}

#[test]
fn man_pages_are_written_for_all_commands() {
    let fake = Fake::well();
    let folder = fake.folder.path().join("man");
    fs::create_dir(&folder).expect("a folder");
    fake.sso(&["man", "--dir"]).arg(&folder).output().expect("sso runs");
    for page in ["sso.1", "sso-token.1", "sso-agent-install.1"] {
        assert!(folder.join(page).exists(), "{page}");
    }
}

//! The stand-in for the Databricks CLI against an agent that answers what it is told to: tokens, the words
//! of failures, and what is handed on.

mod common;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use common::{
    Answer, Fake, NOBODY,
    bench::{Bench, FILE},
    path, program, session,
};
use serde_json::{Value, json};

const NOT_CONFIGURED: &str = "Error: cache: databricks OAuth is not configured for this host. no cached credentials; run `databricks auth login` to sign in\n";

/// Somebody was signed in at https://h, with this label or (`#ACCOUNT`) at this account; `token.get` is
/// refused.
fn refusing(kind: &'static str, label: &'static str) -> Fake {
    Fake::answering(move |method| -> Answer {
        let mut known = session();
        known["state"] = json!("login_required");
        match label.strip_prefix('#') {
            Some(account) => known["account_id"] = json!(account),
            None => known["label"] = json!(label),
        }
        match method {
            "token.get" => {
                Err(json!({"code": -32000, "message": "no", "data": {"kind": kind, "hint": "do this"}}))
            }
            _ => Ok(json!({"sessions": [known]})),
        }
    })
}

#[test]
fn a_token_is_json_without_a_line_ending_and_nothing_else_is_said() {
    let bench = Bench::new(FILE);
    for line in ["auth token -p work", "auth token work", "--profile=work auth token --force-refresh -o json"]
    {
        let ran = bench.run_with(line, &[("TZ", "UTC")]);
        let expected = "{\n  \"access_token\": \"secret\",\n  \"token_type\": \"Bearer\",\n  \"expiry\": \"2026-01-01T00:00:00.000000001+00:00\",\n  \"expires_in\": 3600\n}";
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.code), (expected, "", Some(0)), "{line}");
    }
    let asked = bench.fake.asked("token.get");
    assert_eq!(asked[0], json!({"host": "https://h", "profile": "work", "account_id": "acc"}));
    assert_eq!(asked[2]["force_refresh"], true);
    assert_eq!(bench.run("auth token work --output text").stdout, "secret\n");
    // Only what is said counts: scripts read JSON.
    let ran = bench.run_with("auth token work", &[("DATABRICKS_OUTPUT_FORMAT", "text")]);
    assert!(ran.stdout.starts_with('{'), "{ran:?}");
}

#[test]
fn the_end_of_a_token_is_the_wall_clock_of_every_zone() {
    let bench = Bench::new(FILE);
    for (zone, expected) in [
        ("UTC", "2026-01-01T00:00:00.000000001+00:00"),
        ("America/Los_Angeles", "2025-12-31T16:00:00.000000001-08:00"),
        ("Asia/Kolkata", "2026-01-01T05:30:00.000000001+05:30"),
        ("", "2026-01-01T00:00:00.000000001+00:00"),
    ] {
        let token: Value =
            serde_json::from_str(&bench.run_with("auth token work", &[("TZ", zone)]).stdout).expect("JSON");
        assert_eq!(token["expiry"], expected, "{zone}");
    }
}

#[test]
fn what_a_token_is_for_is_found_in_the_order_of_the_cli() {
    let settings = format!("{FILE}[__settings__]\ndefault_profile = work\n");
    let work = json!({"host": "https://h", "profile": "work", "account_id": "acc"});
    let env_profile = ("DATABRICKS_CONFIG_PROFILE", "work");
    let env_host = ("DATABRICKS_HOST", "https://env.example");
    for (line, vars, expected) in [
        ("auth token", &[][..], work.clone()),
        ("auth token", &[env_host], json!({"host": "https://env.example"})),
        ("auth token", &[env_host, env_profile], work.clone()),
        ("auth token --host h", &[], json!({"host": "h", "profile": "work", "account_id": "acc"})),
        (
            "auth token https://h/?o=7",
            &[],
            json!({"host": "https://h", "profile": "work", "account_id": "acc"}),
        ),
        (
            "auth token --host https://new.example/?a=x",
            &[],
            json!({"host": "https://new.example", "account_id": "x"}),
        ),
        ("auth token --host https://h", &[env_profile], work.clone()),
        ("auth token --profile nobody", &[env_host], json!({"profile": "nobody"})),
        (
            "auth token --host two.example --account-id b",
            &[],
            json!({"host": "two.example", "profile": "two", "account_id": "b"}),
        ),
        (
            "auth token --host https://h --account-id other",
            &[],
            json!({"host": "https://h", "account_id": "other"}),
        ),
    ] {
        let bench = Bench::new(&settings);
        let ran = bench.run_with(line, vars);
        assert_eq!(bench.fake.asked("token.get"), [expected], "{line} {vars:?} {ran:?}");
    }
}

#[test]
fn what_is_not_clear_is_told_in_the_words_of_the_cli() {
    let bench = Bench::new(FILE);
    let path = bench.file().display().to_string();
    let ambiguous = format!(
        "one and two match https://two.example in {path}. Use --profile to specify which profile to use"
    );
    for (line, words) in [
        ("auth token --host https://two.example", ambiguous.as_str()),
        ("auth token", "no profile specified. Use --profile <name> to specify which profile to use"),
        ("auth token nobody", "no profile named \"nobody\" found"),
        (
            "auth token work --host h",
            "argument \"work\" cannot be combined with --host or --profile. Use the --host and --profile flags instead",
        ),
        (
            "auth token -p work --host other.example",
            "--profile \"work\" has host \"https://h\", which conflicts with --host \"other.example\". Use --profile only to select a profile",
        ),
        (
            "auth token -p robot",
            "profile \"robot\" uses M2M authentication (client_id/client_secret). `databricks auth token` only supports U2M (user-to-machine) authentication tokens. To authenticate as a service principal, use the Databricks SDK directly",
        ),
        (
            "auth token -p __settings__",
            "__settings__ is a reserved section name and cannot be used as a profile",
        ),
        ("auth token --nope", "unknown flag: --nope"),
    ] {
        let ran = bench.run(line);
        assert_eq!(
            (ran.stderr, ran.stdout.as_str(), ran.code),
            (format!("Error: {words}\n"), "", Some(1)),
            "{line}"
        );
    }
    let none = Bench::new("").run("auth token").stderr;
    assert_eq!(none, "Error: no profiles configured. Run 'databricks auth login' to create a profile\n");
}

#[test]
fn where_nobody_signed_in_sdks_are_sent_on_to_their_next_way() {
    let unknown = || Bench::with(refusing("unknown_host", ""), FILE);
    assert_eq!(unknown().run("auth token work").stderr, NOT_CONFIGURED);
    // The agent asks for a sign-in wherever there is none.
    let elsewhere = Bench::with(refusing("login_required", ""), FILE);
    assert_eq!(elsewhere.run("auth token --host new.example").stderr, NOT_CONFIGURED);
    let of_another_profile = Bench::with(refusing("login_required", "other"), FILE);
    assert_eq!(of_another_profile.run("auth token work").stderr, NOT_CONFIGURED);
    let of_another_account = Bench::with(refusing("login_required", "#other"), FILE);
    assert_eq!(of_another_account.run("auth token work").stderr, NOT_CONFIGURED);
    let bench = Bench::new(FILE);
    assert_eq!(bench.run("auth token pat").stderr, NOT_CONFIGURED);
    assert!(bench.fake.asked("token.get").is_empty(), "a personal access token is no matter of this command");
    let ran = bench.run_with("auth token work", &[("SSO_AGENT_SOCK", NOBODY)]);
    assert_eq!((ran.stdout.as_str(), ran.code), ("", Some(1)));
    let why = ran.stderr.strip_prefix(NOT_CONFIGURED).expect("SDKs go on to their next way");
    assert!(why.contains(NOBODY) && why.lines().count() == 1, "and people are told why: {why}");
}

#[test]
fn while_no_new_token_can_be_had_a_good_one_serves() {
    let fake = Fake::judging(|_, params| match params["force_refresh"].as_bool() {
        Some(true) => Err(
            json!({"code": -32000, "message": "down", "data": {"kind": "issuer_unavailable", "hint": "wait"}}),
        ),
        _ => Ok(json!({
            "access_token": "good", "token_type": "Bearer", "token_id": "t", "scopes": [],
            "expires_at": "2026-01-01T00:00:00Z", "expires_in_s": 3600, "session": "h",
        })),
    });
    let bench = Bench::with(fake, FILE);
    let ran = bench.run("auth token work --force-refresh -o text");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.code), ("good\n", "", Some(0)));
    let asked = bench.fake.asked("token.get");
    assert_eq!((&asked[0]["force_refresh"], &asked[0]["wait_s"]), (&json!(true), &json!(10)));
    assert_eq!(asked.len(), 2);
}

#[test]
fn a_sign_in_that_ended_says_how_to_sign_in_again_and_stops_the_chain() {
    let words = "A new access token could not be retrieved because the refresh token is invalid. To reauthenticate, run the following command:\n  $ databricks auth login --profile work";
    for label in ["", "work"] {
        let bench = Bench::with(refusing("login_required", label), FILE);
        let ran = bench.run("auth token work");
        assert_eq!((ran.stderr, ran.stdout.as_str(), ran.code), (format!("Error: {words}\n"), "", Some(1)));
        let ran = bench.run("auth token work -o json");
        let told: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        assert_eq!(told, json!({"error_code": "UNAUTHENTICATED", "message": words}));
        assert!(!format!("{ran:?}").contains("databricks OAuth is not"));
    }
    let bench = Bench::with(refusing("login_required", ""), "");
    let ran = bench.run("auth token --host h --account-id a");
    assert!(ran.stderr.ends_with("  $ databricks auth login --host h --account-id a\n"), "{ran:?}");
}

#[test]
fn other_failures_keep_the_agents_words() {
    for kind in ["issuer_unavailable", "locked", "denied", "timeout"] {
        let ran = Bench::with(refusing(kind, ""), FILE).run("auth token work");
        assert_eq!(ran.stderr, "Error: no. do this\n", "{kind}");
    }
    let ran = Bench::with(refusing("issuer_rejected", ""), FILE).run("auth token work");
    assert!(
        ran.stderr.starts_with("Error: no. Try logging in again with `databricks auth login --profile work`")
    );
    let ran = Bench::with(refusing("ambiguous", ""), FILE).run("auth token work");
    assert_eq!(ran.stderr, "Error: no. Use --profile to specify which profile to use\n");
}

#[test]
fn version_asks_nobody_and_says_nothing_beside() {
    let bench = Bench::new("no file of profiles\n");
    for line in ["version", "--version", "-v", "version --check"] {
        let ran = bench.run(line);
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str(), ran.code),
            ("Databricks CLI v1.13.0\n", "", Some(0))
        );
    }
    let ran = bench.run("version --output json");
    let version: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((&version["Major"], &version["Minor"], &version["Patch"]), (&json!(1), &json!(13), &json!(0)));
    assert_eq!((&version["Version"], ran.stderr.as_str()), (&json!("1.13.0"), ""));
    assert_eq!(version.as_object().expect("an object").len(), 14);
}

/// A copy of the stand-in on `PATH`, a folder that does not count, and the real one, which does this, or that on
/// Windows.
fn with_the_real_one(bench: &Bench, does: &str, on_windows: &str) -> (PathBuf, PathBuf, OsString) {
    let folder = |name: &str| {
        let folder = bench.fake.folder.path().join(name);
        fs::create_dir(&folder).expect("a folder");
        folder
    };
    let (copies, theirs) = (folder("copy"), folder("real"));
    let copy = copies.join(program("databricks"));
    fs::copy(env!("CARGO_BIN_EXE_sso-databricks"), &copy).expect("a copy");
    let real = common::script(&theirs.join("databricks"), does, on_windows);
    (copy, real, path(&[&copies, Path::new("relative"), &theirs]))
}

#[test]
fn every_other_command_becomes_the_real_one() {
    let bench = Bench::new("");
    let (copy, real, path) = with_the_real_one(
        &bench,
        "cat; echo \"$@\" \"[$DATABRICKS_CLI_PATH]\"; exit 42",
        "set /p line=\necho %line%\necho %* [%DATABRICKS_CLI_PATH%]\nexit 1042",
    );
    let input = bench.fake.folder.path().join("input");
    fs::write(&input, "from stdin\n").expect("a file");
    let mut command = bench.command("-p x clusters list --nope");
    command.env("PATH", path).env("DATABRICKS_CLI_PATH", &copy).stdin(fs::File::open(input).expect("a file"));
    let output = command.output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    let expected = format!("from stdin\n-p x clusters list --nope [{}]\n", real.display());
    let code = if cfg!(windows) { 1042 } else { 42 };
    assert_eq!((told, output.status.code()), (expected, Some(code)), "{output:?}");
}

#[cfg(unix)]
#[test]
fn a_signal_that_ends_the_real_one_is_ours() {
    use std::os::unix::process::ExitStatusExt as _;
    let bench = Bench::new("");
    let (_, _, path) = with_the_real_one(&bench, "kill -TERM $$", "");
    let output = bench.command("clusters list").env("PATH", path).output().expect("it runs");
    assert_eq!(output.status.signal(), Some(15));
}

#[cfg(unix)]
#[test]
fn programs_that_call_each_other_come_to_an_end() {
    let bench = Bench::new("");
    let again = format!("exec {} \"$@\"", env!("CARGO_BIN_EXE_sso-databricks"));
    let (_, _, path) = with_the_real_one(&bench, &again, "");
    let ran = common::Ran::from(bench.command("clusters list").env("PATH", path).output().expect("it runs"));
    assert!(ran.stderr.contains("calls this program again and again") && ran.code == Some(1), "{ran:?}");
}

#[test]
fn without_the_real_one_its_commands_say_so() {
    let bench = Bench::new("");
    let ran = bench.run("bundle deploy --target dev");
    assert_eq!((ran.stdout.as_str(), ran.code), ("", Some(1)));
    assert!(ran.stderr.starts_with("Error: `databricks bundle deploy` is a command of the Databricks CLI itself, which is not on PATH"), "{ran:?}");
    assert!(bench.run("").stdout.contains("Available Commands:"));
}

//! What the Go and Java SDKs (and with Go: Terraform) want of the program named `databricks`. They cannot be
//! run here, so these are their rules, read in their source: sdk-go v0.175.0, sdk-java v0.149.0.

#![cfg(unix)]

use serde_json::Value;
use sso_agent_tests::{Agent, Finished, Provider, Sandbox, need, token};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

const NO_PROVIDER: &str = "the OpenID provider is missing";
/// From this on they use `--force-refresh`, and from much earlier on `--profile`.
const MODERN: [u64; 3] = [0, 296, 0];
/// Java's limit for the version, as Python's; Go has none, and would wait for ever.
const VERSION_LIMIT: Duration = Duration::from_secs(5);

#[test]
fn go_takes_it_for_the_modern_cli_by_its_size_and_kind() {
    let sandbox = Sandbox::new();
    let program = sandbox.shim().join("databricks");
    let kind = fs::symlink_metadata(&program).unwrap();
    assert!(kind.is_file() && kind.permissions().mode() & 0o111 == 0o111, "{kind:?}");
    assert!(kind.len() >= 1 << 20, "smaller programs are taken for the old CLI: {}", kind.len());
}

#[test]
fn go_reads_the_version_as_text_and_java_as_json_with_stderr_mixed_in() {
    let sandbox = Sandbox::new();
    let start = Instant::now();
    let text = sandbox.databricks(["version"]);
    let merged = bash(&sandbox, "databricks version --output json 2>&1");
    assert!(start.elapsed() < 2 * VERSION_LIMIT, "without an agent, too");

    let version = text.stdout.strip_suffix('\n').and_then(|line| line.strip_prefix("Databricks CLI v"));
    let said: Vec<u64> = version.unwrap().split('.').map(|part| part.parse().unwrap()).collect();
    assert!(said.as_slice() >= MODERN.as_slice(), "{said:?}");
    assert_eq!(text.stderr, "");

    let json: Value = serde_json::from_str(merged.ok()).expect("nothing but JSON");
    let numbers = ["Major", "Minor", "Patch"].map(|key| json[key].as_u64().expect("an integer"));
    assert_eq!(numbers.as_slice(), said);
    assert_eq!(json["Version"], version.unwrap());
    assert_eq!(
        sandbox.databricks(["version", "-o", "json"]).stdout,
        sandbox.databricks(["version", "--output", "json"]).stdout
    );
}

#[test]
fn java_runs_it_in_a_shell_by_unquoted_words_and_reads_the_end_by_its_own_rules() {
    let sandbox = Sandbox::new();
    let provider = need!("Java's way", Provider::start(3600), NO_PROVIDER);
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    for zone in ["UTC", "America/Los_Angeles", "Asia/Kolkata"] {
        let words = format!("TZ={zone} databricks auth token --host {} --force-refresh", provider.url);
        let said = bash(&sandbox, &words);
        said.ok();
        assert_eq!(said.stderr, "");
        let json = said.json();
        let end = json["expiry"].as_str().unwrap();
        let access = json["access_token"].as_str().unwrap();
        assert_eq!(json["token_type"], "Bearer");
        assert_eq!(json["refresh_token"], Value::Null);
        assert!(!said.stdout.ends_with('\n'), "as the real one prints it");

        let (instant, wall) = rfc3339(end).unwrap_or_else(|| panic!("{zone}: {end} is not RFC 3339"));
        assert!(instant.abs_diff(token::expiry(access).unwrap()) <= 1, "{zone}: {end}");
        assert_eq!(wall, local(&sandbox, zone, instant), "{zone}: {end} is local time, which Python needs");
        assert!(end.contains('.'), "{zone}: {end} has a fraction, without which Python reads no offset");
    }
}

#[test]
fn go_asks_twice_with_its_input_held_open() {
    let sandbox = Sandbox::new();
    let provider = need!("Go's way", Provider::start(3600), NO_PROVIDER);
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    let ask = || {
        let mut go = sandbox.databricks_command();
        go.args(["auth", "token", "--host", &provider.url, "--force-refresh"]);
        let mut child =
            go.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let [mut stdout, mut stderr] = [String::new(), String::new()];
        child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert!(child.wait().unwrap().success(), "{stderr}");
        stdout
    };
    assert_eq!(ask(), ask());
    assert_eq!(provider.count("refreshes"), 0, "what was obtained just now is new enough");
}

#[test]
fn an_unknown_host_sends_the_chain_on_and_a_dead_session_does_not() {
    const ON: &str = "databricks OAuth is not";
    let sandbox = Sandbox::new();
    let provider = need!("failures", Provider::start(4), NO_PROVIDER);
    let _agent = Agent::start(&sandbox);
    let ask = || sandbox.databricks(["auth", "token", "--host", &provider.url, "--force-refresh"]);

    let unknown = ask();
    unknown.failed_with(1);
    assert_eq!(unknown.stdout, "");
    assert!(unknown.stderr.starts_with("Error: ") && unknown.stderr.contains(ON), "{unknown:?}");
    assert!(!unknown.stderr.contains("not found"), "to Java that says that there is no CLI: {unknown:?}");

    sandbox.sso(["login", &provider.url]).ok();
    let last = sandbox.sso(["token"]).ok().to_owned();
    provider.set(&serde_json::json!({"token_fault": {"status": 400, "content_type": "application/json",
        "body": r#"{"error":"invalid_grant","error_description":"Refresh token is invalid"}"#}}));
    token::outlive(&last);
    let dead = ask();
    dead.failed_with(1);
    assert!(!dead.stderr.contains(ON) && !dead.stdout.contains(ON), "{dead:?}");
    assert!(!dead.stderr.contains("not found"), "{dead:?}");
    assert!(
        dead.stderr
            .contains("A new access token could not be retrieved because the refresh token is invalid."),
        "{dead:?}"
    );
    assert!(dead.stderr.contains(&format!("$ databricks auth login --host {}", provider.url)), "{dead:?}");
}

/// Runs it as Java does: words joined by spaces, for `bash -c`, with the stand-in first on the path.
fn bash(sandbox: &Sandbox, words: &str) -> Finished {
    let path = format!("{}:{}", sandbox.shim().display(), std::env::var("PATH").unwrap_or_default());
    Finished::of(sandbox.command("/bin/bash").args(["-c", words]).env("PATH", path))
}

/// What Go's `time.Parse(time.RFC3339)` and Java's `OffsetDateTime.parse` both take: the instant in seconds
/// since 1970, and the wall clock as it is written, without the fraction.
fn rfc3339(text: &str) -> Option<(u64, String)> {
    let (wall, rest) = text.split_at_checked(19)?;
    let shape: String = wall.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let fraction =
        rest.strip_prefix('.').map_or(0, |rest| 1 + rest.bytes().take_while(u8::is_ascii_digit).count());
    let offset = match rest.get(fraction..)? {
        "Z" => 0,
        offset if offset.len() == 6 => {
            let sign = match offset.get(..1)? {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60)
        }
        _ => return None,
    };
    let at: Vec<i64> = wall.split(['-', 'T', ':']).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [year, month, day, hour, minute, second] = at[..] else { return None };
    let seconds = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    (shape == "0000-00-00T00:00:00" && fraction != 1)
        .then_some((u64::try_from(seconds).ok()?, wall.to_owned()))
}

/// Days since 1970 (<https://howardhinnant.github.io/date_algorithms.html>).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The wall clock in that zone, by somebody else's reckoning.
fn local(sandbox: &Sandbox, zone: &str, instant: u64) -> String {
    let mut date = sandbox.command("date");
    date.env("TZ", zone).args(["-d", &format!("@{instant}"), "+%FT%T"]);
    Finished::of(&mut date).ok().to_owned()
}

//! The stand-in for the Databricks CLI and the file of profiles: what it says of it, what it changes in it,
//! and what it leaves alone.

mod common;

use std::fs;

use common::{
    Fake,
    bench::{Bench, FILE},
};
use serde_json::{Value, json};

#[test]
fn a_login_saves_the_profile_and_keeps_the_rest() {
    let bench = Bench::new(FILE);
    let ran = bench.run("auth login pat --scopes sql,jobs --timeout 5m");
    assert_eq!((ran.stdout.as_str(), ran.code), ("", Some(0)), "{ran:?}");
    assert!(ran.stderr.contains("http://127.0.0.1:9/start/x\n"), "{ran:?}");
    assert!(ran.stderr.ends_with("Profile pat was successfully saved\n"), "{ran:?}");
    let asked = json!({"host": "https://pat.example", "label": "pat", "scopes": ["jobs", "sql", "offline_access"], "flow": "browser", "timeout_s": 300});
    assert_eq!(bench.fake.asked("session.login"), [asked]);
    // The fake agent's session is at https://h.
    let saved = "[pat]\nhost = https://h\nauth_type = databricks-cli\nscopes = jobs,sql\n";
    assert_eq!(bench.text(), FILE.replace("[pat]\nhost = https://pat.example\ntoken = dapiCANARY\n", saved));
    let backup = bench.home.join(".databrickscfg.bak");
    assert_eq!(fs::read_to_string(&backup).expect("a backup"), FILE);
    #[cfg(unix)]
    for file in [bench.file(), backup] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    assert_eq!(fs::read_dir(&bench.home).expect("a folder").count(), 2, "nothing is left lying about");
}

#[test]
fn the_first_login_makes_the_file_and_the_default_profile() {
    let bench = Bench::new("");
    bench.run("auth login --host https://h/?o=12 --profile new --account-id a");
    let header = "; The profile defined in the DEFAULT section is to be used as a fallback when no profile is explicitly specified.\n[DEFAULT]\n\n";
    let profile = "[new]\nhost         = https://h\naccount_id   = a\nworkspace_id = 12\nauth_type    = databricks-cli\n";
    assert_eq!(bench.text(), format!("{header}{profile}\n[__settings__]\ndefault_profile = new\n"));
    assert!(!bench.home.join(".databrickscfg.bak").exists());
    let again = bench.text();
    bench.run("auth login new");
    assert_eq!(bench.text(), again, "the same sign-in changes nothing");
}

#[test]
fn a_login_that_names_too_little_is_told_what() {
    let bench = Bench::new("");
    let ran = bench.run("auth login");
    assert_eq!(
        ran.stderr,
        "Error: the command is being run in a non-interactive environment, please specify a host using --host\n"
    );
    let ran = bench.run("auth login --host accounts.cloud.databricks.com");
    assert!(ran.stderr.contains("please specify an account ID using --account-id"), "{ran:?}");
    bench.run("auth login --host https://adb-7.1.azuredatabricks.net");
    assert_eq!(bench.fake.asked("session.login")[0]["label"], "adb-7");
    let ran = bench.run("auth login --host h --profile [x]");
    assert_eq!(
        (ran.stderr.as_str(), bench.fake.asked("session.login").len()),
        ("Error: \"[x]\" cannot be the name of a profile\n", 1)
    );
}

#[test]
fn a_profile_may_have_a_name_that_is_no_label() {
    let bench = Bench::new("");
    bench.command("auth login --host h --profile").arg("my profile").output().expect("it runs");
    let asked = &bench.fake.asked("session.login")[0];
    assert_eq!((&asked["profile"], &asked["label"]), (&json!("my profile"), &Value::Null));
    assert!(bench.text().contains("[my profile]\n"));
}

#[test]
fn a_login_that_is_refused_changes_nothing() {
    let bench = Bench::with(Fake::refusing("cancelled"), FILE);
    assert_eq!(bench.run("auth login pat").code, Some(1));
    assert_eq!(bench.text(), FILE);
}

#[cfg(unix)]
#[test]
fn what_a_symlink_leads_to_is_changed_and_the_link_stays() {
    let bench = Bench::new("");
    let folder = bench.home.join("dotfiles");
    fs::create_dir(&folder).expect("a folder");
    std::os::unix::fs::symlink("dotfiles/cfg", bench.file()).expect("a link");
    bench.run("auth login --host h -p new");
    fs::write(folder.join("cfg"), FILE).expect("a file");
    bench.run("auth switch -p work");
    assert_eq!(fs::read_link(bench.file()).expect("still a link"), std::path::Path::new("dotfiles/cfg"));
    assert!(fs::read_to_string(folder.join("cfg")).expect("a file").ends_with("default_profile = work\n"));
}

#[test]
fn a_bad_file_is_told_before_anybody_signs_in_and_stays_as_it_is() {
    let binary: &[u8] = b"\x7fELF\0\xff\xfe";
    let large = vec![b'#'; 10 * 1024 * 1024];
    let cases: [(&[u8], &str); 4] = [
        (binary, "it is binary"),
        (&large, "more than 1048576"),
        (b"[work]\nhost = https://h\ntok", "line 3 is neither a [section] nor a key = value"),
        (b"[work]\nhost = a\n[work]\nhost = b\n", "line 3 starts a section that is there already"),
    ];
    for (bytes, words) in cases {
        let bench = Bench::new("");
        fs::write(bench.file(), bytes).expect("a file");
        for line in [
            "auth login -p work --host h",
            "auth logout work --auto-approve --delete",
            "auth switch -p work",
            "auth token work",
            "auth profiles",
            "auth describe",
            "auth env",
        ] {
            let ran = bench.run(line);
            assert_eq!((ran.stdout.as_str(), ran.code), ("", Some(1)), "{line}");
            assert!(
                ran.stderr.starts_with("Error: cannot parse config file: ") && ran.stderr.contains(words),
                "{line}: {ran:?}"
            );
        }
        assert_eq!(fs::read(bench.file()).expect("a file"), bytes);
        assert_eq!(fs::read_dir(&bench.home).expect("a folder").count(), 1, "no backup, nothing else");
        assert!(bench.fake.asked.lock().expect("no panic").is_empty(), "nobody was asked");
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_plain_file_is_told_and_not_opened() {
    use std::process::Command;
    let bench = Bench::new("");
    std::os::unix::fs::symlink(".databrickscfg", bench.file()).expect("a link");
    let ran = bench.run("auth login -p work --host h");
    assert!(ran.stderr.contains("cannot parse config file") && ran.code == Some(1), "{ran:?}");
    assert!(fs::read_link(bench.file()).is_ok(), "the loop is left alone");
    fs::remove_file(bench.file()).expect("our link");
    Command::new("mkfifo").arg(bench.file()).status().expect("mkfifo runs");
    assert!(bench.run("auth token work").stderr.contains("it is not a regular file"));
    fs::remove_file(bench.file()).expect("our pipe");
    fs::create_dir(bench.file()).expect("a folder");
    assert!(bench.run("auth login -p work --host h").stderr.contains("it is not a regular file"));
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new(FILE);
    fs::set_permissions(bench.file(), fs::Permissions::from_mode(0o000)).expect("our file");
    if fs::read(bench.file()).is_ok() {
        // The superuser reads everything; the tests of the whole run as somebody else too.
        return;
    }
    let ran = bench.run("auth login -p work --host h");
    assert!(ran.stderr.contains("Permission denied") && ran.code == Some(1), "{ran:?}");
    fs::set_permissions(bench.file(), fs::Permissions::from_mode(0o600)).expect("our file");
    assert_eq!(bench.text(), FILE);
}

#[test]
fn profiles_are_listed_with_what_works_of_them() {
    let bench = Bench::new(&format!(
        "{FILE}[azure]\nhost = adb-1.7.azuredatabricks.net\n[__settings__]\ndefault_profile = work\n"
    ));
    let list = |line: &str| -> Value { serde_json::from_str(&bench.run(line).stdout).expect("JSON") };
    let listed = list("auth profiles --output json");
    assert_eq!(
        listed["profiles"][0],
        json!({"name": "work", "host": "https://h", "account_id": "acc", "cloud": "aws", "auth_type": "databricks-cli", "valid": true, "default": true})
    );
    let told = |key: &str| {
        listed["profiles"].as_array().expect("a list").iter().map(|one| one[key].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        told("auth_type"),
        ["databricks-cli", "pat", "oauth-m2m", "databricks-cli", "databricks-cli", "databricks-cli"]
    );
    assert_eq!(told("valid"), [true, true, false, false, false, false]);
    assert_eq!(told("cloud")[5], "azure");
    let asked = bench.fake.asked.lock().expect("no panic").len();
    let unchecked = bench.run_with("auth profiles --skip-validate", &[("DATABRICKS_OUTPUT_FORMAT", "json")]);
    let unchecked: Value = serde_json::from_str(&unchecked.stdout).expect("JSON");
    assert!(unchecked["profiles"].as_array().expect("a list").iter().all(|one| one["valid"] == false));
    assert_eq!(bench.fake.asked.lock().expect("no panic").len(), asked, "nobody was asked");
    let table = bench.run("auth profiles").stdout;
    assert!(table.starts_with("Name            Host                         Valid\nwork (Default)  https://h                    YES\n"), "{table}");
    assert_eq!(Bench::new("").run("auth profiles -o json").stdout, "{\n  \"profiles\": []\n}\n");
}

#[test]
fn what_counts_is_described_without_its_secrets() {
    let bench = Bench::new(FILE);
    let described: Value =
        serde_json::from_str(&bench.run("auth describe -p work -o json").stdout).expect("JSON");
    assert_eq!((&described["status"], &described["username"]), (&json!("success"), &json!("me@example.com")));
    let host = json!({"value": "https://h", "source": {"type": "config file", "name": bench.file()}, "auth_type_mismatch": false});
    assert_eq!(described["details"]["configuration"]["host"], host);
    let ran = bench.run_with(
        "auth describe --host https://pat.example",
        &[("DATABRICKS_USERNAME", "u"), ("DATABRICKS_AUTH_TYPE", "pat")],
    );
    assert!(ran.stdout.contains("✓ token: ********"), "{ran:?}");
    assert!(
        ran.stdout.contains(
            "~ username: u (from DATABRICKS_USERNAME environment variable, not used for auth type pat)"
        ),
        "{ran:?}"
    );
    assert!(!ran.stdout.contains("CANARY"));
    assert!(bench.run("auth describe -p pat --sensitive").stdout.contains("dapiCANARY"));
    let conflict =
        bench.run_with("auth describe --host https://pat.example", &[("DATABRICKS_USERNAME", "u")]);
    assert!(
        conflict.stdout.starts_with(
            "Unable to authenticate: validate: more than one authorization method configured: basic and pat\n"
        ),
        "{conflict:?}"
    );
    let missing = bench.run("auth describe -p nobody").stderr;
    assert_eq!(
        missing,
        format!("Error: resolve: {} has no nobody profile configured\n", bench.file().display())
    );
}

#[test]
fn the_environment_of_a_profile_is_told() {
    let bench = Bench::new(FILE);
    let told: Value = serde_json::from_str(&bench.run("auth env --profile work").stdout).expect("JSON");
    let expected = json!({"env": {"DATABRICKS_ACCOUNT_ID": "acc", "DATABRICKS_AUTH_TYPE": "databricks-cli", "DATABRICKS_CONFIG_PROFILE": "work", "DATABRICKS_HOST": "https://h"}});
    assert_eq!(told, expected);
    assert!(bench.run("auth env --host h -o text").stdout.contains("DATABRICKS_CONFIG_PROFILE=work\n"));
}

#[test]
fn a_logout_ends_the_sign_in_and_takes_the_profile_out_if_asked_to() {
    let bench = Bench::new(&format!("{FILE}[__settings__]\ndefault_profile = work\n"));
    let ran = bench.run("auth logout work");
    assert_eq!(
        ran.stderr,
        "Error: please specify --auto-approve to skip confirmation in non-interactive mode\n"
    );
    let ran = bench.run("auth logout --profile work --auto-approve");
    assert_eq!(
        ran.stderr,
        "Logged out of profile \"work\". Use --delete to also remove it from the config file.\n"
    );
    assert_eq!(bench.fake.asked("session.logout"), [json!({"session": "h"})]);
    let ran = bench.run("auth logout work --auto-approve --delete");
    assert_eq!(ran.stderr, "Logged out of and deleted profile \"work\".\n");
    assert!(
        bench.text().starts_with("; mine\n[DEFAULT]\n\n[pat]\n") && !bench.text().contains("default_profile")
    );
    let ran = bench.run("auth logout robot --auto-approve");
    assert_eq!(
        ran.stderr,
        "No tokens to clear for profile \"robot\". Use --delete to remove it from the config file.\n"
    );
    let ran = bench.run("auth logout nobody --auto-approve");
    assert_eq!(ran.stderr, "Error: profile \"nobody\" not found. Available profiles: pat, robot, one, two\n");
}

#[test]
fn a_sign_in_that_another_profile_uses_is_kept() {
    let bench = Bench::new(&format!("{FILE}[too]\nhost = h\naccount_id = acc\n"));
    bench.run("auth logout work --auto-approve");
    assert!(bench.fake.asked("session.logout").is_empty());
}

#[test]
fn the_default_profile_is_switched() {
    let bench = Bench::new(FILE);
    assert_eq!(bench.run("auth switch --profile two").stderr, "Default profile set to \"two\".\n");
    assert_eq!(bench.text(), format!("{FILE}\n[__settings__]\ndefault_profile = two\n"));
    assert_eq!(bench.run("auth switch -p nobody").stderr, "Error: profile \"nobody\" not found\n");
}

#[test]
fn sign_ins_at_once_are_all_saved() {
    let bench = Bench::new(FILE);
    let children: Vec<_> = (0..8)
        .map(|n| bench.command(&format!("auth login -p c{n} --host h")).spawn().expect("it runs"))
        .collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    let text = bench.text();
    assert!((0..8).all(|n| text.contains(&format!("[c{n}]\n"))), "{text}");
    assert!(text.starts_with("; mine\n"), "{text}");
}

const NOWHERE: &str = if cfg!(windows) { r"C:\nonexistent\folder\cfg" } else { "/nonexistent/folder/cfg" };

#[test]
fn what_cannot_be_saved_is_told_before_anybody_signs_in() {
    let bench = Bench::new("");
    let nowhere = [("DATABRICKS_CONFIG_FILE", NOWHERE)];
    let ran = bench.run_with("auth login -p work --host h", &nowhere);
    assert!(ran.code == Some(1) && ran.stderr.contains(NOWHERE), "{ran:?}");
    assert!(bench.fake.asked("session.login").is_empty());
}

#[test]
fn a_profile_of_the_environment_is_not_turned_into_another_hosts() {
    let bench = Bench::new(FILE);
    let named = [("DATABRICKS_CONFIG_PROFILE", "work")];
    let ran = bench.run_with("auth login --host https://other.example", &named);
    assert!(ran.code == Some(1) && ran.stderr.contains("conflicts with --host"), "{ran:?}");
    assert_eq!(bench.text(), FILE);
}

use std::fs;

use secrecy::ExposeSecret as _;

use super::*;

const HOST: &str = "https://adb-1.azuredatabricks.net";
// What Python 3.11 makes of each key.
const USUAL: &str = "7dc461c182835baa259be6dbb8a8c0199f38b0bf6bd67e3c48e42e2096b74ded";
const WORK: &str = "aa117833b2bf5fabd064cf3f26ee466675bebe412dacf6ad9c4f90eaa9c37eab";
const ODD: &str = "148e329609a1eccd04c90cd458c76768d2202147972d8f3cefb63d7bfeb5ac35";
const GROUP: &str = "e6f237e107e67b37ac54ce449db1651ec37f7760898207d5626a6929ce7d179d";
const OLD: &str = "de6c35e63a19bae55dc74f85355f2357c800cedef4a0a2b25283b43ac0b6c6d1";
const OLDEST: &str = "8042135b0be33839c931e3133453a0265475f0106a06b0779ea2e7c19bbb36f1";

fn way(client_id: &str, scopes: &[&str], group_id: Option<&str>) -> Way {
    Way {
        client_id: client_id.to_owned(),
        provider: None,
        has_secret: false,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        group_id: group_id.map(str::to_owned),
    }
}

fn searched(files: &[&str], known: &Known) -> Findings {
    let home = tempfile::tempdir().unwrap();
    let folder = folder(home.path());
    fs::create_dir_all(&folder).unwrap();
    for name in files {
        let text = format!(
            r#"{{"token": {{"access_token": "CANARY", "token_type": "Bearer", "expiry": "2026-11-23T17:06:56.59", "refresh_token": "r-{:.4}"}}}}"#,
            name
        );
        fs::write(folder.join(format!("{name}.json")), text).unwrap();
    }
    let mut findings = Findings::default();
    search(&folder, known, &[], &mut findings);
    findings
}

fn known(setting: Setting) -> Known {
    Known { settings: vec![setting] }
}

fn at(host: &str) -> Setting {
    Setting { host: Some(host.to_owned()), ..Setting::default() }
}

#[test]
fn the_hash_is_the_one_that_python_makes() {
    let usual = &["all-apis", "offline_access"];
    assert_eq!(hash(HOST, "", &way("databricks-cli", usual, None)), USUAL);
    assert_eq!(hash(HOST, "work", &way("databricks-cli", usual, None)), WORK);
    assert_eq!(hash(HOST, "work", &way("databricks-cli", usual, Some("g-7"))), GROUP);
    let odd = "Büro \"😀\"\\/\u{7f}\u{1}";
    assert_eq!(hash(HOST, odd, &way("my-app", &["jobs", "sql", "offline_access"], None)), ODD);
    assert_eq!(quoted("\u{7f}\u{8}\u{c}\n\r\t\u{1f} é😀"), r#""\u007f\b\f\n\r\t\u001f \u00e9\ud83d\ude00""#);
    assert_eq!(old_hash(HOST, "databricks-cli", &[]), OLD);
    assert_eq!(old_hash(HOST, "databricks-cli", OLD_SCOPES), OLDEST);
}

#[test]
fn a_sign_in_is_found_by_its_host_and_labelled_by_its_profile() {
    let profile = Setting { profile: Some("work".into()), ..at("adb-1.azuredatabricks.net/") };
    let findings = searched(&[USUAL, WORK], &known(profile));
    assert_eq!(findings.skipped, []);
    let found: Vec<_> =
        findings.found.iter().map(|found| (found.session(), found.refresh_token.expose_secret())).collect();
    let id = "adb-1.azuredatabricks.net";
    assert_eq!(found, [(id.to_owned(), "r-7dc4"), (format!("{id}#work"), "r-aa11")]);
    assert_eq!(findings.found[0].scopes, ["all-apis", "offline_access"]);
    assert!(!format!("{findings:?}").contains("CANARY"));
}

#[test]
fn sign_ins_of_old_versions_are_found_as_well() {
    let findings = searched(&[OLD, OLDEST], &known(at("adb-1.azuredatabricks.net")));
    let mut scopes: Vec<_> = findings.found.iter().map(|found| found.scopes.clone()).collect();
    scopes.sort();
    assert_eq!(scopes, [vec![], OLD_SCOPES.iter().map(|s| (*s).to_owned()).collect()]);
}

#[test]
fn clients_and_scopes_of_a_profile_are_tried() {
    let name = "Büro \"😀\"\\/\u{7f}\u{1}";
    let client = |has_secret| Some(Client { id: "my-app".into(), has_secret });
    let setting = |has_secret| Setting {
        profile: Some(name.into()),
        scopes: vec!["jobs".into(), "sql".into()],
        client: client(has_secret),
        ..at(HOST)
    };
    let findings = searched(&[ODD], &known(setting(false)));
    assert_eq!((findings.found[0].client_id.as_str(), &findings.found[0].label), ("my-app", &None));
    let findings = searched(&[ODD], &known(setting(true)));
    assert!(findings.skipped[0].why.contains("client secret"), "{findings:?}");
    let azure = Setting { azure_client: client(false), ..setting(false) };
    let findings = searched(&[ODD], &known(Setting { client: None, ..azure }));
    assert_eq!(findings.found[0].provider, Some("entra"));
}

#[test]
fn what_cannot_be_taken_over_is_told_with_the_reason() {
    let group = Setting { profile: Some("work".into()), group_id: Some("g-7".into()), ..at(HOST) };
    let findings = searched(&[GROUP, &"0".repeat(64)], &known(group));
    assert!(findings.found.is_empty());
    let why: Vec<_> = findings.skipped.iter().map(|skipped| skipped.why.as_str()).collect();
    assert!(why[0].contains("sso import HOST") && why[1].contains("role of a group"), "{why:?}");
}

#[test]
fn corrupt_files_are_told_and_not_quoted() {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.json", "{\"token\": {\"refresh_token\": \"CANARY"),
        ("b.json", "{\"token\": {\"access_token\": \"CANARY\"}}"),
        ("c.json", "{\"token\": \"CANARY\"}"),
        ("d.txt", "of no concern"),
    ] {
        fs::write(home.path().join(name), text).unwrap();
    }
    fs::create_dir(home.path().join("e.json")).unwrap();
    let mut findings = Findings::default();
    search(home.path(), &known(at(HOST)), &[], &mut findings);
    let why: Vec<_> = findings.skipped.iter().map(|skipped| skipped.why.as_str()).collect();
    let corrupt = "it is no sign-in of the Databricks SDK";
    assert_eq!(
        why,
        [corrupt, "it holds no refresh token; sign in instead", corrupt, "it is not a regular file"]
    );
}

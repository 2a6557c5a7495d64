use std::fs;

use super::*;

const TOKEN: &str = r#"{"access_token":"CANARY","token_type":"Bearer","refresh_token":"R","expiry":"2026-11-23T17:06:56.596795852Z","expires_in":3600}"#;

fn known(profiles: &str) -> Known {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cfg");
    fs::write(&path, profiles).unwrap();
    let mut known = Known::default();
    assert_eq!(known.add_profiles(&path), None);
    known
}

fn searched(cache: &str, profiles: &str) -> Findings {
    let home = tempfile::tempdir().unwrap();
    let path = path(home.path());
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, cache).unwrap();
    let mut findings = Findings::default();
    search(&path, &known(profiles), &mut findings);
    assert!(!format!("{findings:?}").contains("CANARY"));
    findings
}

fn cache(tokens: &[(&str, &str)]) -> String {
    let tokens: Vec<String> =
        tokens.iter().map(|(key, refresh)| format!("{key:?}:{}", TOKEN.replace("\"R\"", refresh))).collect();
    format!(r#"{{"version":1,"tokens":{{{}}}}}"#, tokens.join(","))
}

#[test]
fn one_sign_in_under_several_keys_is_one_and_has_the_name_of_its_profile() {
    let text = cache(&[
        ("https://adb-1.azuredatabricks.net", "\"r1\""),
        ("work", "\"r1\""),
        ("https://accounts.cloud.databricks.com/oidc/accounts/0d26", "\"r2\""),
    ]);
    let findings =
        searched(&text, "[work]\nhost = adb-1.azuredatabricks.net/\nscopes = sql\naccount_id = a\n");
    let [work, console] = findings.found.as_slice() else { panic!("{findings:?}") };
    assert_eq!(work.source.keys, ["https://adb-1.azuredatabricks.net", "work"]);
    assert_eq!(work.session(), "adb-1.azuredatabricks.net#work");
    assert_eq!((work.refresh_token.expose_secret(), work.client_id.as_str()), ("r1", "databricks-cli"));
    assert_eq!(work.scopes, ["sql", "offline_access"]);
    assert_eq!(console.session(), "accounts.cloud.databricks.com/accounts/0d26");
    assert!(console.scopes.is_empty() && findings.skipped.is_empty());
}

#[test]
fn a_profile_that_is_not_known_any_more_still_has_the_host_of_its_other_key() {
    let text = cache(&[("gone", "\"r1\""), ("https://h.example.com", "\"r1\""), ("lost", "\"r2\"")]);
    let findings = searched(&text, "");
    assert_eq!(findings.found.iter().map(Found::session).collect::<Vec<_>>(), ["h.example.com#gone"]);
    assert_eq!(findings.skipped.len(), 1);
    assert_eq!(findings.skipped[0].key.as_deref(), Some("lost"));
    assert!(findings.skipped[0].why.contains("no profile of this name"));
}

#[test]
fn a_name_that_is_no_label_gives_none() {
    let findings = searched(&cache(&[("my work", "\"r\"")]), "[my work]\nhost = h.example.com\n");
    assert_eq!(findings.found[0].session(), "h.example.com");
}

#[test]
fn an_entry_without_a_refresh_token_is_told_and_the_others_count() {
    let text = cache(&[("a", "null"), ("b", "\"\""), ("c", "7"), ("d", "\"r\"")])
        .replace(",\"refresh_token\":null", "");
    let findings = searched(&text, "[d]\nhost = h\n");
    assert_eq!(findings.found.len(), 1);
    let told: Vec<_> = findings.skipped.iter().map(|s| (s.key.as_deref().unwrap(), s.why.as_str())).collect();
    let none = "it holds no refresh token; sign in instead";
    assert_eq!(told, [("a", none), ("b", none), ("c", "it is no token")]);
}

#[test]
fn what_is_no_cache_of_this_version_is_told_and_not_quoted() {
    for (text, why) in [
        (r#"{"version":2,"tokens":[]}"#, "it is of version 2, and only 1 is known"),
        (r#"{"version":"CANARY","tokens":{}}"#, NO_CACHE),
        (r#"{"version":1,"tokens":["CANARY"]}"#, NO_CACHE),
        (r#"{"version":1,"tokens":{"a":"CANARY"#, NO_CACHE),
        (r#"{"version":1}"#, NO_CACHE),
        ("", NO_CACHE),
    ] {
        let findings = searched(text, "");
        assert_eq!(findings.skipped.iter().map(|s| s.why.as_str()).collect::<Vec<_>>(), [why], "{text}");
    }
    assert!(searched(&cache(&[]), "").skipped.is_empty(), "an empty one is nothing to speak of");
}

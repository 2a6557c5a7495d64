//! The one spelling of a host, and what it says.

use super::*;
use proptest::prelude::*;

fn url(typed: &str) -> String {
    Host::parse(typed, None).unwrap().url().to_owned()
}

proptest! {
    #[test]
    fn the_short_way_leads_where_the_long_way_does(
        text in r"(http://|https://|)(127\.0\.0\.1|localhost|[a-z0-9-]{1,6}(\.[a-z0-9-]{1,4}){0,3}|adb-1\.7\.azuredatabricks\.net|0x7f\.1|xn--a)(:[0-9]{1,6}|:443|:80|:)?/?",
    ) {
        if let Some(plain) = Plain::read(&text) {
            // A query is dropped, and only the long way reads one.
            prop_assert_eq!(plain.host(None), Host::parse(&format!("{text}?"), None));
        }
    }
}

#[test]
fn a_workspace_has_one_spelling() {
    for typed in [
        "adb-1.7.azuredatabricks.net",
        "https://adb-1.7.azuredatabricks.net/",
        "HTTPS://ADB-1.7.AzureDatabricks.net:443/a/b/?o=123#x",
        " adb-1.7.azuredatabricks.net. ",
    ] {
        assert_eq!(url(typed), "https://adb-1.7.azuredatabricks.net");
    }
    assert_eq!(Host::parse("adb-1.7.azuredatabricks.net", None).unwrap().id(), "adb-1.7.azuredatabricks.net");
}

#[test]
fn an_issuer_keeps_its_path() {
    assert_eq!(url("sso.example.com/realms/Main/"), "https://sso.example.com/realms/Main");
    assert_eq!(url("https://example.com:8443//"), "https://example.com:8443");
}

#[test]
fn plain_http_is_for_loopback_only() {
    for typed in ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080", "http://127.9.9.9"] {
        assert_eq!(url(typed), typed);
    }
    for typed in [
        "http://example.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
    ] {
        assert!(matches!(Host::parse(typed, None), Err(HostError::NotSecure(_))), "{typed}");
    }
}

#[test]
fn what_is_no_host_is_refused() {
    for typed in
        ["", "https://", "ftp://x", "a b", "https://x\ny", "file:///etc/passwd", "http://", "0..", "a.."]
    {
        assert!(matches!(Host::parse(typed, None), Err(HostError::NotAHost(_))), "{typed:?}");
    }
    assert_eq!(Host::parse("https://u:p@x.example", None), Err(HostError::Credentials));
}

#[test]
fn the_cloud_is_told_by_the_suffix() {
    use Cloud::{Aws, Azure, Gcp};
    use Stage::{Development, Production, Staging};
    for (typed, cloud, stage) in [
        ("dbc-1.dev.databricks.com", Aws, Development),
        ("dbc-1.staging.cloud.databricks.com", Aws, Staging),
        ("dbc-1.cloud.databricks.us", Aws, Production),
        ("dbc-1.cloud.databricks.com", Aws, Production),
        ("adb-1.7.dev.azuredatabricks.net", Azure, Development),
        ("adb-1.7.staging.azuredatabricks.net", Azure, Staging),
        ("adb-1.7.azuredatabricks.net", Azure, Production),
        ("adb-1.7.databricks.azure.us", Azure, Production),
        ("adb-1.7.databricks.azure.cn", Azure, Production),
        ("1.2.dev.gcp.databricks.com", Gcp, Development),
        ("1.2.staging.gcp.databricks.com", Gcp, Staging),
        ("1.2.gcp.databricks.com", Gcp, Production),
    ] {
        let host = Host::parse(typed, Some("an-account-is-no-matter")).unwrap();
        assert_eq!((host.kind(), host.stage()), (&Kind::Workspace(cloud), stage), "{typed}");
        assert!(host.is_databricks() && host.id() == typed, "{typed}");
    }
    for typed in [
        "evilcloud.databricks.com.example",
        "azuredatabricks.net",
        "xazuredatabricks.net",
        "acme.databricks.com",
    ] {
        assert_eq!(Host::parse(typed, None).unwrap().kind(), &Kind::Other, "{typed}");
    }
}

#[test]
fn a_cloud_is_known_by_its_name() {
    assert_eq!(
        ["AWS", "Azure", "gcp", "", "ibm"].map(Cloud::named),
        [Some(Cloud::Aws), Some(Cloud::Azure), Some(Cloud::Gcp), None, None]
    );
}

#[test]
fn the_name_is_what_stands_between_scheme_and_port() {
    for (typed, name) in [
        ("https://sso.example.com:8443/realms/a:1", "sso.example.com"),
        ("http://[::1]:8080", "[::1]"),
        ("http://[::1]", "[::1]"),
        ("a.example", "a.example"),
    ] {
        assert_eq!(Host::parse(typed, None).unwrap().name(), name);
    }
}

#[test]
fn an_account_console_needs_its_account() {
    for console in [
        "accounts.cloud.databricks.com",
        "accounts.azuredatabricks.net",
        "accounts.gcp.databricks.com",
        "accounts.databricks.azure.cn",
        "accounts.databricks.azure.us",
        "accounts-dod.cloud.databricks.us",
        "accounts.staging.cloud.databricks.com",
    ] {
        for none in [None, Some("")] {
            assert!(matches!(Host::parse(console, none), Err(HostError::AccountMissing(_))), "{console}");
        }
        assert!(matches!(Host::parse(console, Some("../x")), Err(HostError::BadAccount(_))));
        let host = Host::parse(console, Some("ABC-1")).unwrap();
        assert_eq!(host.id(), format!("{console}/accounts/abc-1"));
        assert!(matches!(host.kind(), Kind::Account(..)));
    }
}

#[test]
fn an_account_makes_a_unified_host_of_any_other_name() {
    for (typed, id) in [
        ("acme.databricks.com", "acme.databricks.com/accounts/abc-1"),
        ("https://data.acme.example/compute?o=1", "data.acme.example/accounts/abc-1"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080/accounts/abc-1"),
        ("http://localhost:8080/", "localhost:8080/accounts/abc-1"),
    ] {
        let host = Host::parse(typed, Some("ABC-1")).unwrap();
        assert_eq!((host.kind(), host.id()), (&Kind::Unified("abc-1".into()), id.to_owned()));
    }
    assert!(matches!(Host::parse("data.acme.example", Some("a/b")), Err(HostError::BadAccount(_))));
    assert_eq!(Host::parse("data.acme.example", Some("")).unwrap().kind(), &Kind::Other);
}

#[test]
fn an_account_may_stand_in_the_query_of_a_databricks_address() {
    let account = |typed, given| {
        Host::parse(typed, given).map(|host| (host.id(), host.account_id().map(str::to_owned)))
    };
    let of = |id: &str, account: &str| Ok((format!("{id}/accounts/{account}"), Some(account.to_owned())));
    assert_eq!(account("acme.databricks.com/sql?o=12&a=ABC-1", None), of("acme.databricks.com", "abc-1"));
    assert_eq!(account("acme.databricks.com?account_id=abc-1", None), of("acme.databricks.com", "abc-1"));
    assert_eq!(account("acme.databricks.com?a=abc-1", Some("def-2")), of("acme.databricks.com", "def-2"));
    let console = "accounts.azuredatabricks.net";
    assert_eq!(
        account("https://accounts.azuredatabricks.net/login?account_id=a-1", None),
        of(console, "a-1")
    );
    assert_eq!(account("http://localhost:80/?w=3&a=a-1", None), of("localhost", "a-1"));
    assert_eq!(
        account("https://adb-1.7.azuredatabricks.net/?o=1&workspace_id=1&a=a-1", None),
        Ok(("adb-1.7.azuredatabricks.net".to_owned(), None))
    );
    for id in [
        "acme.databricks.com/accounts/a-1",
        "accounts.azuredatabricks.net/accounts/a-1",
        "localhost:8/accounts/a-1",
    ] {
        assert_eq!(account(id, None).unwrap().0, id, "what a session is called can be typed");
    }
    assert_eq!(account("localhost:8/accounts/a/b", None).unwrap().1, None, "a page of some other kind");
    assert_eq!(account("i.example/a?a=b", None), Ok(("i.example/a".to_owned(), None)), "not Databricks'");
    assert!(matches!(account("acme.databricks.com?a=..", None), Err(HostError::BadAccount(_))));
}

proptest! {
    #[test]
    fn parsing_is_stable_and_never_panics(typed in ".{0,80}") {
        if let Ok(host) = Host::parse(&typed, None) {
            prop_assert!(!host.url().ends_with('/'));
            let again = Host::parse(host.url(), host.account_id());
            prop_assert_eq!(again, Ok(host));
        }
    }

    #[test]
    fn parsing_is_stable_on_what_looks_like_a_host(typed in "(https?://)?[A-Za-z0-9.-]{1,20}(\\.azuredatabricks\\.net)?(:[0-9]{1,5})?(/[a-zA-Z%.]{0,5}){0,3}(\\?[a-z=]{0,5})?") {
        if let Ok(host) = Host::parse(&typed, None) {
            let again = Host::parse(host.url(), host.account_id());
            prop_assert_eq!(again, Ok(host));
        }
    }
}

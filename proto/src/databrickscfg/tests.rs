use super::{auth::NAMES, *};
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use std::path::Path;

fn config(text: &str) -> Config {
    Config::parse(text).unwrap()
}

fn value(line: &str) -> String {
    let config = config(&format!("[p]\n{line}\n"));
    config.profile("p").unwrap().get("k").unwrap_or_default().to_owned()
}

fn auth(lines: &str) -> Result<AuthType, String> {
    config(&format!("[p]\n{lines}")).profile("p").unwrap().auth_type().map_err(|error| error.to_string())
}

#[test]
fn keys_are_read_in_any_case_and_with_either_delimiter() {
    for line in ["k = v", "K=v", "k:v", "  k  :  v  ", "k = v\r", "k\t=\tv"] {
        assert_eq!(value(line), "v", "{line:?}");
    }
}

#[test]
fn a_value_keeps_all_but_an_inline_comment_behind_white_space() {
    assert_eq!(value("k = a#b;c%d=e:f"), "a#b;c%d=e:f");
    assert_eq!(value("k = v # note"), "v");
    assert_eq!(value("k = v\t; note # more"), "v");
    assert_eq!(value("k = # is no comment here"), "# is no comment here");
    assert_eq!(value("k = ${x} %(y)s \"q\""), "${x} %(y)s \"q\"");
}

#[test]
fn comments_and_blank_lines_say_nothing() {
    let config = config("# top = 1\n; [no]\n\n[a]\n  # k = 1\n k = v\n;k = 2\n");
    assert_eq!(config.profiles().map(Section::name).collect::<Vec<_>>(), ["a"]);
    assert_eq!(config.profile("a").unwrap().get("k"), Some("v"));
}

#[test]
fn deeper_lines_continue_a_value() {
    assert_eq!(value("k = a\n  b\n# between\n\n\tc = d\nx = y"), "a\nb\nc = d");
    assert_eq!(value("k =\n  a"), "a");
    // The same depth is the next entry.
    assert_eq!(value("  k = a\n  x = b"), "a");
}

#[test]
fn every_line_ending_and_a_byte_order_mark_are_fine() {
    for text in ["[p]\r\nk = v\r\n", "[p]\rk = v\r", "\u{feff}[p]\nk = v"] {
        assert_eq!(config(text).profile("p").unwrap().get("k"), Some("v"), "{text:?}");
    }
}

#[test]
fn nothing_is_inherited_and_the_settings_are_no_profile() {
    let config =
        config("[DEFAULT]\nhost = h\n[p]\nk = v\n[__settings__]\ndefault_profile = p\nauth_storage=secure");
    assert_eq!(config.profile("p").unwrap().get("host"), None);
    assert_eq!(config.profiles().map(Section::name).collect::<Vec<_>>(), ["DEFAULT", "p"]);
    let settings = Settings { default_profile: Some("p"), auth_storage: Some("secure") };
    assert_eq!((config.settings(), config.profile("__settings__").is_none()), (settings, true));
}

#[test]
fn what_is_no_file_of_profiles_is_an_error_with_its_line_and_without_its_text() {
    let cases = [
        ("CANARY", BadConfig::BeforeFirstSection { line: 1 }),
        ("# c\nCANARY = 1\n[p]", BadConfig::BeforeFirstSection { line: 2 }),
        ("[p]\nCANARY", BadConfig::NotASetting { line: 2 }),
        ("[p]\n= CANARY", BadConfig::NotASetting { line: 2 }),
        ("[p]\n[]", BadConfig::NotASetting { line: 2 }),
        ("[CANARY]\n[q]\n[CANARY]", BadConfig::SectionTwice { line: 3 }),
        ("[p]\nCANARY = 1\ncanary = 2", BadConfig::KeyTwice { line: 3 }),
        ("[p]\nk = \0CANARY", BadConfig::Binary),
    ];
    for (text, expected) in cases {
        let error = Config::parse(text).unwrap_err();
        assert_eq!(error, expected, "{text:?}");
        assert!(!format!("{error}{error:?}").contains("CANARY"), "{text:?}");
    }
    assert_eq!(Config::parse_bytes(b"[p]\nk = \xff").unwrap_err(), BadConfig::Binary);
}

#[test]
fn a_default_section_may_come_back_but_not_its_keys() {
    let whole = config("[DEFAULT]\na = 1\n[p]\n[DEFAULT]\nb = 2\n");
    assert_eq!(whole.profile("DEFAULT").unwrap().keys().collect::<Vec<_>>(), ["a", "b"]);
    assert!(Config::parse("[DEFAULT]\na = 1\n[DEFAULT]\na = 2").is_err());
}

#[test]
fn a_huge_file_is_refused() {
    let most = "#".repeat(LIMIT);
    assert!(Config::parse(&most).is_ok());
    let error = Config::parse(&(most + "#")).unwrap_err();
    assert_eq!(error, BadConfig::TooLarge { size: LIMIT + 1 });
}

#[test]
fn secrets_show_nowhere_and_are_given_as_such() {
    let config =
        config("[p]\nhost = h\ntoken = CANARY\nClient_Secret = CANARY\nmetadata_service_url = CANARY");
    let section = config.profile("p").unwrap();
    assert!(!format!("{config:?}").contains("CANARY"));
    assert_eq!(format!("{section:?}"), r#"[p] {"host", "token", "client_secret", "metadata_service_url"}"#);
    assert_eq!((section.get("token"), section.get("client_secret")), (None, None));
    assert_eq!(section.secret("Token").unwrap().expose_secret(), "CANARY");
}

#[test]
fn a_blank_value_is_none() {
    let config = config("[p]\nhost =\ntoken = \n");
    let section = config.profile("p").unwrap();
    assert_eq!((section.get("host"), section.has("token")), (None, false));
}

#[test]
fn the_profile_that_counts_is_chosen_as_the_sdks_do() {
    let all = "[DEFAULT]\nhost=d\n[a]\nhost=a\n[b]\nhost=b\n";
    let with_default = format!("{all}[__settings__]\ndefault_profile = b\n");
    let chosen = |text: &str, wish: Option<&str>, env: Option<&str>| {
        let config = config(text);
        let env = |name: &str| env.filter(|_| name == "DATABRICKS_CONFIG_PROFILE").map(str::to_owned);
        match choose(&config, wish, env) {
            Ok(Choice::Named(section)) => section.name().to_owned(),
            Ok(Choice::Silent(section)) => format!("silently {}", section.name()),
            Ok(Choice::Nothing) => "nothing".to_owned(),
            Err(error) => error.message(Path::new("/f")),
        }
    };
    assert_eq!(chosen(&with_default, Some("a"), Some("DEFAULT")), "a");
    assert_eq!(chosen(&with_default, None, Some("a")), "a");
    assert_eq!(chosen(&with_default, Some(""), Some("")), "b");
    assert_eq!(chosen(all, None, None), "silently DEFAULT");
    assert_eq!(chosen(all, Some("DEFAULT"), None), "DEFAULT");
    assert_eq!(chosen("[a]\nhost=a", None, None), "nothing");
    assert_eq!(chosen("[DEFAULT]\n", None, None), "nothing");
    assert_eq!(chosen(all, Some("x"), None), "resolve: /f has no x profile configured");
    let reserved = "__settings__ is a reserved section name and cannot be used as a profile";
    assert_eq!(chosen(&with_default, None, Some("__settings__")), reserved);
}

#[test]
fn every_way_to_sign_in_is_known_by_its_name() {
    for name in NAMES {
        assert_eq!(AuthType::named(name).name(), *name);
        assert!(!matches!(AuthType::named(name), AuthType::Other(_)));
        assert_eq!(auth(&format!("auth_type = {name}\ntoken = t\nclient_id = c")).unwrap().name(), *name);
    }
    assert_eq!(auth("auth_type = new"), Ok(AuthType::Other("new".into())));
}

#[test]
fn credentials_tell_how_a_profile_signs_in() {
    let implied = [
        ("host = h", AuthType::DatabricksCli),
        ("client_id = c", AuthType::DatabricksCli),
        ("client_id = c\nclient_secret = s", AuthType::OauthM2m),
        ("token = t", AuthType::Pat),
        ("username = u\npassword = p", AuthType::Basic),
        ("metadata_service_url = u", AuthType::MetadataService),
        ("oidc_token_env = V", AuthType::EnvOidc),
        ("databricks_id_token_filepath = /f", AuthType::FileOidc),
        ("azure_client_id = c\nazure_tenant_id = t\nazure_client_secret = s", AuthType::AzureClientSecret),
        ("azure_use_msi = true", AuthType::AzureMsi),
        ("azure_workspace_resource_id = /s", AuthType::AzureCli),
        ("google_credentials = c", AuthType::GoogleCredentials),
        ("google_service_account = a", AuthType::GoogleId),
    ];
    for (lines, expected) in implied {
        assert_eq!(auth(lines), Ok(expected), "{lines}");
    }
}

#[test]
fn two_kinds_of_credentials_are_a_conflict_in_the_words_of_the_sdks() {
    let text = "validate: more than one authorization method configured: basic and pat";
    assert_eq!(auth("token = t\nusername = u"), Err(text.into()));
    assert_eq!(auth("token = t\nusername = u\nauth_type = pat"), Ok(AuthType::Pat));
}

#[test]
fn a_profile_is_read_as_what_it_is_about() {
    let text = "[u]\nHost = https://x\naccount_id = a\nworkspace_id = none\nscopes = sql, jobs sql,\nclient_id = c\ndatabricks_id_token_filepath=/f\nauth_type=file-oidc";
    let config = config(text);
    let profile = Profile::from(config.profile("u").unwrap());
    assert_eq!(profile.host.as_deref(), Some("https://x"));
    assert_eq!(profile.scopes, ["jobs", "sql"]);
    assert!(profile.is_account_level());
    assert_eq!((profile.auth_type, profile.oidc_token_filepath), (Ok(AuthType::FileOidc), Some("/f".into())));
}

proptest! {
    #[test]
    fn whatever_is_read_is_read_or_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Config::parse_bytes(&bytes);
    }

    #[test]
    fn what_looks_like_a_file_never_panics(text in "([ \t]?(\\[[a-z_]{0,3}\\]?|[a-c]{0,2} ?[=:]? ?[a-z#; ]{0,4})(\n|\r|\r\n)){0,12}") {
        let _ = Config::parse(&text);
    }
}

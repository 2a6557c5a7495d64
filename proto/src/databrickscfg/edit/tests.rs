use super::*;
use proptest::prelude::*;

/// What people's files look like.
const FILE: &str = "\u{feff}# mine\r\n\r\n[DEFAULT]\r\nhost = https://d\r\n\r\n; of work\r\n[work]\r\nHost   : https://w ; old\r\ntoken =\r\n    dapi\r\n    more\r\n\r\nunknown = %kept%\r\n# last word\r\n\r\n[x]\r\nk = v";

#[test]
fn only_what_changes_is_changed() {
    let changed =
        set(FILE, "work", &[("host", Some("https://n")), ("token", None), ("auth_type", Some("a"))]).unwrap();
    let expected = FILE
        .replace("https://w ;", "https://n ;")
        .replace("token =\r\n    dapi\r\n    more\r\n", "")
        .replace("%kept%\r\n", "%kept%\r\nauth_type = a\r\n");
    assert_eq!(changed, expected);
}

#[test]
fn what_is_so_already_changes_nothing() {
    let same = [("host", Some("https://w")), ("token", Some("dapi\nmore")), ("none", None)];
    assert_eq!(set(FILE, "work", &same[..1]).unwrap(), FILE);
    assert_eq!(set(FILE, "work", &same[2..]).unwrap(), FILE);
    assert_eq!(set(FILE, "work", &same).unwrap_err(), BadEdit::Value("token".into()));
}

#[test]
fn a_new_profile_is_added_at_the_end() {
    let changed = set(FILE, "new", &[("host", Some("h")), ("auth_type", Some("databricks-cli"))]).unwrap();
    let added = "\r\n\r\n[new]\r\nhost      = h\r\nauth_type = databricks-cli\r\n";
    assert_eq!(changed, format!("{FILE}{added}"));
}

#[test]
fn a_new_file_begins_as_that_of_the_cli() {
    let changed = set("", "p", &[("host", Some("h"))]).unwrap();
    assert_eq!(changed, format!("{FALLBACK}\n[DEFAULT]\n\n[p]\nhost = h\n"));
    assert_eq!(set("", "DEFAULT", &[("k", Some("v"))]).unwrap(), format!("{FALLBACK}\n[DEFAULT]\nk = v\n"));
}

#[test]
fn a_profile_goes_with_its_entries_and_leaves_the_comments_around_it() {
    let removed = remove(FILE, "work").unwrap();
    let start = FILE.find("[work]").unwrap();
    let end = FILE.find("# last word").unwrap();
    assert_eq!(removed, format!("{}{}", &FILE[..start], &FILE[end..]));
    let removed = remove(FILE, "DEFAULT").unwrap();
    assert_eq!(removed, FILE.replace("host = https://d\r\n\r\n", ""));
    for other in ["nobody", SETTINGS] {
        assert_eq!(remove(FILE, other).unwrap(), FILE);
    }
}

#[test]
fn the_default_profile_is_a_setting() {
    let named = set_default(FILE, Some("work")).unwrap();
    assert_eq!(named, format!("{FILE}\r\n\r\n[__settings__]\r\ndefault_profile = work\r\n"));
    assert_eq!(Config::parse(&named).unwrap().settings().default_profile, Some("work"));
    let other = set_default(&named, Some("x")).unwrap();
    assert_eq!(other, named.replace("= work", "= x"));
    assert_eq!(Config::parse(&set_default(&other, None).unwrap()).unwrap().settings().default_profile, None);
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    for name in ["", " p", "a]b", "a\nb", SETTINGS] {
        assert_eq!(set("", name, &[]).unwrap_err(), BadEdit::Name(name.into()), "{name:?}");
    }
    for value in ["", " v", "a\nb", "a # b", "a\0"] {
        assert_eq!(set("", "p", &[("k", Some(value))]).unwrap_err(), BadEdit::Value("k".into()), "{value:?}");
    }
    assert!(matches!(set("[p]\nnonsense", "p", &[]), Err(BadEdit::Config(_))));
}

#[test]
fn a_value_is_put_where_the_old_one_was() {
    let put = |line: &str| set(&format!("[p]\n{line}\n"), "p", &[("k", Some("new"))]).unwrap();
    for (before, after) in [
        ("k=old", "k= new"),
        ("  K :\told  ", "  K :\tnew  "),
        ("k =", "k = new"),
        ("k = old # why", "k = new # why"),
    ] {
        assert_eq!(put(before), format!("[p]\n{after}\n"));
    }
}

/// Files with all that can stand in them and that can be read.
fn files() -> impl Strategy<Value = String> {
    let line = "(\\[(DEFAULT|a|b|__settings__)\\]|[ \t]{0,2}(host|token|k|Host) ?[=:] ?[a-z#; ]{0,6}|[ ]{1,3}[a-z=]{1,4}|[#;] ?[a-z]{0,4}|)";
    (prop::collection::vec((line, "(\n|\r\n)"), 0..14), any::<bool>()).prop_map(|(lines, whole)| {
        let mut text = String::new();
        for (line, ending) in lines {
            let longer = format!("{text}{line}{ending}");
            text = if Config::parse(&longer).is_ok() { longer } else { text };
        }
        if whole { text } else { text.trim_end().to_owned() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_was_set_is_read_back_and_the_rest_is_untouched(
        text in files(), name in "(DEFAULT|a|b|new)", value in "[a-z%/;#]{1,6}",
    ) {
        let changed = set(&text, &name, &[("host", Some(&value)), ("token", None)]).unwrap();
        let (before, after) = (Config::parse(&text).unwrap(), Config::parse(&changed).unwrap());
        prop_assert_eq!(after.profile(&name).unwrap().get("host"), Some(value.as_str()));
        prop_assert!(!after.profile(&name).unwrap().keys().any(|key| key == "token"));
        for section in before.profiles() {
            let same = after.profile(section.name()).unwrap();
            for key in section.keys().filter(|key| section.name() != name || !["host", "token"].contains(key)) {
                prop_assert_eq!(section.value(key), same.value(key));
            }
        }
        // Lines go and come; those that stay are the same bytes, in the same order.
        let scan = Scan::of(&text).unwrap();
        let kept = scan.lines.iter().filter(|line| matches!(line.role, Role::Comment | Role::Header(_)));
        let mut rest = changed.as_str();
        for line in kept {
            let at = rest.find(line.whole.trim_end());
            prop_assert!(at.is_some());
            rest = &rest[at.unwrap()..];
        }
        prop_assert_eq!(set(&changed, &name, &[("host", Some(&value)), ("token", None)]).unwrap(), changed);
    }

    #[test]
    fn removing_leaves_every_other_profile_as_it_is(text in files(), name in "(DEFAULT|a|b)") {
        let removed = remove(&text, &name).unwrap();
        let (before, after) = (Config::parse(&text).unwrap(), Config::parse(&removed).unwrap());
        prop_assert!(after.profile(&name).is_none());
        for section in before.profiles().filter(|section| section.name() != name) {
            let same = after.profile(section.name()).unwrap();
            prop_assert!(section.keys().eq(same.keys()));
            prop_assert!(section.keys().all(|key| section.value(key) == same.value(key)));
        }
    }

    #[test]
    fn nothing_makes_an_edit_panic(text in any::<String>(), name in any::<String>(), value in any::<String>()) {
        let _ = set(&text, &name, &[(&value, Some(&value)), ("host", None)]);
        let _ = remove(&text, &name);
    }
}

#[test]
fn a_section_behind_a_new_key_stays_a_section_however_far_in_it_begins() {
    for text in [
        "  [a]\n  host = U\n  [b]\n  host = V\n",
        "[a]\n  [b]\nhost = V\n",
        "[a]\nhost = U\n[b]\nhost = V\n",
        "\t[a]\n\thost = U\n\n\t; about b\n\t[b]\n\thost = V\n",
        "[a]\nlong = one\n  two\n[b]\nhost = V\n",
    ] {
        let changed = set(text, "a", &[("auth_type", Some("databricks-cli"))]).unwrap();
        let config = Config::parse(&changed).unwrap();
        let value = |name: &str, key: &str| config.profile(name).and_then(|profile| profile.get(key));
        assert_eq!(value("a", "auth_type"), Some("databricks-cli"), "{changed}");
        assert_eq!(value("b", "host"), Some("V"), "{changed}");
    }
}

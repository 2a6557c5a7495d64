use std::{fs, io::Write as _};

use secrecy::ExposeSecret as _;
use sso_agent_core::{
    agent::{Target, Which},
    login::Flow,
    words::Label,
};
use sso_agent_proto::{
    fault::Kind,
    session::{self, Login},
};
use tempfile::TempDir;

use super::*;

const TWO: &str = "\
[DEFAULT]
host = https://adb-1.7.azuredatabricks.net
[work]
host = https://adb-1.7.azuredatabricks.net/
auth_type = databricks-cli
[ci]
host = https://adb-1.7.azuredatabricks.net
client_id = sp
client_secret = CANARY
[old]
host = https://adb-1.7.azuredatabricks.net
token = dapiCANARY
[console]
host = https://accounts.cloud.databricks.com
account_id = 0d26daa6-5e44-4c97-a497-ef015f91254a
[gone]
host = https://adb-1.7.azuredatabricks.net
auth_type = azure-cli
";

struct Written {
    folder: TempDir,
    config: Config,
}

impl Written {
    fn new(databricks: &str, own: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["config.toml", "databrickscfg"].map(|name| folder.path().join(name));
        let written = [own, databricks];
        for (path, text) in paths.iter().zip(written) {
            save(path, text.as_bytes());
        }
        let [own, databricks] = paths;
        Self { folder, config: Config::of_files(own, Some(databricks)) }
    }

    fn save(&self, name: &str, bytes: &[u8]) -> Reading {
        save(&self.folder.path().join(name), bytes);
        self.config.read_again()
    }

    fn meant(&self, wanted: &str) -> Result<Meant, sso_agent_proto::fault::Fault> {
        self.config.known().meant(&serde_json::from_str(wanted).unwrap())
    }

    fn plan(&self, login: Login) -> sso_agent_core::login::Plan {
        self.config.known().plan(login).unwrap()
    }
}

fn save(path: &Path, bytes: &[u8]) {
    fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

fn which(meant: Result<Meant, sso_agent_proto::fault::Fault>) -> Which {
    match meant {
        Ok(Meant::Session(Target::Host(_, which)) | Meant::Machine(Target::Host(_, which), _)) => which,
        other => panic!("{other:?}"),
    }
}

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

#[test]
fn a_session_can_be_meant_in_many_ways() {
    let files = Written::new(TWO, "");
    assert!(matches!(files.meant("{}"), Ok(Meant::Session(Target::Only))));
    assert!(matches!(files.meant(r#"{"session":"a.example#x"}"#), Ok(Meant::Session(Target::Session(_)))));
    assert_eq!(which(files.meant(r#"{"host":"a.example/"}"#)), Which::any());
    assert_eq!(which(files.meant(r#"{"host":"a.example","label":"x"}"#)), Which::Labelled(label("x")));
    assert_eq!(which(files.meant(r#"{"profile":"work"}"#)), Which::OfProfile(label("work")));
    assert_eq!(which(files.meant(r#"{"profile":"work","label":"x"}"#)), Which::Labelled(label("x")));
    assert_eq!(
        which(files.meant(r#"{"host":"b.example","profile":"else"}"#)),
        Which::OfProfile(label("else"))
    );
    for wrong in [r#"{"label":"x"}"#, r#"{"profile":"nobody"}"#, r#"{"host":"http://a.example"}"#] {
        assert_eq!(files.meant(wrong).unwrap_err().kind(), Kind::UnknownHost, "{wrong}");
    }
}

#[test]
fn a_host_with_several_profiles_knows_their_names() {
    let files = Written::new(TWO, "");
    let Which::Any { profiles } = which(files.meant(r#"{"host":"ADB-1.7.azuredatabricks.net"}"#)) else {
        panic!()
    };
    assert_eq!(profiles, ["DEFAULT", "work"], "programs and tokens have to be asked for by name");
}

#[test]
fn a_program_is_meant_with_its_secret_and_a_token_is_passed_through() {
    let files = Written::new(TWO, "");
    let Ok(Meant::Machine(_, plan)) = files.meant(r#"{"profile":"ci"}"#) else { panic!() };
    let plan = plan.unwrap();
    assert!(matches!(plan.flow, Flow::ClientCredentials));
    assert_eq!(plan.client_secret.unwrap().expose_secret(), "CANARY");
    let Ok(Meant::Token { session, token, .. }) = files.meant(r#"{"profile":"old"}"#) else { panic!() };
    assert_eq!((session.as_str(), token.expose_secret()), ("adb-1.7.azuredatabricks.net#old", "dapiCANARY"));
}

#[test]
fn what_cannot_be_served_is_unsupported_and_says_why() {
    let fault = Written::new(TWO, "").meant(r#"{"profile":"gone"}"#).unwrap_err();
    assert_eq!(fault.kind(), Kind::Unsupported);
    assert!(fault.message.contains("azure-cli is not served"), "{fault}");
}

#[test]
fn an_account_console_has_the_account_of_its_only_profile() {
    let files = Written::new(TWO, "");
    let Ok(Meant::Session(Target::Host(host, _))) =
        files.meant(r#"{"host":"accounts.cloud.databricks.com"}"#)
    else {
        panic!()
    };
    assert_eq!(host.account_id(), Some("0d26daa6-5e44-4c97-a497-ef015f91254a"));
}

#[test]
fn the_default_profile_is_the_named_one_or_the_silent_one() {
    assert_eq!(Written::new(TWO, "").config.known().default.as_deref(), Some("DEFAULT"));
    let named = format!("{TWO}[__settings__]\ndefault_profile = work\n");
    assert_eq!(Written::new(&named, "").config.known().default.as_deref(), Some("work"));
    assert_eq!(Written::new("[a]\nhost = a.example\n", "").config.known().default, None);
}

#[test]
fn a_sign_in_by_host_finds_the_client_that_was_registered_there() {
    let own = "[profile.git]\nhost = \"https://gitlab.example.com\"\nclient_id = \"abc\"\nscopes = [\"api\"]\nredirect_port = 7777\n";
    let files = Written::new("", own);
    let login = |host: &str| Login { host: Some(host.into()), ..Login::default() };
    let plan = files.plan(login("gitlab.example.com"));
    assert_eq!((plan.client_id.as_deref(), plan.scopes.as_slice()), (Some("abc"), &["api".to_owned()][..]));
    assert_eq!(plan.label, Label::default());
    assert!(matches!(plan.flow, Flow::Browser { port: Some(7777) }));
    let own_client = Login { client_id: Some("mine".into()), ..login("gitlab.example.com") };
    assert_eq!(files.plan(own_client).client_id.as_deref(), Some("mine"));
    let by_name = files.plan(Login { profile: Some("git".into()), ..Login::default() });
    assert_eq!((by_name.label, by_name.client_id.as_deref()), (label("git"), Some("abc")));
}

#[test]
fn an_issuer_of_its_own_may_stand_for_the_host() {
    let login = Login {
        issuer: Some("https://sso.example.com/realms/main".into()),
        client_id: Some("c".into()),
        ..Login::default()
    };
    let plan = Written::new("", "").plan(login);
    assert_eq!(plan.host.url(), "https://sso.example.com/realms/main");
    assert_eq!(plan.server.issuer, Some(plan.host));
}

#[test]
fn a_secret_signs_in_by_itself_unless_its_provider_gives_one_to_everybody() {
    let login = |host: &str| Login {
        host: Some(host.into()),
        client_id: Some("c".into()),
        client_secret: Some("s".into()),
        flow: session::Flow::ClientCredentials,
        ..Login::default()
    };
    let files = Written::new("", "");
    assert!(matches!(files.plan(login("sso.example.com")).flow, Flow::ClientCredentials));
    assert!(matches!(files.plan(login("github.com")).flow, Flow::Browser { .. }));
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing_and_is_named() {
    let files = Written::new(TWO, "");
    let bad: [&[u8]; 4] = [b"\xff\xfe\0binary", b"no section = 1\n", b"[a]\n[a]\n", &vec![b'#'; 2 << 20]];
    for bytes in bad {
        assert_eq!(files.save("databrickscfg", bytes), Reading::Invalid);
        let known = files.config.known();
        assert!(known.problems[0].contains("databrickscfg: "), "{:?}", known.problems);
        assert!(files.meant(r#"{"profile":"work"}"#).is_ok(), "what it said before stays");
        assert_eq!(files.save("databrickscfg", TWO.as_bytes()), Reading::New);
    }
    assert_eq!(files.save("config.toml", b"nonsense = 1"), Reading::Invalid);
    assert_eq!(files.save("config.toml", b""), Reading::New);
    assert_eq!(files.config.read_again(), Reading::Same);
}

#[test]
fn programs_lose_nothing_while_a_file_cannot_be_read_or_is_being_replaced() {
    let files = Written::new(TWO, "");
    let path = files.folder.path().join("databrickscfg");
    assert_eq!(files.config.known().machines().map(|all| all.len()), Some(1));
    files.save("databrickscfg", b"[half");
    assert_eq!(files.config.known().machines(), None);
    fs::remove_file(&path).unwrap();
    files.config.read_again();
    assert_eq!(files.config.known().machines(), None, "an editor may write it anew in a moment");
    files.save("databrickscfg", b"[other]\nhost = b.example\n");
    assert_eq!(files.config.known().machines(), Some([].into()));
    let unreadable = Written::new("[half", "");
    assert_eq!(unreadable.config.known().machines(), None, "also at the start");
    assert_eq!(Written::new("", "").config.known().machines(), Some([].into()));
}

#[test]
fn a_host_that_is_typed_beside_a_profile_counts() {
    let login = Login { profile: Some("ci".into()), host: Some("b.example".into()), ..Login::default() };
    let plan = Written::new(TWO, "").plan(login);
    assert_eq!((plan.host.url(), plan.label.as_str()), ("https://b.example", "ci"));
    assert!(matches!(plan.flow, Flow::Browser { .. }) && plan.client_secret.is_none());
}

#[test]
fn two_profiles_are_never_one_session_if_one_is_a_program() {
    let own = "[profile.me]\nhost = \"https://adb-1.7.azuredatabricks.net\"\nlabel = \"ci\"\n";
    let files = Written::new(TWO, own);
    let fault = files.meant(r#"{"profile":"me"}"#).unwrap_err();
    assert!(fault.message.contains("the profile ci"), "{fault}");
    assert!(files.meant(r#"{"profile":"ci"}"#).is_ok());
}

#[test]
fn what_is_known_at_once_is_never_a_programs_session_or_a_plain_token() {
    let known = Written::new(TWO, "").config.known();
    let plainly = |ask: &str| known.plainly(&serde_json::from_str(ask).unwrap()).map(|id| id.to_string());
    let host = "adb-1.7.azuredatabricks.net";
    assert_eq!(plainly(&format!(r#"{{"host":"{host}"}}"#)).as_deref(), Some(host));
    assert_eq!(plainly(r#"{"profile":"work"}"#), Some(format!("{host}#work")));
    for ask in [
        format!(r#"{{"session":"{host}#ci"}}"#),
        format!(r#"{{"session":"{host}#old"}}"#),
        format!(r#"{{"host":"{host}","label":"ci"}}"#),
        r#"{"profile":"ci"}"#.to_owned(),
        "{}".to_owned(),
    ] {
        assert_eq!(plainly(&ask), None, "{ask}");
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_or_a_loop_of_links_in_place_of_a_file_holds_nobody_up() {
    let files = Written::new(TWO, "");
    let path = files.folder.path().join("databrickscfg");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    assert_eq!(files.config.read_again(), Reading::Invalid);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    files.config.read_again();
    assert!(files.config.known().problems[0].contains("not a regular file"));
    assert!(files.meant(r#"{"profile":"work"}"#).is_ok());
}

#[test]
fn a_profile_that_is_signed_in_to_carries_its_name_and_a_changed_secret_shows() {
    let files = Written::new(TWO, "");
    let login = |profile: &str| Login { profile: Some(profile.into()), ..Login::default() };
    assert_eq!(files.plan(login("work")).label, label("work"));
    let before = files.plan(login("ci")).made_from.unwrap();
    files.save("databrickscfg", TWO.replace("CANARY", "other").as_bytes());
    assert_ne!(files.plan(login("ci")).made_from.unwrap(), before);
    let refused = files.config.known().plan(login("old")).unwrap_err();
    assert_eq!(refused.kind(), Kind::Unsupported);
}

#[test]
fn a_secret_of_a_file_does_not_show() {
    let files = Written::new(TWO, "");
    assert!(!format!("{:?}", files.config).contains("CANARY"));
    let list = files.config.known().list(|_| None);
    let json = serde_json::to_string(&list).unwrap();
    assert!(!json.contains("CANARY") && json.contains("azure-cli is not served"), "{json}");
}

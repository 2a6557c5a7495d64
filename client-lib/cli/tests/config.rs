//! `sso config`, with an agent that says what it thinks of the file.

mod common;

use std::fs;

use common::{
    NOBODY, Ran,
    home::{CONFIG, Home},
    script,
};
use serde_json::{Value, json};
use sso_agent_client::proto::places::CONFIG_TEMPLATE;

fn home(profiles: Value, refuses: bool) -> Home {
    Home::with_agent(move |method, _| match method {
        "agent.reload" if refuses => {
            let data = json!({"kind": "unsupported", "hint": "mend it"});
            Err(json!({"code": -32000, "message": "not all settings are in force", "data": data}))
        }
        "profile.list" => Ok(profiles.clone()),
        _ => Ok(json!({})),
    })
}

#[test]
fn a_new_file_is_the_template_and_an_old_one_is_never_overwritten() {
    let home = home(json!({"profiles": []}), false);
    let ran = home.run(&["config", "init"]);
    let path = home.path(CONFIG);
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("Wrote {}\n", path.display())));
    assert_eq!(fs::read_to_string(&path).expect("a file"), CONFIG_TEMPLATE);
    fs::write(&path, "mine").expect("our file");
    let ran = home.run(&["config", "init"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("is there already\nhint: change it: `sso config edit`"), "{ran:?}");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "mine");
}

#[cfg(unix)]
#[test]
fn a_new_file_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = home(json!({"profiles": []}), false);
    home.run(&["config", "init"]);
    let mode = |inside| home.path(inside).metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(CONFIG), mode(".config/sso-agent")), (0o600, 0o700));
}

#[test]
fn the_file_is_shown_with_its_place() {
    let home = home(json!({"profiles": []}), false);
    let ran = home.run(&["config", "show"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("config.toml is not there; `sso config init` writes it"), "{ran:?}");
    let path = home.has(CONFIG, "force_refresh_within = 5\n");
    let shown = home.run(&["config", "show"]).stdout;
    assert_eq!(shown, format!("# {}\n\nforce_refresh_within = 5\n", path.display()));
    let json = home.run(&["config", "show", "--json"]).json();
    assert_eq!(json, json!({"path": path, "exists": true, "content": "force_refresh_within = 5\n"}));
}

#[test]
fn a_file_that_the_agent_takes_is_well() {
    let theirs =
        json!({"name": "az", "auth_type": "azure-cli", "source": "databrickscfg", "problem": "not served"});
    let home = home(json!({"profiles": [theirs]}), false);
    let ran = home.run(&["config", "check"]);
    assert_eq!(ran.code, Some(0), "other tools' profiles are none of its business");
    assert!(ran.stdout.starts_with("note  profile az: not served\nok    "), "{ran:?}");
    assert_eq!(home.asked("agent.reload").len(), 1);
}

#[test]
fn what_the_agent_does_not_take_is_told() {
    let own = json!({"name": "git", "auth_type": "oauth", "source": "config", "problem": "it names no host"});
    let ran = home(json!({"profiles": [own]}), false).run(&["config", "check"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "FAIL  profile git: it names no host\n"));
    let problems = json!({"profiles": [], "problems": ["config.toml: line 3: unknown field `x`"]});
    let ran = home(problems, true).run(&["config", "check", "--json"]);
    assert_eq!(ran.code, Some(1));
    let told = json!({"problems": ["config.toml: line 3: unknown field `x`"], "remarks": []});
    assert_eq!((ran.json(), ran.stderr.as_str()), (told, ""));
    let ran = home(json!({"profiles": []}), true).run(&["config", "check"]);
    assert_eq!(ran.stdout, "FAIL  not all settings are in force\n", "a problem that is in no list");
}

#[test]
fn a_check_without_an_agent_says_so() {
    let home = home(json!({"profiles": []}), false);
    let mut sso = home.sso(&["config", "check"]);
    let ran = Ran::from(sso.env("SSO_AGENT_SOCK", NOBODY).output().expect("sso runs"));
    assert_eq!(ran.code, Some(3));
}

#[test]
fn the_editor_that_is_named_opens_the_file_and_the_agent_checks_it() {
    let home = home(json!({"profiles": []}), false);
    let script = script(&home.path("my editor"), "echo \"$1\" > \"$2\"", ">%2 echo %1");
    let [quote, failing] = if cfg!(windows) { ["\"", "cmd /c exit 1 &"] } else { ["'", "false"] };
    let edit = |visual: &str| {
        let mut sso = home.sso(&["config", "edit"]);
        Ran::from(sso.env("VISUAL", visual).env("EDITOR", failing).output().expect("sso runs"))
    };
    let ran = edit(&format!("{quote}{}{quote} changed", script.display()));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(fs::read_to_string(home.path(CONFIG)).expect("a file").trim_end(), "changed");
    assert_eq!(home.asked("agent.reload").len(), 1);
    let ran = edit("");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains(&format!("error: the editor {failing:?} failed: ")), "{ran:?}");
    assert_eq!(home.asked("agent.reload").len(), 1, "nothing to check");
}

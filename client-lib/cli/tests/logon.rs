//! `sso agent install` on Windows: the entry of this user's own in what runs at logon.
#![cfg(windows)]

mod common;

use std::fs;

use common::{Fake, Ran, path, program};
use windows_registry::CURRENT_USER;

const RUN: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";

fn entry() -> Option<String> {
    CURRENT_USER.open(RUN).and_then(|key| key.get_string("sso-agent")).ok()
}

#[test]
fn an_entry_is_shown_written_and_removed() {
    if entry().is_some() {
        // Whoever uses it here shall keep it.
        return;
    }
    let fake = Fake::well();
    let folder = fake.folder.path().join("bin");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join(program("sso-agent")), "").expect("a file");
    let run = |args: &[&str]| {
        let mut sso = fake.sso(&[&["agent"], args].concat());
        Ran::from(sso.env("PATH", path(&[&folder])).output().expect("sso runs"))
    };
    let sso = std::path::absolute(env!("CARGO_BIN_EXE_sso")).expect("a path");
    let command = format!("\"{}\" agent start", sso.display());
    let place = format!(r"HKEY_CURRENT_USER\{RUN}\sso-agent");

    let shown = run(&["install", "--print"]);
    assert_eq!(shown.stdout.to_lowercase(), format!("# {place}\n{command}\n").to_lowercase(), "{shown:?}");
    assert_eq!(entry(), None);

    let installed = run(&["install", "--json"]);
    assert_eq!(installed.json(), serde_json::json!({"written": [place]}), "{installed:?}");
    assert_eq!(entry().map(|entry| entry.to_lowercase()), Some(command.to_lowercase()));

    for _ in 0..2 {
        let removed = run(&["uninstall"]);
        assert!(removed.stdout.starts_with("Removed the logon entry; "), "{removed:?}");
        assert_eq!(entry(), None);
    }
}

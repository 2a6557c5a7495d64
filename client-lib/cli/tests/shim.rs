//! `sso shim`: the stand-in in place, as SDKs want it, and away again.

mod common;

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, mpsc},
};

use common::{Fake, Ran, path, program, put_program, script};
use serde_json::{Value, json};

fn sso(fake: &Fake, args: &[&str], path: impl AsRef<OsStr>) -> Ran {
    Ran::from(fake.sso(args).env("PATH", path).output().expect("sso runs"))
}

fn folder(fake: &Fake) -> (PathBuf, OsString) {
    let folder = fake.folder.path().join("bin");
    let path = path(&[&folder]);
    (folder, path)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn what_is_installed_is_what_sdks_take_for_the_cli() {
    let fake = Fake::well();
    let (folder, path) = folder(&fake);
    let ran = sso(&fake, &["shim", "install", text(&folder)], &path);
    assert!(
        ran.stdout.starts_with("Installed the stand-in for the Databricks CLI as ") && ran.code == Some(0),
        "{ran:?}"
    );
    assert!(ran.stdout.ends_with("SDKs find it on PATH; `sso doctor` says what they find\n"), "{ran:?}");
    let file = folder.join(program("databricks"));
    let found = fs::symlink_metadata(&file).expect("a file");
    assert!(found.is_file() && found.len() >= 1024 * 1024);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777, 0o755);
    let output = Command::new(&file).arg("version").output().expect("it runs");
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b"Databricks CLI v1.13.0\n"[..], &b""[..])
    );
}

/// However small a release is made, zeros behind it must not keep it from running.
#[test]
fn a_program_with_zeros_behind_it_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(program("databricks"));
    let program = fs::read(env!("CARGO_BIN_EXE_sso-databricks")).expect("our program");
    put_program(&file, &[program, vec![0; 1024 * 1024]].concat());
    let output = Command::new(&file).arg("version").output().expect("it runs");
    assert_eq!(output.stdout, b"Databricks CLI v1.13.0\n");
}

#[test]
fn where_path_does_not_lead_there_it_is_said_what_does() {
    let fake = Fake::well();
    let (folder, _) = folder(&fake);
    let ran = sso(&fake, &["shim", "install", text(&folder)], path(&[]));
    let file = folder.join(program("databricks"));
    let [on_path, for_sdks] = if cfg!(windows) {
        let path = "[Environment]::GetEnvironmentVariable('Path', 'User')";
        let set = |what: &str| format!("[Environment]::SetEnvironmentVariable({what}, 'User')");
        [
            set(&format!("'Path', '{};' + {path}", folder.display())),
            set(&format!("'DATABRICKS_CLI_PATH', '{}'", file.display())),
        ]
    } else {
        [
            format!("export PATH=\"{}:$PATH\"", folder.display()),
            format!("export DATABRICKS_CLI_PATH=\"{}\"", file.display()),
        ]
    };
    let told = format!(
        "{} is not on PATH. To have it found there:\n    {on_path}\nor, for SDKs alone:\n    {for_sdks}\n",
        folder.display()
    );
    assert!(ran.stdout.ends_with(&told), "{ran:?}");
}

#[test]
fn which_of_two_is_found_first_is_told() {
    let fake = Fake::well();
    let (folder, path_of_ours) = folder(&fake);
    let file = folder.join(program("databricks"));
    let first = fake.folder.path().join("first");
    fs::create_dir(&first).expect("a folder");
    let real =
        script(&first.join("databricks"), "echo 'Databricks CLI v9.9.9'", "echo Databricks CLI v9.9.9");
    let behind = path(&[&first, &folder]);
    let ran = sso(&fake, &["shim", "install", text(&folder), "--json"], &behind);
    let size = fs::metadata(&file).expect("a file").len();
    let told: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(told, json!({"installed": file, "size": size, "on_path": true, "hidden_by": real}));
    let doctor = sso(&fake, &["doctor"], &behind).stdout;
    assert!(doctor.contains("(Databricks CLI v9.9.9) comes before the stand-in"), "{doctor}");
    let doctor = sso(&fake, &["doctor"], path(&[&folder, &first])).stdout;
    let ours = format!("(v1.13.0 (stand-in of sso-agent {}))", env!("CARGO_PKG_VERSION"));
    assert!(
        doctor.contains(&ours) && doctor.contains("all else goes to") && doctor.contains("v9.9.9"),
        "{doctor}"
    );
    let ran = sso(&fake, &["shim", "install", text(&folder)], &path_of_ours);
    assert!(ran.stdout.ends_with("`sso doctor` says what they find\n"), "{ran:?}");
}

/// Windows does not let a program be replaced that runs.
#[test]
fn a_stand_in_that_runs_is_replaced() {
    let (fake, (go_on, gate)) = (Fake::well(), mpsc::channel::<()>());
    let (folder, path) = folder(&fake);
    let install = || sso(&fake, &["shim", "install", text(&folder)], &path).code;
    install();
    let gate = Mutex::new(gate);
    let slow = Fake::answering(move |_| {
        let _ = gate.lock().expect("no panic").recv();
        Err(json!({"code": -32000, "message": "no", "data": {"kind": "denied", "hint": "h"}}))
    });
    let mut running =
        slow.command(text(&folder.join(program("databricks"))), &["auth", "token", "--host", "h"]);
    running.env("DATABRICKS_CONFIG_FILE", folder.join("none")).stderr(Stdio::null());
    let mut running = running.spawn().expect("it runs");
    assert_eq!([install(), install()], [Some(0), Some(0)]);
    drop(go_on);
    running.wait().expect("our child");
}

#[test]
fn another_program_is_not_replaced_unless_that_is_wanted() {
    let fake = Fake::well();
    let (folder, path) = folder(&fake);
    fs::create_dir(&folder).expect("a folder");
    let file = folder.join(program("databricks"));
    fs::write(&file, "somebody's").expect("a file");
    for command in [&["shim", "install", text(&folder)][..], &["shim", "remove", text(&folder)]] {
        let ran = sso(&fake, command, &path);
        assert!(
            ran.code == Some(1) && ran.stderr.contains("is not the stand-in")
                || ran.stderr.contains("and is not the stand-in"),
            "{ran:?}"
        );
        assert_eq!(fs::read(&file).expect("a file"), b"somebody's");
    }
    assert_eq!(sso(&fake, &["shim", "install", text(&folder), "--force"], &path).code, Some(0));
    assert_eq!(sso(&fake, &["shim", "install", text(&folder)], &path).code, Some(0), "ours is replaced");
}

#[test]
fn what_was_installed_is_removed_and_nothing_else() {
    let fake = Fake::well();
    let (folder, path) = folder(&fake);
    sso(&fake, &["shim", "install", text(&folder), "--as", "dbx"], &path);
    sso(&fake, &["shim", "install", text(&folder)], &path);
    fs::write(folder.join("other"), "").expect("a file");
    let file = folder.join(program("databricks"));
    assert_eq!(sso(&fake, &["shim", "remove"], &path).stdout, format!("Removed {}\n", file.display()));
    assert_eq!(sso(&fake, &["shim", "remove"], &path).stdout, "There was no stand-in\n");
    let ran = sso(&fake, &["shim", "remove", text(&folder), "--as", "dbx", "--json"], &path);
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).expect("JSON"),
        json!({"removed": [folder.join(program("dbx"))]})
    );
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1);
}

#[test]
fn no_other_program_of_ours_is_taken_for_the_stand_in() {
    let fake = Fake::well();
    let (folder, _) = folder(&fake);
    fs::create_dir_all(&folder).expect("a folder");
    fs::copy(env!("CARGO_BIN_EXE_sso"), folder.join(program("sso"))).expect("a copy");
    let ran = sso(&fake, &["shim", "remove", text(&folder), "--as", "sso"], path(&[]));
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(folder.join(program("sso")).exists());
}

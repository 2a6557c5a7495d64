//! `sso agent install` and `uninstall`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use sso_agent_client::autostart;

use super::{
    systemd::Manager,
    units::{self, Unit},
};
use crate::{exit::Failure, output::Output};

pub(super) fn print(output: &Output) -> Result<(), Failure> {
    let folder = folder()?;
    let shown: serde_json::Map<_, _> = files(true)?
        .into_iter()
        .map(|unit| (folder.join(unit.name).display().to_string(), unit.text.into()))
        .collect();
    output.result(&shown, || {
        let words = |(path, text): (&String, &serde_json::Value)| {
            format!("# {path}\n{}", text.as_str().unwrap_or_default())
        };
        shown.iter().map(words).collect::<Vec<_>>().join("\n")
    })
}

pub(super) fn install(output: &Output) -> Result<(), Failure> {
    let folder = folder()?;
    let manager = Manager::find();
    let hardened = manager.as_ref().is_some_and(Manager::has_user_namespaces);
    let mut written = Vec::new();
    for unit in files(hardened)? {
        let path = folder.join(unit.name);
        write(&path, &unit.text).map_err(|error| unwritable(&path, &error))?;
        written.push(path);
    }
    if !hardened {
        remove(&folder.join(units::HARDENING))?;
    }
    let Some(manager) = manager else {
        return Err(Failure::failed(
            format!("the units are in {}, but no systemd user manager answers", folder.display()),
            "log in as a user with one, then run `systemctl --user enable --now sso-agent.socket`",
        ));
    };
    private_folder(&super::places()?.state)?;
    manager.run(&["daemon-reload"])?;
    manager.start(&["enable", "--now", units::SOCKET])?;
    let told = serde_json::json!({ "written": written, "hardened": hardened });
    output.result(&told, || words(&folder, hardened))
}

fn words(folder: &Path, hardened: bool) -> String {
    let mut text = format!("Installed and enabled {} in {}", units::SOCKET, folder.display());
    if !hardened {
        text += "\nWithout the sandboxing that needs user namespaces, which are denied here";
    }
    text
}

pub(super) fn uninstall(output: &Output) -> Result<(), Failure> {
    let folder = folder()?;
    let manager = Manager::find();
    if let Some(manager) = &manager
        && folder.join(units::SOCKET).exists()
    {
        manager.run(&["disable", "--now", units::SOCKET, units::SERVICE])?;
    }
    for name in [units::HARDENING, units::SERVICE, units::SOCKET] {
        remove(&folder.join(name))?;
    }
    // Stays where the user has put more into it.
    let _ = fs::remove_dir(folder.join(units::DROP_INS));
    if let Some(manager) = &manager {
        manager.run(&["daemon-reload"])?;
    }
    super::tell("Removed the systemd user units; the sessions are kept", output)
}

fn files(hardened: bool) -> Result<Vec<Unit>, Failure> {
    let program = autostart::program().ok_or_else(|| {
        Failure::failed("there is no program sso-agent", "put sso-agent beside this program or on PATH")
    })?;
    let mut files = Vec::from(units::units(&program));
    files.extend(hardened.then(units::hardening));
    Ok(files)
}

fn folder() -> Result<PathBuf, Failure> {
    if !cfg!(target_os = "linux") {
        return Err(Failure::failed("there is no systemd on this system", "use `sso agent start`"));
    }
    units::folder(|name| std::env::var_os(name).map(PathBuf::from))
        .ok_or_else(|| Failure::failed("this user has no home folder", "set XDG_CONFIG_HOME"))
}

/// Whole or not at all: systemd may be reading.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("tmp-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    let done = options
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done
}

/// The sandbox opens the state folder for writing only if it is there when the service starts.
fn private_folder(path: &Path) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| unwritable(path, &error))
}

fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(path, &error)),
        _ => Ok(()),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be changed: {error}", path.display());
    Failure::failed(message, "see whether the folder belongs to you")
}

//! `sso shim`: puts the stand-in for the Databricks CLI where SDKs find it, and takes it away.
//!
//! They take a file of at least 1 MiB only, and Python runs what a symlink leads to under that name: so it
//! is a copy, with zeros behind it where it is too small, which no loader minds.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    args,
    exit::Failure,
    marker,
    output::{Output, clean},
};

/// Smaller ones SDKs take for the old CLI.
pub(super) const SMALLEST: u64 = 1024 * 1024;

/// The program that is copied.
const PROGRAM: &str = "sso-databricks";

/// Where SDKs look before they look on `PATH`.
const CLI_PATH: &str = "DATABRICKS_CLI_PATH";

#[derive(Debug, Serialize)]
struct Installed {
    installed: PathBuf,
    size: u64,
    /// Whether its folder is on `PATH`.
    on_path: bool,
    /// Another program of this name that comes before it there.
    hidden_by: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Removed {
    removed: Vec<PathBuf>,
}

pub(super) fn run(command: args::Shim, output: &Output) -> Result<(), Failure> {
    match command {
        args::Shim::Install { folder, name, force } => install(&folder, &name, force, output),
        args::Shim::Remove { folder, name } => remove(folder.as_deref(), &name, output),
    }
}

fn install(folder: &Path, name: &str, force: bool, output: &Output) -> Result<(), Failure> {
    let source = program()?;
    let folder = std::path::absolute(folder).map_err(|error| unwritable(folder, &error))?;
    fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
    let target = folder.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    if target.symlink_metadata().is_ok() && !force && !is_ours(&target) {
        return Err(Failure::failed(
            format!("{} is there already, and is not the stand-in", target.display()),
            "name another folder, or replace it with --force",
        ));
    }
    let size = copy(&source, &target).map_err(|error| unwritable(&target, &error))?;
    let first = marker::on_path(name).next();
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = Installed {
        size,
        on_path: env::split_paths(&path).any(|one| one == folder),
        hidden_by: first.filter(|first| *first != target && !is_ours(first)),
        installed: target,
    };
    output.result(&installed, || words(&installed, &folder))
}

/// Beside this program, or on `PATH`.
fn program() -> Result<PathBuf, Failure> {
    let beside = env::current_exe().ok().and_then(|own| Some(own.parent()?.join(PROGRAM)));
    let beside = beside.map(|path| path.with_extension(env::consts::EXE_EXTENSION));
    let found = beside.into_iter().chain(marker::on_path(PROGRAM)).find(|path| is_ours(path));
    found.ok_or_else(|| {
        Failure::failed(
            format!("there is no program {PROGRAM} beside sso or on PATH"),
            format!("put {PROGRAM} beside sso"),
        )
    })
}

fn is_ours(path: &Path) -> bool {
    marker::is_stand_in(path).unwrap_or(false)
}

/// Whole or not at all: somebody may be running it.
fn copy(source: &Path, target: &Path) -> io::Result<u64> {
    let mut beside = target.as_os_str().to_owned();
    beside.push(format!(".tmp-{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let done = write(source, &beside).and_then(|size| fs::rename(&beside, target).map(|()| size));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done
}

fn write(source: &Path, beside: &Path) -> io::Result<u64> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o755);
    let mut file = options.open(beside)?;
    let size = io::copy(&mut File::open(source)?, &mut file)?.max(SMALLEST);
    file.set_len(size)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    file.sync_all()?;
    Ok(size)
}

fn words(installed: &Installed, folder: &Path) -> String {
    let (file, folder) = (clean(&installed.installed.to_string_lossy()), clean(&folder.to_string_lossy()));
    let mut text = format!("Installed the stand-in for the Databricks CLI as {file}\n");
    let first = match &installed.hidden_by {
        Some(other) => {
            format!("{} comes before it on PATH. To have it found first", clean(&other.to_string_lossy()))
        }
        None if !installed.on_path => format!("{folder} is not on PATH. To have it found there"),
        None => return text + "SDKs find it on PATH; `sso doctor` says what they find",
    };
    text += &format!(
        "{first}:\n    export PATH=\"{folder}:$PATH\"\nor, for SDKs alone:\n    export {CLI_PATH}=\"{file}\""
    );
    text
}

fn remove(folder: Option<&Path>, name: &str, output: &Output) -> Result<(), Failure> {
    let found: Vec<PathBuf> = match folder {
        None => marker::on_path(name).filter(|path| is_ours(path)).collect(),
        Some(folder) => vec![folder.join(format!("{name}{}", env::consts::EXE_SUFFIX))],
    };
    let mut all = Removed { removed: Vec::new() };
    for path in found {
        match marker::is_stand_in(&path) {
            Ok(true) => fs::remove_file(&path).map_err(|error| unwritable(&path, &error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Ok(false) | Err(_) => {
                return Err(Failure::failed(
                    format!("{} is not the stand-in", path.display()),
                    "it is left alone",
                ));
            }
        }
        all.removed.push(path);
    }
    output.result(&all, || match all.removed.as_slice() {
        [] => "There was no stand-in".to_owned(),
        removed => {
            let line = |path: &PathBuf| format!("Removed {}", clean(&path.to_string_lossy()));
            removed.iter().map(line).collect::<Vec<_>>().join("\n")
        }
    })
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be changed: {error}", path.display());
    Failure::failed(message, "see whether the folder belongs to you")
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_small_program_is_made_as_large_as_sdks_want_it() {
        let folder = tempfile::tempdir().unwrap();
        let [source, target] = ["source", "target"].map(|name| folder.path().join(name));
        fs::write(&source, "#!/bin/sh\necho runs\nexit\n").unwrap();
        symlink("/nonexistent", &target).unwrap();
        assert_eq!(copy(&source, &target).unwrap(), SMALLEST);
        let made = fs::symlink_metadata(&target).unwrap();
        assert!(made.is_file(), "the link is replaced, not what it leads to");
        assert_eq!((made.len(), made.permissions().mode() & 0o777), (SMALLEST, 0o755));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left lying about");
    }
}

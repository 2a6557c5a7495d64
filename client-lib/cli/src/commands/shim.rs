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
use sso_agent_os::private;

use crate::{
    args,
    exit::Failure,
    marker,
    output::{Output, clean},
    programs,
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
    let first = programs::on_path(name).next();
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
    let found = beside.into_iter().chain(programs::on_path(PROGRAM)).find(|path| is_ours(path));
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
    let beside = with_end(target, &format!(".tmp-{}", std::process::id()));
    let done = write(source, &beside).and_then(|size| replace(&beside, target).map(|()| size));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done
}

/// A program that runs cannot be replaced on Windows, but be called otherwise, and removed the next time.
fn replace(beside: &Path, target: &Path) -> io::Result<()> {
    let old = with_end(target, ".old");
    match fs::rename(beside, target) {
        Err(error) if private::is_in_use(&error) => {
            fs::rename(target, &old)?;
            fs::rename(beside, target)
        }
        outcome => {
            if cfg!(windows) {
                let _ = fs::remove_file(&old);
            }
            outcome
        }
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
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
    let [on_path, for_sdks] = settings(&folder, &file);
    text += &format!("{first}:\n    {on_path}\nor, for SDKs alone:\n    {for_sdks}");
    text
}

/// For a shell.
#[cfg(unix)]
fn settings(folder: &str, file: &str) -> [String; 2] {
    [format!("export PATH=\"{folder}:$PATH\""), format!("export {CLI_PATH}=\"{file}\"")]
}

/// For PowerShell, and lasting: `setx` would put what all users have into this user's own, and cut it off at 1024
/// characters.
#[cfg(not(unix))]
fn settings(folder: &str, file: &str) -> [String; 2] {
    let quoted = |text: &str| text.replace('\'', "''");
    let (folder, file) = (quoted(folder), quoted(file));
    let set =
        |name: &str, value: &str| format!("[Environment]::SetEnvironmentVariable('{name}', {value}, 'User')");
    let path = format!("'{folder};' + [Environment]::GetEnvironmentVariable('Path', 'User')");
    [set("Path", &path), set(CLI_PATH, &format!("'{file}'"))]
}

fn remove(folder: Option<&Path>, name: &str, output: &Output) -> Result<(), Failure> {
    let found: Vec<PathBuf> = match folder {
        None => programs::on_path(name).filter(|path| is_ours(path)).collect(),
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
mod tests {
    use super::*;

    #[test]
    fn a_small_program_is_made_as_large_as_sdks_want_it() {
        let folder = tempfile::tempdir().unwrap();
        let [source, target] = ["source", "target"].map(|name| folder.path().join(name));
        fs::write(&source, "runs").unwrap();
        fs::write(&target, "an older one").unwrap();
        assert_eq!(copy(&source, &target).unwrap(), SMALLEST);
        assert_eq!(target.metadata().unwrap().len(), SMALLEST);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left lying about");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_replaced_and_not_what_it_leads_to() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [source, target] = ["source", "target"].map(|name| folder.path().join(name));
        fs::write(&source, "runs").unwrap();
        symlink("/nonexistent", &target).unwrap();
        copy(&source, &target).unwrap();
        let made = fs::symlink_metadata(&target).unwrap();
        assert!(made.is_file() && made.permissions().mode() & 0o777 == 0o755);
    }
}

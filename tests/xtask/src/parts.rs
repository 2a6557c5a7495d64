//! What the end-to-end tests need from outside Rust, fetched once and kept: a browser, the certified
//! provider, Databricks' clients, and a small system whose first process is systemd.

use crate::tools::on_path;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A program, and the Debian package that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("dbus-daemon", "dbus-daemon"),
    ("debootstrap", "debootstrap"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("python3", "python3-venv"),
    ("setpriv", "util-linux"),
    ("socat", "socat"),
    ("strace", "strace"),
    ("systemd-analyze", "systemd"),
    ("systemd-nspawn", "systemd-container"),
];

/// The release in the small system: the first whose user managers have all that our unit asks for.
const RELEASE: &str = "trixie";
const SYSTEM: &str = "systemd,dbus,dbus-user-session,libpam-systemd,iproute2";

/// Fetches what is not there yet, and gives what could not be had, in words for a person.
pub fn fetch(workspace: &Workspace) -> Result<Vec<String>> {
    let parts = workspace.parts();
    fs::create_dir_all(&parts)?;
    let mut missing = Vec::new();
    if let Err(error) = programs(PROGRAMS) {
        missing.push(format!("programs: {error:#}"));
    }
    type Fetch = fn(&Workspace, &Path) -> Result<()>;
    let fetches: [(&str, Fetch); 8] = [
        ("the OpenID provider (tests/provider)", provider),
        ("the Databricks SDK for Python, and Flask (tests/databricks-sdk)", python),
        ("older releases of it", older),
        ("the tools for the Python package (client-lib/python)", crate::python::fetch),
        ("dbt and the SQL connector", dbt),
        ("the Databricks SDK for JavaScript (tests/databricks-js)", javascript),
        ("Express (client-lib/node/examples)", express),
        ("a system to boot systemd in", system),
    ];
    for (what, fetch) in fetches {
        if let Err(error) = fetch(workspace, &parts) {
            missing.push(format!("{what}: {error:#}"));
        }
    }
    Ok(missing)
}

/// Installs those of these programs that are not there; each is named with the Debian package that has it.
///
/// # Errors
/// They cannot be installed; says what a person would do.
pub fn programs(wanted: &[(&str, &str)]) -> Result<()> {
    let absent: Vec<_> = wanted.iter().filter(|(program, _)| on_path(program).is_none()).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = absent.iter().map(|(_, package)| *package).collect();
    anyhow::ensure!(
        on_path("apt-get").is_some() && is_root(),
        "{} not found; on Debian: apt-get install {}",
        absent.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(", "),
        packages.join(" ")
    );
    let apt =
        |args: &[&str]| done(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(args));
    apt(&["-qq", "update"])?;
    apt(&[&["-qq", "-y", "--no-install-recommends", "install"], packages.as_slice()].concat())
}

fn provider(workspace: &Workspace, _: &Path) -> Result<()> {
    npm(&workspace.root.join("tests/provider"))
}

fn javascript(workspace: &Workspace, _: &Path) -> Result<()> {
    npm(&workspace.root.join("tests/databricks-js"))
}

fn express(workspace: &Workspace, _: &Path) -> Result<()> {
    npm(&workspace.root.join("client-lib/node/examples"))
}

/// Installs what a folder's `package-lock.json` says.
///
/// # Errors
/// npm cannot be run, or cannot have it.
pub fn npm(folder: &Path) -> Result<()> {
    once(
        &folder.join("node_modules/.fetched"),
        &fs::read_to_string(folder.join("package-lock.json"))?,
        || {
            done(
                Command::new("npm")
                    .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .current_dir(folder),
            )
        },
    )
}

fn python(workspace: &Workspace, parts: &Path) -> Result<()> {
    environment(workspace, &["requirements.txt", "flask.txt"], &parts.join("venv"))
}

fn dbt(workspace: &Workspace, parts: &Path) -> Result<()> {
    environment(workspace, &["dbt.txt"], &parts.join("dbt"))
}

/// An environment of Python's with just what some lists say.
fn environment(workspace: &Workspace, lists: &[&str], venv: &Path) -> Result<()> {
    let folder = workspace.root.join("tests/databricks-sdk");
    let mut recipe = String::new();
    for list in lists {
        recipe += &fs::read_to_string(folder.join(list)).with_context(|| format!("cannot read {list}"))?;
    }
    once(&venv.join(".fetched"), &recipe, || {
        done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
        done(
            pip(venv.join("bin/python"))
                .args(lists.iter().flat_map(|list| ["-r", list]))
                .current_dir(&folder),
        )
    })
}

/// Each release in a folder of its own, to be put before the newest on the path of that one's environment.
fn older(workspace: &Workspace, parts: &Path) -> Result<()> {
    let (folder, list) = (parts.join("older"), workspace.root.join("tests/databricks-sdk/older.txt"));
    let list = fs::read_to_string(list)?;
    once(&folder.join(".fetched"), &list, || {
        for release in list.lines().filter(|line| !line.starts_with('#')) {
            let version = release.split("==").last().unwrap_or(release);
            done(
                pip(parts.join("venv/bin/python"))
                    .args(["--upgrade", "--target"])
                    .arg(folder.join(version))
                    .arg(release),
            )?;
        }
        Ok(())
    })
}

fn pip(python: impl AsRef<OsStr>) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--root-user-action", "ignore"]);
    pip
}

fn system(_: &Workspace, parts: &Path) -> Result<()> {
    let root = parts.join("rootfs");
    once(&root.join(".fetched"), &format!("{RELEASE} {SYSTEM}"), || {
        anyhow::ensure!(is_root(), "only root can make one: run this as root, or in a machine of its own");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        let include = format!("--include={SYSTEM}");
        let args = ["--variant=minbase", &include, RELEASE];
        done(Command::new("debootstrap").args(args).arg(&root).arg(mirror()).stdout(Stdio::null()))
    })
}

/// Runs `fetch` unless `mark` says that it has been done for just this `recipe`.
pub fn once(mark: &Path, recipe: &str, fetch: impl FnOnce() -> Result<()>) -> Result<()> {
    if fs::read_to_string(mark).is_ok_and(|done| done == recipe) {
        return Ok(());
    }
    fetch()?;
    fs::write(mark, recipe).with_context(|| format!("cannot write {}", mark.display()))
}

/// Runs a command that has to go well.
pub fn done(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {name}"))?;
    anyhow::ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}

/// Writes a program for the shell.
///
/// # Errors
/// It cannot be written.
pub fn script(file: &Path, text: &str) -> Result<()> {
    fs::write(file, format!("#!/bin/sh\n{text}\n"))?;
    done(Command::new("chmod").arg("+x").arg(file))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout == b"0\n")
}

/// The mirror that this machine's own packages come from.
pub fn mirror() -> String {
    let sources = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
    let text: String = sources.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    let words = text.lines().filter(|line| line.starts_with("URIs:") || line.starts_with("deb "));
    let url = words.flat_map(str::split_whitespace).find(|word| word.starts_with("http"));
    url.unwrap_or("http://deb.debian.org/debian").to_owned()
}

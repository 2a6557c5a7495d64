//! `cargo xtask package`: the archive of one system, as a release has it.
//!
//! The same sources give the same names, times and order; the programs are as reproducible as cargo is.

use crate::parts::done;
use crate::tools::on_path;
use crate::workspace::{Workspace, cargo, host};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is built, each by itself: built together, the agent would get features that only `sso` asks for.
const BUILDS: &[&[&str]] = &[
    &["--package", "sso-agent", "--bin", "sso-agent"],
    &["--package", "sso", "--bin", "sso", "--bin", "sso-databricks"],
];

const PROGRAMS: &[&str] = &["sso", "sso-agent", "sso-databricks"];

const TEXTS: &[&str] = &["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// Shells, and what their completions are to be called.
const SHELLS: &[(&str, &str)] = &[
    ("bash", "sso.bash"),
    ("elvish", "sso.elv"),
    ("fish", "sso.fish"),
    ("powershell", "sso.ps1"),
    ("zsh", "_sso"),
];

/// Builds the archive, and prints where it is.
///
/// # Errors
/// Something does not build, or cannot be written.
pub fn run(args: &[String], usage: &str) -> Result<bool> {
    let target = match args {
        [] => host()?,
        [option, target] if option == "--target" => target.clone(),
        _ => bail!("{usage}"),
    };
    let workspace = Workspace::read()?;
    let name = format!("sso-agent-{}-{target}", env!("CARGO_PKG_VERSION"));
    let folder = workspace.target.join("package").join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let (built, suffix) = (build(&workspace, &target)?, if target.contains("windows") { ".exe" } else { "" });
    for program in PROGRAMS {
        let program = format!("{program}{suffix}");
        copy(&built.join(&program), &folder.join(program))?;
    }
    for text in TEXTS {
        copy(&workspace.root.join(text), &folder.join(text))?;
    }
    if target.contains("linux") {
        copy_all(&workspace.root.join("systemd"), &folder.join("systemd"))?;
    }
    pages(&workspace, &target, &folder)?;
    let archive = folder.with_file_name(archive(&name));
    let mut pack = Command::new(on_path("python3").map_or("python", |_| "python3"));
    pack.arg(workspace.root.join("tests/package/archive.py")).arg(&folder).arg(&archive);
    done(pack.arg(time(&workspace)?))?;
    println!("{}", archive.display());
    Ok(true)
}

/// Builds the programs, and gives the folder where they are.
fn build(workspace: &Workspace, target: &str) -> Result<PathBuf> {
    for what in BUILDS {
        done(cargo().args(["build", "--release", "--locked", "--target", target]).args(*what))?;
    }
    Ok(workspace.target.join(target).join("release"))
}

/// Windows opens a zip by itself; everybody else has `tar`.
fn archive(name: &str) -> String {
    if name.contains("windows") { format!("{name}.zip") } else { format!("{name}.tar.gz") }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display())).map(drop)
}

/// Copies a folder, with those below it.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let copy = if entry.file_type()?.is_dir() { copy_all } else { copy };
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Completions and manual pages, as the program prints them; where it cannot run, this machine's own.
fn pages(workspace: &Workspace, target: &str, folder: &Path) -> Result<()> {
    let here = host()?;
    let built =
        if target == here { workspace.target.join(target).join("release") } else { build(workspace, &here)? };
    let sso = built.join(format!("sso{}", std::env::consts::EXE_SUFFIX));
    let (completions, man) = (folder.join("completions"), folder.join("man"));
    fs::create_dir_all(&completions)?;
    fs::create_dir_all(&man)?;
    for (shell, file) in SHELLS {
        let output = Command::new(&sso).args(["completions", shell]).output().context("cannot run sso")?;
        ensure!(output.status.success(), "sso completions {shell} ended with {}", output.status);
        fs::write(completions.join(file), output.stdout)?;
    }
    done(Command::new(&sso).args(["man", "--dir"]).arg(&man))
}

/// The time of every file, in seconds: that of the commit, unless the environment says otherwise
/// (reproducible-builds.org, `SOURCE_DATE_EPOCH`).
fn time(workspace: &Workspace) -> Result<String> {
    if let Ok(seconds) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(seconds);
    }
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(&workspace.root);
    let output = git.output().context("cannot run git, and SOURCE_DATE_EPOCH is not set")?;
    ensure!(output.status.success(), "git knows no commit here, and SOURCE_DATE_EPOCH is not set");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::{archive, copy_all};
    use std::fs;
    use std::process::Command;

    #[test]
    fn windows_has_a_zip_and_everybody_else_a_tar() {
        assert_eq!(archive("sso-agent-1-x86_64-pc-windows-msvc"), "sso-agent-1-x86_64-pc-windows-msvc.zip");
        assert_eq!(archive("sso-agent-1-aarch64-apple-darwin"), "sso-agent-1-aarch64-apple-darwin.tar.gz");
    }

    #[test]
    fn the_same_files_give_the_same_archive_whenever_they_were_written() {
        let root = std::env::temp_dir().join(format!("xtask-package-{}", std::process::id()));
        let here = env!("CARGO_MANIFEST_DIR");
        let pack = |copy: &str, file: &str| {
            let (folder, archive) = (root.join(copy).join("sso-agent-1"), root.join(copy).join(file));
            copy_all(format!("{here}/../../systemd").as_ref(), &folder).expect("a copy");
            let mut python = Command::new("python3");
            python.arg(format!("{here}/../package/archive.py")).arg(&folder).arg(&archive).arg("1700000000");
            assert!(python.status().expect("python runs").success());
            fs::read(archive).expect("an archive")
        };
        for file in ["a.tar.gz", "a.zip"] {
            assert!(pack("one", file) == pack("two", file), "{file}");
        }
        fs::remove_dir_all(root).expect("it is ours");
    }
}

//! The standard library of another system: the compiler's own, rustup's, or one built here.
//!
//! Where rustup cannot reach its channel, Debian's `rust-src` of just this compiler's version has the source
//! and all that it depends on. It is unpacked beside what is kept, never installed.

use super::{Kept, Target};
use crate::parts::{done, mirror, once, script};
use crate::workspace::{cargo, host, rustc};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian's releases that have newer compilers than a stable one.
const SUITES: [&str; 2] = ["trixie-backports", "sid"];

/// How long rustup may take, in seconds: where its channel cannot be reached, it tries again and again.
const PATIENCE_S: &str = "60";

/// What of the standard library a test needs.
const CRATES: &str = "std,panic_abort,panic_unwind,test,proc_macro";

/// What cargo builds to have the standard library built.
const MANIFEST: &str = "\
[package]
name = \"empty\"
version = \"0.0.0\"
edition = \"2024\"
[profile.release]
debug = 0
[workspace]
";

/// Gives the flags with which the compiler finds the standard library of all targets.
///
/// # Errors
/// There is none, and none can be had.
pub fn flags(kept: &Kept) -> Result<String> {
    let own = PathBuf::from(rustc(&["--print", "sysroot"])?);
    let ours = kept.folder.join(format!("std-{}", version()?));
    let absent = |root: &Path| -> Vec<Target> {
        kept.targets.iter().copied().filter(|target| !root.join(folder(target.triple)).is_dir()).collect()
    };
    let flags = format!("--sysroot={}", ours.display());
    if absent(&own).is_empty() {
        return Ok(String::new());
    }
    if absent(&ours).is_empty() {
        return Ok(flags);
    }
    let triples: Vec<&str> = absent(&own).iter().map(|target| target.triple).collect();
    ensure!(kept.install, "no standard library: `rustup target add {}`", triples.join(" "));
    if rustup(&triples) && absent(&own).is_empty() {
        return Ok(String::new());
    }
    build(&ours, &own, &absent(&ours))?;
    Ok(flags)
}

fn folder(target: &str) -> PathBuf {
    Path::new("lib/rustlib").join(target).join("lib")
}

/// This compiler's, as in `1.95.0`.
fn version() -> Result<String> {
    rustc(&["-V"])?.split(' ').nth(1).map(str::to_owned).context("rustc says no version")
}

fn rustup(targets: &[&str]) -> bool {
    let mut command = Command::new("timeout");
    command.args([PATIENCE_S, "rustup", "target", "add"]).args(targets);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Builds what is absent, and puts it where a compiler looks for it below `kept`.
fn build(kept: &Path, own: &Path, absent: &[Target]) -> Result<()> {
    let rustlib = kept.join("lib/rustlib");
    let source = rustlib.join("src/rust");
    once(&kept.join(".fetched"), "rust-src", || unpack(kept, &source))?;
    // Build scripts of the standard library run here.
    let host = host()?;
    if !rustlib.join(&host).exists() {
        done(Command::new("ln").arg("-s").arg(own.join("lib/rustlib").join(&host)).arg(&rustlib))?;
    }
    let package = kept.join("empty");
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("src/lib.rs"), "")?;
    fs::write(package.join("Cargo.toml"), MANIFEST)?;
    let compiler = kept.join("rustc");
    script(&compiler, &format!("exec rustc --sysroot '{}' \"$@\"", kept.display()))?;
    let built = kept.join("built");
    for target in absent {
        println!("building the standard library for {}", target.triple);
        let mut command = cargo();
        command.arg(if target.types_only { "check" } else { "build" });
        command.args(["--quiet", "--release", &format!("-Zbuild-std={CRATES}")]);
        command.args(["-Zbuild-std-features=backtrace,panic-unwind", "--target", target.triple]);
        command.env("RUSTC", &compiler).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", &built);
        command.env("RUSTFLAGS", "-Cembed-bitcode=yes -Zforce-unstable-if-unmarked");
        done(command.current_dir(&package))?;
        let kind = if target.types_only { ".rmeta" } else { ".rlib" };
        collect(&built.join(target.triple).join("release/deps"), kind, &kept.join(folder(target.triple)))?;
    }
    Ok(fs::remove_dir_all(built)?)
}

/// Copies the libraries to where the compiler looks for them; all or nothing.
fn collect(built: &Path, kind: &str, to: &Path) -> Result<()> {
    let half = to.with_extension("half");
    fs::create_dir_all(&half)?;
    for file in fs::read_dir(built)? {
        let file = file?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(kind) && !name.starts_with("libempty") {
            fs::copy(&file, half.join(name))?;
        }
    }
    fs::rename(&half, to).with_context(|| format!("cannot make {}", to.display()))
}

/// Puts the source of this compiler's standard library at `source`.
fn unpack(kept: &Path, source: &Path) -> Result<()> {
    let version = version()?;
    let apt = Apt::new(&kept.join("apt"))?;
    done(apt.command("apt-get").args(["-qq", "update"]))?;
    let listed = apt.command("apt-cache").args(["madison", "rust-src"]).output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let release = of_version(&listed, &version)
        .with_context(|| format!("neither rustup nor Debian has the standard library of {version}"))?;
    done(
        apt.command("apt-get").args(["-qq", "download", &format!("rust-src={release}")]).current_dir(&apt.0),
    )?;
    let mut files = fs::read_dir(&apt.0)?.filter_map(|file| Some(file.ok()?.path()));
    let package = files.find(|file| file.extension().is_some_and(|is| is == "deb"));
    let package = package.context("apt-get downloaded nothing")?;
    let all = apt.0.join("all");
    done(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&all))?;
    fs::create_dir_all(source.parent().unwrap_or(source))?;
    fs::rename(all.join(format!("usr/src/rustc-{version}")), source)?;
    Ok(fs::remove_dir_all(&apt.0)?)
}

/// The package's version that has the source of this compiler.
fn of_version<'a>(listed: &'a str, version: &str) -> Option<&'a str> {
    let mut versions = listed.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim);
    versions.find(|found| found.split('+').next() == Some(version))
}

/// An apt of its own, so that the machine's sources stay as they are.
struct Apt(PathBuf);

impl Apt {
    fn new(folder: &Path) -> Result<Self> {
        for below in ["etc", "state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(below))?;
        }
        let keys = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg";
        let mirror = mirror();
        let sources: String = SUITES.map(|suite| format!("deb [{keys}] {mirror} {suite} main\n")).concat();
        fs::write(folder.join("etc/sources.list"), sources)?;
        fs::write(folder.join("state/status"), "")?;
        let at = folder.display();
        // A mirror that stands still is good enough for this: the signatures are checked all the same.
        let settings = format!(
            "Dir::Etc \"{at}/etc\"; Dir::Etc::sourcelist \"sources.list\"; Dir::Etc::sourceparts \"-\";\n\
             Dir::State \"{at}/state\"; Dir::State::status \"{at}/state/status\"; Dir::Cache \"{at}/cache\";\n\
             Acquire::Languages \"none\"; Acquire::Check-Valid-Until \"false\"; APT::Sandbox::User \"root\";\n"
        );
        fs::write(folder.join("apt.conf"), settings)?;
        Ok(Self(folder.to_owned()))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.0.join("apt.conf")).stdin(Stdio::null());
        command
    }
}

#[cfg(test)]
mod tests {
    use super::of_version;

    #[test]
    fn the_source_is_that_of_just_this_compiler() {
        let listed = " rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://x trixie-backports/main amd64 Packages\n \
                      rust-src | 1.95.01+dfsg1-1 | http://x sid/main amd64 Packages\n";
        assert_eq!(of_version(listed, "1.95.0"), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(of_version(listed, "1.95"), None);
    }
}

//! The macOS build, as far as it goes without Apple's linker: every line of it is type-checked.

use super::{Kept, packages, target};
use crate::binaries;
use crate::parts::{done, once, script};
use crate::tally::Tally;
use crate::workspace::cargo;
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::process::Command;

/// What is checked.
pub const TARGET: &str = "aarch64-apple-darwin";

/// Brings the headers of macOS's C library, for the build scripts that compile C.
const ZIG: &str = "ziglang==0.15.2";

/// What a check takes.
pub struct Parts {
    compiler: PathBuf,
    archiver: PathBuf,
    flags: String,
}

impl Parts {
    /// Fetches what is not there.
    ///
    /// # Errors
    /// The compiler for C or the standard library cannot be had.
    pub fn ready(kept: &Kept) -> Result<Self> {
        let (compiler, archiver) = zig(kept)?;
        Ok(Self { compiler, archiver, flags: target::flags(kept)? })
    }

    /// Checks all of it: a warning is a failure.
    ///
    /// # Errors
    /// Cargo cannot be run.
    pub fn check(&self) -> Result<Tally> {
        let mut command = cargo();
        command.args(["clippy", "--locked", "--all-features", "--all-targets", "--target", TARGET]);
        command.args(packages());
        command.env("CARGO_TARGET_AARCH64_APPLE_DARWIN_RUSTFLAGS", &self.flags);
        command.env("CC_aarch64_apple_darwin", &self.compiler).env("AR_aarch64_apple_darwin", &self.archiver);
        // Nobody asks Apple's tools where their headers are.
        command.env("SDKROOT", "/nonexistent");
        Ok(binaries::build(&mut command)?.verdict())
    }
}

/// Programs that compile C and archive it, as they are called for macOS.
fn zig(kept: &Kept) -> Result<(PathBuf, PathBuf)> {
    let venv = kept.folder.join("zig");
    let (compiler, archiver) = (kept.folder.join("zig-cc"), kept.folder.join("zig-ar"));
    once(&venv.join(".fetched"), ZIG, || {
        ensure!(kept.install, "no C compiler for macOS (PyPI's {ZIG})");
        done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
        done(Command::new(venv.join("bin/python")).args(install).arg(ZIG))
    })?;
    let zig = format!("'{}' -m ziglang", venv.join("bin/python").display());
    // It names the target in its own way, and does not know the flags for the oldest system.
    script(
        &compiler,
        &format!(
            "for word; do shift; case $word in --target=*|-mmacosx-version-min=*|-mmacos-version-min=*) ;;\n\
             *) set -- \"$@\" \"$word\";; esac; done\n\
             exec {zig} cc -target aarch64-macos \"$@\""
        ),
    )?;
    script(&archiver, &format!("exec {zig} ar \"$@\""))?;
    Ok((compiler, archiver))
}

//! The macOS build, as far as it goes without Apple's linker: every line of it is type-checked.

use super::{Kept, Target, build_folder, packages};
use crate::parts::script;
use crate::tally::{self, Tally};
use crate::workspace::{Workspace, cargo};
use anyhow::Result;

/// What is checked.
pub const TARGET: Target = Target { triple: "aarch64-apple-darwin", types_only: true };

/// In the place of a C compiler. Build scripts ask for what Rust is to be linked with, but nothing is linked:
/// it says that it is a Clang, and whatever it is to compile is empty.
const COMPILER: &str = "\
case \"$*\" in
-E*) echo '#pragma message \"clang\"'; exit;;
*-o\\ *) ;;
*) exit 1;;
esac
while [ \"$1\" != -o ]; do shift; done
: > \"$2\"";

/// Checks all of it: a warning is a failure.
///
/// # Errors
/// Cargo cannot be run.
pub fn check(workspace: &Workspace, kept: &Kept, flags: &str) -> Result<Tally> {
    let compiler = kept.folder.join("no-cc");
    script(&compiler, COMPILER)?;
    let mut command = cargo();
    command.args(["clippy", "--locked", "--all-features", "--all-targets", "--target", TARGET.triple]);
    command.args(packages()).args(["--", "-D", "warnings"]);
    command.env("CARGO_TARGET_DIR", build_folder(workspace));
    command.env("CARGO_TARGET_AARCH64_APPLE_DARWIN_RUSTFLAGS", flags);
    command.env("CC_aarch64_apple_darwin", &compiler).env("AR_aarch64_apple_darwin", "ar");
    // Nobody asks Apple's tools where their headers are.
    command.env("SDKROOT", "/nonexistent");
    tally::run(&mut command)
}

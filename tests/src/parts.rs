//! Where the programs under test and the parts from outside are.
//!
//! A missing part is a failure when `cargo xtask test` runs everything, and a test left out, with a word
//! of why, when somebody runs a single test by hand.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The top of the source tree.
pub fn source() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package has a folder above it")
}

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Takes our programs from this folder, unless one was taken already.
pub fn programs_are_in(folder: PathBuf) {
    let _ = FOLDER.set(folder);
}

/// One of our programs, built from the source as it is now.
pub fn program(name: &str) -> PathBuf {
    FOLDER.get_or_init(|| std::env::var_os("SSO_TEST_BIN_DIR").map_or_else(build, PathBuf::from)).join(name)
}

/// One of our examples, which are built together with the programs.
pub fn example(name: &str) -> Option<PathBuf> {
    Some(program("examples").join(name)).filter(|file| file.is_file())
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--workspace", "--all-features", "--bins", "--examples"])
        .current_dir(source())
        .stdin(Stdio::null())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the programs do not build");
    target().join("debug")
}

/// Where cargo builds: this test is `TARGET/debug/deps/NAME`.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a process knows its program");
    test.ancestors().nth(3).expect("tests are three folders deep").to_owned()
}

/// A part that `cargo xtask test --step parts` fetches, if it is there.
pub fn fetched(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SSO_TEST_PARTS").map_or_else(|| target().join("e2e"), PathBuf::from);
    Some(folder.join(name)).filter(|path| path.join(".fetched").exists())
}

/// The test provider's folder, if its packages are there.
pub fn provider() -> Option<PathBuf> {
    Some(source().join("tests/provider")).filter(|folder| folder.join("node_modules/.fetched").exists())
}

/// The folder of the Databricks SDK for JavaScript, if it is there.
pub fn javascript() -> Option<PathBuf> {
    Some(source().join("tests/databricks-js")).filter(|folder| folder.join("node_modules/.fetched").exists())
}

/// The folder of the examples for Node, if their packages are there.
pub fn express() -> Option<PathBuf> {
    let folder = source().join("client-lib/node/examples");
    Some(folder).filter(|folder| folder.join("node_modules/.fetched").exists())
}

/// A program of the system.
pub fn system(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Whether this is the superuser, who alone can become somebody else.
#[cfg(unix)]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says that a test cannot run here; a failure where everything was to run.
#[expect(clippy::print_stderr, reason = "whoever runs the test should read it")]
pub fn leave_out(test: &str, why: &str) {
    assert!(std::env::var_os("SSO_TEST_ALL_PARTS").is_none(), "{test} cannot run: {why}");
    eprintln!("{test} was left out: {why}; `cargo xtask test --step parts` fetches what is needed");
}

/// Unwraps a part, or leaves the test out.
#[macro_export]
macro_rules! need {
    ($test:expr, $part:expr, $why:expr) => {
        match $part {
            Some(part) => part,
            None => {
                $crate::parts::leave_out($test, $why);
                return;
            }
        }
    };
}

//! The Windows build: linked by MinGW, and its tests run under Wine.

use super::{Kept, Target, build_folder, end_to_end, named, packages};
use crate::abreast::{self, Job};
use crate::parts::{self, done, once};
use crate::programs::{self, Program};
use crate::tally::Tally;
use crate::tools::on_path;
use crate::workspace::{Workspace, cargo};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// What is built and run.
pub const TARGET: Target = Target { triple: "x86_64-pc-windows-gnu", types_only: false };

const LINKER: (&str, &str) = ("x86_64-w64-mingw32-gcc-posix", "gcc-mingw-w64-x86-64-posix");

/// Debian's `wine64` puts it where no path leads.
const WINES: [&str; 3] = ["/usr/lib/wine/wine64", "wine64", "wine"];

/// No program with tests takes longer, in seconds; one that waits for ever must not hold up all.
const LONGEST_S: &str = "300";

/// Most of these tests wait, for Wine more than for a processor.
const AT_ONCE: &str = "8";

const DEMO: &str = "sso demo";

/// `ERROR_INTERNAL_ERROR`: Wine's own word, now and then on a busy machine, for a process that was gone before it
/// had begun.
const BROKE: &str = "os error 1359";
const BROKE_IN_DEBUG: &str = "code: 1359";

/// Wine before 9 lacks the library that Rust's own takes random numbers from.
const RANDOM: &str = "\
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T left) {
    while (left) {
        ULONG some = left > 0x40000000 ? 0x40000000 : (ULONG)left;
        if (!SystemFunction036(to, some)) return FALSE;
        to += some;
        left -= some;
    }
    return TRUE;
}
BOOL WINAPI DllMainCRTStartup(HINSTANCE library, DWORD why, LPVOID more) { return TRUE; }
";

/// What it takes to build and run.
pub struct Parts {
    wine: Wine,
}

impl Parts {
    /// Fetches what is not there.
    ///
    /// # Errors
    /// The linker or Wine cannot be had.
    pub fn ready(kept: &Kept) -> Result<Self> {
        if on_path(LINKER.0).is_none() {
            ensure!(kept.install, "{} not found; on Debian: apt-get install {}", LINKER.0, LINKER.1);
            parts::programs(&[LINKER])?;
        }
        Ok(Self { wine: Wine::ready(kept)? })
    }

    /// Builds the tests, and runs them and the demo, unless they are to be built only: a warning is a failure.
    ///
    /// # Errors
    /// Cargo or Wine cannot be run.
    pub fn check(&self, workspace: &Workspace, flags: &str, run: bool) -> Result<Tally> {
        let build = |verb, how: &[&'static str]| {
            let mut command = self.cargo(workspace, flags, verb);
            command.args(how);
            command
        };
        let anywhere = workspace.anywhere();
        // With a test among them programs get what tests ask of libraries, and no library is compiled twice.
        done(build("build", &["--bins"]).args(packages()).args(end_to_end()).args(named(&anywhere)))?;
        let inner: Vec<&str> = workspace.inner_tests.iter().map(String::as_str).collect();
        let mut cargo_test = build("test", &["--lib", "--bins"]);
        cargo_test.args(packages()).args(end_to_end()).args(named(&inner)).args(named(&anywhere));
        let mut tests = programs::build(&mut cargo_test)?;
        // Two packages may have a test of one name, and cargo builds both.
        tests.retain(|test| !workspace.is_end_to_end(test) || anywhere.contains(&test.name.as_str()));
        if !run {
            return Ok(Tally::one(true));
        }
        let built = build_folder(workspace).join(TARGET.triple).join("debug");
        let mut jobs: Vec<Job> = tests.iter().map(|test| self.wine.test(&built, test)).collect();
        let mut demo = self.wine.command(&built.join("sso.exe"));
        demo.arg("demo");
        jobs.push(Job { name: DEMO.into(), command: demo });
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let mut done = abreast::run(jobs, cores, &workspace.target.join("xtask/windows"))?;
        let broke =
            done.extract_if(.., |done| done.tally.failed > 0 && done.name != DEMO && wine_broke(&done.log));
        let broke: Vec<_> = broke.map(|done| done.name).collect();
        broke.iter().for_each(|name| println!("\nWine broke, not {name}: once more"));
        let again = tests.iter().filter(|test| broke.contains(&test.name));
        let again = again.map(|test| self.wine.test(&built, test)).collect();
        done.extend(abreast::run(again, 1, &workspace.target.join("xtask/windows-again"))?);
        self.wine.stop();
        Ok(done.iter().fold(Tally::one(true), |sum, done| sum.and(done.tally)))
    }

    fn cargo(&self, workspace: &Workspace, flags: &str, verb: &str) -> Command {
        let mut command = cargo();
        command.args([verb, "--locked", "--all-features", "--target", TARGET.triple]);
        command.env("CARGO_TARGET_DIR", build_folder(workspace));
        command.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS", flags);
        command.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", LINKER.0);
        // Line numbers lengthen the time that linking takes.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
        command
    }
}

/// A Wine with a Windows of its own.
struct Wine {
    program: PathBuf,
    prefix: PathBuf,
    /// Where tests write: they sync all that they keep, which takes its time on a disk.
    scratch: PathBuf,
}

impl Wine {
    fn ready(kept: &Kept) -> Result<Self> {
        let program = wine(kept.install)?;
        let fast = Path::new("/dev/shm");
        let scratch = if fast.is_dir() { fast } else { kept.folder.as_path() };
        let scratch = scratch.join(format!("sso-agent-wine-{}", std::process::id()));
        fs::create_dir_all(&scratch)?;
        let wine = Self { program, prefix: kept.folder.join("wine"), scratch };
        once(&wine.prefix.join(".made"), "1", || wine.make())?;
        Ok(wine)
    }

    fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.prefix)?;
        done(self.wine().args(["wineboot", "-i"]).stdout(Stdio::null()).stderr(Stdio::null()))?;
        let library = self.prefix.join("drive_c/windows/system32/bcryptprimitives.dll");
        if library.exists() {
            return Ok(());
        }
        let source = self.prefix.join("random.c");
        fs::write(&source, RANDOM)?;
        let mut compiler = Command::new(LINKER.0);
        compiler.args(["-O2", "-shared", "-nostdlib", "-o"]).arg(library).arg(source).arg("-ladvapi32");
        done(&mut compiler)
    }

    fn test(&self, built: &Path, test: &Program) -> Job {
        let mut command = self.command(&test.file);
        command.current_dir(&test.folder).env("CARGO_MANIFEST_DIR", &test.folder);
        command.env("RUST_TEST_THREADS", AT_ONCE).env("SSO_TEST_BIN_DIR", windows(built));
        Job { name: test.name.clone(), command }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = self.wine();
        command.arg(program).env("TMP", windows(&self.scratch)).env("TEMP", windows(&self.scratch));
        command
    }

    /// Wine keeps a file's access list as its mode, and a new file has the one that its server is left with.
    fn wine(&self) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 077; exec timeout \"$@\"", "sh", LONGEST_S]).arg(&self.program);
        command.env("WINEPREFIX", &self.prefix).env("WINEDEBUG", "-all");
        // What panics on purpose would look names up for seconds.
        command.env("RUST_BACKTRACE", "0");
        // Neither .NET nor a browser is asked for at the first start.
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml=").stdin(Stdio::null());
        command
    }

    fn stop(&self) {
        // Wine's own processes end by themselves a little later; the run is not judged by them.
        let _ended = self.wine().args(["wineboot", "-k"]).stderr(Stdio::null()).status();
        let _gone = fs::remove_dir_all(&self.scratch);
    }
}

fn wine(install: bool) -> Result<PathBuf> {
    let found = || {
        let mut wines = WINES.iter().filter_map(|name| on_path(name));
        wines.next().context("Wine is missing; on Debian: apt-get install wine64")
    };
    if install && found().is_err() {
        parts::programs(&[("wine64", "wine64")])?;
    }
    found()
}

/// Whether it was Wine that failed, and not what it ran.
fn wine_broke(log: &Path) -> bool {
    let said = fs::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    [BROKE, BROKE_IN_DEBUG].iter().any(|word| said.contains(word))
}

/// A path of this machine's, as Wine shows it to its programs.
fn windows(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

#[cfg(test)]
mod tests {
    use super::windows;
    use std::path::Path;

    #[test]
    fn a_path_is_one_of_the_drive_that_is_this_machine() {
        assert_eq!(windows(Path::new("/dev/shm/x")), "Z:\\dev\\shm\\x");
    }
}

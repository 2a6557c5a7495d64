//! Limits, and what only an exec takes out of memory.

use std::{ffi::OsStr, io, path::PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

/// Before anything is made or kept: no core, private files, as many descriptors as there may be.
pub(super) fn prepare() -> io::Result<()> {
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    raise_file_limit();
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// Every client is a descriptor. A limit that cannot be raised stays as it was.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Begins anew without these variables, if there are any: only an exec takes them out of the memory that the
/// kernel gave us, and out of `/proc/PID/environ`. It is the same process to whoever started it.
pub(super) fn shed(names: &[&str]) -> io::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let is_kept = |name: &OsStr| !names.iter().any(|shed| name == *shed);
    if std::env::vars_os().all(|(name, _)| is_kept(&name)) {
        return Ok(());
    }
    let again = |program: PathBuf| {
        let mut arguments = std::env::args_os();
        let mut command = std::process::Command::new(program);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        command.args(arguments).env_clear().envs(std::env::vars_os().filter(|(name, _)| is_kept(name)));
        command.exec()
    };
    // By its own name, which lists of processes show; by the file that it is, if that name is gone.
    if let Ok(program) = std::env::current_exe() {
        let _ = again(program);
    }
    Err(again("/proc/self/exe".into()))
}

pub(super) fn detach() {
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!(%error, "already a session of its own");
    }
}

pub(super) fn file_limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// How many files this process has open, or about as many.
pub(super) fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(20, Iterator::count)
}

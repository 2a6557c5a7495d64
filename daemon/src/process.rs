//! What this process owes its secrets before it has any.

/// Keeps other processes of the same user, and core dumps, out of our memory; files are born private.
///
/// `PR_SET_DUMPABLE` also stops core handlers behind a pipe, which heed no limit.
#[cfg(unix)]
pub(crate) fn harden() {
    use rustix::process::{Resource, Rlimit, setrlimit, umask};
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none);
    if let Err(error) = limited.and_then(|()| not_dumpable()) {
        tracing::warn!(%error, "this process could be dumped");
    }
    raise_file_limit();
}

#[cfg(target_os = "linux")]
fn not_dumpable() -> rustix::io::Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn not_dumpable() -> rustix::io::Result<()> {
    Ok(())
}

/// Every client is a descriptor.
#[cfg(unix)]
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::debug!(%error, "the limit on open files stays as it was");
    }
}

/// Nothing yet: issue by issue, each system gets its own.
#[cfg(not(unix))]
pub(crate) fn harden() {}

/// Leaves the terminal and the session of whoever started us.
#[cfg(unix)]
pub(crate) fn detach() {
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!(%error, "already a session of its own");
    }
}

/// Windows has no sessions of this kind.
#[cfg(not(unix))]
pub(crate) fn detach() {}

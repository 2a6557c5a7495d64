//! What this process owes its secrets before it has any.
//!
//! All of it comes before the arguments are read, in every process of ours: `PR_SET_DUMPABLE` and the
//! environment do not outlive an exec.

#[cfg(unix)]
use std::ffi::OsStr;

/// Where other tools keep their secrets, and what would have ours written down. A process that lives for
/// weeks has no business with them. What a profile may name (`env-oidc`, `github-oidc`) stays.
#[cfg(unix)]
const SHED: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "ARM_ACCESS_KEY",
    "ARM_CLIENT_SECRET",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_CLIENT_SECRET",
    "AZURE_PASSWORD",
    "CARGO_REGISTRY_TOKEN",
    "CI_JOB_TOKEN",
    "DATABRICKS_CLIENT_SECRET",
    "DATABRICKS_PASSWORD",
    "DATABRICKS_TOKEN",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "GOOGLE_CREDENTIALS",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
    "MYSQL_PWD",
    "NPM_TOKEN",
    "OPENAI_API_KEY",
    "PGPASSWORD",
    "SSLKEYLOGFILE",
    "VAULT_TOKEN",
];

/// Keeps other processes of the same user, and core dumps, out of our memory; files are born private.
///
/// `PR_SET_DUMPABLE` also stops core handlers behind a pipe, which heed no limit.
#[cfg(unix)]
pub(crate) fn harden() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit, umask};
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let closed = not_dumpable().and(setrlimit(Resource::Core, none));
    raise_file_limit();
    Ok(closed?)
}

#[cfg(target_os = "linux")]
fn not_dumpable() -> rustix::io::Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn not_dumpable() -> rustix::io::Result<()> {
    Ok(())
}

/// Every client is a descriptor. A limit that cannot be raised stays as it was.
#[cfg(unix)]
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Begins anew without what is in [`SHED`], if there is any: only an exec takes it out of the memory that
/// the kernel gave it, and out of `/proc/PID/environ`. It is the same process to whoever started it.
///
/// # Errors
/// It could not, and goes on as it is.
#[cfg(unix)]
pub(crate) fn shed() -> std::io::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let is_kept = |name: &OsStr| !SHED.iter().any(|shed| name == *shed);
    if std::env::vars_os().all(|(name, _)| is_kept(&name)) {
        return Ok(());
    }
    let again = |program: std::path::PathBuf| {
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

/// How many may be connected by each door at once.
///
/// Every client is a descriptor, and the store, the issuers and the files that are read on the way need
/// some as well: those are never left to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// The socket of JSON-RPC.
    pub(crate) rpc: usize,
    /// The socket of HTTP.
    pub(crate) http: usize,
    /// The port of the metadata service.
    pub(crate) tcp: usize,
    /// Each port that waits for a browser; these come out of what is kept back.
    pub(crate) browser: usize,
}

impl Room {
    /// Shares out so many descriptors.
    fn in_all(spare: usize) -> Self {
        let http = (spare / 8).clamp(3, 4096);
        let tcp = (spare / 16).clamp(2, 1024);
        let rpc = spare.saturating_sub(http + tcp).clamp(4, 16_384);
        Self { rpc, http, tcp, browser: (spare / 16).clamp(3, 256) }
    }
}

/// What there is room for; the same all the time.
pub(crate) fn room() -> Room {
    /// For the store, issuers, and whatever is read on the way.
    const OWN: usize = 26;
    static ROOM: std::sync::OnceLock<Room> = std::sync::OnceLock::new();
    *ROOM.get_or_init(|| {
        let room = Room::in_all(file_limit().saturating_sub(open_files() + OWN));
        tracing::debug!(?room, "room for clients");
        room
    })
}

#[cfg(unix)]
fn file_limit() -> usize {
    use rustix::process::{Resource, getrlimit};
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn file_limit() -> usize {
    usize::MAX
}

/// How many files this process has open, or about as many.
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(20, Iterator::count)
}

/// Nothing yet: issue by issue, each system gets its own.
#[cfg(not(unix))]
pub(crate) fn harden() -> std::io::Result<()> {
    Ok(())
}

/// Nothing yet.
#[cfg(not(unix))]
pub(crate) fn shed() -> std::io::Result<()> {
    Ok(())
}

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

#[cfg(test)]
mod tests {
    use super::*;

    // Fault 45: of 64 descriptors some are left for the agent's own work, whoever connects.
    #[test]
    fn f45_every_door_has_some_room_and_none_takes_it_all() {
        for spare in [0, 1, 18, 200, 1000, 16_384, usize::MAX] {
            let Room { rpc, http, tcp, browser } = Room::in_all(spare);
            assert!(rpc >= 4 && http >= 3 && tcp >= 2 && browser >= 3, "{spare}");
            assert!(spare < 9 || rpc + http + tcp <= spare, "{spare}");
        }
        assert_eq!(Room::in_all(20_000), Room { rpc: 16_384, http: 2500, tcp: 1024, browser: 256 });
        assert!(Room::in_all(12_500).rpc >= 10_000);
    }
}

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

//! What this process owes its secrets before it has any.
//!
//! All of it comes before the arguments are read, in every process of ours: what keeps others out does not
//! outlive an exec.

#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;

/// Where other tools keep their secrets, and what would have ours written down. A process that lives for
/// weeks has no business with them. What a profile may name (`env-oidc`, `github-oidc`) stays.
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

/// Keeps other processes of the same user, and dumps, out of our memory; files are born private.
pub(crate) fn harden() -> std::io::Result<()> {
    system::prepare().and(sso_agent_os::process::keep_others_out())
}

/// Drops what is in [`SHED`], if there is any.
///
/// # Errors
/// It could not, and goes on as it is.
pub(crate) fn shed() -> std::io::Result<()> {
    system::shed(SHED)
}

/// Leaves the terminal and the session of whoever started us, where there are such things.
pub(crate) fn detach() {
    system::detach();
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
        let room = Room::in_all(system::file_limit().saturating_sub(system::open_files() + OWN));
        tracing::debug!(?room, "room for clients");
        room
    })
}

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

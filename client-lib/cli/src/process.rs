//! Keeps what passes through this process out of others: the tokens that it prints, and the secrets and
//! passphrases that it is given.

/// Comes first: other processes of the same user cannot read our memory, and it leaves no core. What we
/// become by `exec` can be dumped as it always could.
#[cfg(target_os = "linux")]
pub(crate) fn harden() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // Without it there is a token to be had for all the same; the agent gives one to any process of ours.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Nothing yet: issue by issue, each system gets its own.
#[cfg(not(target_os = "linux"))]
pub(crate) fn harden() {}

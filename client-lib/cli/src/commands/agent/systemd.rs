//! The user's systemd, as far as it is there.

use std::{
    io,
    process::{Command, Stdio},
};

use sso_agent_client::proto::places;

use super::units;
use crate::{exit::Failure, output::clean};

/// A user manager that answers.
#[derive(Debug)]
pub(in crate::commands) struct Manager(());

impl Manager {
    pub(in crate::commands) fn find() -> Option<Self> {
        let answers = cfg!(target_os = "linux") && succeeds(systemctl().args(["show", "--property=Version"]));
        answers.then_some(Self(()))
    }

    /// The manager, if it is what runs the agent that this environment means.
    pub(super) fn in_charge() -> Option<Self> {
        // The unit knows nothing of these: an agent of other places is another agent.
        let elsewhere = [places::SOCK, places::STATE].iter().any(|name| std::env::var_os(name).is_some());
        if elsewhere {
            return None;
        }
        Self::find().filter(|_| succeeds(systemctl().args(["cat", units::SOCKET])))
    }

    /// Whether the answer to a question such as `is-active` is yes.
    pub(in crate::commands) fn agrees(&self, question: &[&str]) -> bool {
        succeeds(systemctl().args(question))
    }

    pub(super) fn run(&self, args: &[&str]) -> Result<(), Failure> {
        let what = format!("systemctl --user {}", args.join(" "));
        let done = systemctl().args(args).output();
        match done {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let message = format!("`{what}` failed: {}", clean(said.trim()));
                Err(Failure::failed(
                    message,
                    "see `systemctl --user status sso-agent.socket sso-agent.service`",
                ))
            }
            Err(error) => Err(Failure::failed(format!("`{what}` cannot be run: {error}"), "see PATH")),
        }
    }

    /// Starts what may have failed too often before, after which systemd would not try again.
    pub(super) fn start(&self, args: &[&str]) -> Result<(), Failure> {
        // Fails when there is nothing to forget.
        succeeds(systemctl().args(["reset-failed", units::SERVICE, units::SOCKET]));
        self.run(args)
    }

    /// Whether a service may have a user namespace of its own. Only trying tells.
    pub(super) fn has_user_namespaces(&self) -> bool {
        let mut probe = Command::new("systemd-run");
        probe.args(["--user", "--wait", "--quiet", "--collect", "--property=PrivateUsers=yes", "true"]);
        succeeds(&mut probe)
    }
}

fn systemctl() -> Command {
    let mut command = Command::new("systemctl");
    command.args(["--user", "--no-ask-password"]).stdin(Stdio::null());
    command
}

fn succeeds(command: &mut Command) -> bool {
    let quiet: io::Result<_> =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

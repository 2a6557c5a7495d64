//! The user's systemd, as far as it is there: units with socket activation.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    AGAIN, Installed, Standing, Written, elsewhere, files,
    units::{self, Unit},
};
use crate::{exit::Failure, output::clean};

/// A user manager that answers.
#[derive(Debug)]
pub(in crate::commands::agent) struct Manager(());

impl Manager {
    /// How it is told that it started the agent.
    pub(in crate::commands::agent) const BY: &str = "by systemd";

    fn find() -> Option<Self> {
        succeeds(systemctl().args(["show", "--property=Version"])).then_some(Self(()))
    }

    pub(in crate::commands::agent) fn in_charge() -> Option<Self> {
        if elsewhere().is_some() {
            return None;
        }
        Self::find().filter(|_| succeeds(systemctl().args(["cat", units::SOCKET])))
    }

    pub(in crate::commands::agent) fn start(&self) -> Result<(), Failure> {
        self.start_by(&["start", units::SOCKET])
    }

    pub(in crate::commands::agent) fn stop(&self) -> Result<(), Failure> {
        self.run(&["stop", units::SERVICE, units::SOCKET])
    }

    /// What shows the agent's log.
    pub(in crate::commands::agent) fn log(&self, last: Option<usize>) -> Option<Command> {
        let mut journal = Command::new("journalctl");
        journal.args(["--user", "--unit", units::SERVICE]);
        if let Some(lines) = last {
            journal.args(["--follow", &format!("--lines={lines}")]);
        }
        Some(journal)
    }

    /// Whether the answer to a question such as `is-active` is yes.
    fn agrees(&self, question: &[&str]) -> bool {
        succeeds(systemctl().args(question))
    }

    fn run(&self, args: &[&str]) -> Result<(), Failure> {
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
    fn start_by(&self, args: &[&str]) -> Result<(), Failure> {
        // Fails when there is nothing to forget.
        succeeds(systemctl().args(["reset-failed", units::SERVICE, units::SOCKET]));
        self.run(args)
    }

    /// Whether a service may have a user namespace of its own. Only trying tells.
    fn has_user_namespaces(&self) -> bool {
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

pub(in crate::commands::agent) fn what_is_written() -> Result<Vec<Written>, Failure> {
    let folder = folder()?;
    let written =
        |unit: Unit| Written { place: folder.join(unit.name).display().to_string(), text: unit.text };
    Ok(units(true)?.into_iter().map(written).collect())
}

pub(in crate::commands::agent) fn install() -> Result<Installed, Failure> {
    let folder = folder()?;
    let manager = Manager::find();
    let hardened = manager.as_ref().is_some_and(Manager::has_user_namespaces);
    let mut written = Vec::new();
    for unit in units(hardened)? {
        let path = folder.join(unit.name);
        files::write(&path, &unit.text)?;
        written.push(path.display().to_string());
    }
    if !hardened {
        files::remove(&folder.join(units::HARDENING))?;
    }
    let Some(manager) = manager else {
        return Err(Failure::failed(
            format!("the units are in {}, but no systemd user manager answers", folder.display()),
            "log in as a user with one, then run `systemctl --user enable --now sso-agent.socket`",
        ));
    };
    // The sandbox opens the state folder for writing only if it is there when the service starts.
    files::private_folder(&super::super::places()?.state)?;
    manager.run(&["daemon-reload"])?;
    manager.start_by(&["enable", "--now", units::SOCKET])?;
    Ok(Installed { written, hardened: Some(hardened), words: words(&folder, hardened) })
}

fn words(folder: &Path, hardened: bool) -> String {
    let mut text = format!("Installed and enabled {} in {}", units::SOCKET, folder.display());
    if !hardened {
        text += "\nWithout the sandboxing that needs user namespaces, which are denied here";
    }
    text
}

pub(in crate::commands::agent) fn uninstall() -> Result<&'static str, Failure> {
    let folder = folder()?;
    let manager = Manager::find();
    if let Some(manager) = &manager
        && folder.join(units::SOCKET).exists()
    {
        manager.run(&["disable", "--now", units::SOCKET, units::SERVICE])?;
    }
    for name in [units::HARDENING, units::SERVICE, units::SOCKET] {
        files::remove(&folder.join(name))?;
    }
    // Stays where the user has put more into it.
    let _ = fs::remove_dir(folder.join(units::DROP_INS));
    if let Some(manager) = &manager {
        manager.run(&["daemon-reload"])?;
    }
    Ok("Removed the systemd user units; the sessions are kept")
}

fn units(hardened: bool) -> Result<Vec<Unit>, Failure> {
    let mut all = Vec::from(units::units(&super::program()?));
    all.extend(hardened.then(units::hardening));
    Ok(all)
}

fn folder() -> Result<PathBuf, Failure> {
    units::folder(|name| std::env::var_os(name).map(PathBuf::from))
        .ok_or_else(|| Failure::failed("this user has no home folder", "set XDG_CONFIG_HOME"))
}

pub(super) fn standing() -> Option<Standing> {
    let folder = folder().ok()?;
    Some(match OnDisk::read(&folder) {
        None => Standing::Absent,
        Some(found) => found.judge().unwrap_or_else(|| of_manager(Manager::find().as_ref())),
    })
}

/// What is on disk below the unit folder.
struct OnDisk {
    service: String,
    socket: String,
    hardening: Option<String>,
}

impl OnDisk {
    fn read(folder: &Path) -> Option<Self> {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        Some(Self {
            service: read(units::SERVICE)?,
            socket: read(units::SOCKET)?,
            hardening: read(units::HARDENING),
        })
    }

    /// Finds what is wrong with it.
    fn judge(&self) -> Option<Standing> {
        let program = units::program(&self.service);
        Standing::of_program(program.as_deref()).or_else(|| {
            let current = program.is_some_and(|program| self.is_current(&program));
            (!current).then(Standing::of_another_version)
        })
    }

    fn is_current(&self, program: &Path) -> bool {
        let [service, socket] = units::units(program).map(|Unit { text, .. }| text);
        let hardening = self.hardening.as_ref().is_none_or(|text| *text == units::hardening().text);
        service == self.service && socket == self.socket && hardening
    }
}

fn of_manager(manager: Option<&Manager>) -> Standing {
    let Some(manager) = manager else {
        let hint = "log in as a user with one, or start the agent with `sso agent start`";
        return Standing::odd("the units are installed, but no systemd user manager answers", hint);
    };
    let agrees = |question| manager.agrees(&[question, units::SOCKET]);
    if !agrees("is-enabled") {
        return Standing::odd("the units are installed and not enabled", AGAIN);
    }
    if !agrees("is-active") {
        let hint = "run `sso agent start`; `systemctl --user status sso-agent.socket` says more";
        return Standing::broken("the units are enabled, but systemd does not listen for clients", hint);
    }
    Standing::Well("the systemd user units are installed, enabled and as this version writes them")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(program: &Path) -> OnDisk {
        let [service, socket] = units::units(program).map(|Unit { text, .. }| text);
        OnDisk { service, socket, hardening: None }
    }

    #[test]
    fn units_of_this_version_with_their_program_are_well() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(installed(&own).judge(), None);
        let hardened = OnDisk { hardening: Some(units::hardening().text), ..installed(&own) };
        assert_eq!(hardened.judge(), None);
    }

    #[test]
    fn units_of_another_version_are_told() {
        let own = std::env::current_exe().unwrap();
        let older = OnDisk { socket: "[Socket]\n".into(), ..installed(&own) };
        assert_eq!(older.judge(), Some(Standing::of_another_version()));
        let older = OnDisk { hardening: Some("[Service]\n".into()), ..installed(&own) };
        assert_eq!(older.judge(), Some(Standing::of_another_version()));
    }

    #[test]
    fn a_program_that_is_gone_is_told() {
        let Some(Standing::Broken { message, .. }) =
            installed(Path::new("/nonexistent/a b/sso-agent")).judge()
        else {
            panic!("it is not there");
        };
        assert!(message.contains("/nonexistent/a b/sso-agent"), "{message}");
    }
}

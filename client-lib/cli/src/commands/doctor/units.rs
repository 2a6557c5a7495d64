//! The systemd user units: whether they are there, as this version writes them, and at work.

use std::{fs, path::Path};

use sso_agent_client::{autostart, proto::places};

use super::{
    super::agent::{
        systemd::Manager,
        units::{self, Unit},
    },
    Finding,
};

/// What is on disk below the unit folder, and what is right to be there.
struct Installed {
    service: String,
    socket: String,
    hardening: Option<String>,
}

pub(super) fn check(program: Option<&Path>) -> Option<Finding> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    // As `sso agent` has it: an agent of other places is another agent.
    if let Some(name) =
        [places::SOCK, places::STATE].into_iter().find(|name| std::env::var_os(name).is_some())
    {
        return Some(Finding::ok("units", format!("of no concern: {name} names another agent than theirs")));
    }
    let folder = units::folder(|name| std::env::var_os(name).map(Into::into))?;
    let Some(installed) = Installed::read(&folder) else {
        return Some(absent(program.is_some() && autostart::is_wanted()));
    };
    Some(installed.judge(Manager::find().as_ref()))
}

fn absent(is_started: bool) -> Finding {
    if is_started {
        return Finding::ok("units", "not installed: the first command that needs the agent starts it");
    }
    Finding::warn("units", "not installed, and no command starts the agent", "run `sso agent install`")
}

impl Installed {
    fn read(folder: &Path) -> Option<Self> {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        Some(Self {
            service: read(units::SERVICE)?,
            socket: read(units::SOCKET)?,
            hardening: read(units::HARDENING),
        })
    }

    fn judge(&self, manager: Option<&Manager>) -> Finding {
        if let Some(finding) = self.judge_files() {
            return finding;
        }
        let Some(manager) = manager else {
            let hint = "log in as a user with one, or start the agent with `sso agent start`";
            return Finding::warn("units", "installed, but no systemd user manager answers", hint);
        };
        let agrees = |question| manager.agrees(&[question, units::SOCKET]);
        if !agrees("is-enabled") {
            return Finding::warn("units", "installed and not enabled", "run `sso agent install`");
        }
        if !agrees("is-active") {
            let hint = "run `sso agent start`; `systemctl --user status sso-agent.socket` says more";
            return Finding::fail("units", "enabled, but systemd does not listen for clients", hint);
        }
        Finding::ok("units", "installed, enabled and as this version writes them")
    }

    /// Finds what is wrong with them as they stand on disk.
    fn judge_files(&self) -> Option<Finding> {
        let again = "run `sso agent install`";
        let Some(program) = units::program(&self.service) else {
            return Some(Finding::fail("units", "the installed service does not say what to run", again));
        };
        if !program.is_file() {
            let message = format!("the installed service runs {}, which is not there", program.display());
            return Some(Finding::fail("units", message, again));
        }
        (!self.is_current(&program)).then(|| {
            let message = "the installed units differ from those of this version";
            Finding::warn("units", message, format!("{again}, or keep them if you changed them on purpose"))
        })
    }

    fn is_current(&self, program: &Path) -> bool {
        let [service, socket] = units::units(program).map(|Unit { text, .. }| text);
        let hardening = self.hardening.as_ref().is_none_or(|text| *text == units::hardening().text);
        service == self.service && socket == self.socket && hardening
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    fn installed(program: &Path) -> Installed {
        let [service, socket] = units::units(program).map(|Unit { text, .. }| text);
        Installed { service, socket, hardening: None }
    }

    #[test]
    fn units_of_this_version_with_their_program_are_well() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(installed(&own).judge_files(), None);
        let hardened = Installed { hardening: Some(units::hardening().text), ..installed(&own) };
        assert_eq!(hardened.judge_files(), None);
    }

    #[test]
    fn units_of_another_version_are_told() {
        let own = std::env::current_exe().unwrap();
        let older = Installed { socket: "[Socket]\n".into(), ..installed(&own) };
        assert_eq!(older.judge_files().unwrap().status, Status::Warn);
        let older = Installed { hardening: Some("[Service]\n".into()), ..installed(&own) };
        assert_eq!(older.judge_files().unwrap().status, Status::Warn);
    }

    #[test]
    fn a_program_that_is_gone_is_told() {
        let finding = installed(Path::new("/nonexistent/a b/sso-agent")).judge_files().unwrap();
        assert_eq!(finding.status, Status::Fail);
        assert!(finding.message.contains("/nonexistent/a b/sso-agent"), "{finding:?}");
    }

    #[test]
    fn without_units_it_depends_on_who_else_starts_the_agent() {
        assert_eq!((absent(true).status, absent(false).status), (Status::Ok, Status::Warn));
    }
}

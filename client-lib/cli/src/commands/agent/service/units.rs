//! What `sso agent install` writes: the units of this version, with the agent's program in them.

use std::path::{Path, PathBuf};

pub(super) const SERVICE: &str = "sso-agent.service";
pub(super) const SOCKET: &str = "sso-agent.socket";
pub(super) const DROP_INS: &str = "sso-agent.service.d";
pub(super) const HARDENING: &str = "sso-agent.service.d/hardening.conf";

const SERVICE_TEXT: &str = include_str!("../../../../../../systemd/sso-agent.service");
const SOCKET_TEXT: &str = include_str!("../../../../../../systemd/sso-agent.socket");
const HARDENING_TEXT: &str = include_str!("../../../../../../systemd/sso-agent.service.d/hardening.conf");

/// The line of the service that says what to run.
const START: &str = "ExecStart=";

/// One file below the unit folder.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// The units themselves, without the drop-in.
pub(super) fn units(program: &Path) -> [Unit; 2] {
    [Unit { name: SERVICE, text: service(program) }, Unit { name: SOCKET, text: SOCKET_TEXT.to_owned() }]
}

/// What needs user namespaces.
pub(super) fn hardening() -> Unit {
    Unit { name: HARDENING, text: HARDENING_TEXT.to_owned() }
}

/// Where a user's units are.
pub(super) fn folder(var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let chosen = var("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let config =
        chosen.or_else(|| directories::BaseDirs::new().map(|user| user.home_dir().join(".config")))?;
    Some(config.join("systemd/user"))
}

/// What an installed service runs: the path that [`units`] put into it, or that of a unit put there by hand.
pub(super) fn program(service: &str) -> Option<PathBuf> {
    let command = service.lines().find_map(|line| line.strip_prefix(START))?;
    let path = match command.strip_prefix('"') {
        Some(quoted) => unquoted(quoted.rsplit_once('"')?.0),
        None => command.split_whitespace().next()?.to_owned(),
    };
    match path.strip_prefix("%h/") {
        Some(below) => Some(directories::BaseDirs::new()?.home_dir().join(below)),
        None => Some(path.into()),
    }
}

fn service(program: &Path) -> String {
    let line = |line: &str| match line.starts_with(START) {
        true => format!("{START}{} run\n", quoted(&program.to_string_lossy())),
        false => format!("{line}\n"),
    };
    SERVICE_TEXT.lines().map(line).collect()
}

/// As systemd.service(5) and systemd.syntax(7) want a path that may hold anything.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if path.chars().all(plain) {
        return path.to_owned();
    }
    let escaped = path.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

/// Undoes [`quoted`].
fn unquoted(text: &str) -> String {
    let mut path = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        // The first of a pair says that the second is meant as it stands.
        let meant = if "\\%$".contains(c) { rest.next() } else { Some(c) };
        path.extend(meant);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_runs_the_program_that_was_found() {
        let text = service(Path::new("/opt/sso/bin/sso-agent"));
        assert!(text.contains("\nExecStart=/opt/sso/bin/sso-agent run\n"));
        assert_eq!(text.lines().count(), SERVICE_TEXT.lines().count());
    }

    #[test]
    fn a_program_may_be_anywhere() {
        assert_eq!(quoted("/home/a b/100%/$x"), "\"/home/a b/100%%/$$x\"");
    }

    #[test]
    fn units_are_where_the_user_keeps_the_configuration() {
        let chosen = |path: &'static str| folder(move |_| Some(path.into()));
        assert_eq!(chosen("/c").unwrap(), Path::new("/c/systemd/user"));
        assert_ne!(chosen("relative").unwrap(), Path::new("relative/systemd/user"));
    }

    #[test]
    fn what_a_service_runs_can_be_read_back() {
        for path in ["/opt/sso/bin/sso-agent", "/home/a b/100%/$x/\\/\"q\"/sso-agent"] {
            assert_eq!(program(&service(Path::new(path))).as_deref(), Some(Path::new(path)));
        }
        let by_hand = program(SERVICE_TEXT).unwrap();
        assert!(by_hand.is_absolute() && by_hand.ends_with(".cargo/bin/sso-agent"), "{by_hand:?}");
        assert_eq!(program("[Service]\n"), None);
    }
}

//! What the machine brings: programs, the clock, proxies, a browser.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use sso_agent_os::private;

use super::Finding;
use crate::browser;

/// No release of this program is older, so a clock that says so is wrong.
const EARLIEST: &str = "2026-01-01T00:00:00Z";
/// Nor will this one still run then.
const LATEST: &str = "2100-01-01T00:00:00Z";

/// What to do about a clock that is wrong.
pub(super) const SET_THE_CLOCK: &str = if cfg!(windows) {
    "set the clock, for example by `w32tm /resync`"
} else if cfg!(target_os = "macos") {
    "set the clock, for example by `sudo sntp -sS time.apple.com`"
} else {
    "set the clock, for example by `timedatectl set-ntp true`"
};

/// Where an agent that is started here would find its proxy; `HTTP_PROXY` is for what is not encrypted.
const PROXIES: &[&str] = &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// Where other tools are told whom to trust.
const CERTIFICATES: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Where a desktop says that it is there.
const DESKTOPS: &[&str] = &["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"];

pub(super) fn program(found: Option<&Path>) -> Finding {
    match found {
        Some(path) => Finding::ok("program", format!("the agent's program is {}", path.display())),
        None => Finding::warn(
            "program",
            "there is no program sso-agent beside sso or on PATH, so no command can start the agent",
            "put sso-agent beside sso or on PATH",
        ),
    }
}

pub(super) fn clock(now: Timestamp) -> Finding {
    let [earliest, latest] = [EARLIEST, LATEST].map(|text| text.parse().expect("our own constant is a time"));
    if (earliest..latest).contains(&now) {
        return Finding::ok("clock", "the date is plausible");
    }
    Finding::fail(
        "clock",
        format!("the clock says {now:.0}, which cannot be: certificates and tokens will be refused"),
        SET_THE_CLOCK,
    )
}

/// The proxy of the agent, if one answers; else what one would find here: names only, since the values may
/// hold a password.
pub(super) fn proxy(agents: Option<Option<&str>>, var: impl Fn(&str) -> Option<OsString>) -> Finding {
    let set: Vec<&str> = PROXIES.iter().copied().filter(|name| var(name).is_some()).collect();
    match (agents, set.first()) {
        (Some(Some(proxy)), _) => Finding::ok("proxy", format!("the agent reaches issuers by {proxy}")),
        (Some(None), Some(name)) => Finding::warn(
            "proxy",
            format!("{name} is set here, and the agent runs without a proxy"),
            "set `proxy` in the config file, or start the agent anew from here: `sso agent restart`",
        ),
        (Some(None), None) => Finding::ok("proxy", "none: the agent reaches issuers directly"),
        (None, Some(name)) => Finding::ok("proxy", format!("an agent that is started here uses {name}")),
        (None, None) => Finding::ok("proxy", "no proxy is set"),
    }
}

/// Whom other tools trust more than the agent does.
pub(super) fn certificates(var: impl Fn(&str) -> Option<OsString>) -> Option<Finding> {
    let paths = |name: &&str| var(name).map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>());
    let others =
        CERTIFICATES.iter().filter_map(paths).flatten().find(|path| !private::is_the_administrators(path))?;
    Some(Finding::warn(
        "trust",
        format!(
            "{} is not trusted by the agent: more than the administrator can change it",
            others.display()
        ),
        "if the agent shall trust it, set `ca_file` in the config file",
    ))
}

pub(super) fn browser(var: impl Fn(&str) -> Option<OsString>) -> Finding {
    let has_desktop = !cfg!(target_os = "linux") || DESKTOPS.iter().any(|name| var(name).is_some());
    judge_browser(var("BROWSER"), has_desktop, browser::is_there())
}

fn judge_browser(chosen: Option<OsString>, has_desktop: bool, is_there: bool) -> Finding {
    const BY_HAND: &str = "use `sso login --no-browser` and visit the address in a browser on this machine; \
                           by SSH: `sso login --no-browser --port 8020`, with `ssh -L 8020:localhost:8020`";
    let chosen = chosen.map(PathBuf::from);
    match (chosen, is_there) {
        (Some(chosen), true) => Finding::ok("browser", format!("BROWSER is {}", chosen.display())),
        (Some(chosen), false) => {
            let message = format!("BROWSER is {}, which cannot be started", chosen.display());
            Finding::warn("browser", message, "correct or unset BROWSER")
        }
        (None, true) if has_desktop => Finding::ok("browser", "the desktop's"),
        (None, _) => Finding::warn("browser", "there is no desktop with a browser here", BY_HAND),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    #[test]
    fn a_clock_that_is_years_off_is_seen() {
        let status = |now: &str| clock(now.parse().unwrap()).status;
        assert_eq!(status("2026-06-01T00:00:00Z"), Status::Ok);
        assert_eq!(status("1970-01-01T00:00:07Z"), Status::Fail);
        assert_eq!(status("2106-02-07T06:28:15Z"), Status::Fail);
    }

    #[test]
    fn a_proxy_is_named_and_what_it_is_set_to_here_is_not() {
        let var = |name: &str| (name == "https_proxy").then(|| "http://me:secret@proxy".into());
        let finding = proxy(Some(None), var);
        assert_eq!(finding.status, Status::Warn);
        assert!(finding.message.contains("https_proxy") && !finding.message.contains("secret"));
        assert!(proxy(Some(Some("http://p:1")), var).message.contains("http://p:1"));
        assert_eq!(proxy(None, var).status, Status::Ok);
        assert_eq!(proxy(Some(None), |_| None).status, Status::Ok);
    }

    #[cfg(unix)]
    #[test]
    fn a_certificate_that_others_can_change_is_a_finding() {
        let file = |path: &'static str| move |name: &str| (name == "SSL_CERT_FILE").then(|| path.into());
        assert_eq!(certificates(|_| None), None);
        assert_eq!(certificates(file("/etc")), None);
        assert!(certificates(file("/tmp")).unwrap().hint.contains("ca_file"));
    }

    #[test]
    fn without_a_desktop_the_way_by_hand_is_told() {
        let headless = judge_browser(None, false, true);
        assert!(headless.hint.contains("--no-browser"));
        assert_eq!(judge_browser(None, true, false).status, Status::Warn);
        assert_eq!(judge_browser(None, true, true).status, Status::Ok);
    }

    #[test]
    fn a_chosen_browser_needs_no_desktop_and_must_be_there() {
        assert_eq!(judge_browser(Some("w3m".into()), false, true).status, Status::Ok);
        assert!(judge_browser(Some("w3m".into()), true, false).hint.contains("BROWSER"));
    }

    #[test]
    fn a_missing_agent_program_is_a_finding() {
        assert_eq!(program(None).status, Status::Warn);
        assert!(program(Some(Path::new("/a/sso-agent"))).message.contains("/a/sso-agent"));
    }
}

//! The units under a real systemd with a real user manager: activation, readiness, a sign-in, the
//! watchdog, restarts, the journal, and a system that denies user namespaces.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as it may")]

use sso_agent_tests::nspawn::Machine;
use sso_agent_tests::{Provider, parts};
use std::fs;

const SERVICE: &str = "sso-agent.service";

#[test]
fn the_units_serve_a_person_under_systemd() {
    let machine = match Machine::boot() {
        Ok(machine) => machine,
        Err(why) => return parts::leave_out("the units under systemd", why),
    };
    let Some(provider) = Provider::start(3600) else {
        return parts::leave_out("the units under systemd", "the OpenID provider is missing");
    };
    let state = |name: &str| machine.property(SERVICE, name);

    machine.as_person(&["sso", "agent", "install"]).ok();
    assert_eq!(machine.property("sso-agent.socket", "ActiveState"), "active");
    assert_eq!(state("ActiveState"), "inactive", "nobody has asked yet");
    assert!(state("DropInPaths").contains("hardening.conf"), "user namespaces are allowed here");

    machine.as_person(&["sso", "login", &provider.url]).ok();
    assert_eq!((state("ActiveState"), state("NRestarts")), ("active".to_owned(), "0".to_owned()));
    assert!(state("StatusText").contains("session"), "it says how it does: {}", state("StatusText"));
    let token = machine.as_person(&["sso", "token"]).ok().to_owned();
    assert_eq!(provider.judge(&token), 200);

    machine.systemctl(&["kill", "--signal=KILL", SERVICE]).ok();
    machine.wait_for(SERVICE, "NRestarts", |count| count == "1");
    assert_eq!(machine.as_person(&["sso", "token"]).ok(), token, "restarted, with all it knew");

    watchdog(&machine);
    assert_eq!(machine.as_person(&["sso", "token"]).ok(), token, "restarted by the watchdog");

    let journal = machine.journal();
    assert!(journal.contains("serving"), "the log is in the journal: {journal}");
    assert!(!journal.contains(&token));

    machine.systemctl(&["stop", SERVICE]).ok();
    assert_eq!(state("Result"), "success");
    assert_eq!(machine.as_person(&["sso", "token"]).ok(), token, "the socket starts it again");

    without_user_namespaces(&machine, &token);
    machine.as_person(&["sso", "logout", &provider.url]).ok();
    machine.as_person(&["sso", "agent", "uninstall"]).ok();
    assert_eq!(state("LoadState"), "not-found");
    assert_eq!(provider.count("token_requests"), 1, "one sign-in served it all");
}

/// An agent that hangs is killed and started again; with a shorter patience than the two minutes it has.
fn watchdog(machine: &Machine) {
    let folder = machine.home().join(".config/systemd/user/sso-agent.service.d");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("impatient.conf"), "[Service]\nWatchdogSec=2s\n").unwrap();
    machine.systemctl(&["daemon-reload"]).ok();
    machine.systemctl(&["restart", SERVICE]).ok();
    let before: u32 = machine.property(SERVICE, "NRestarts").parse().unwrap();
    machine.systemctl(&["kill", "--signal=STOP", "--kill-whom=main", SERVICE]).ok();
    machine.wait_for(SERVICE, "NRestarts", |count| count.parse::<u32>().unwrap() > before);
    assert!(machine.journal().to_lowercase().contains("watchdog"), "{}", machine.journal());
    fs::remove_file(folder.join("impatient.conf")).unwrap();
    machine.systemctl(&["daemon-reload"]).ok();
}

/// Some systems deny user namespaces: the service manager then fails on all that needs one.
fn without_user_namespaces(machine: &Machine, token: &str) {
    machine.as_person(&["sso", "agent", "uninstall"]).ok();
    let folder = machine.root().join("etc/systemd/system/user@.service.d");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("deny.conf"), "[Service]\nRestrictNamespaces=~user\n").unwrap();
    machine.run(&["systemctl", "daemon-reload"]).ok();
    machine.new_login();

    machine.as_person(&["sso", "agent", "install"]).ok();
    assert!(!machine.property(SERVICE, "DropInPaths").contains("hardening.conf"));
    assert_eq!(machine.as_person(&["sso", "token"]).ok(), token, "the unit alone works there");
    assert_eq!(machine.property(SERVICE, "ActiveState"), "active");
}

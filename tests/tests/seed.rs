//! The script from which this project started, as it was and with one word less. Alone in its file, since the
//! SDK's own sign-in knows no port but 8020.

#![cfg(unix)]

use sso_agent_tests::{Agent, Finished, Provider, Sandbox, need, parts};
use std::fs;
use std::process::Command;

const NO_PROVIDER: &str = "the OpenID provider is missing";

#[test]
fn the_script_we_started_from_prints_the_same_with_its_own_browser_and_with_the_agents_token() {
    let sandbox = Sandbox::new();
    let provider = need!("the seed", Provider::start(3600), NO_PROVIDER);
    let python =
        need!("the seed", parts::fetched("venv"), "the Databricks SDK is missing").join("bin/python");
    let script = parts::source().join("tests/clients/seed.py");
    let typed = sandbox.path("typed");
    fs::write(&typed, format!("{}\n", provider.url)).unwrap();
    let run =
        |command: &mut Command| Finished::of(command.arg(&script).stdin(fs::File::open(&typed).unwrap()));
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    let path = format!("{}:{}", sandbox.shim().display(), std::env::var("PATH").unwrap_or_default());
    let ours = run(sandbox.command(&python).env("PATH", path).env("BROWSER", "false"));
    assert!(ours.ok().contains(" - shared-autoscaling is "), "{ours:?}");
    assert_eq!(provider.count("authorizations"), 1);

    let mut own = sandbox.command("timeout");
    let own =
        own.arg("60").arg(&python).env("BROWSER", format!("{} %s &", parts::program("follow").display()));
    let own = Finished::of(own.arg(&script).arg("external-browser").stdin(fs::File::open(&typed).unwrap()));
    assert_eq!(own.ok(), ours.ok());
    assert_eq!(provider.count("authorizations"), 2);
}

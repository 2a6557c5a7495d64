//! The walls of the house (ARCHITECTURE.md): who may use whom, read from what cargo and the sources say.

#![cfg(unix)]

use serde_json::Value;
use sso_agent_tests::parts::source;
use sso_agent_tests::sandbox::files;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Our own packages, and which of ours each may use. A `?` may be used behind a feature only.
const OURS: &[(&str, &[&str])] = &[
    ("sso-agent-core", &[]),
    ("sso-agent-os", &[]),
    ("sso-agent-proto", &["sso-agent-os"]),
    ("sso-agent-client", &["sso-agent-os", "sso-agent-proto"]),
    ("sso-agent", &["sso-agent-core", "sso-agent-os", "sso-agent-proto"]),
    ("sso", &["sso-agent-client", "sso-agent-os", "sso-agent-proto", "sso-agent?"]),
    ("sso-agent-tests", &["sso-agent-client", "sso-agent-proto", "sso-agent"]),
    ("sso-agent-bench", &["sso-agent?"]),
    ("sso-agent-torture", &["sso-agent", "sso-agent-tests"]),
];

/// All that the core may use; it decides, so it needs nothing that does.
const CORE: &[&str] = &["secrecy", "thiserror", "url"];

/// Where `unsafe` is let in, each with its reason beside it.
const UNSAFE: &[&str] = &[
    "daemon/src/manager/launchd.rs",
    "daemon/src/manager/systemd.rs",
    "daemon/src/peer/windows.rs",
    "daemon/src/process/windows.rs",
    "daemon/src/store/keyring/dpapi.rs",
    "proto/os/src/macos.rs",
    "proto/os/src/windows/descriptor.rs",
    "proto/os/src/windows/lock.rs",
    "proto/os/src/windows/process.rs",
    "proto/os/src/windows/successor.rs",
    "proto/os/src/windows/user.rs",
];

/// The longest a file may be, tests included.
const LINES: usize = 500;

#[test]
fn packages_use_only_those_that_they_may() {
    for package in packages() {
        let name = text(&package, "name");
        let Some((_, allowed)) = OURS.iter().find(|(ours, _)| *ours == name) else { continue };
        for dependency in dependencies(&package) {
            let used = text(&dependency, "name");
            if !OURS.iter().any(|(ours, _)| *ours == used) {
                continue;
            }
            let optional = dependency["optional"] == true;
            let fits = allowed.contains(&used.as_str())
                || optional && allowed.contains(&format!("{used}?").as_str());
            assert!(fits, "{name} must not use {used}");
        }
    }
}

#[test]
fn the_core_needs_nothing_that_does() {
    let core = packages().into_iter().find(|package| text(package, "name") == "sso-agent-core").unwrap();
    let used: Vec<String> = dependencies(&core).iter().map(|dependency| text(dependency, "name")).collect();
    assert!(used.iter().all(|name| CORE.contains(&name.as_str())), "{used:?}");

    let banned =
        ["std::fs", "std::net", "std::env", "std::thread", "std::process", "Instant::now", "SystemTime::now"];
    for (file, code) in sources("daemon/core/src") {
        for word in banned {
            assert!(!code.contains(word), "{} uses {word}", file.display());
        }
    }
}

#[test]
fn the_command_line_meets_the_daemon_in_the_demo_only() {
    for (file, code) in sources("client-lib/cli/src") {
        let here =
            file.ends_with("commands/demo.rs") || file.components().any(|part| part.as_os_str() == "demo");
        assert!(here || !code.contains("sso_agent::"), "{} uses the daemon", file.display());
    }
}

#[test]
fn a_blocking_client_and_a_plain_cli_carry_no_runtime() {
    for package in ["sso-agent-client", "sso"] {
        let tree = tree(&["--package", package, "--no-default-features"]);
        assert!(tree.iter().any(|name| name == "sso-agent-proto"), "{tree:?}");
        for runtime in ["tokio", "async-std", "smol", "futures-executor", "sso-agent"] {
            assert!(!tree.contains(runtime), "{package} carries {runtime}");
        }
    }
}

#[test]
fn one_tls_library_and_one_http_client() {
    let tree = tree(&["--workspace", "--all-features"]);
    for second in ["openssl-sys", "native-tls", "ring", "reqwest", "isahc", "ureq"] {
        assert!(!tree.contains(second), "{second} came in");
    }
}

#[test]
fn unsafe_code_is_where_it_is_known_to_be() {
    let mut found = BTreeSet::new();
    for room in ["proto", "client-lib", "daemon", "tests"] {
        for (file, code) in sources(room) {
            let lets_it_in =
                code.contains("(unsafe_code") || code.contains("unsafe {") || code.contains("unsafe fn");
            if lets_it_in && !file.ends_with("tests/walls.rs") {
                found.insert(file.display().to_string());
            }
        }
    }
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), UNSAFE);
}

#[test]
fn no_room_is_a_hall() {
    for room in ["proto", "client-lib", "daemon", "tests"] {
        for (file, code) in sources(room) {
            let lines = code.lines().count();
            assert!(lines <= LINES, "{} has {lines} lines and wants to be two", file.display());
        }
    }
}

fn packages() -> Vec<Value> {
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&output).expect("cargo prints JSON");
    metadata["packages"].as_array().expect("a list").clone()
}

/// Without those of tests: a test may use what it likes.
fn dependencies(package: &Value) -> Vec<Value> {
    let all = package["dependencies"].as_array().expect("a list");
    all.iter().filter(|dependency| dependency["kind"] != "dev").cloned().collect()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().expect("a string").to_owned()
}

/// The names of all packages that are linked for these options, on this system.
fn tree(options: &[&str]) -> BTreeSet<String> {
    let fixed = ["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let output = cargo(&[&fixed, options].concat());
    output.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(args).current_dir(source()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// The Rust files below a folder of the source tree, by their path in it, and what is in them.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let inside = |file: &Path| file.strip_prefix(source()).expect("it was found there").to_owned();
    files(&source().join(folder))
        .into_iter()
        .filter(|file| file.extension().is_some_and(|kind| kind == "rs"))
        .filter(|file| {
            !file.components().any(|part| part.as_os_str() == "node_modules" || part.as_os_str() == "target")
        })
        .map(|file| (inside(&file), fs::read_to_string(&file).expect("sources are UTF-8")))
        .collect()
}

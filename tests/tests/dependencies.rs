//! What comes into the tree: few packages, each direct one with its reason in `DEPENDENCIES.md`.

#![cfg(unix)]

use serde_json::Value;
use sso_agent_tests::parts::source;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

/// The most that the agent may link on Linux.
const MOST: usize = 250;

/// Who uses what, in tests or not.
type Uses = BTreeMap<(String, bool), BTreeSet<String>>;

#[test]
fn the_agent_links_few_packages_and_none_from_git() {
    let tree = cargo(&[
        "tree",
        "--offline",
        "--package",
        "sso-agent",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--target",
        "x86_64-unknown-linux-gnu",
    ]);
    let packages: BTreeSet<&str> = tree.lines().map(|line| line.split(" (").next().unwrap_or(line)).collect();
    println!("{} packages in the agent's normal tree", packages.len());
    assert!(packages.len() <= MOST, "{} packages: {packages:?}", packages.len());
    let lock = fs::read_to_string(source().join("Cargo.lock")).expect("a text");
    assert!(!lock.contains("git+"), "something comes from git");
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let (mut written, manifests) = (Uses::new(), manifests());
    let text = fs::read_to_string(source().join("DEPENDENCIES.md")).expect("a text");
    let (normal, tests) = text.split_once("In tests").expect("two tables");
    for (table, dev) in [(normal, false), (tests, true)] {
        for row in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| dependency")) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [name, users, reason] = cells[..] else { panic!("{row} has not three cells") };
            assert!(reason.len() > 3, "{name} has no reason");
            written.insert((name.to_owned(), dev), users.split(", ").map(str::to_owned).collect());
        }
    }
    let missing: Vec<_> = manifests.iter().filter(|(name, users)| written.get(name) != Some(users)).collect();
    assert!(missing.is_empty(), "not so in DEPENDENCIES.md: {missing:?}");
    let stale: Vec<_> = written.keys().filter(|name| !manifests.contains_key(name)).collect();
    assert!(stale.is_empty(), "only in DEPENDENCIES.md: {stale:?}");
}

fn manifests() -> Uses {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let mut uses = Uses::new();
    for package in packages {
        for dependency in package["dependencies"].as_array().expect("a list") {
            let used = name(dependency);
            if !ours.contains(&used) {
                uses.entry((used, dependency["kind"] == "dev")).or_default().insert(name(package));
            }
        }
    }
    uses
}

fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(args).current_dir(source()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

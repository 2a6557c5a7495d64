//! Every command of the README is run, as it stands there.
//!
//! A comment before each block says how: `shell` and `python` in one sandbox, in order; `file NAME` is
//! put there for the next ones; `doctest` is compiled by the client library; `elsewhere` changes too
//! much of a machine, so [`ELSEWHERE`] names the test that covers each of its commands.
//!
//! The issuer is that of `sso demo --browser`, which serves for as long as its own sign-in waits.

#![cfg(unix)]

use sso_agent_tests::{Agent, Finished, Sandbox, need, parts};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::RwLock;

/// A command, the file that has its test, and what there proves it.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("cargo run --release -- demo", "tests/tests/readme.rs", "fn the_picture_shows_what_the_demo_says()"),
    ("cargo xtask test", ".ci/run", "cargo xtask test"),
    ("cargo install --locked --path client-lib/cli", "tests/tests/readme.rs", "fn the_programs_install()"),
    ("cargo install --locked --path daemon", "tests/tests/readme.rs", "fn the_programs_install()"),
    (
        "pip install './client-lib/python[databricks]'",
        "client-lib/python/tests/test_package.py",
        "def test_the_wheel_is_whole(",
    ),
    (
        "sso token --profile ci",
        "tests/tests/profiles.rs",
        "fn a_machine_profile_is_signed_in_on_demand_once_and_never_mixed_up_with_a_person()",
    ),
    (
        "sso login https://sso.example.com/realms/main --client-id my-service --client-secret-stdin < secret.txt",
        "tests/tests/machines.rs",
        "fn a_secret_on_stdin_signs_in_for_good_and_stands_nowhere()",
    ),
    (
        "sso login accounts.cloud.databricks.com --account-id 00000000-0000-0000-0000-000000000042",
        "tests/tests/apps.rs",
        "fn the_sdk_and_sso_app_send_the_same_requests()",
    ),
    (
        "sso app create --name awesome-app --redirect-url https://app.example.com/callback --confidential --keep",
        "tests/tests/apps.rs",
        "fn users_sign_in_to_an_app_that_is_kept_by_its_name_alone()",
    ),
    ("sso app list", "tests/tests/apps.rs", r#"run(&["list", "--json"])"#),
    ("sso agent install", "tests/tests/nspawn.rs", r#"["sso", "agent", "install"]"#),
];

/// Installing builds the programs anew, under the feet of whoever runs them.
static PROGRAMS: RwLock<()> = RwLock::new(());

const WORKSPACE: &str = "adb-1234567890123456.7.azuredatabricks.net";
const ISSUER: &str = "https://sso.example.com/realms/main";
const API: &str = "https://api.example.com/me";

/// Signs in as a person would: follows redirects, and presses the first button of a form.
const FOLLOW: &str = r#"#!/usr/bin/env python3
import re, sys
from urllib.parse import urlencode, urljoin
from urllib.request import urlopen

page = urlopen(sys.argv[1])
text = page.read().decode()
if "<form" in text:
    action = re.search(r'<form[^>]* action="([^"]*)"', text)[1]
    fields = re.findall(r'<input[^>]* name="([^"]*)" value="([^"]*)"', text)
    fields += re.findall(r'<button[^>]* name="([^"]*)" value="([^"]*)"', text)[:1]
    urlopen(urljoin(page.url, action), urlencode(fields).encode()).read()
"#;

#[derive(Debug)]
struct Block {
    line: usize,
    way: String,
    language: String,
    text: String,
}

#[test]
fn every_block_is_accounted_for() {
    let blocks = blocks();
    assert!(blocks.len() > 8, "{blocks:?}");
    for block in &blocks {
        let language = match block.way.split(' ').next().unwrap_or_default() {
            "shell" => "sh",
            "python" => "python",
            "file" if block.way.ends_with(".toml") => "toml",
            "file" => "python",
            "doctest" => "rust,no_run",
            "elsewhere" => "sh",
            _ => panic!("line {}: no comment says how this block is run", block.line),
        };
        assert_eq!(block.language, language, "line {}", block.line);
    }
    let library = fs::read_to_string(parts::source().join("client-lib/src/lib.rs")).unwrap();
    assert!(library.contains("include_str!(\"../../README.md\")"), "the Rust is compiled as a doc test");
}

#[test]
fn what_is_run_elsewhere_is_run() {
    let blocks = blocks();
    for command in blocks.iter().filter(|block| block.way == "elsewhere").flat_map(|block| block.text.lines())
    {
        let known = ELSEWHERE.iter().find(|(known, ..)| *known == command);
        let (_, file, proof) = known.unwrap_or_else(|| panic!("no test is named for `{command}`"));
        let text = fs::read_to_string(parts::source().join(file)).unwrap();
        assert!(text.contains(proof), "{file} does not cover `{command}`");
    }
}

#[test]
fn the_guide_works_from_top_to_bottom() {
    let python = need!("the README", real_python(), "python3 is missing");
    for program in ["socat", "curl"] {
        need!("the README", parts::system(program), "socat or curl is missing");
    }
    let _programs = PROGRAMS.read();
    let mut sandbox = Sandbox::new();
    let browser = sandbox.path("follow");
    fs::write(&browser, FOLLOW).unwrap();
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.set("BROWSER", browser.display().to_string());
    sandbox.set("PATH", path([folder(&python), folder(&parts::program("sso"))]));
    let issuer = DemoIssuer::start(&sandbox);
    let _agent = Agent::start(&sandbox);

    let mut said = String::new();
    for block in &blocks() {
        said += &issuer.run(&sandbox, block).stdout;
    }
    for word in ["a token for http://127.0.0.1:", "\"access_token\":", "\"userName\":", "Signed out of"] {
        assert!(said.contains(word), "nothing said {word}:\n{said}");
    }
}

#[test]
fn the_picture_shows_what_the_demo_says() {
    let _programs = PROGRAMS.read();
    let sandbox = Sandbox::new();
    let demo = sandbox.sso(["demo"]);
    let picture = fs::read_to_string(parts::source().join(".github/demo.svg")).unwrap();
    let without_numbers = |text: &str| -> String { text.chars().filter(|c| !c.is_ascii_digit()).collect() };
    let shown: Vec<String> = picture
        .lines()
        .filter_map(|line| {
            line.strip_prefix("<text class=\"line\"")?.strip_suffix("</text>")?.split_once('>')
        })
        .map(|(_, text)| without_numbers(text))
        .collect();
    let said: Vec<String> = demo.ok().lines().filter(|line| !line.is_empty()).map(without_numbers).collect();
    assert_eq!(shown, said);
}

/// As the README has it, but for the profile, which spares a second build of everything, the place, and
/// the network.
#[test]
fn the_programs_install() {
    let full = std::env::var_os("SSO_TEST_ALL_PARTS");
    need!("installing", full, "it takes a minute, so only a full run does it");
    let _programs = PROGRAMS.write();
    let sandbox = Sandbox::new();
    let blocks = blocks();
    let commands: Vec<&str> = blocks
        .iter()
        .flat_map(|block| block.text.lines())
        .filter_map(|line| line.strip_prefix("cargo install "))
        .collect();
    for args in &commands {
        let mut install = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        install.args(["install", "--debug", "--offline", "--root"]).arg(sandbox.path("installed"));
        Finished::of(install.args(args.split(' ')).current_dir(parts::source())).ok();
    }
    for program in ["sso", "sso-agent"] {
        let mut version = sandbox.command(sandbox.path("installed/bin").join(program));
        assert!(Finished::of(version.arg("--version")).ok().starts_with(program));
    }
    assert_eq!(commands.len(), 2);
}

/// The blocks of the README, each with what the comment before it says.
fn blocks() -> Vec<Block> {
    let readme = fs::read_to_string(parts::source().join("README.md")).expect("there is a README");
    let (mut blocks, mut way) = (Vec::new(), String::new());
    let mut lines = readme.lines().zip(1..);
    while let Some((text, line)) = lines.next() {
        if let Some(language) = text.strip_prefix("```") {
            let inside = lines.by_ref().map(|(text, _)| text).take_while(|text| *text != "```");
            let text = inside.map(|line| format!("{line}\n")).collect();
            blocks.push(Block { line, way: std::mem::take(&mut way), language: language.to_owned(), text });
        } else {
            let comment = text.strip_prefix("<!-- test: ").and_then(|rest| rest.strip_suffix(" -->"));
            way = comment.unwrap_or_default().to_owned();
        }
    }
    blocks
}

/// An issuer for as long as this lives.
struct DemoIssuer {
    child: Child,
    url: String,
    /// Closed, it would end the demo.
    _says: BufReader<ChildStdout>,
}

impl DemoIssuer {
    fn start(sandbox: &Sandbox) -> Self {
        let mut demo = sandbox.command(parts::program("sso"));
        demo.args(["demo", "--browser"]).env("BROWSER", "true").env("TMPDIR", sandbox.path(""));
        let mut child = demo.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("sso is a program");
        let mut says = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut line = String::new();
        says.read_line(&mut line).expect("the demo says where it is");
        let url =
            line.split([' ', ',']).find(|word| word.starts_with("http://")).expect("an address").to_owned();
        Self { child, url, _says: says }
    }

    /// Runs a block as its comment says; what is covered elsewhere leaves nothing to be done.
    fn run(&self, sandbox: &Sandbox, block: &Block) -> Finished {
        let text = self.at_home(&block.text);
        let mut command = match block.way.split_once(' ').map_or(block.way.as_str(), |(way, _)| way) {
            "shell" => sandbox.command("bash"),
            "python" => sandbox.command("python3"),
            "file" => {
                let file = sandbox.path(block.way.trim_start_matches("file "));
                fs::create_dir_all(folder(&file)).expect("our own folder");
                fs::write(file, text).expect("our own folder");
                return nothing();
            }
            _ => return nothing(),
        };
        if block.way.ends_with("with the Databricks SDK") {
            let Some(venv) = parts::fetched("venv") else {
                parts::leave_out(&block.way, "the Databricks SDK is missing");
                return nothing();
            };
            command.env("PATH", path([venv.join("bin"), folder(&parts::program("sso"))]));
            command.env("PYTHONPATH", parts::source().join("client-lib/python/src"));
            command.env("PYTHONDONTWRITEBYTECODE", "1");
        }
        let script = sandbox.path("block");
        let strict = if block.language == "sh" { "set -euo pipefail\n" } else { "" };
        fs::write(&script, format!("{strict}{text}")).expect("our own folder");
        let finished = Finished::of(command.arg(&script));
        assert_eq!(finished.code, Some(0), "line {} of the README: {finished:?}", block.line);
        finished
    }

    /// With this issuer in the place of those that the README names.
    fn at_home(&self, text: &str) -> String {
        text.replace(WORKSPACE, &self.url)
            .replace(ISSUER, &format!("{}/oidc", self.url))
            .replace(API, &format!("{}/api/2.0/preview/scim/v2/Me", self.url))
    }
}

impl Drop for DemoIssuer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn nothing() -> Finished {
    Finished { code: Some(0), stdout: String::new(), stderr: String::new() }
}

/// Python itself: what is on the path may be a script that looks for it at home.
fn real_python() -> Option<PathBuf> {
    let mut ask = Command::new(parts::system("python3")?);
    let told = Finished::of(ask.args(["-c", "import sys; print(sys.executable)"]));
    Some(told.ok().into())
}

fn folder(program: &Path) -> PathBuf {
    program.parent().expect("a program is in a folder").to_owned()
}

fn path(first: [PathBuf; 2]) -> String {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all: Vec<PathBuf> = first.into_iter().chain(std::env::split_paths(&rest)).collect();
    let joined = std::env::join_paths(all).expect("folders of a path");
    joined.into_string().expect("UTF-8")
}

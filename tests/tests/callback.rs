//! What a browser is sent to and comes back by, with neighbours that are up to no good.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as it may")]

use serde_json::{Value, json};
use sso_agent::demo::{Consent, Issuer, Options, Shape, follow};
use sso_agent_tests::{Agent, Finished, Sandbox, load, need, parts};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// `nobody` on every system.
const NOBODY: u32 = 65534;

// Threat 9: somebody has the port, or its twin for the other kind of address.
#[test]
fn a_port_that_somebody_has_on_either_address_is_refused_before_a_browser_opens() {
    for address in ["127.0.0.1", "::1", "0.0.0.0", "::"] {
        let Ok(squatter) = TcpListener::bind((address, 0)) else {
            println!("this machine has no {address}");
            continue;
        };
        let port = squatter.local_addr().unwrap().port().to_string();
        let mut sandbox = Sandbox::new();
        let opened = recording_browser(&mut sandbox, "%s");
        let issuer = issuer();
        let _agent = Agent::start(&sandbox);
        let login = sandbox.sso(["login", &issuer.url(), "--port", &port]);
        assert_ne!(login.code, Some(0));
        assert!(login.stderr.contains(&format!("port {port}")), "it says which: {login:?}");
        assert!(!opened.exists(), "{address}: no browser was opened");
        assert_eq!(issuer.counters().authorizations, 0);
    }
}

// Threat 8: not even the superuser answers for somebody's browser.
#[test]
fn the_superuser_is_another_user_to_a_redirect_listener() {
    let test = "the superuser at the redirect";
    let curl = need!(test, parts::system("curl"), "curl is missing");
    need!(test, parts::is_root().then_some(()), "only root can become somebody else");
    let sandbox = Sandbox::new();
    for name in ["", "home", "run", "log"] {
        chown(sandbox.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let issuer = issuer();
    let mut agent = as_nobody(&sandbox, &parts::program("sso-agent"));
    let mut agent = agent.arg("run").stderr(Stdio::null()).spawn().unwrap();
    let mut login = as_nobody(&sandbox, &parts::program("sso"));
    login.args(["login", "--no-browser", &issuer.url()]).stdout(Stdio::null()).stderr(Stdio::piped());
    while !sandbox.socket().exists() {
        assert!(agent.try_wait().unwrap().is_none(), "the agent serves");
        thread::park_timeout(Duration::from_millis(10));
    }
    let mut login = login.spawn().unwrap();
    let told = BufReader::new(login.stderr.take().unwrap()).lines().map_while(Result::ok);
    let url = told.map(|line| line.trim().to_owned()).find(|line| line.starts_with("http://")).unwrap();

    let ask = ["--silent", "--include", "--location", "--max-time", "20", &url];
    let refused = Finished::of(Command::new(&curl).args(ask));
    assert_eq!(refused.stdout, "", "not even where it leads: {refused:?}");
    let came = Finished::of(as_nobody(&sandbox, &curl).args(ask));
    assert!(came.stdout.contains("You are signed in"), "the link was not used up: {came:?}");
    assert!(login.wait().unwrap().success());
    agent.kill().unwrap();
    agent.wait().unwrap();
}

// Fault 39: a client that goes away in the middle of its sign-in.
#[test]
fn f39_two_hundred_sign_ins_that_are_left_in_the_middle_leave_no_port_and_no_descriptor() {
    let sandbox = Sandbox::new();
    // Any port will do there, so that no other test gets one that was free a moment ago.
    let options = Options { shape: Shape::Oidc, ..Options::default() };
    let issuer = Issuer::start_in_thread(options).unwrap();
    let agent = Agent::start(&sandbox);
    let begin = || {
        let mut client = BufReader::new(UnixStream::connect(sandbox.socket()).unwrap());
        let params = json!({"host": issuer.url(), "client_id": "any"});
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "session.login", "params": params});
        writeln!(client.get_mut(), "{request}").unwrap();
        let mut line = String::new();
        client.read_line(&mut line).unwrap();
        let news: Value = serde_json::from_str(&line).unwrap();
        let url =
            url::Url::parse(news["params"]["url"].as_str().unwrap_or_else(|| panic!("{news}"))).unwrap();
        (client, url.port().unwrap())
    };
    drop(begin());
    let before = load::descriptors(agent.pid()).unwrap();
    for _ in 0..200 {
        let (client, port) = begin();
        drop(client);
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_ok() {
            assert!(start.elapsed() < Duration::from_secs(2), "somebody listens at {port} all the same");
            thread::park_timeout(Duration::from_millis(5));
        }
    }
    let after = load::descriptors(agent.pid()).unwrap();
    assert!(after <= before + 4, "{before} descriptors before, {after} after");
}

// Threat 16: what an opener is given.
#[test]
fn the_browser_is_one_program_with_one_address_and_no_shell() {
    for (browser, expected) in [
        ("%s", vec!["ADDRESS"]),
        ("--new-window", vec!["--new-window", "ADDRESS"]),
        ("$(touch${IFS}hacked) ;touch hacked", vec!["$(touch${IFS}hacked)", ";touch", "hacked", "ADDRESS"]),
        ("--url=%s --then", vec!["--url=ADDRESS", "--then"]),
    ] {
        let mut sandbox = Sandbox::new();
        let opened = recording_browser(&mut sandbox, browser);
        let issuer = issuer();
        let _agent = Agent::start(&sandbox);
        let mut login = sandbox.sso_command();
        login.args(["login", &issuer.url()]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut login = login.spawn().unwrap();
        let said = loop {
            match fs::read_to_string(&opened) {
                Ok(said) if said.ends_with("end\n") => break said,
                _ => thread::park_timeout(Duration::from_millis(10)),
            }
            assert!(login.try_wait().unwrap().is_none(), "{browser}: the sign-in waits for its browser");
        };
        let given: Vec<&str> = said.lines().filter(|line| *line != "end").collect();
        let address = given.iter().find_map(|word| word.find("http://").map(|at| &word[at..])).unwrap();
        assert!(address.contains("/start/") && !address.contains("state"), "it tells nothing: {address}");
        let expected: Vec<String> = expected.iter().map(|word| word.replace("ADDRESS", address)).collect();
        assert_eq!(given, expected, "{browser}");
        assert!(!sandbox.path("hacked").exists());
        follow(address).unwrap();
        assert!(login.wait().unwrap().success());
    }
}

#[test]
fn an_address_that_is_no_page_is_never_opened_whoever_sent_it() {
    for address in [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "-flag",
        "--version",
        "http://evil.example/",
        "https://x/\n--flag",
        "https://x/'$(id)'",
        "https://x/`id`",
        "https://user@x/",
    ] {
        let mut sandbox = Sandbox::new();
        let opened = recording_browser(&mut sandbox, "%s");
        let agent = claims_to_be_the_agent(&sandbox, address);
        let login = sandbox.sso(["login", "https://issuer.example"]);
        assert_ne!(login.code, Some(0), "{address}");
        assert!(login.stderr.contains("not for a browser"), "{address}: {login:?}");
        assert!(!login.stdout.contains(address) && !login.stderr.contains(address), "{login:?}");
        assert!(!opened.exists(), "{address}");
        agent.join().unwrap();
    }
}

/// Answers one sign-in with this address.
fn claims_to_be_the_agent(sandbox: &Sandbox, address: &str) -> thread::JoinHandle<()> {
    fs::DirBuilder::new().mode(0o700).create(sandbox.socket_folder()).unwrap();
    let listener = UnixListener::bind(sandbox.socket()).unwrap();
    let address = address.to_owned();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        let id = serde_json::from_str::<Value>(&line).unwrap()["id"].take();
        let params = json!({"request_id": id, "step": "authorize", "url": address});
        let news = json!({"jsonrpc": "2.0", "method": "session.login.progress", "params": params});
        writeln!(stream, "{news}").unwrap();
    })
}

/// A browser that writes down its arguments, one a line; where.
fn recording_browser(sandbox: &mut Sandbox, arguments: &str) -> PathBuf {
    let (program, opened) = (sandbox.path("browser"), sandbox.path("opened"));
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" end >{}\n", opened.display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.set("BROWSER", format!("no-such-browser {arguments}:{} {arguments}", program.display()));
    opened
}

fn as_nobody(sandbox: &Sandbox, program: &Path) -> Command {
    let mut command = sandbox.command("setpriv");
    command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()]);
    command.arg(program);
    command
}

fn issuer() -> Issuer {
    Issuer::start_in_thread(Options { consent: Consent::Auto, ..Options::default() }).unwrap()
}

//! However carelessly the agent is started, it neither crashes nor writes where others read.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as it may")]

use serde_json::json;
use sso_agent::demo::{Consent, Issuer, Options};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::{Agent, Finished, Sandbox, parts};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// What a shell does before it becomes the agent.
fn started_after(sandbox: &Sandbox, shell: &str) -> Agent {
    let mut command = sandbox.command("sh");
    command.arg("-c").arg(format!("{shell}; exec \"$0\" run <&- >&- 2>&-")).arg(parts::program("sso-agent"));
    Agent::spawn(sandbox, command).unwrap()
}

#[test]
fn f56_closed_descriptors_an_odd_umask_and_endless_cores_harm_nothing() {
    let issuer = Issuer::start_in_thread(Options { consent: Consent::Auto, ..Options::default() }).unwrap();
    for shell in ["umask 000; ulimit -c unlimited", "umask 777"] {
        let sandbox = Sandbox::new();
        let agent = started_after(&sandbox, shell);
        sandbox.sso(["login", &issuer.url()]).ok();
        sandbox.sso(["token"]).ok();
        for descriptor in 0..3 {
            let open = fs::read_link(format!("/proc/{}/fd/{descriptor}", agent.pid())).unwrap();
            assert_eq!(open, Path::new("/dev/null"), "{shell}: nobody else gets what is written to it");
        }
        let limits = fs::read_to_string(format!("/proc/{}/limits", agent.pid())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{shell}");
        private(&sandbox.state());
        private(&sandbox.socket_folder());
        assert!(agent.stop().success());
    }
}

/// All below a folder is for its owner alone.
fn private(folder: &Path) {
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(folder), 0o700, "{}", folder.display());
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            private(&path);
        } else {
            assert!(kind.is_file() || kind.is_socket());
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

#[test]
fn f56_whoever_stops_reading_ends_nobody_else() {
    let sandbox = Sandbox::new();
    let issuer = Issuer::start_in_thread(Options { consent: Consent::Auto, ..Options::default() }).unwrap();
    let agent = Agent::start(&sandbox);
    sandbox.sso(["login", &issuer.url()]).ok();
    for _ in 0..50 {
        let mut rude = UnixStream::connect(sandbox.socket()).unwrap();
        let ask = format!("{}\n", json!({"jsonrpc": "2.0", "id": 1, "method": "token.get", "params": {}}));
        rude.write_all(ask.repeat(200).as_bytes()).unwrap();
    }
    let pid = Connection::open(&sandbox.socket()).unwrap().call("agent.info", &json!({})).unwrap().unwrap();
    assert_eq!(pid["pid"], agent.pid());

    let sso = parts::program("sso");
    let shell = |line: &str| Finished::of(sandbox.command("sh").args(["-c", line]).arg(&sso));
    let piped = shell("\"$0\" token | true; \"$0\" token >/dev/null");
    assert_eq!((piped.code, piped.stderr.as_str()), (Some(0), ""));
    let closed = shell("\"$0\" token >&-");
    assert!(closed.code.is_some_and(|code| code < 126) && !closed.stderr.contains("panicked"), "{closed:?}");
}

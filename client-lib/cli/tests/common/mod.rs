//! An agent that answers what it is told to, and the programs that ask it.
#![allow(dead_code, reason = "each file of tests uses its part of it")]

pub(crate) mod bench;
pub(crate) mod home;

#[path = "../../../src/fake/place.rs"]
mod place;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use interprocess::local_socket::Stream;
use serde_json::{Value, json};

use self::place::Place;

/// What the fake agent answers: the result or the error.
pub(crate) type Answer = Result<Value, Value>;

pub(crate) struct Fake {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) socket: PathBuf,
    pub(crate) asked: Arc<Mutex<Vec<Value>>>,
}

impl Fake {
    pub(crate) fn answering(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::judging(move |method, _| answer(method))
    }

    /// `answer` gets the method and the params.
    pub(crate) fn judging(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
        let place = Place::new();
        let listener = place.listen();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { folder: place.folder, socket: place.socket, asked }
    }

    /// All is well: one session, and a token for it.
    pub(crate) fn well() -> Self {
        Self::answering(|method| {
            Ok(match method {
                "token.get" => json!({
                    "access_token": "secret", "token_type": "Bearer", "token_id": "t", "scopes": [],
                    "expires_at": "2026-01-01T00:00:00Z", "expires_in_s": 3600, "session": "h",
                }),
                "session.list" => json!({"sessions": [session()]}),
                "session.logout" => json!({"revoked": true}),
                "agent.info" => json!({
                    "version": "0.1.0", "protocol": 1, "pid": 7, "started_at": "2026-01-01T00:00:00Z",
                    "sessions": 1, "locked": false, "methods": [], "key": "file", "unreadable": [],
                }),
                "events.subscribe" => json!({}),
                "metadata.url" => json!({
                    "url": "http://127.0.0.1:9/secret", "host": "https://h", "account_id": "a-1", "session": "h",
                }),
                _ => session(),
            })
        })
    }

    pub(crate) fn refusing(kind: &'static str) -> Self {
        Self::answering(move |_| {
            Err(
                json!({"code": -32000, "message": "it did not go well", "data": {"kind": kind, "hint": "do this"}}),
            )
        })
    }

    pub(crate) fn sso(&self, args: &[&str]) -> Command {
        self.command(env!("CARGO_BIN_EXE_sso"), args)
    }

    /// Any program, which sees this agent.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env("SSO_AGENT_SOCK", &self.socket);
        command.env("SSO_AGENT_AUTOSTART", "0").env("BROWSER", NO_BROWSER).env("NO_COLOR", "1");
        for name in ["DATABRICKS_HOST", "DATABRICKS_ACCOUNT_ID", "DATABRICKS_CONFIG_PROFILE"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.sso(args).output().expect("sso runs"))
    }

    pub(crate) fn asked(&self, method: &str) -> Vec<Value> {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().filter(|request| request["method"] == method).map(|r| r["params"].clone()).collect()
    }

    /// A program that does this, for a shell; or that, for the one of Windows.
    pub(crate) fn script(&self, body: &str, on_windows: &str) -> PathBuf {
        script(&self.folder.path().join("script"), body, on_windows)
    }
}

/// The name of a program is `path`, with what such a program ends in.
#[cfg(unix)]
pub(crate) fn script(path: &Path, body: &str, _: &str) -> PathBuf {
    put_program(path, format!("#!/bin/sh\n{body}\n").as_bytes());
    path.to_owned()
}

#[cfg(windows)]
pub(crate) fn script(path: &Path, _: &str, on_windows: &str) -> PathBuf {
    let path = path.with_extension("cmd");
    put_program(&path, format!("@echo off\r\n{}\r\n", on_windows.replace('\n', "\r\n")).as_bytes());
    path
}

/// What no browser is, and nothing else.
const NO_BROWSER: &str = if cfg!(windows) { r"C:\nonexistent\browser.exe" } else { "/nonexistent" };

/// An agent that is not there.
pub(crate) const NOBODY: &str =
    if cfg!(windows) { r"\\.\pipe\sso-agent-test-nobody" } else { "/nonexistent/s" };

/// The folders behind these, with the system's own programs last.
pub(crate) fn path(first: &[&Path]) -> std::ffi::OsString {
    let system: &[&str] =
        if cfg!(windows) { &[r"C:\windows\system32", r"C:\windows"] } else { &["/usr/bin", "/bin"] };
    let all = first.iter().copied().chain(system.iter().map(Path::new));
    std::env::join_paths(all).expect("no separator in them")
}

/// The file of a program of this name.
pub(crate) fn program(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}

/// Puts a program in place that is run right away. Another program writes it: a test beside this one that
/// starts a process would keep a file that we write open for a moment, and what is being written does not
/// run ("text file busy").
#[cfg(unix)]
pub(crate) fn put_program(path: &Path, content: &[u8]) {
    let mut writer = Command::new("/bin/sh");
    writer.args(["-c", "cat > \"$1\" && chmod 700 \"$1\"", "sh"]).arg(path).stdin(Stdio::piped());
    let mut writer = writer.spawn().expect("a shell");
    writer.stdin.take().expect("a pipe").write_all(content).expect("it reads");
    assert!(writer.wait().expect("our child").success(), "{path:?}");
}

#[cfg(windows)]
pub(crate) fn put_program(path: &Path, content: &[u8]) {
    std::fs::write(path, content).expect("a file");
}

/// Answers each request, and hangs up after a subscription.
fn serve(stream: Stream, seen: &Mutex<Vec<Value>>, answer: &dyn Fn(&str, &Value) -> Answer) {
    for line in BufReader::new(&stream).lines().map_while(Result::ok) {
        let request: Value = serde_json::from_str(&line).expect("a request");
        let method = request["method"].as_str().unwrap_or_default().to_owned();
        let mut reply = json!({"jsonrpc": "2.0", "id": request["id"]});
        match answer(&method, &request["params"]) {
            Ok(result) => reply["result"] = result,
            Err(error) => reply["error"] = error,
        }
        let url =
            json!({"request_id": request["id"], "step": "authorize", "url": "http://127.0.0.1:9/start/x"});
        let event = json!({"kind": "session.added", "session": "h", "at": "2026-01-01T00:00:00Z"});
        let text = match method.as_str() {
            "session.login" => {
                format!("{}\n{reply}\n", json!({"method": "session.login.progress", "params": url}))
            }
            "events.subscribe" => format!("{reply}\n{}\n", json!({"method": "event", "params": event})),
            _ => format!("{reply}\n"),
        };
        seen.lock().expect("no panic").push(request);
        if (&stream).write_all(text.as_bytes()).is_err() || method == "events.subscribe" {
            return;
        }
    }
}

pub(crate) fn session() -> Value {
    json!({
        "id": "h", "host": "https://h", "label": "", "cloud": null, "issuer": "https://h", "client_id": "c",
        "user": "me@example.com", "scopes": [], "state": "active", "expires_at": null,
        "next_refresh_at": null, "last_error": null,
    })
}

#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("JSON")
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

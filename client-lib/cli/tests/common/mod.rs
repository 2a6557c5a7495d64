//! An agent that answers what it is told to, and the programs that ask it.
#![allow(dead_code, reason = "each file of tests uses its part of it")]

pub(crate) mod bench;
pub(crate) mod home;

use std::{
    fs::Permissions,
    io::{BufRead as _, BufReader, Write as _},
    net::Shutdown,
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// What the fake agent answers: the result or the error.
pub(crate) type Answer = Result<Value, Value>;

pub(crate) struct Fake {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) asked: Arc<Mutex<Vec<Value>>>,
}

impl Fake {
    pub(crate) fn answering(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::judging(move |method, _| answer(method))
    }

    /// `answer` gets the method and the params.
    pub(crate) fn judging(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
        let private = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().permissions(private).tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("s")).expect("a socket");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { folder, asked }
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
        command.args(args).env("SSO_AGENT_SOCK", self.folder.path().join("s"));
        command.env("SSO_AGENT_AUTOSTART", "0").env("BROWSER", "/nonexistent").env("NO_COLOR", "1");
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

    pub(crate) fn script(&self, body: &str) -> PathBuf {
        let path = self.folder.path().join("script");
        put_program(&path, format!("#!/bin/sh\n{body}\n").as_bytes());
        path
    }
}

/// Puts a program in place that is run right away. Another program writes it: a test beside this one that
/// starts a process would keep a file that we write open for a moment, and what is being written does not
/// run ("text file busy").
pub(crate) fn put_program(path: &Path, content: &[u8]) {
    let mut writer = Command::new("/bin/sh");
    writer.args(["-c", "cat > \"$1\" && chmod 700 \"$1\"", "sh"]).arg(path).stdin(Stdio::piped());
    let mut writer = writer.spawn().expect("a shell");
    writer.stdin.take().expect("a pipe").write_all(content).expect("it reads");
    assert!(writer.wait().expect("our child").success(), "{path:?}");
}

/// Answers each request, and hangs up after a subscription.
fn serve(mut stream: UnixStream, seen: &Mutex<Vec<Value>>, answer: &dyn Fn(&str, &Value) -> Answer) {
    for line in BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(Result::ok) {
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
        if stream.write_all(text.as_bytes()).is_err() || method == "events.subscribe" {
            let _ = stream.shutdown(Shutdown::Both);
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

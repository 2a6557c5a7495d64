//! A home folder of one's own, and an agent there that answers what it is told to.

use std::{
    fs::{self, Permissions},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// What the agent answers: the result or the error.
pub(crate) type Answer = Result<Value, Value>;

pub(crate) struct Home {
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Home {
    /// `answer` gets the method and the params.
    pub(crate) fn with_agent(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
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

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// Writes a file, and its folders.
    pub(crate) fn has(&self, inside: &str, text: &str) -> PathBuf {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().expect("it is in the home")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    }

    pub(crate) fn sso(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sso"));
        command.args(args).env("HOME", self.folder.path()).env("SSO_AGENT_SOCK", self.path("s"));
        command.env("SSO_AGENT_AUTOSTART", "0").env("NO_COLOR", "1").stdin(Stdio::null());
        for name in ["XDG_CONFIG_HOME", "SSO_AGENT_CONFIG", "DATABRICKS_CONFIG_FILE", "DATABRICKS_HOST"] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.sso(args).output().expect("sso runs"))
    }

    /// The params of each request for this method.
    pub(crate) fn asked(&self, method: &str) -> Vec<Value> {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().filter(|request| request["method"] == method).map(|r| r["params"].clone()).collect()
    }
}

fn serve(mut stream: UnixStream, seen: &Mutex<Vec<Value>>, answer: &dyn Fn(&str, &Value) -> Answer) {
    for line in BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(Result::ok) {
        let request: Value = serde_json::from_str(&line).expect("a request");
        let mut reply = json!({"jsonrpc": "2.0", "id": request["id"]});
        match answer(request["method"].as_str().unwrap_or_default(), &request["params"]) {
            Ok(result) => reply["result"] = result,
            Err(error) => reply["error"] = error,
        }
        seen.lock().expect("no panic").push(request);
        if stream.write_all(format!("{reply}\n").as_bytes()).is_err() {
            return;
        }
    }
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

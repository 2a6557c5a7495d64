//! An agent with a home and an issuer of its own.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};
use sso_agent::demo::{self, Consent, Issuer, Options};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::{Agent, Sandbox, parts};

/// A session that gives no token for so long is as good as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an agent exits with that finds another one at work (`EX_TEMPFAIL`).
const NOT_NEEDED: i32 = 75;
const BLINK: Duration = Duration::from_millis(500);

/// So many lines of a log tell what happened last.
const LAST_WORDS: usize = 20;

/// See the module.
pub(crate) struct House {
    pub(crate) sandbox: Sandbox,
    pub(crate) issuer: Issuer,
    /// The host to ask for.
    pub(crate) host: String,
}

/// What somebody who asked was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Token { token: String, id: String },
    Error { kind: String, text: String },
}

/// An issuer that asks nobody, and whose refresh tokens are good for one use: a second one ends the session.
pub(crate) fn strict(lifetime: Duration) -> Options {
    Options { lifetime, rotate: true, consent: Consent::Auto, ..Options::default() }
}

impl House {
    pub(crate) fn new(options: Options) -> Result<Self> {
        Ok(Self::at(Issuer::start_in_thread(options)?))
    }

    /// One more house at the same issuer.
    pub(crate) fn at(issuer: Issuer) -> Self {
        let mut sandbox = Sandbox::new();
        // At finer levels the log would be most of what is measured.
        sandbox.set("SSO_AGENT_LOG", "info");
        Self { sandbox, host: issuer.url(), issuer }
    }

    /// An agent, once it serves.
    ///
    /// Who was killed while it started another process leaves its lock to that one, for the blink until it
    /// has become another program.
    pub(crate) fn agent(&self) -> Result<Agent> {
        let start = Instant::now();
        loop {
            let mut command = self.sandbox.command(parts::program("sso-agent"));
            command.arg("run");
            match Agent::spawn(&self.sandbox, command) {
                Err((status, _)) if status.code() == Some(NOT_NEEDED) && start.elapsed() < BLINK => {}
                done => return done.map_err(|(status, log)| did_not_serve(status, &log)),
            }
        }
    }

    /// An agent by this command, once it serves.
    pub(crate) fn agent_by(&self, command: Command) -> Result<Agent> {
        Agent::spawn(&self.sandbox, command).map_err(|(status, log)| did_not_serve(status, &log))
    }

    /// Signs in, as a browser without a person would.
    pub(crate) fn sign_in(&self) -> Result<()> {
        self.sign_in_with(&json!({}))
    }

    /// Signs in, and says more than the host.
    pub(crate) fn sign_in_with(&self, more: &Value) -> Result<()> {
        let mut stream = UnixStream::connect(self.sandbox.socket())?;
        let params = self.params(more);
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "session.login", "params": params });
        stream.write_all(format!("{request}\n").as_bytes())?;
        for line in BufReader::new(stream).lines() {
            let line: Value = serde_json::from_str(&line?)?;
            if let Some(url) = line["params"]["url"].as_str() {
                demo::follow(url)?;
            } else if line["result"].is_object() {
                return Ok(());
            } else if line["error"].is_object() {
                bail!("no sign-in: {}", line["error"]);
            }
        }
        bail!("the agent hung up during a sign-in")
    }

    /// One request for a token, as it stands on the wire.
    pub(crate) fn request(&self, more: &Value) -> Vec<u8> {
        let request =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "token.get", "params": self.params(more) });
        format!("{request}\n").into_bytes()
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// Where the agent cannot be reached, or hangs up.
    pub(crate) fn ask(&self, more: &Value) -> io::Result<Told> {
        let mut connection = Connection::open(&self.sandbox.socket())?;
        Ok(Told::of(connection.call("token.get", &self.params(more))?))
    }

    /// A token other than this one; any, if none is named.
    pub(crate) fn ask_other(&self, than: &str) -> io::Result<Told> {
        let more = if than.is_empty() { json!({}) } else { json!({ "refused": than }) };
        self.ask(&more)
    }

    /// The token that there is, or an error in words.
    pub(crate) fn token(&self, more: &Value) -> Result<(String, String)> {
        match self.ask(more)? {
            Told::Token { token, id } => Ok((token, id)),
            Told::Error { kind, text } => bail!("{kind}: {text}"),
        }
    }

    /// What was said if the session is lost by now.
    ///
    /// # Errors
    /// Where it is neither lost nor gives a token for a long time.
    pub(crate) fn lost(&self) -> Result<Option<String>> {
        // The token may be an old one: the next shows whether the refresh token is good.
        match self.settled("")? {
            Ok(id) => Ok(self.settled(&id)?.err()),
            Err(said) => Ok(Some(said)),
        }
    }

    /// The id of a token other than this one, once there is one; what was said if there will be none.
    ///
    /// # Errors
    /// As of [`lost`](Self::lost).
    pub(crate) fn settled(&self, other_than: &str) -> Result<Result<String, String>> {
        let start = Instant::now();
        loop {
            match self.ask_other(other_than)? {
                Told::Token { id, .. } => return Ok(Ok(id)),
                Told::Error { kind, text } if kind == "login_required" => return Ok(Err(text)),
                Told::Error { kind, text } if start.elapsed() > PATIENCE => bail!("{kind}: {text}"),
                Told::Error { .. } => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// The end of what the agents have logged, for a person who wonders.
    pub(crate) fn last_words(&self) -> String {
        let logs = self.sandbox.logs();
        let lines: Vec<&str> = logs.lines().collect();
        lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default().join("\n")
    }

    fn params(&self, more: &Value) -> Value {
        let mut params = json!({ "host": self.host });
        for (name, value) in more.as_object().into_iter().flatten() {
            params[name] = value.clone();
        }
        params
    }
}

fn did_not_serve(status: ExitStatus, log: &str) -> anyhow::Error {
    anyhow!("the agent ended with {status} instead of serving:\n{log}")
}

impl Told {
    pub(crate) fn of(answer: Result<Value, Value>) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match answer {
            Ok(result) => Self::Token { token: text(&result["access_token"]), id: text(&result["token_id"]) },
            Err(error) => Self::Error {
                kind: text(&error["data"]["kind"]),
                text: format!("{} {}", text(&error["message"]), text(&error["data"]["hint"])),
            },
        }
    }
}

//! The examples of a web app, as processes: the same environment, routes and pages in three languages.

use crate::{Provider, Sandbox, parts};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// What all of them are at the issuer.
pub const CLIENT_ID: &str = "clusters-app";
/// Its secret, where it has one.
pub const SECRET: &str = "dose-of+secret/for:an app";

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Example {
    /// `client-lib/python/examples/flask_app.py`
    Flask,
    /// `client-lib/node/examples/express_app.mjs`
    Express,
    /// `client-lib/examples/web_app.rs`
    Axum,
}

impl Example {
    /// The command that runs it; nothing where its parts are missing.
    pub fn command(self, sandbox: &Sandbox) -> Option<Command> {
        Some(match self {
            Self::Flask => {
                let mut command = sandbox.command(parts::fetched("venv")?.join("bin/python"));
                command.arg(parts::source().join("client-lib/python/examples/flask_app.py"));
                command.env("PYTHONPATH", parts::source().join("client-lib/python/src"));
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Self::Express => {
                let mut command = sandbox.command(parts::system("node")?);
                command.arg(parts::express()?.join("express_app.mjs"));
                command
            }
            Self::Axum => sandbox.command(parts::example("web_app")?),
        })
    }
}

/// A running one; it ends when this is dropped.
#[derive(Debug)]
pub struct WebApp {
    child: Child,
    /// `http://localhost:PORT`
    pub url: String,
}

impl WebApp {
    /// Starts it for the users of a workspace, with a secret or without, and registers it there.
    pub fn start(
        sandbox: &Sandbox,
        mut command: Command,
        provider: &Provider,
        secret: Option<&str>,
        scopes: &str,
    ) -> Self {
        let log = File::create(sandbox.path("log/web-app")).expect("a new file");
        command.env("DATABRICKS_HOST", &provider.url).env("PORT", "0").env("SSO_EXAMPLE_SCOPES", scopes);
        command.env("SSO_EXAMPLE_CLIENT_ID", CLIENT_ID);
        if let Some(secret) = secret {
            command.env("SSO_EXAMPLE_CLIENT_SECRET", secret);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the example runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it prints text");
        let url = line.trim_end().trim_start_matches("listening on ").to_owned();
        assert!(url.starts_with("http://localhost:"), "{line:?}: {}", sandbox.logs());
        let mut client = json!({"client_id": CLIENT_ID, "redirect_uris": [format!("{url}/callback")]});
        if let Some(secret) = secret {
            client["client_secret"] = Value::from(secret);
        }
        provider.register(&client);
        Self { child, url }
    }
}

impl Drop for WebApp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

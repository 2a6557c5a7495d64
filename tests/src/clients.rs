//! Databricks' own clients, unmodified, and the ways in which they get at the agent without knowing of it.
//!
//! Each is a small program in `tests/clients` that prints one line of JSON: who it was to the host, how it
//! signed in, and for how long it believes its token to last.

use crate::{Finished, Sandbox, parts};
use serde_json::Value;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// The releases of the Python SDK that are tried beside the newest.
pub const OLDER: [&str; 4] = ["0.20.0", "0.67.0", "0.100.0", "0.157.0"];
const NEWEST: &str = "0.162.0";
/// Seconds after which a client that hangs is ended.
const PATIENCE: &str = "120";

/// Runs what follows with the host's variables in its environment, as a shell's startup file would.
const EVALUATED: &str = r#"said=$("$1" env "$2") || exit; eval "$said"; shift 2; exec "$@""#;
/// A client with a place for a token but none for a program gets it from its caller.
const BY_HAND: &str = r#"DATABRICKS_TOKEN=$(databricks auth token --host "$DATABRICKS_HOST" --output text) || exit
export DATABRICKS_TOKEN; exec "$@""#;

/// Which program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The SDK for Python in this release.
    Python(&'static str),
    /// The SDK for JavaScript.
    JavaScript,
    /// The SQL connector with the Python SDK's credentials.
    Sql,
    /// `dbt debug`.
    Dbt,
}

impl Client {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let others = [Self::Sql, Self::Dbt];
        Self::sdks().into_iter().chain(others).collect()
    }

    /// Those that can be programs for an account, and have a belief about their token's end.
    pub fn sdks() -> Vec<Self> {
        let older = OLDER.map(Self::Python);
        older.into_iter().chain([Self::Python(NEWEST), Self::JavaScript]).collect()
    }

    /// The newest Python SDK.
    pub fn newest() -> Self {
        Self::Python(NEWEST)
    }

    /// Its name, for a person.
    pub fn name(self) -> String {
        match self {
            Self::Python(version) => format!("databricks-sdk {version} (Python)"),
            Self::JavaScript => "@databricks/sdk-experimental (JS)".into(),
            Self::Sql => "databricks-sql-connector (Python)".into(),
            Self::Dbt => "dbt-databricks (dbt debug)".into(),
        }
    }

    /// Whether it can be had in this way: dbt tells the SDK how to sign in, and means its own browser.
    pub fn has(self, way: Way) -> bool {
        match way {
            Way::Path | Way::Exec => true,
            Way::CliPath | Way::Metadata | Way::Env => self != Self::Dbt,
        }
    }

    /// How it says that it signed in.
    pub fn auth_type(self, way: Way) -> &'static str {
        match (self, way) {
            (Self::Dbt, _) | (_, Way::Exec) => "pat",
            (_, Way::Path | Way::CliPath) => "databricks-cli",
            (_, Way::Metadata | Way::Env) => "metadata-service",
        }
    }

    /// The words that start it.
    fn words(self) -> Vec<OsString> {
        let script = |name: &str| parts::source().join("tests/clients").join(name).into_os_string();
        let python = |venv: &str, name| {
            let python = parts::fetched(venv).expect("asked before").join("bin/python");
            vec![python.into_os_string(), script(name)]
        };
        match self {
            Self::Python(_) => python("venv", "python_client.py"),
            Self::JavaScript => vec!["node".into(), script("js_client.mjs")],
            Self::Sql => python("dbt", "sql_client.py"),
            Self::Dbt => python("dbt", "dbt_client.py"),
        }
    }
}

/// How the agent gets into its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A program named `databricks`, first on the path.
    Path,
    /// The same, named by a variable.
    CliPath,
    /// `sso exec --metadata`.
    Metadata,
    /// `sso exec`.
    Exec,
    /// `sso env`, evaluated by a shell.
    Env,
}

impl Way {
    /// All of them, in the order of the README's table.
    pub const ALL: [Self; 5] = [Self::Path, Self::CliPath, Self::Metadata, Self::Env, Self::Exec];

    /// Its name, for a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "`databricks` on PATH",
            Self::CliPath => "`DATABRICKS_CLI_PATH`",
            Self::Metadata => "`sso exec --metadata`",
            Self::Exec => "`sso exec`",
            Self::Env => "`sso env`",
        }
    }
}

/// A place where clients can be run.
#[derive(Debug)]
pub struct Bench {
    shim: PathBuf,
    host: String,
}

impl Bench {
    /// Installs the stand-in, for clients of this host; why not, where a client is missing.
    pub fn set_up(sandbox: &Sandbox, host: &str) -> Result<Self, &'static str> {
        parts::fetched("venv").ok_or("the Databricks SDK is missing")?;
        parts::fetched("older").ok_or("the older Databricks SDKs are missing")?;
        parts::fetched("dbt").ok_or("dbt is missing")?;
        parts::javascript().ok_or("the Databricks SDK for JavaScript is missing")?;
        Ok(Self { shim: sandbox.shim(), host: host.to_owned() })
    }

    /// Runs a client to its end.
    pub fn run(&self, sandbox: &Sandbox, client: Client, way: Way, more: &[(&str, &str)]) -> Finished {
        let words = client.words();
        let mut command = sandbox.command("timeout");
        command.args(["--kill-after=5", PATIENCE]);
        match way {
            Way::Path if client == Client::Dbt => command.args(["sh", "-c", BY_HAND, "sh"]),
            Way::Path | Way::CliPath => &mut command,
            Way::Metadata => self.sso(&mut command, &["exec", &self.host, "--metadata", "--"]),
            Way::Exec => self.sso(&mut command, &["exec", &self.host, "--"]),
            Way::Env => {
                command.args(["sh", "-c", EVALUATED, "sh"]).arg(parts::program("sso")).arg(&self.host)
            }
        };
        command.args(words);
        if more.iter().any(|(name, _)| *name == "DATABRICKS_ACCOUNT_ID") {
            command.arg("account");
        }
        self.environment(&mut command, client, way);
        Finished::of(command.envs(more.iter().copied()))
    }

    fn sso<'a>(&self, command: &'a mut Command, args: &[&str]) -> &'a mut Command {
        command.arg(parts::program("sso")).args(args)
    }

    fn environment(&self, command: &mut Command, client: Client, way: Way) {
        match way {
            Way::Path => {
                command.env("DATABRICKS_HOST", &self.host).env("PATH", self.path());
            }
            Way::CliPath => {
                command.env("DATABRICKS_HOST", &self.host);
                command.env("DATABRICKS_CLI_PATH", self.shim.join("databricks"));
            }
            Way::Metadata | Way::Exec | Way::Env => {}
        }
        match client {
            Client::Python(version) if version != NEWEST => {
                command.env("PYTHONPATH", parts::fetched("older").expect("asked before").join(version));
            }
            Client::JavaScript => {
                command.current_dir(parts::javascript().expect("asked before"));
            }
            Client::Python(_) | Client::Sql | Client::Dbt => {}
        }
    }

    /// The path with the stand-in in front.
    pub fn path(&self) -> OsString {
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(self.shim.clone()).chain(std::env::split_paths(&rest));
        std::env::join_paths(all).expect("folders of a path")
    }
}

/// What a client printed.
#[derive(Debug)]
pub struct Said(Value);

impl Said {
    /// Reads its one line of JSON.
    pub fn of(finished: &Finished) -> Result<Self, String> {
        let line = finished.stdout.lines().last().unwrap_or_default();
        match (finished.code, serde_json::from_str(line)) {
            (Some(0), Ok(said)) => Ok(Self(said)),
            _ => Err(format!(
                "{:?} {} {}",
                finished.code,
                finished.stdout.trim(),
                last_lines(&finished.stderr)
            )),
        }
    }

    /// A text among it.
    pub fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    /// What it listed.
    pub fn names(&self) -> Vec<&str> {
        self.0["names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// By how many seconds it is wrong about the end of its token; nothing where it has no belief.
    pub fn error_s(&self) -> Option<f64> {
        Some(self.0["believed_s"].as_f64()? - self.0["true_s"].as_f64()?)
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
}

//! The certified OpenID provider beside a stand-in for a Databricks host (`tests/provider`), as a process.

use crate::http;
use crate::parts;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use url::Url;

/// A running provider; it ends when its stdin does, which is when this is dropped.
#[derive(Debug)]
pub struct Provider {
    child: Child,
    control: Url,
    /// The workspace's address.
    pub url: String,
}

impl Provider {
    /// Starts a workspace whose access tokens live for so many seconds; nothing where its packages are missing.
    pub fn start(lifetime_s: u32) -> Option<Self> {
        Self::shaped("workspace", lifetime_s)
    }

    /// Starts another kind of host; see `tests/provider/shapes.mjs`.
    pub fn shaped(shape: &str, lifetime_s: u32) -> Option<Self> {
        Self::with(&[("SHAPE", shape), ("ACCESS_TOKEN_TTL_S", &lifetime_s.to_string())])
    }

    /// Starts one by what its environment says; see `tests/provider/provider.mjs` and `control.mjs`.
    pub fn with(environment: &[(&str, &str)]) -> Option<Self> {
        let folder = parts::provider()?;
        let mut child = Command::new("node")
            .arg("provider.mjs")
            .current_dir(folder)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the provider prints its address");
        let places: Value = serde_json::from_str(&line).expect("the provider prints JSON");
        let text = |key: &str| places[key].as_str().expect("an address").to_owned();
        let control = Url::parse(&text("control")).expect("an address");
        Some(Self { child, control, url: text("url") })
    }

    /// What it calls the session that it gives: the host without its scheme.
    pub fn session(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// One of its counters.
    pub fn count(&self, name: &str) -> u64 {
        let all = self.ask(None);
        all["counters"][name].as_u64().expect("a counter of that name")
    }

    /// Changes settings; see `tests/provider/control.mjs`.
    pub fn set(&self, settings: &Value) {
        self.ask(Some(&settings.to_string()));
    }

    /// Makes a web app known to it; see `tests/provider/openid.mjs`.
    pub fn register(&self, client: &Value) {
        self.set(&serde_json::json!({"clients": [client]}));
    }

    /// Sets all counters to zero.
    pub fn reset(&self) {
        self.set(&serde_json::json!({"reset": true}));
    }

    /// Every value that only the agent and the provider should have seen: codes, verifiers, refresh tokens.
    pub fn secrets(&self) -> Vec<String> {
        serde_json::from_str(&self.below("secrets", "")).expect("a list")
    }

    /// What the API of the account was asked since the last reset, request by request.
    pub fn requests(&self) -> Vec<Value> {
        serde_json::from_str(&self.below("requests", "")).expect("a list")
    }

    /// A token of somebody else's for this user, to exchange for one of this host's.
    pub fn subject(&self, user: &str) -> String {
        self.below("subject", &format!("user={user}"))
    }

    /// Who has called the API with good tokens, and how often.
    pub fn callers(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(self.ask(None)["callers"].take()).expect("numbers by user")
    }

    /// What the workspace says to a token: 200, or 401.
    pub fn judge(&self, token: &str) -> u16 {
        let url = Url::parse(&format!("{}/api/2.1/clusters/list", self.url)).expect("an address");
        let bearer = format!("Bearer {token}");
        http::send(&url, &[("Authorization", &bearer)], None).expect("the workspace answers").status
    }

    fn below(&self, name: &str, query: &str) -> String {
        let mut url = self.control.clone();
        url.path_segments_mut().expect("a http address has a path").push(name);
        url.set_query(Some(query));
        http::send(&url, &[], None).expect("the provider answers").body
    }

    fn ask(&self, body: Option<&str>) -> Value {
        let answer = http::send(&self.control, &[], body).expect("the provider answers");
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

//! Several people, each at a real Chromium of their own (`tests/provider/two_browsers.mjs`).

use crate::{Sandbox, parts};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The browsers; they are closed when this is dropped.
#[derive(Debug)]
pub struct Browsers {
    child: Child,
    /// There until the end: the driver closes its browsers when this is.
    steps: Option<ChildStdin>,
    seen: BufReader<ChildStdout>,
}

/// What there is to see after a step.
#[derive(Debug)]
pub struct Page(Value);

impl Browsers {
    /// Opens none yet; nothing where Chromium or its driver is missing.
    pub fn open(sandbox: &Sandbox) -> Option<Self> {
        let program = parts::system("chromium")?;
        let driver = parts::provider()?.join("two_browsers.mjs");
        let mut child = Command::new("node")
            .arg(driver)
            .arg(sandbox.path("profiles"))
            .env("SSO_TEST_CHROMIUM", program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs");
        let steps = child.stdin.take();
        let seen = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        Some(Self { child, steps, seen })
    }

    /// Opens an address, and signs in as `name` where a page asks for one.
    pub fn visit(&mut self, who: &str, url: &str, name: &str) -> Page {
        self.take(&json!({"who": who, "visit": url, "name": name}))
    }

    /// Opens an address, and stays where that leads to.
    pub fn look(&mut self, who: &str, url: &str) -> Page {
        self.take(&json!({"who": who, "visit": url}))
    }

    /// Presses a button or follows a link, and signs in as `name` where a page asks for one.
    pub fn press(&mut self, who: &str, what: &str, name: &str) -> Page {
        self.take(&json!({"who": who, "press": what, "name": name}))
    }

    fn take(&mut self, step: &Value) -> Page {
        let steps = self.steps.as_mut().expect("it is not the end yet");
        writeln!(steps, "{step}").expect("the driver listens");
        let mut line = String::new();
        self.seen.read_line(&mut line).expect("the driver prints text");
        let seen: Value = serde_json::from_str(&line).expect("the driver prints JSON");
        assert!(seen["error"].is_null(), "{step}: {seen}");
        Page(seen)
    }
}

impl Drop for Browsers {
    fn drop(&mut self) {
        drop(self.steps.take());
        let _ = self.child.wait();
    }
}

impl Page {
    /// Its address.
    pub fn url(&self) -> &str {
        self.0["url"].as_str().expect("an address")
    }

    /// What it says.
    pub fn text(&self) -> &str {
        self.0["text"].as_str().expect("text")
    }

    /// As it came, more or less.
    pub fn html(&self) -> &str {
        self.0["html"].as_str().expect("text")
    }

    /// Such as 200.
    pub fn status(&self) -> u64 {
        self.0["status"].as_u64().expect("it came over HTTP")
    }

    /// A header of its answer.
    pub fn header(&self, name: &str) -> &str {
        self.0["headers"][name].as_str().unwrap_or_default()
    }

    /// How often somebody had to type a name on the way.
    pub fn asked(&self) -> u64 {
        self.0["asked"].as_u64().expect("a number")
    }

    /// All addresses that the browser went to on the way.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.0["urls"].as_array().expect("a list").iter().filter_map(Value::as_str)
    }

    /// All cookies that the browser has: `name`, `value`, `httpOnly`, `sameSite` and more of each.
    pub fn cookies(&self) -> &[Value] {
        self.0["cookies"].as_array().expect("a list")
    }
}

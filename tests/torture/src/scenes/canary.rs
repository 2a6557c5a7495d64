//! What only the agent and the provider should know is looked for everywhere: in memory, arguments,
//! environments, logs at their most verbose, files, and the core of a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use sso_agent::demo::Options;
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::sandbox::{files, read};
use sso_agent_tests::{Agent, arguments};

use super::Stage;
use super::trouble::{self, Trouble};
use crate::house::{House, strict};
use crate::memory::Secrets;
use crate::proc;
use crate::report::{Report, Target};

const HOUR: Duration = Duration::from_secs(3600);
const CLIENT_SECRET: &str = "canary-client-secret-5f0c9a";
const PASSPHRASE: &str = "canary passphrase of the lock";
/// For buffers of an exchange to be given back: what is looked at is an agent at rest.
const REST: Duration = Duration::from_millis(500);
/// More than the process that spends stays when it has nothing to do.
const IDLE: Duration = Duration::from_secs(6);
const SPENDER: &str = "memory of a spender that is at work";

pub(super) fn play(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let options = Options { client_secret: Some(CLIENT_SECRET.into()), ..strict(HOUR) };
    let mut house = House::new(options)?;
    house.sandbox.set("SSO_AGENT_LOG", "trace");
    let over = AtomicBool::new(false);
    let mut hunt = Hunt { house: &house, found: BTreeMap::new(), places: BTreeSet::new(), looks: 0 };
    let lines = thread::scope(|scope| {
        let watch = scope.spawn(|| arguments::watch(&over));
        let played = hunt.run(stage, report);
        over.store(true, Ordering::Relaxed);
        let lines = watch.join().map_err(|_| anyhow::anyhow!("the watch broke"))?;
        played.map(|()| lines)
    })?;
    hunt.look_at("arguments", lines.into_iter().map(String::into_bytes));
    let kept = files(&house.sandbox.path(""));
    let lines_of_log = f64::from(stage.plan.times(1_000_000, 1000));
    let log_lines = house.sandbox.logs().lines().count();
    hunt.look_at("files and logs", kept.iter().map(|file| read(file)));
    report.count("secrets looked for", house.issuer.secrets().len() as u64, Target::AtLeast(10.0));
    report.count("lines of log", log_lines as u64, Target::AtLeast(lines_of_log));
    report.count("looks into memory", hunt.looks, Target::AtLeast(8.0));
    let places = ["agent's memory", SPENDER, "environments", "arguments", "files and logs"];
    for place in places {
        for (kind, name) in
            [("rt", "refresh tokens"), ("code", "codes"), ("other", "verifiers, client secrets")]
        {
            let found = hunt.found.get(&(place.to_owned(), kind)).map_or(0, BTreeSet::len);
            // It lives for seconds, and its end is what wipes its memory.
            let target = if place == SPENDER { Target::None } else { Target::AtMost(0.0) };
            report.count(&format!("{name} in {place}"), found as u64, target);
        }
    }
    if !hunt.places.is_empty() {
        report.note(&hunt.places.into_iter().collect::<Vec<_>>().join("; "));
    }
    Ok(())
}

struct Hunt<'a> {
    house: &'a House,
    /// By place, and what kind of secret.
    found: BTreeMap<(String, &'static str), BTreeSet<String>>,
    /// In words, where in memory.
    places: BTreeSet<String>,
    looks: u64,
}

impl Hunt<'_> {
    fn run(&mut self, stage: &Stage<'_>, report: &mut Report) -> Result<()> {
        let house = self.house;
        let agent = house.agent()?;
        house.sign_in_with(&json!({ "client_secret": CLIENT_SECRET }))?;
        self.look("a sign-in", &agent)?;
        for _ in 0..3 {
            self.refresh();
        }
        self.look("refreshes", &agent)?;
        for _ in 0..stage.plan.times(1_000_000, 1000) {
            house.token(&json!({}))?;
        }
        let quick = |(name, _): &(&str, Trouble)| !["slow", "slow answer", "hang", "drip"].contains(name);
        let mut troubles: Vec<_> = trouble::provider().into_iter().filter(quick).collect();
        if stage.plan.short {
            troubles.truncate(6);
        }
        for (name, trouble) in troubles {
            // An answer that is lost ends a session here: it is signed in to again.
            if let Trouble::Standing(fault) | Trouble::Once(fault) = trouble {
                house.issuer.inject_times(fault, 1);
                self.refresh();
                house.issuer.clear_faults();
                self.look(name, &agent)?;
            }
        }
        if house.lost()?.is_some() {
            house.sign_in_with(&json!({ "client_secret": CLIENT_SECRET }))?;
        }
        match self.call("agent.lock", &json!({ "passphrase": PASSPHRASE }))? {
            Ok(_) => {
                self.look("a lock", &agent)?;
                let opened = self.call("agent.unlock", &json!({ "passphrase": PASSPHRASE }))?;
                ensure!(opened.is_ok(), "it cannot be unlocked: {opened:?}");
                self.look("an unlock", &agent)?;
            }
            Err(error) => report.note(&format!("it cannot be locked: {}", error["message"])),
        }
        let session = house.host.trim_start_matches("http://");
        let gone = self.call("session.logout", &json!({ "session": session }))?;
        ensure!(gone.is_ok(), "no sign-out: {gone:?}");
        self.look("a sign-out", &agent)?;
        house.sign_in_with(&json!({ "client_secret": CLIENT_SECRET }))?;
        let start = Instant::now();
        while start.elapsed() < IDLE && !proc::spenders(&house.sandbox.path("")).is_empty() {
            thread::sleep(REST);
        }
        let idle = proc::spenders(&house.sandbox.path("")).len();
        report.none("spenders that stay when there is nothing to do", idle as u64);
        self.crash(agent, report)
    }

    fn call(&self, method: &str, params: &Value) -> Result<Result<Value, Value>> {
        Ok(Connection::open(&self.house.sandbox.socket())?.call(method, params)?)
    }

    /// Has another token fetched; what comes of it does not matter.
    fn refresh(&self) {
        if let Ok((_, id)) = self.house.token(&json!({})) {
            let _ = self.house.ask(&json!({ "refused": id, "wait_s": 2 }));
        }
    }

    /// Looks into all processes of the agent's, which are at rest.
    fn look(&mut self, after: &str, agent: &Agent) -> Result<()> {
        thread::sleep(REST);
        let secrets = Secrets::new(self.house.issuer.secrets());
        let spenders = proc::spenders(&self.house.sandbox.path(""));
        let all = spenders.iter().map(|pid| (*pid, "spender")).chain([(agent.pid(), "agent")]);
        for (pid, who) in all {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            self.note("environments", secrets.within(&environment));
            match secrets.within_process(pid) {
                Ok(found) => {
                    if !found.is_empty() && who == "agent" {
                        self.places.insert(format!("{who}'s memory after {after}"));
                    }
                    self.note(if who == "spender" { SPENDER } else { "agent's memory" }, found);
                }
                // It may end when it has nothing to do.
                Err(_) if who == "spender" => {}
                Err(error) => return Err(error),
            }
        }
        self.looks += 1;
        Ok(())
    }

    fn look_at(&mut self, place: &str, texts: impl Iterator<Item = Vec<u8>>) {
        let secrets = Secrets::new(self.house.issuer.secrets());
        for text in texts {
            self.note(place, secrets.within(&text));
        }
    }

    fn note(&mut self, place: &str, found: BTreeSet<&str>) {
        for secret in found {
            let kind = match secret {
                secret if secret.starts_with("demo-rt-") => "rt",
                secret if secret.starts_with("demo-code-") => "code",
                _ => "other",
            };
            self.found.entry((place.to_owned(), kind)).or_default().insert(secret.to_owned());
        }
    }

    /// Ends as a crash ends it; a core would be in the folder that it was started in, whose files are all
    /// looked at.
    fn crash(&self, agent: Agent, report: &mut Report) -> Result<()> {
        let limits = fs::read_to_string(format!("/proc/{}/limits", agent.pid()))?;
        let core = limits.lines().find(|line| line.starts_with("Max core file size"));
        let none = core.is_some_and(|line| line.split_whitespace().nth(4) == Some("0"));
        report.none("agents that may leave a core", u64::from(!none));
        agent.signal(Signal::ABORT);
        thread::sleep(REST);
        agent.kill();
        let cores = files(&self.house.sandbox.path(""));
        let cores = cores.iter().filter(|file| file.file_name().is_some_and(|name| name == "core"));
        report.none("cores", cores.count() as u64);
        Ok(())
    }
}

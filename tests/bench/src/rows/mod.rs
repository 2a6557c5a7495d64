//! What is measured, row by row.

mod herd;
mod http;
mod latency;
mod memory;
mod peers;
mod process;
mod python;
mod size;
mod start;
mod throughput;
mod web;

use anyhow::Result;

use crate::{
    home::{Home, Server},
    load,
    plan::Plan,
    proc::{Cores, pin, raise_file_limit},
    report::Report,
    stored::Stored,
};

type Row = fn(&mut Rig<'_>, &Report) -> Result<()>;

const ROWS: &[(&str, Row)] = &[
    ("size", size::measure),
    ("process", process::measure),
    ("stand-in", process::measure_stand_in),
    ("latency", latency::measure),
    ("throughput", throughput::measure),
    ("http", http::measure),
    ("peers", peers::measure),
    ("herd", herd::measure),
    ("start", start::measure),
    ("memory", memory::measure),
    ("web", web::measure),
    ("python", python::measure),
];

/// What rows have in common; made when it is first needed.
struct Rig<'a> {
    plan: &'a Plan,
    cores: Cores,
    stored: Option<Stored>,
}

/// Measures what was asked for and says whether all of it could be measured.
pub(crate) fn run(plan: &Plan) -> bool {
    let mut report = Report::new(plan.json);
    if let Some(unknown) = plan.only.iter().find(|name| ROWS.iter().all(|(row, _)| row != name)) {
        let known: Vec<_> = ROWS.iter().map(|(row, _)| *row).collect();
        report.note(&format!("there is no row {unknown}, only {}", known.join(", ")));
        return false;
    }
    let cores = match raise_file_limit().and_then(|()| Cores::find()) {
        Ok(cores) => cores,
        Err(error) => {
            report.note(&format!("not measured: {error:#}"));
            return false;
        }
    };
    let mut rig = Rig { plan, cores, stored: None };
    let mut all = true;
    for (name, row) in
        ROWS.iter().filter(|(name, _)| plan.only.is_empty() || plan.only.iter().any(|only| only == name))
    {
        report.row(name);
        let done = rig.free().and_then(|()| row(&mut rig, &report));
        if let Err(error) = done {
            report.note(&format!("not measured: {error:#}"));
            all = false;
        }
    }
    all
}

impl Rig<'_> {
    /// Many stored sessions.
    fn stored(&mut self, report: &Report) -> Result<&Stored> {
        let stored = match self.stored.take() {
            Some(stored) => stored,
            None => {
                let start = std::time::Instant::now();
                let stored = Stored::new(&self.plan.programs.agent, self.plan.many())?;
                let took = start.elapsed().as_secs_f64();
                report.note(&format!("{} sign-ins took {took:.0} s", stored.count));
                stored
            }
        };
        Ok(self.stored.insert(stored))
    }

    /// This thread runs where it likes.
    fn free(&self) -> Result<()> {
        pin(None, &[self.cores.server, self.cores.driver])
    }

    /// This thread and the servers share a core, so that what is measured is work and not waking up.
    fn on_one_core(&self, servers: &[&Server]) -> Result<()> {
        pin(None, &[self.cores.server])?;
        servers.iter().try_for_each(|server| pin(Some(server.pid()), &[self.cores.server]))
    }

    /// The servers have a core to themselves.
    fn on_two_cores(&self, servers: &[&Server]) -> Result<()> {
        pin(None, &[self.cores.driver])?;
        servers.iter().try_for_each(|server| pin(Some(server.pid()), &[self.cores.server]))
    }

    /// An agent with one session, and an echo server that answers with as much.
    fn pair(&self) -> Result<Pair> {
        let (home, issuer) = (Home::new()?, crate::stored::issuer(true, std::time::Duration::ZERO)?);
        let agent = home.agent(&self.plan.programs.agent)?;
        crate::stored::sign_in(&agent.socket, &issuer.url(), "")?;
        let request = load::token_get(&issuer.url(), &serde_json::Value::Null);
        let reply = load::ask(&agent.socket, &request)?;
        load::token(&reply)?;
        // What the echo server's own reply has around its token.
        let around = r#"{"jsonrpc":"2.0","id":1,"result":{"access_token":""}}"#.len();
        let echo = home.echo(&self.plan.programs.echo, reply.to_string().len() - around)?;
        Ok(Pair { home, agent, echo, request, host: issuer.url(), _issuer: issuer })
    }
}

/// Ours and its floor.
struct Pair {
    agent: Server,
    echo: Server,
    request: Vec<u8>,
    host: String,
    home: Home,
    _issuer: sso_agent::demo::Issuer,
}

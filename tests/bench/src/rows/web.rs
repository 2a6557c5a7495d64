//! An agent beside a web app that has many users.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sso_agent::demo::Issuer;

use super::Rig;
use crate::{
    home::Home,
    load::{self, Connection},
    proc,
    report::{Report, Target},
    spread::Spread,
    stored,
};

/// Browsers that sign in at once.
const AT_ONCE: usize = 16;

/// How long the first tokens live: all of them are over when the agent comes back.
const SHORT: Duration = Duration::from_secs(120);
const LONG: Duration = Duration::from_secs(12 * 3600);

/// How long the way back of many is watched.
const WATCHED: Duration = Duration::from_secs(20);

const REDIRECT: &str = "http://localhost:5000/callback";

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let (plan, many) = (rig.plan, rig.plan.many());
    let (home, issuer) = (Home::new()?, stored::issuer(true, Duration::ZERO)?);
    let agent = home.agent(&plan.programs.agent)?;
    stored::sign_in(&agent.socket, &issuer.url(), "")?;
    let by_host = vec![load::token_get(&issuer.url(), &Value::Null)];
    load::token(&load::ask(&agent.socket, &by_host[0])?)?;

    let empty = proc::pss(agent.pid())?;
    let (start, users) = (Instant::now(), sign_in_all(&agent.socket, &issuer, many)?);
    let took = start.elapsed().as_secs_f64();
    report.figure("users signed in, a second", "", Spread::once(many as f64 / took), Target::None);
    let grown = (proc::pss(agent.pid())? - empty) / many as f64;
    report.figure(&format!("{many} web sessions, each"), "KiB", Spread::once(grown), Target::None);

    rig.on_one_core(&[&agent])?;
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..plan.times(15, 5) {
        floor.push(load::in_turn(&agent.socket, &by_host, Connection::Kept, 5000)?.0);
        ours.push(load::in_turn(&agent.socket, &users, Connection::Kept, 5000)?.0);
    }
    let what = format!("token by handle, p50, {many} web sessions in no order");
    report.pair(&what, "µs", &ours, ("token by host", &floor), Target::AtMost(1.1))?;
    rig.free()?;
    agent.stop()?;
    come_back(rig, report, many)
}

/// All tokens are over when the agent comes back: how soon does the issuer hear of whom?
fn come_back(rig: &Rig<'_>, report: &Report, many: usize) -> Result<()> {
    let (home, issuer) = (Home::new()?, stored::issuer(true, Duration::ZERO)?);
    issuer.set_lifetime(SHORT);
    let agent = home.agent(&rig.plan.programs.agent)?;
    let users = sign_in_all(&agent.socket, &issuer, many.min(2000))?;
    agent.stop()?;
    thread::sleep(SHORT);
    issuer.set_lifetime(LONG);
    let before = issuer.counters().granted_refreshes;
    let agent = home.agent(&rig.plan.programs.agent)?;
    let (start, mut seen, mut most) = (Instant::now(), vec![before], 0);
    let mut asked = None;
    while start.elapsed() < WATCHED {
        thread::sleep(Duration::from_millis(100));
        seen.push(issuer.counters().granted_refreshes);
        let a_second_ago = seen[seen.len().saturating_sub(11)];
        most = most.max(seen[seen.len() - 1] - a_second_ago);
        if asked.is_none() {
            let started = Instant::now();
            load::token(&load::ask(&agent.socket, users.last().context("nobody signed in")?)?)?;
            asked = Some(started.elapsed().as_secs_f64() * 1000.0);
        }
    }
    let count = users.len();
    let what = format!("{count} tokens over at the start: refreshes in the busiest second");
    report.figure(&what, "", Spread::once(most as f64), Target::AtMost(120.0));
    let all = seen[seen.len() - 1] - before;
    report.figure("refreshed in the first 20 s", "", Spread::once(all as f64), Target::None);
    report.figure(
        "whoever asks meanwhile waits",
        "ms",
        Spread::once(asked.unwrap_or_default()),
        Target::None,
    );
    agent.stop()
}

/// Signs in `count` users; gives the requests for their tokens.
fn sign_in_all(socket: &Path, issuer: &Issuer, count: usize) -> Result<Vec<Vec<u8>>> {
    let (next, host) = (AtomicUsize::new(0), issuer.url());
    thread::scope(|scope| {
        let work = || -> Result<Vec<Vec<u8>>> {
            let mut users = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < count {
                users.push(sign_in(socket, &host)?);
            }
            Ok(users)
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| anyhow::anyhow!("a sign-in broke off"))??);
        }
        Ok(all)
    })
}

fn sign_in(socket: &Path, host: &str) -> Result<Vec<u8>> {
    let params = json!({ "host": host, "client_id": "bench", "redirect_url": REDIRECT });
    let begun = call(socket, "consent.start", &params)?;
    let address = begun["authorization_url"].as_str().context("there is no address")?;
    let params = json!({ "consent": begun["consent"], "callback_url": visit(address)? });
    let finished = call(socket, "consent.finish", &params)?;
    let params = json!({ "handle": finished["handle"] });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "token.get", "params": params });
    Ok(format!("{request}\n").into_bytes())
}

fn call(socket: &Path, method: &str, params: &Value) -> Result<Value> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let mut reply = load::ask(socket, format!("{request}\n").as_bytes())?;
    ensure!(reply["result"].is_object(), "{method}: {}", reply["error"]);
    Ok(reply["result"].take())
}

/// Where a browser is sent from there.
fn visit(address: &str) -> Result<String> {
    let (authority, path) =
        address.strip_prefix("http://").and_then(|rest| rest.split_once('/')).context("no address")?;
    let mut stream = TcpStream::connect(authority)?;
    stream.write_all(format!("GET /{path} HTTP/1.0\r\nHost: {authority}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let location = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location").then_some(value)
    });
    location.map(|location| location.trim().to_owned()).context("the issuer sends nobody back")
}

//! Stored sessions by the thousand: signed in to once, then copied into as many homes as are wanted.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use sso_agent::demo::{self, Consent, Issuer, Options};

use crate::{home::Home, load};

/// As many sign-ins as an agent lets wait at once, less a few.
const AT_ONCE: usize = 12;

/// A demo issuer that asks nobody.
pub(crate) fn issuer(rotate: bool, latency: Duration) -> Result<Issuer> {
    let lifetime = Duration::from_secs(12 * 3600);
    let options = Options { rotate, latency, lifetime, consent: Consent::Auto, ..Options::default() };
    Ok(Issuer::start_in_thread(options)?)
}

/// A home with sessions in it, and the issuer that they are of.
pub(crate) struct Stored {
    home: Home,
    pub(crate) issuer: Issuer,
    pub(crate) count: usize,
}

impl Stored {
    /// Signs in `count` times. Refresh tokens stay good, since homes are copied.
    pub(crate) fn new(agent: &Path, count: usize) -> Result<Self> {
        let (home, issuer) = (Home::new()?, issuer(false, Duration::ZERO)?);
        let server = home.agent(agent)?;
        sign_in_all(&server.socket, &issuer.url(), count)?;
        server.stop()?;
        Ok(Self { home, issuer, count })
    }

    /// A home with the first `count` of them.
    pub(crate) fn copy(&self, count: usize) -> Result<Home> {
        let home = Home::new()?;
        let (from, to) = (self.home.state(), home.state());
        fs::copy(from.join("key"), to.join("key")).context("the agent left no key file")?;
        fs::create_dir(to.join("sessions"))?;
        let mut names: Vec<PathBuf> = fs::read_dir(from.join("sessions"))?
            .map(|entry| entry.map(|entry| entry.file_name().into()))
            .collect::<Result<_, _>>()?;
        names.sort_unstable();
        for name in names.iter().take(count) {
            fs::copy(from.join("sessions").join(name), to.join("sessions").join(name))?;
        }
        Ok(home)
    }

    /// Requests for the tokens of all sessions of a copy.
    pub(crate) fn requests(&self, socket: &Path) -> Result<Vec<Vec<u8>>> {
        let list = load::ask(socket, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.list\"}\n")?;
        let sessions = list["result"]["sessions"].as_array().context("there is no list of sessions")?;
        let request =
            |session: &Value| load::token_get(&self.issuer.url(), &json!({ "label": session["label"] }));
        Ok(sessions.iter().map(request).collect())
    }
}

/// Signs in `count` times, with the numbers from 0 as labels.
fn sign_in_all(socket: &Path, host: &str, count: usize) -> Result<()> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let work = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                sign_in(socket, host, &format!("{number:05}"))?;
            }
        };
        let workers: Vec<_> = (0..AT_ONCE.min(count)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a sign-in broke off"))??;
        }
        Ok(())
    })
}

/// Signs in once, as a browser without a person would.
pub(crate) fn sign_in(socket: &Path, host: &str, label: &str) -> Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    let params = json!({ "host": host, "label": label });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "session.login", "params": params });
    stream.write_all(format!("{request}\n").as_bytes())?;
    for line in BufReader::new(stream).lines() {
        let line: Value = serde_json::from_str(&line?)?;
        if let Some(url) = line["params"]["url"].as_str() {
            demo::follow(url)?;
        } else if line["result"].is_object() {
            return Ok(());
        } else if line["error"].is_object() {
            bail!("no sign-in at {host}: {}", line["error"]);
        }
    }
    bail!("the agent hung up during a sign-in")
}

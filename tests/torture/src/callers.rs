//! Many clients that ask at the same instant.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;

use crate::house::{House, Told};

/// Nobody waits longer, whatever the agent does.
const PATIENCE: Duration = Duration::from_secs(60);

/// What they were told, and when.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) granted: u64,
    /// By kind; `hung up` for those who got no answer.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Which tokens were handed out.
    pub(crate) ids: BTreeSet<String>,
    /// Since the beginning, when the last was told.
    pub(crate) last: Duration,
}

/// Clients that have connected and wait for the word.
pub(crate) fn gather(house: &House, size: u32) -> io::Result<Vec<UnixStream>> {
    (0..size).map(|_| UnixStream::connect(house.sandbox.socket())).collect()
}

/// All ask; then `begin` is called, and all answers are waited for.
pub(crate) fn ask_at_once(
    herd: Vec<UnixStream>,
    request: &[u8],
    begin: impl FnOnce() -> Result<()>,
) -> Result<Heard> {
    use std::io::Write as _;
    for mut client in &herd {
        client.write_all(request)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut waiting = JoinSet::new();
        for client in herd {
            client.set_nonblocking(true)?;
            let mut stream = tokio::net::UnixStream::from_std(client)?;
            waiting.spawn(async move {
                let answer = tokio::time::timeout(PATIENCE, line(&mut stream)).await;
                (answer.map_err(io::Error::other).flatten(), Instant::now())
            });
        }
        begin()?;
        let start = Instant::now();
        let mut heard = Heard::default();
        while let Some(answer) = waiting.join_next().await {
            let (answer, at) = answer?;
            heard.last = heard.last.max(at.saturating_duration_since(start));
            heard.note(answer);
        }
        Ok(heard)
    })
}

impl Heard {
    fn note(&mut self, answer: io::Result<Told>) {
        match answer {
            Ok(Told::Token { id, .. }) => {
                self.granted += 1;
                self.ids.insert(id);
            }
            Ok(Told::Error { kind, .. }) => *self.errors.entry(kind).or_default() += 1,
            Err(_) => *self.errors.entry("hung up".to_owned()).or_default() += 1,
        }
    }

    /// How many were told anything but these kinds of errors, or a token.
    pub(crate) fn other_than(&self, kinds: &[&str]) -> u64 {
        let other = self.errors.iter().filter(|(kind, _)| !kinds.contains(&kind.as_str()));
        other.map(|(_, count)| count).sum()
    }
}

async fn line(stream: &mut tokio::net::UnixStream) -> io::Result<Told> {
    let mut reply = Vec::with_capacity(4096);
    while !reply.ends_with(b"\n") {
        if stream.read_buf(&mut reply).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let mut reply: Value = serde_json::from_slice(&reply)?;
    Ok(Told::of(match reply.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(reply["error"].take()),
    }))
}

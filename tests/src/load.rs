//! Clients that are a burden: idle ones, ones that stop in the middle of a request, ones that ask and do
//! not read. And an honest one, whose answers are timed meanwhile.
//!
//! The hard part is keeping the burden up: the agent hangs up on who is half-open or does not read, so
//! a thread puts a new one in the place of each that it lost.

use crate::rpc::Connection;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often lost ones are looked for.
const LOOK: Duration = Duration::from_millis(200);
/// A slow reader leaves so many replies of some hundred bytes unread, more than any buffer holds.
const UNREAD: usize = 4000;

/// How many of each kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Burden {
    /// Connected, and silent.
    pub idle: usize,
    /// A request that was begun and never comes to its end.
    pub half_open: usize,
    /// Thousands of requests, of whose answers none is read.
    pub slow: usize,
}

/// How long an honest client waits, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Half of its calls take no longer.
    pub p50_us: f64,
    /// All but one in a hundred.
    pub p99_us: f64,
}

/// What a burden does.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Before it came.
    pub quiet: Latency,
    /// While it is there.
    pub burdened: Latency,
    /// Resident memory of the agent then, in MiB.
    pub rss_mib: f64,
    /// The share of a core that the agent takes while nobody but the burden is there, 1 for all of it.
    pub idle_cpu: f64,
    /// How many connections the agent has hung up on.
    pub hung_up: u64,
}

/// Lets `calls` honest calls be timed, then once more under this burden.
///
/// `params` are those of a `token.get` that can be answered at once.
///
/// # Errors
/// A connection's, or `/proc`'s.
pub fn trial(socket: &Path, pid: u32, params: &Value, burden: Burden, calls: usize) -> io::Result<Figures> {
    raise_file_limit()?;
    let quiet = honest(socket, params, calls)?;
    let crowd = Crowd::gather(socket, params, burden)?;
    // Everybody has been taken in when a client that came last is answered.
    honest(socket, params, 1)?;
    let idle_cpu = share_of_a_core(pid, Duration::from_secs(1))?;
    let burdened = honest(socket, params, calls)?;
    let rss_mib = rss_mib(pid)?;
    Ok(Figures { quiet, burdened, rss_mib, idle_cpu, hung_up: crowd.disperse() })
}

/// Times this many calls, one after the other, each on a connection of its own.
///
/// # Errors
/// A connection's, or that there was no token.
pub fn honest(socket: &Path, params: &Value, calls: usize) -> io::Result<Latency> {
    let mut took = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = Instant::now();
        let answer = Connection::open(socket)?.call("token.get", params)?;
        took.push(start.elapsed().as_secs_f64() * 1e6);
        answer.map_err(|error| io::Error::other(error.to_string()))?;
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took.get((share * calls as f64) as usize).or(took.last()).copied();
    Ok(Latency { p50_us: at(0.5).unwrap_or_default(), p99_us: at(0.99).unwrap_or_default() })
}

/// Resident memory of a process, in MiB.
///
/// # Errors
/// There is no such process.
pub fn rss_mib(pid: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| io::Error::other("the kernel does not say"))
}

/// How many descriptors a process has open.
///
/// # Errors
/// There is no such process, or it is somebody else's.
pub fn descriptors(pid: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// How much of a core a process takes during this time, 1 for all of one.
///
/// # Errors
/// There is no such process.
pub fn share_of_a_core(pid: u32, window: Duration) -> io::Result<f64> {
    let (before, start) = (cpu(pid)?, Instant::now());
    while start.elapsed() < window {
        thread::park_timeout(window.saturating_sub(start.elapsed()));
    }
    Ok((cpu(pid)? - before).as_secs_f64() / start.elapsed().as_secs_f64())
}

/// How long a process has run so far, to 10 ms.
fn cpu(pid: u32) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program may hold anything, and ends with the last parenthesis.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    // What user space is told has been 100 a second on every Linux.
    Ok(Duration::from_millis(ticks * 10))
}

/// Lets this process open as many files as the system lets it.
///
/// # Errors
/// The system does not.
pub fn raise_file_limit() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// A burden at work, until it is dropped.
#[derive(Debug)]
pub struct Crowd {
    done: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    keeper: Option<JoinHandle<()>>,
}

/// One of those who are replaced when the agent hangs up on them.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Idle,
    HalfOpen,
    Slow,
}

impl Crowd {
    /// Connects all of them.
    ///
    /// # Errors
    /// A connection's.
    pub fn gather(socket: &Path, params: &Value, burden: Burden) -> io::Result<Self> {
        let made = Making { socket: socket.to_owned(), requests: requests(params) };
        let Burden { idle, half_open, slow } = burden;
        let kinds = [(Kind::Idle, idle), (Kind::HalfOpen, half_open), (Kind::Slow, slow)];
        let mut members = Vec::with_capacity(idle + half_open + slow);
        for (kind, many) in kinds {
            for _ in 0..many {
                members.push((kind, made.one(kind)?));
            }
        }
        let (done, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (over, count) = (done.clone(), lost.clone());
        let keeper = thread::spawn(move || keep_up(&made, members, &over, &count));
        Ok(Self { done, lost, keeper: Some(keeper) })
    }

    /// Lets all of them go, and gives how often the agent hung up on one.
    pub fn disperse(mut self) -> u64 {
        self.end();
        self.lost.load(Ordering::Relaxed)
    }

    fn end(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.end();
    }
}

struct Making {
    socket: PathBuf,
    requests: Vec<u8>,
}

impl Making {
    fn one(&self, kind: Kind) -> io::Result<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_nonblocking(true)?;
        let wrote = match kind {
            Kind::Idle => Ok(()),
            Kind::HalfOpen => stream.write_all(br#"{"jsonrpc":"2.0","id":1,"meth"#),
            // As much as it takes; the rest is for the agent to ask for.
            Kind::Slow => stream.write(&self.requests).map(drop),
        };
        match wrote {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            Ok(()) | Err(_) => Ok(stream),
        }
    }
}

fn requests(params: &Value) -> Vec<u8> {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "token.get", "params": params});
    format!("{request}\n").into_bytes().repeat(UNREAD)
}

fn keep_up(made: &Making, mut members: Vec<(Kind, UnixStream)>, over: &AtomicBool, lost: &AtomicU64) {
    while !over.load(Ordering::Relaxed) {
        for (kind, stream) in &mut members {
            let is_lost = match kind {
                // To read is what it does not do; it asks for more instead, as long as anybody listens.
                Kind::Slow => is_closed(stream.write(&made.requests)),
                Kind::Idle | Kind::HalfOpen => matches!(stream.read(&mut [0]), Ok(0)),
            };
            if is_lost {
                lost.fetch_add(1, Ordering::Relaxed);
                if let Ok(another) = made.one(*kind) {
                    *stream = another;
                }
            }
        }
        thread::park_timeout(LOOK);
    }
}

fn is_closed(wrote: io::Result<usize>) -> bool {
    wrote.is_err_and(|error| error.kind() != ErrorKind::WouldBlock)
}

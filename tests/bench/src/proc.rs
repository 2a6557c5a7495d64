//! What the kernel says of a process, and on which cores it runs.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use rustix::{
    process::{Pid, Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// The two cores that measurements use: one for servers, one for whoever drives them. On a machine
/// with one core they are the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) driver: usize,
}

impl Cores {
    /// The first two that this process may use.
    pub(crate) fn find() -> Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let server = cores.next().context("there is no core to run on")?;
        Ok(Self { server, driver: cores.next().unwrap_or(server) })
    }
}

/// Binds the main thread of a process, or this thread, to these cores.
pub(crate) fn pin(pid: Option<Pid>, cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    sched_setaffinity(pid, &set).context("cannot choose the core")
}

/// How long the main thread of a process has run, as long as nobody waited for its end.
pub(crate) fn cpu(pid: Pid) -> Result<Duration> {
    let text = read(pid, "schedstat")?;
    let nanoseconds = text.split(' ').next().and_then(|field| field.parse().ok());
    Ok(Duration::from_nanos(nanoseconds.context("schedstat has no figures")?))
}

/// How long all threads of a process have run so far, those that ended included; to 10 ms.
pub(crate) fn cpu_of_all(pid: Pid) -> Result<Duration> {
    let text = read(pid, "stat")?;
    // The name of the program may hold anything, and ends with the last parenthesis.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    // What user space is told has been 100 a second on every Linux.
    Ok(Duration::from_millis(ticks * 10))
}

/// Makes room for thousands of connections.
pub(crate) fn raise_file_limit() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("cannot open more files")
}

/// How much memory would be free without the process, in KiB.
pub(crate) fn pss(pid: Pid) -> Result<f64> {
    field(&read(pid, "smaps_rollup")?, "Pss:")
}

/// How much memory it has that is not a file's, in KiB.
pub(crate) fn anonymous(pid: Pid) -> Result<f64> {
    field(&read(pid, "smaps_rollup")?, "Pss_Anon:")
}

/// How often its threads went to sleep so far.
pub(crate) fn naps(pid: Pid) -> Result<f64> {
    let mut naps = 0.0;
    for thread in fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        naps += field(&status, "voluntary_ctxt_switches:")?;
    }
    Ok(naps)
}

fn read(pid: Pid, file: &str) -> Result<String> {
    let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
    // The agent keeps even its own user out of its memory, and so out of these files.
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}; it takes root"))
}

fn field(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.with_context(|| format!("there is no {name}"))
}

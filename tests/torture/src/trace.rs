//! Ends a process at the n-th system call of an agent or of what it starts, before the kernel begins it.
//!
//! By ptrace, which stops every thread of every process at every call, so that all calls have one order and
//! each of them is a point of its own.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// What `ptrace_syscall_info.op` is at the beginning of a call (`linux/ptrace.h`).
const BEGINS: u8 = 1;
const BETWEEN_LOOKS: Duration = Duration::from_micros(50);
const PATIENCE: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The victim was killed as this call began, by its number.
    Killed(String),
    /// `work` was done before, after so many calls.
    Over(u32),
}

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The agent, at a call of whichever process.
    Agent,
    /// What the agent has started, at a call of its own.
    Child,
}

/// Runs `work` while the agent and what it starts are watched, and kills the victim at the `nth` call
/// (from 1) if `work` is not done before; gives what `work` gave as well.
///
/// # Errors
/// Where this process may not trace that one; it takes root, since the agent lets nobody else in.
pub(crate) fn kill_at<T: Send>(
    agent: u32,
    victim: Victim,
    nth: u32,
    work: impl FnOnce() -> T + Send,
) -> Result<(End, T)> {
    let (begun, done) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        // When the thread that traces ends, what it traced runs on.
        let tracing = scope.spawn(|| {
            let end = Watch { agent, victim, nth, processes: HashMap::new() }.run(&begun, &done);
            begun.store(true, Ordering::Release);
            end
        });
        while !begun.load(Ordering::Acquire) {
            thread::sleep(BETWEEN_LOOKS);
        }
        let result = work();
        done.store(true, Ordering::Release);
        let end = tracing.join().map_err(|_| anyhow::anyhow!("the tracer broke"))??;
        Ok((end, result))
    })
}

struct Watch {
    agent: u32,
    victim: Victim,
    nth: u32,
    /// By thread.
    processes: HashMap<Pid, u32>,
}

impl Watch {
    fn run(mut self, begun: &AtomicBool, done: &AtomicBool) -> Result<End> {
        let mut to_begin = seize(self.agent)?;
        let (mut count, start) = (0, Instant::now());
        loop {
            if to_begin.is_empty() {
                begun.store(true, Ordering::Release);
            }
            ensure!(start.elapsed() < PATIENCE, "the agent was watched for {PATIENCE:?}");
            if done.load(Ordering::Acquire) {
                return Ok(End::Over(count));
            }
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD | WaitPidFlag::WNOHANG;
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::StillAlive) => thread::sleep(BETWEEN_LOOKS),
                Ok(WaitStatus::PtraceSyscall(thread)) => {
                    let begins = ptrace::syscall_info(thread).is_ok_and(|info| info.op == BEGINS);
                    let process = *self.processes.entry(thread).or_insert_with(|| process_of(thread));
                    let counts = self.victim == Victim::Agent || process != self.agent;
                    count += u32::from(begins && counts && to_begin.is_empty());
                    if begins && counts && count == self.nth {
                        let call = fs::read_to_string(format!("/proc/{thread}/syscall")).unwrap_or_default();
                        crate::proc::kill(if self.victim == Victim::Agent { self.agent } else { process });
                        return Ok(End::Killed(call.split(' ').next().unwrap_or_default().to_owned()));
                    }
                    go_on(thread, None)?;
                }
                Ok(WaitStatus::PtraceEvent(thread, _, _)) => {
                    to_begin.remove(&thread);
                    go_on(thread, None)?;
                }
                Ok(WaitStatus::Stopped(thread, signal)) => go_on(thread, Some(signal))?,
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..) | WaitStatus::Continued(_)) => {}
                // All have ended by themselves.
                Err(Errno::ECHILD) => return Ok(End::Over(count)),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Which process a thread is of.
fn process_of(thread: Pid) -> u32 {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    line.and_then(|line| line.trim().parse().ok()).unwrap_or_default()
}

/// Takes hold of all threads, each of which stops once before it begins.
fn seize(pid: u32) -> Result<BTreeSet<Pid>> {
    let children = Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK;
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | children;
    let mut seized = BTreeSet::new();
    loop {
        let mut more = false;
        for entry in fs::read_dir(format!("/proc/{pid}/task")).context("the process has ended")? {
            let name = entry?.file_name();
            let thread = name.to_str().and_then(|name| name.parse().ok()).context("a thread has a number")?;
            let thread = Pid::from_raw(thread);
            if seized.contains(&thread) {
                continue;
            }
            match ptrace::seize(thread, options) {
                Ok(()) => {
                    ptrace::interrupt(thread)?;
                    seized.insert(thread);
                    more = true;
                }
                // Ended meanwhile, or held already as a child of one that we hold.
                Err(Errno::ESRCH) => {}
                Err(Errno::EPERM) if !seized.is_empty() => {}
                Err(error) => return Err(error).context("the process cannot be traced; it takes root"),
            }
        }
        if !more {
            return Ok(seized);
        }
    }
}

fn go_on(thread: Pid, signal: Option<nix::sys::signal::Signal>) -> Result<()> {
    match ptrace::syscall(thread, signal) {
        // Killed meanwhile.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

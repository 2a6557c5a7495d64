//! `sso-agent run` as a process: up when it says so, ended however the test likes.

use crate::{Sandbox, parts};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// More than any start should take, on a machine that is busy with other tests.
const START: Duration = Duration::from_secs(30);
/// What the unit allows.
const STOP: Duration = Duration::from_secs(45);

/// A running agent; killed when dropped.
#[derive(Debug)]
pub struct Agent {
    child: Child,
}

impl Agent {
    /// Starts one and waits until it serves.
    pub fn start(sandbox: &Sandbox) -> Self {
        Self::try_start(sandbox).unwrap_or_else(|(status, log)| {
            unreachable!("the agent ended with {status} instead of serving:\n{log}")
        })
    }

    /// Starts one; if it ends instead of serving, how, and what it had to say.
    pub fn try_start(sandbox: &Sandbox) -> Result<Self, (ExitStatus, String)> {
        let mut command = sandbox.command(parts::program("sso-agent"));
        command.arg("run");
        Self::spawn(sandbox, command)
    }

    /// Starts one by this command.
    pub fn spawn(sandbox: &Sandbox, mut command: Command) -> Result<Self, (ExitStatus, String)> {
        let log =
            sandbox.path(format!("log/{}", fs::read_dir(sandbox.path("log")).map_or(0, Iterator::count)));
        let notify = sandbox.path("run/notify");
        let _ = fs::remove_file(&notify);
        let ready = UnixDatagram::bind(&notify).expect("a socket in a folder of ours");
        // For an agent of another user; only this folder's owner gets as far as here.
        let _ = fs::set_permissions(&notify, std::os::unix::fs::PermissionsExt::from_mode(0o666));
        ready.set_read_timeout(Some(Duration::from_millis(50))).expect("a positive time");
        let child = command
            .env("NOTIFY_SOCKET", &notify)
            .stderr(File::create(&log).expect("a new file"))
            .spawn()
            .expect("the agent is a program");
        let mut agent = Self { child };
        let start = Instant::now();
        let mut message = [0; 4096];
        loop {
            match ready.recv(&mut message) {
                Ok(length)
                    if message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") =>
                {
                    return Ok(agent);
                }
                _ => {}
            }
            let read = || fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = agent.child.try_wait().expect("our own child") {
                return Err((status, read()));
            }
            assert!(start.elapsed() < START, "the agent is not ready after {START:?}:\n{}", read());
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("our own child can be signalled");
    }

    /// Ends it as a power cut would, at once.
    pub fn kill(mut self) {
        self.end();
    }

    /// Asks it to end, and waits.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_for_end()
    }

    /// Waits until it has ended.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status;
            }
            assert!(start.elapsed() < STOP, "the agent does not stop");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
    }
}

//! Starts the agent when nobody listens.
//!
//! The hard part is many clients at once. One of them holds the lock and starts the agent, the others
//! wait for its socket; should the one give up, the next takes its place. If two agents are started
//! all the same, they settle it between themselves: the loser exits with [`ANOTHER_RUNS`].

mod launch;
mod log;

use std::{
    fs::File,
    path::PathBuf,
    process::Child,
    time::{Duration, Instant},
};

use interprocess::local_socket::Stream;
use sso_agent_os::private;
use sso_agent_proto::places::Places;

use crate::{
    Error, Result,
    stream::{self, Shut},
};

pub use launch::program;

/// What an agent exits with when another one is there already (`EX_TEMPFAIL`).
pub const ANOTHER_RUNS: i32 = 75;

/// How long an agent may take until it listens.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first pause between two looks, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// Whether clients start the agent, which `SSO_AGENT_AUTOSTART=0` forbids.
pub fn is_wanted() -> bool {
    std::env::var_os("SSO_AGENT_AUTOSTART").is_none_or(|value| value != "0")
}

/// Starts the agent of these places, unless it runs, and waits until it listens.
///
/// ```no_run
/// use sso_agent_client::{autostart, proto::places::Places};
///
/// # fn main() -> Result<(), sso_agent_client::Error> {
/// autostart::start(&Places::from_env()?)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Unreachable`], with the end of the agent's log when it did not come up.
pub fn start(places: &Places) -> Result<()> {
    Route::Own { places: places.clone(), start: true }.open().map(drop)
}

/// Whether somebody is at these places, be it one that has no time: an agent that stops is there until it is done.
pub fn is_there(places: &Places) -> bool {
    !matches!(stream::open(&places.socket), Err(Shut::Empty))
}

/// How to get to the agent, now and again.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// This user's.
    Own {
        places: Places,
        start: bool,
    },
    Given(PathBuf),
}

impl Route {
    pub(crate) fn open(&self) -> Result<Stream> {
        let (Self::Own { places: Places { socket, .. }, .. } | Self::Given(socket)) = self;
        match (stream::open(socket), self) {
            (Ok(stream), _) => Ok(stream),
            (Err(Shut::Failed(error)), _) => Err(error),
            (Err(Shut::Empty), Self::Own { places, start: true }) => start_and_open(places),
            (Err(Shut::Empty), Self::Own { .. } | Self::Given(_)) => Err(Error::nobody(socket)),
        }
    }
}

fn start_and_open(places: &Places) -> Result<Stream> {
    let mut starter = Starter::new(places)?;
    let (give_up, mut pause) = (Instant::now() + PATIENCE, PAUSES.0);
    loop {
        starter.step()?;
        match stream::open(&places.socket) {
            Ok(stream) => return Ok(stream),
            Err(Shut::Failed(error)) => return Err(error),
            Err(Shut::Empty) if Instant::now() > give_up => return Err(starter.too_slow()),
            Err(Shut::Empty) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// One client's part in starting the agent.
struct Starter<'a> {
    places: &'a Places,
    lock: File,
    log: log::Log,
    turn: Turn,
}

enum Turn {
    /// Another client may be starting it.
    Waiting,
    /// Nobody but this client starts one.
    Ours,
    Started(Child),
    /// It runs in the background now.
    Left,
}

impl<'a> Starter<'a> {
    fn new(places: &'a Places) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let message = format!("the state folder {} cannot be used: {error}", places.state.display());
            Error::unreachable(message, "make it writable, or set SSO_AGENT_STATE")
        };
        private::create_dir(&places.state).map_err(failed)?;
        let lock = log::private_file(&places.state.join("start.lock")).map_err(failed)?;
        let log = log::Log::open(&places.state).map_err(failed)?;
        Ok(Self { places, lock, log, turn: Turn::Waiting })
    }

    fn step(&mut self) -> Result<()> {
        match &mut self.turn {
            Turn::Waiting if private::try_lock(&self.lock).is_ok() => self.turn = Turn::Ours,
            Turn::Waiting | Turn::Left => {}
            Turn::Ours => {
                self.log.rotate();
                self.turn = Turn::Started(launch::agent(self.places, &self.log)?);
            }
            Turn::Started(child) => match child.try_wait().ok().flatten() {
                None => {}
                Some(status) if status.success() => self.turn = Turn::Left,
                // The other one may be about to stop, as in a restart.
                Some(status) if status.code() == Some(ANOTHER_RUNS) => self.turn = Turn::Ours,
                Some(status) => {
                    return Err(self.failed(&format!("the agent stopped at its start ({status})")));
                }
            },
        }
        Ok(())
    }

    fn too_slow(&self) -> Error {
        self.failed(&format!(
            "the agent was started and does not listen at {} after {} s",
            self.places.socket.display(),
            PATIENCE.as_secs()
        ))
    }

    fn failed(&self, what: &str) -> Error {
        let last = self.log.last_lines();
        let message = if last.is_empty() { what.to_owned() } else { format!("{what}: {last}") };
        Error::unreachable(message, format!("see {}", self.log.path().display()))
    }
}

#[cfg(test)]
mod tests;

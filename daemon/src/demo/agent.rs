//! An agent in a thread of this program, which keeps nothing on disk.

use std::{
    io,
    path::{Path, PathBuf},
    sync::mpsc,
    thread::JoinHandle,
};

use sso_agent_proto::places::Places;

use crate::app::{self, Options, StartError};

/// An agent in a thread. It ends when a client asks for it (`agent.shutdown`).
#[derive(Debug)]
pub struct Ephemeral {
    thread: JoinHandle<Result<(), StartError>>,
    socket: PathBuf,
}

impl Ephemeral {
    /// Starts an agent that has `folder` to itself; it accepts clients when this returns.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let places = Places::within(folder).map_err(io::Error::other)?;
        let socket = places.socket.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (told, ready) = mpsc::channel();
        let thread = std::thread::Builder::new().name("agent".to_owned()).spawn(move || {
            let serving = move || {
                // Whoever waited may be gone.
                let _ = told.send(());
            };
            runtime.block_on(app::run(Options { places, ephemeral: true }, serving, std::future::pending()))
        })?;
        match ready.recv() {
            Ok(()) => Ok(Self { thread, socket }),
            Err(_) => Err(ended(thread)),
        }
    }

    /// Where it can be asked.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// How it failed.
    pub fn join(self) -> io::Result<()> {
        match self.thread.join() {
            Ok(outcome) => outcome.map_err(io::Error::other),
            Err(_) => Err(io::Error::other("the agent broke")),
        }
    }
}

fn ended(thread: JoinHandle<Result<(), StartError>>) -> io::Error {
    match thread.join() {
        Ok(Err(error)) => io::Error::other(error),
        Ok(Ok(())) | Err(_) => io::Error::other("the agent ended at once"),
    }
}

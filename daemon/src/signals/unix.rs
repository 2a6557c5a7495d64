//! `SIGTERM` and `SIGINT`.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

pub(super) fn ignore() -> [io::Result<Signal>; 3] {
    [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal)
}

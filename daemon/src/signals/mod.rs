//! How a person or the system tells this process to end.

#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;

use std::io;

/// Hears it each time, from when it was made.
pub(crate) struct Stop(system::Stop);

impl Stop {
    pub(crate) fn listen() -> io::Result<Self> {
        system::Stop::listen().map(Self)
    }

    /// Resolves when this process is told to end.
    pub(crate) async fn told(&mut self) {
        self.0.told().await;
    }
}

/// Nothing of the kind ends this process while what this gives lives.
pub(crate) fn ignore() -> impl Send {
    system::ignore()
}

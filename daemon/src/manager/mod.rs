//! The service manager that started us, if one did: sockets that listen already, and what it wants to hear.
//!
//! Without one all of it does nothing.

#[cfg(target_os = "macos")]
#[path = "launchd.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "systemd.rs"]
mod system;
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
#[path = "none.rs"]
mod system;

use std::time::Duration;

pub(crate) use self::system::Inherited;

/// The names that units and launch agents give to our sockets.
pub(crate) const RPC: &str = "rpc";
pub(crate) const HTTP: &str = "http";

/// Tells it that clients can come.
pub(crate) fn ready(status: &str) {
    system::ready(status);
}

/// Tells it that no more clients are served.
pub(crate) fn stopping() {
    system::stopping();
}

/// Tells it that the driver is alive.
pub(crate) fn alive() {
    system::alive();
}

/// How often [`alive`] has to be called, if it watches.
pub(crate) fn watchdog() -> Option<Duration> {
    system::watchdog()
}

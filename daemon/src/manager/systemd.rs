//! systemd: sockets, readiness, the watchdog.

use std::{os::fd::OwnedFd, time::Duration};

use sd_notify::NotifyState;

use super::{HTTP, RPC};
use crate::rpc::socket::Listening;

/// All sockets of one unit have one name: where a socket is tells them apart.
const HTTP_SOCKET: &str = "http.sock";

/// Sockets that are listening already, with their names.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<(String, OwnedFd)>);

impl Inherited {
    /// Takes over what systemd passed to this process; a socket without a name is the first kind.
    pub(crate) fn take() -> Self {
        let Ok(fds) = sd_notify::listen_fds_with_names() else { return Self::default() };
        let named = |(fd, name): (_, String)| {
            let fd = adopt(fd);
            let name = if name == "unknown" { RPC.to_owned() } else { name };
            (if is_http(&fd) { HTTP.to_owned() } else { name }, fd)
        };
        Self(fds.map(named).collect())
    }

    /// The socket of that name.
    pub(crate) fn named(&mut self, name: &str) -> Option<Listening> {
        let at = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.swap_remove(at).1)
    }
}

fn is_http(socket: &OwnedFd) -> bool {
    let Ok(address) = rustix::net::getsockname(socket).map(rustix::net::SocketAddrUnix::try_from) else {
        return false;
    };
    let path = address.ok().and_then(|address| address.path().map(|path| path.to_bytes().to_vec()));
    path.is_some_and(|path| path.rsplit(|byte| *byte == b'/').next() == Some(HTTP_SOCKET.as_bytes()))
}

#[expect(unsafe_code, reason = "no crate turns an inherited descriptor number into an owner")]
fn adopt(fd: std::os::fd::RawFd) -> OwnedFd {
    use std::os::fd::FromRawFd as _;
    // SAFETY: `listen_fds_with_names` checked `LISTEN_PID` and that the descriptor is open; nobody else
    // in this process knows of it, and it is taken once, at the start.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd does not listen");
    }
}

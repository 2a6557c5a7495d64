//! The socket that clients come to: inherited from systemd, or our own.
//!
//! Nobody but its user may connect. The folder and the mode of the socket say so, and the kernel is
//! asked about every client all the same.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use interprocess::local_socket::{
    GenericFilePath, ListenerOptions, ToFsName as _,
    tokio::{Listener, Stream},
    traits::{StreamCommon as _, tokio::Listener as _},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{connection, service::Shared};

/// So many clients may be connected.
const CLIENTS: usize = 16_384;

/// A socket at `path`, where there must be none.
pub(crate) fn bind(path: &Path) -> io::Result<Listener> {
    let options = ListenerOptions::new().name(path.to_fs_name::<GenericFilePath>()?);
    #[cfg(unix)]
    let options = {
        use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
        options.mode(0o600)
    };
    options.create_tokio()
}

/// Where our socket is, so that it can be missed.
#[derive(Debug)]
pub(crate) struct Place(Option<(PathBuf, Option<(u64, u64)>)>);

impl Place {
    /// Of a socket that we bound.
    pub(crate) fn of(socket: &Path) -> Self {
        Self(Some((socket.to_owned(), which(socket))))
    }

    /// Of a socket that systemd looks after.
    pub(crate) fn kept_by_systemd() -> Self {
        Self(None)
    }

    /// Whether clients still find us there. The runtime folder goes when its user signs out, an agent
    /// that was started in the background does not.
    pub(crate) fn is_ours(&self) -> bool {
        self.0.as_ref().is_none_or(|(path, ours)| which(path) == *ours)
    }
}

#[cfg(unix)]
fn which(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// A pipe has no place in the file system.
#[cfg(not(unix))]
fn which(_: &Path) -> Option<(u64, u64)> {
    None
}

/// A socket that listens already.
#[cfg(unix)]
pub(crate) fn adopt(socket: std::os::fd::OwnedFd) -> io::Result<Listener> {
    let listener = interprocess::os::unix::uds_local_socket::tokio::Listener::try_from(socket)
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(Listener::UdSocket(listener))
}

/// Serves clients until it is stopped, and those who are connected then for as long as they are owed
/// an answer.
pub(crate) async fn serve(listener: Listener, service: Shared, stop: CancellationToken) {
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        while clients.len() >= CLIENTS {
            clients.join_next().await;
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok(stream) if is_ours(&stream) => {
                clients.spawn(connection::serve(stream, service.clone()));
            }
            Ok(_) => {}
            // Out of descriptors: no reason to spin.
            Err(error) => {
                tracing::warn!(%error, "a client could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    while clients.join_next().await.is_some() {}
}

/// Whether the kernel says that the peer is our own user; equality only, since in a user namespace
/// every stranger has the same number.
#[cfg(unix)]
pub(crate) fn is_ours(stream: &Stream) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    match stream.peer_creds().map(|peer| (peer.euid(), peer.pid())) {
        Ok((Some(uid), pid)) if uid == ours => {
            tracing::trace!(peer.pid = pid, "client connected");
            true
        }
        Ok((uid, pid)) => {
            tracing::warn!(peer.uid = uid, peer.pid = pid, "refused a client of another user");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "refused a client whose user is not known");
            false
        }
    }
}

/// The pipe's security descriptor decides.
#[cfg(not(unix))]
pub(crate) fn is_ours(_: &Stream) -> bool {
    true
}

/// Removes a socket that a dead agent left behind; call it under the lock only.
///
/// # Errors
/// `AddrInUse` where somebody answers, and whatever keeps it from being removed. What is no socket of
/// ours stays.
#[cfg(unix)]
pub(crate) fn clear(path: &Path) -> io::Result<()> {
    use std::os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _},
        net::UnixStream,
    };
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else is in its place"));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another program answers there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Makes the folder of a socket, or sees that it is one in which nobody else can put anything.
///
/// # Errors
/// `PermissionDenied` for a folder that somebody else owns or can write. It is not mended: it may be
/// shared on purpose.
#[cfg(unix)]
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let found = std::fs::metadata(folder)?;
    let refused =
        |why: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("its folder {why}")));
    if found.uid() != rustix::process::geteuid().as_raw() {
        refused("belongs to another user")
    } else if found.mode() & 0o022 != 0 {
        refused("can be written by others")
    } else {
        Ok(())
    }
}

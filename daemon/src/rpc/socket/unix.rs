//! A socket in the file system, for as long as clients can find it there.
//!
//! The hard part is that others may take it away: a runtime folder goes when its user signs out, somebody
//! tidies up. Whoever is connected stays so, but nobody else finds us any more. So the folder is watched,
//! and the socket bound anew, under its lock, by the same rules as the first time. What is in its place by
//! then and is not ours is left alone.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use interprocess::local_socket::{
    GenericFilePath, ListenerOptions, ToFsName as _,
    tokio::{Listener, Stream},
    traits::{StreamCommon as _, tokio::Listener as _},
};
use sso_agent_os::{
    private::{self, Identity},
    user::User,
};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::{BindError, Peer, missing::Watch};
use crate::store::StoreLock;

/// A folder that cannot be had again is tried so often, with this pause, before that is the end.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Socket {
    listener: Listener,
    /// The one that was there before: somebody may have connected to it just before it was gone.
    before: Option<Listener>,
    /// Absent where systemd looks after the socket.
    home: Option<Home>,
    lost: CancellationToken,
}

/// Where a socket is that we bound.
struct Home {
    path: PathBuf,
    identity: Option<Identity>,
    lock: StoreLock,
    watch: Watch,
}

/// One that listens already: it was passed on to us.
pub(crate) type Listening = OwnedFd;

/// What HTTP is spoken over.
pub(crate) type ForHttp = UnixStream;

/// The connection, as it is when HTTP is spoken over it.
pub(crate) fn for_http(stream: Stream) -> ForHttp {
    let Stream::UdSocket(stream) = stream;
    stream.into()
}

/// Who the kernel says is at the other end; a number means something only compared with our own, since in a
/// user namespace every stranger has the same one.
pub(crate) fn peer(stream: &Stream) -> io::Result<Peer> {
    let peer = stream.peer_creds()?;
    let uid = peer.euid().ok_or(io::ErrorKind::Unsupported)?;
    let pid = peer.pid().and_then(|pid| pid.try_into().ok());
    Ok(Peer { user: User::numbered(uid), pid })
}

impl Socket {
    /// Binds one at `path`, in a folder that is ours alone, or is made so.
    ///
    /// # Errors
    /// Another agent has it, or it cannot be had.
    pub(crate) fn bind(path: &Path) -> Result<Self, BindError> {
        let (folder, name) = parts(path)?;
        private_folder(folder)?;
        let lock = StoreLock::take(folder, &lock_of(name))?;
        clear(path)?;
        // Before it is bound, so that nothing happens unseen.
        let watch = Watch::on(path);
        let listener = bind(path)?;
        let home = Home { identity: which(path), path: path.to_owned(), lock, watch };
        Ok(Self { listener, before: None, home: Some(home), lost: CancellationToken::new() })
    }

    /// One that listens already.
    pub(crate) fn adopt(socket: Listening) -> io::Result<Self> {
        let listener = interprocess::os::unix::uds_local_socket::tokio::Listener::try_from(socket)
            .map_err(|error| io::Error::other(error.to_string()))?;
        let lost = CancellationToken::new();
        Ok(Self { listener: Listener::UdSocket(listener), before: None, home: None, lost })
    }

    /// Is cancelled when clients cannot find the socket and it cannot be had again.
    pub(crate) fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// The next client. Binds the socket anew when it has gone; nobody comes any more when that fails.
    pub(crate) async fn accept(&mut self) -> io::Result<Stream> {
        loop {
            let Some(home) = &mut self.home else { return self.listener.accept().await };
            tokio::select! {
                accepted = self.listener.accept() => return accepted,
                accepted = accept_from(self.before.as_ref()) => return accepted,
                () = home.watch.changed() => {}
            }
            if !home.is_there() {
                self.come_back().await;
            }
        }
    }

    async fn come_back(&mut self) {
        let Some(home) = &mut self.home else { return };
        let place = home.path.display().to_string();
        for again in 0..=TRIES {
            match home.bind_again() {
                Ok(listener) => {
                    tracing::warn!(place, "the socket was gone, and is there again");
                    self.before = Some(std::mem::replace(&mut self.listener, listener));
                    return;
                }
                Err(BindError::Held(pid)) => {
                    tracing::error!(place, pid, "the socket is gone, and another agent has its place");
                    break;
                }
                Err(error @ BindError::Failed(_)) => {
                    tracing::warn!(place, %error, again, "the socket is gone, and cannot be had again yet");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        self.lost.cancel();
        std::future::pending::<()>().await;
    }
}

impl Home {
    /// Whether clients still find us.
    fn is_there(&self) -> bool {
        which(&self.path) == self.identity
    }

    fn bind_again(&mut self) -> Result<Listener, BindError> {
        let (folder, name) = parts(&self.path)?;
        private_folder(folder)?;
        // The lock may have gone with its folder, and then keeps nobody out.
        if !self.lock.is_at(&folder.join(lock_of(name))) {
            self.lock = StoreLock::take(folder, &lock_of(name))?;
        }
        clear(&self.path)?;
        self.watch = Watch::on(&self.path);
        let listener = bind(&self.path)?;
        self.identity = which(&self.path);
        Ok(listener)
    }
}

impl Drop for Home {
    /// Takes the socket along, if the one that is there is ours.
    fn drop(&mut self) {
        if self.identity.is_some()
            && self.is_there()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(%error, "the socket stays behind");
        }
    }
}

async fn accept_from(listener: Option<&Listener>) -> io::Result<Stream> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

fn parts(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent()
        .zip(name)
        .ok_or_else(|| io::Error::other("it has no folder, or no name that can be written down"))
}

fn lock_of(name: &str) -> String {
    format!("{name}.lock")
}

/// A socket at `path`, where there must be none. It does not remove itself: by then there may be another's.
fn bind(path: &Path) -> io::Result<Listener> {
    let options = ListenerOptions::new().name(path.to_fs_name::<GenericFilePath>()?).reclaim_name(false);
    by_mode(options).create_tokio()
}

/// Born with its mode; macOS has none to give, and there the folder keeps others out.
#[cfg(not(target_os = "macos"))]
fn by_mode(options: ListenerOptions<'_>) -> ListenerOptions<'_> {
    use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
    options.mode(0o600)
}

#[cfg(target_os = "macos")]
fn by_mode(options: ListenerOptions<'_>) -> ListenerOptions<'_> {
    options
}

fn which(path: &Path) -> Option<Identity> {
    std::fs::symlink_metadata(path).ok().map(|found| Identity::of(&found))
}

/// Removes a socket that a dead agent left behind; call it under the lock only.
///
/// # Errors
/// `AddrInUse` where somebody answers, and whatever keeps it from being removed. What is no socket of
/// ours stays.
fn clear(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else is in its place"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
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
fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    private::create_dir(folder)?;
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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixListener, os::unix::net::UnixStream};

    use super::*;

    /// Lets the socket notice, until somebody can connect.
    async fn found_again(socket: &mut Socket, path: &Path) {
        let at = path.to_owned();
        let client = tokio::spawn(async move {
            loop {
                match tokio::net::UnixStream::connect(&at).await {
                    Ok(stream) => return stream,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        });
        let accepted = tokio::time::timeout(Duration::from_secs(5), socket.accept()).await;
        accepted.expect("it is back within 5 s").unwrap();
        client.await.unwrap();
    }

    // Fault 50: the socket or its folder is removed while the agent runs.
    #[tokio::test]
    async fn f50_a_socket_that_was_removed_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/s");
        let mut socket = Socket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        found_again(&mut socket, &path).await;
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        found_again(&mut socket, &path).await;
        fs::remove_dir_all(folder.path().join("a")).unwrap();
        found_again(&mut socket, &path).await;
        fs::rename(path.parent().unwrap(), folder.path().join("a/elsewhere")).unwrap();
        found_again(&mut socket, &path).await;
        assert!(matches!(Socket::bind(&path), Err(BindError::Held(Some(_)))), "its lock is there again, too");
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test(start_paused = true)]
    async fn f50_where_it_cannot_be_had_again_that_is_the_end_and_nothing_of_others_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/s");
        let mut socket = Socket::bind(&path).unwrap();
        let lost = socket.lost();
        fs::remove_file(&path).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        tokio::select! {
            _ = socket.accept() => unreachable!("nobody comes"),
            () = lost.cancelled() => {}
        }
        drop(socket);
        UnixStream::connect(&path).unwrap();
        other.accept().unwrap();
    }

    #[tokio::test]
    async fn f50_who_connected_just_before_the_socket_went_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut socket = Socket::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        fs::remove_file(&path).unwrap();
        socket.come_back().await;
        tokio::time::timeout(Duration::from_secs(5), socket.accept()).await.unwrap().unwrap();
    }

    // Fault 49: what a dead agent left behind, and what only looks like it.
    #[tokio::test]
    async fn f49_only_a_socket_that_nobody_listens_at_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/s");
        drop(Socket::bind(&path).unwrap());
        drop(UnixListener::bind(&path).unwrap());
        drop(Socket::bind(&path).unwrap());
        assert!(!path.exists(), "an agent that ends in order takes it along");

        drop(fs::File::create(&path).unwrap());
        assert!(Socket::bind(&path).is_err());
        assert!(path.is_file(), "what is no socket is left alone");
        fs::remove_file(&path).unwrap();
        let _alive = UnixListener::bind(&path).unwrap();
        assert!(Socket::bind(&path).is_err());
        UnixStream::connect(&path).unwrap();
    }
}

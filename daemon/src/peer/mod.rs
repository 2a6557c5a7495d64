//! Who is at the other end of a loopback TCP connection.
//!
//! A Unix socket names its peer; a TCP port is open to every user of the machine. But the kernel lists
//! whose each connection is, and on the loopback interface the other end is in that list too.

#[cfg(target_os = "linux")]
mod table;

use std::{io, net::SocketAddr};

use tokio::net::TcpStream;

/// The user whose socket is bound to `peer` and connected to `local`, which is our end; `None` when
/// there is no such socket on this machine, or its process has closed it.
///
/// The number is as our own user namespace has it, where every user from outside it has the same one:
/// only equality with our own means anything.
///
/// # Errors
/// `/proc/self/net` cannot be read, as where `/proc` is not mounted.
#[cfg(target_os = "linux")]
pub(crate) async fn owner_of(local: SocketAddr, peer: SocketAddr) -> io::Result<Option<u32>> {
    // The table may be long, and the kernel takes its time to print it. Whoever connects again and again
    // must not keep all threads busy that wait for disks.
    static LOOKS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(4);
    let _look = LOOKS.acquire().await.map_err(io::Error::other)?;
    tokio::task::spawn_blocking(move || table::owner_of(local, peer)).await.map_err(io::Error::other)?
}

/// Elsewhere nobody says, so that whoever must know has to refuse.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unused_async, reason = "where it is known it takes time")]
pub(crate) async fn owner_of(_: SocketAddr, _: SocketAddr) -> io::Result<Option<u32>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The user at the other end of a connection; see [`owner_of`].
async fn owner(stream: &TcpStream) -> io::Result<Option<u32>> {
    owner_of(stream.local_addr()?, stream.peer_addr()?).await
}

/// Whether the kernel says that a connection comes from our own user; no when it does not say.
pub(crate) async fn is_ours(stream: &TcpStream) -> bool {
    let owner = owner(stream).await;
    let ours = matches!(owner, Ok(Some(uid)) if uid == rustix::process::geteuid().as_raw());
    if !ours {
        refused(&owner);
    }
    ours
}

/// Whether a connection may come from our own user's browser: as for [`is_ours`], with two exceptions.
///
/// Under WSL whatever passes on a browser's connection from Windows is somebody else, or nobody that this
/// kernel knows, and the machine is one person's. On systems where nobody can say, the state has to tell
/// the right redirect from a wrong one.
pub(crate) async fn may_be_ours(stream: &TcpStream) -> bool {
    let owner = owner(stream).await;
    let may = match &owner {
        Ok(Some(uid)) if *uid == rustix::process::geteuid().as_raw() => true,
        Ok(_) => is_wsl(),
        Err(error) => error.kind() == io::ErrorKind::Unsupported,
    };
    if !may {
        refused(&owner);
    }
    may
}

fn is_wsl() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.to_ascii_lowercase().contains("microsoft")
}

fn refused(owner: &io::Result<Option<u32>>) {
    match owner {
        Ok(uid) => tracing::warn!(peer.uid = uid, "refused a connection of another user"),
        Err(error) => tracing::warn!(%error, "refused a connection whose user is not known"),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn pair(address: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, client)
    }

    #[tokio::test]
    async fn our_own_connections_are_ours() {
        let (server, _client) = pair("127.0.0.1").await;
        assert!(is_ours(&server).await && may_be_ours(&server).await);
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_nobody() {
        let (server, client) = pair("127.0.0.1").await;
        let (local, peer) = (server.local_addr().unwrap(), server.peer_addr().unwrap());
        drop(client);
        assert_eq!(owner_of(local, peer).await.unwrap(), None);
        assert!(!is_ours(&server).await && !may_be_ours(&server).await);
    }

    #[tokio::test]
    async fn our_own_end_is_not_taken_for_the_peers() {
        let (server, client) = pair("127.0.0.1").await;
        let (local, peer) = (server.local_addr().unwrap(), server.peer_addr().unwrap());
        drop(server);
        // What is left is listed under the addresses the other way round.
        assert_eq!(owner_of(peer, local).await.unwrap(), None);
        drop(client);
    }
}

//! Who is at the other end of a loopback TCP connection.
//!
//! A Unix socket names its peer; a TCP port is open to every user of the machine. But the kernel lists
//! whose each connection is, and on the loopback interface the other end is in that list too.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;
#[cfg(not(any(target_os = "linux", windows)))]
#[path = "none.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;

use std::{io, net::SocketAddr};

use sso_agent_os::user::User;
use tokio::net::TcpStream;

/// The user whose socket is bound to `peer` and connected to `local`, which is our end; `None` when
/// there is no such socket on this machine, or its process has closed it.
///
/// # Errors
/// The system does not say: `Unsupported` where it never does, so that whoever must know has to refuse.
pub(crate) async fn owner_of(local: SocketAddr, peer: SocketAddr) -> io::Result<Option<User>> {
    // The table may be long, and the kernel takes its time to print it. Whoever connects again and again
    // must not keep all threads busy that wait for disks.
    static LOOKS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(4);
    let look = LOOKS.acquire().await.map_err(io::Error::other)?;
    // The look goes on when whoever wanted it has gone, and counts until it is over.
    let looking = move || {
        let _look = look;
        system::owner_of(local, peer)
    };
    tokio::task::spawn_blocking(looking).await.map_err(io::Error::other)?
}

/// The user at the other end of a connection; see [`owner_of`].
async fn owner(stream: &TcpStream) -> io::Result<Option<User>> {
    owner_of(stream.local_addr()?, stream.peer_addr()?).await
}

/// Whether the kernel says that a connection comes from our own user; no when it does not say.
pub(crate) async fn is_ours(stream: &TcpStream) -> bool {
    let owner = owner(stream).await;
    let ours = is_me(&owner);
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
        Ok(_) if is_me(&owner) => true,
        Ok(_) => is_wsl(),
        Err(error) => error.kind() == io::ErrorKind::Unsupported,
    };
    if !may {
        refused(&owner);
    }
    may
}

fn is_me(owner: &io::Result<Option<User>>) -> bool {
    matches!((owner, User::me()), (Ok(Some(user)), Ok(me)) if *user == me)
}

fn is_wsl() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.to_ascii_lowercase().contains("microsoft")
}

fn refused(owner: &io::Result<Option<User>>) {
    match owner {
        Ok(Some(user)) => tracing::warn!(peer.user = %user, "refused a connection of another user"),
        Ok(None) => tracing::warn!("refused a connection of nobody who is still there"),
        Err(error) => tracing::warn!(%error, "refused a connection whose user is not known"),
    }
}

#[cfg(test)]
#[cfg(any(target_os = "linux", windows))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn pair(address: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, client)
    }

    // Wine lists the connections, and does not say whose they are.
    #[cfg(not(windows))]
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

//! Who comes to the socket, and who is let in.
//!
//! Nobody but its user may connect. The folder and the mode of the socket say so, and the kernel is
//! asked about every client all the same.

use std::{io, time::Duration};

use interprocess::local_socket::{tokio::Stream, traits::StreamCommon as _};
use tokio_util::sync::CancellationToken;

use super::{clients::Clients, connection, service::Shared, socket::Socket};
use crate::process;

/// Serves clients until it is stopped, and those who are connected then for as long as they are owed
/// an answer.
pub(crate) async fn serve(mut socket: Socket, service: Shared, stop: CancellationToken) {
    let mut clients = Clients::with_room_for(process::room().rpc);
    loop {
        let accepted = tokio::select! {
            accepted = async {
                clients.room().await;
                socket.accept().await
            } => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok(stream) if is_ours(&stream) => {
                let service = service.clone();
                clients.welcome(|pulse| connection::serve(stream, service, pulse));
            }
            Ok(_) => {}
            Err(error) => could_not_accept(&error).await,
        }
    }
    drop(socket);
    clients.all_gone().await;
}

/// Out of descriptors, or the peer is gone already: no reason to spin.
pub(crate) async fn could_not_accept(error: &io::Error) {
    tracing::warn!(%error, "a client could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
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

//! Who comes to the socket, and who is let in.
//!
//! Nobody but its user may connect. Folder and mode of the socket, or the descriptor of the pipe, say so, and
//! the kernel is asked about every client all the same.

use std::{io, time::Duration};

use interprocess::local_socket::tokio::Stream;
use sso_agent_os::user::User;
use tokio_util::sync::CancellationToken;

use super::{
    clients::Clients,
    connection,
    service::Shared,
    socket::{self, Socket},
};
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

/// Whether the kernel says that the peer is our own user.
pub(crate) fn is_ours(stream: &Stream) -> bool {
    match (socket::peer(stream), User::me()) {
        (Ok(peer), Ok(me)) if peer.user == me => {
            tracing::trace!(peer.pid = peer.pid, "client connected");
            true
        }
        (Ok(peer), _) => {
            tracing::warn!(peer.user = %peer.user, peer.pid = peer.pid, "refused a client of another user");
            false
        }
        (Err(error), _) => {
            tracing::warn!(%error, "refused a client whose user is not known");
            false
        }
    }
}

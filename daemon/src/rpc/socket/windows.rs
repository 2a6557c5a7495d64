//! A named pipe.
//!
//! Its descriptor lets in one user, from this machine; the first instance of the name has to be ours, so that
//! what clients find there is not somebody else's; and who comes is asked for all the same.

use std::{convert::Infallible, io, path::Path, time::Duration};

use interprocess::{
    ConnectWaitMode,
    local_socket::{
        GenericFilePath, ListenerOptions, ToFsName as _,
        tokio::{Listener, Stream},
        traits::{StreamCommon, tokio::Listener as _},
    },
    os::windows::{
        local_socket::ListenerOptionsExt as _,
        named_pipe::{DuplexPipeStream, pipe_mode::Bytes},
        security_descriptor::SecurityDescriptor,
    },
};
use sso_agent_os::{only_for, user::User};
use tokio_util::sync::CancellationToken;
use widestring::U16CString;

use super::{BindError, Peer};

/// How long it is looked for somebody who has the name.
const AT_ONCE: ConnectWaitMode = ConnectWaitMode::Timeout(Duration::from_millis(250));

/// See the module.
pub(crate) struct Socket {
    listener: Listener,
}

/// Nobody passes pipes on.
pub(crate) type Listening = Infallible;

/// What HTTP is spoken over.
pub(crate) type ForHttp = Stream;

/// The connection, as it is when HTTP is spoken over it.
pub(crate) fn for_http(stream: Stream) -> ForHttp {
    stream
}

/// Whose process the kernel says is at the other end.
pub(crate) fn peer(stream: &impl StreamCommon) -> io::Result<Peer> {
    let pid = stream.peer_creds()?.pid().ok_or(io::ErrorKind::Unsupported)?;
    Ok(Peer { user: User::of_process(pid)?, pid: Some(pid) })
}

impl Socket {
    /// Makes the pipe of that name.
    ///
    /// # Errors
    /// Somebody has it, or it cannot be had.
    pub(crate) fn bind(path: &Path) -> Result<Self, BindError> {
        // Whoever has no room now is there as well; to wait for some could take for ever.
        match DuplexPipeStream::<Bytes>::connect_by_path_with_wait_mode(path.as_os_str(), AT_ONCE) {
            Ok(other) => return Err(BindError::Held(other.server_process_id().ok())),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(BindError::Held(None)),
            Err(_) => {}
        }
        let descriptor = U16CString::from_str(only_for(&User::me()?)).map_err(io::Error::other)?;
        let descriptor = SecurityDescriptor::deserialize(&descriptor)?;
        let name = path.to_fs_name::<GenericFilePath>()?;
        let options = ListenerOptions::new().name(name).security_descriptor(descriptor);
        match options.create_tokio() {
            Ok(listener) => Ok(Self { listener }),
            // What a first instance is told when there is one already.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(BindError::Held(None)),
            Err(error) => Err(error.into()),
        }
    }

    /// There are none.
    pub(crate) fn adopt(never: Listening) -> io::Result<Self> {
        match never {}
    }

    /// Is never cancelled: a pipe is there for as long as somebody serves it.
    #[expect(clippy::unused_self, reason = "a file can go")]
    pub(crate) fn lost(&self) -> CancellationToken {
        CancellationToken::new()
    }

    /// The next client.
    pub(crate) async fn accept(&mut self) -> io::Result<Stream> {
        self.listener.accept().await
    }
}

#[cfg(test)]
mod tests {
    use std::os::windows::io::AsHandle as _;

    use interprocess::local_socket::{Stream as BlockingStream, traits::Stream as _};
    use sso_agent_os::of_kernel_object;

    use super::{super::contract, *};

    #[tokio::test]
    async fn a_pipe_says_that_it_is_for_its_user_alone_and_not_for_the_network() {
        let (path, _folder) = contract::place();
        let mut socket = Socket::bind(&path).unwrap();
        let client = BlockingStream::connect(path.to_fs_name::<GenericFilePath>().unwrap()).unwrap();
        let Stream::NamedPipe(served) = socket.accept().await.unwrap();
        let BlockingStream::NamedPipe(client) = client;
        let me = User::me().unwrap();
        let wanted = format!("O:{me}D:P(D;;GA;;;NU)(A;;GA;;;{me})");
        for descriptor in
            [of_kernel_object(served.inner().as_handle()), of_kernel_object(client.inner().as_handle())]
        {
            assert_eq!(descriptor.unwrap(), wanted);
        }
        assert_eq!(User::owning(client.inner().as_handle()).unwrap(), me);
    }
}

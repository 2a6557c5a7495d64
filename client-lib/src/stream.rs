//! Opens the socket, and only if whoever is behind it is this user.
//!
//! The hard part is that a request may hold a secret and an answer is believed, so that somebody who
//! got there first must not be taken for the agent: folder, socket and process are checked before a
//! byte is written.

use std::{io, path::Path};

use interprocess::local_socket::{GenericFilePath, Name, Stream, ToFsName as _};

use crate::Error;

/// Why there is no stream.
#[derive(Debug)]
pub(crate) enum Shut {
    /// Nobody listens: starting an agent helps.
    Empty,
    /// Starting one does not help.
    Failed(Error),
}

pub(crate) fn open(socket: &Path) -> Result<Stream, Shut> {
    system::place(socket)?;
    let stream = system::connect(name(socket)?, socket).map_err(|error| refused(socket, &error))?;
    system::peer(&stream, socket)?;
    Ok(stream)
}

#[cfg(feature = "tokio")]
pub(crate) async fn open_async(socket: &Path) -> Result<interprocess::local_socket::tokio::Stream, Shut> {
    system::place(socket)?;
    let stream = system::connect_async(name(socket)?, socket).await;
    let stream = stream.map_err(|error| refused(socket, &error))?;
    system::peer(&stream, socket)?;
    Ok(stream)
}

fn name(socket: &Path) -> Result<Name<'_>, Shut> {
    socket.to_fs_name::<GenericFilePath>().map_err(|error| refused(socket, &error))
}

fn refused(socket: &Path, error: &io::Error) -> Shut {
    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
        return Shut::Empty;
    }
    let message = format!("the agent at {} cannot be reached: {error}", socket.display());
    Shut::Failed(Error::unreachable(message, "run `sso agent restart`, or set SSO_AGENT_SOCK"))
}

#[cfg(unix)]
mod system {
    use std::{
        fs,
        os::unix::fs::{FileTypeExt as _, MetadataExt as _},
        path::Path,
    };

    use interprocess::local_socket::{
        Stream,
        traits::{Stream as _, StreamCommon},
    };

    use super::{Error, Name, Shut, io};

    pub(super) fn connect(name: Name<'_>, _: &Path) -> io::Result<Stream> {
        Stream::connect(name)
    }

    #[cfg(feature = "tokio")]
    pub(super) async fn connect_async(
        name: Name<'_>,
        _: &Path,
    ) -> io::Result<interprocess::local_socket::tokio::Stream> {
        use interprocess::local_socket::{tokio::Stream, traits::tokio::Stream as _};
        Stream::connect(name).await
    }

    /// The group, or everybody, may put something else in its place.
    const OTHERS_WRITE: u32 = 0o022;

    pub(super) fn place(socket: &Path) -> Result<(), Shut> {
        let folder = socket.parent().unwrap_or(Path::new("/"));
        let found = metadata(folder)?;
        if !found.is_dir() {
            return distrust(format!("{} is not a folder", folder.display()));
        }
        owned(folder, found.uid())?;
        if found.mode() & OTHERS_WRITE != 0 {
            let mode = found.mode() & 0o777;
            return distrust(format!(
                "the socket folder {} can be written by other users (mode {mode:03o})",
                folder.display()
            ));
        }
        let found = metadata(socket)?;
        if !found.file_type().is_socket() {
            return distrust(format!("{} is not a socket", socket.display()));
        }
        owned(socket, found.uid())
    }

    pub(super) fn peer(stream: &impl StreamCommon, socket: &Path) -> Result<(), Shut> {
        let peer = stream.peer_creds().ok().and_then(|creds| creds.euid());
        match peer {
            Some(uid) if uid == us() => Ok(()),
            Some(uid) => {
                distrust(format!("what listens at {} belongs to user {uid}, not to you", socket.display()))
            }
            None => distrust(format!("the system does not say who listens at {}", socket.display())),
        }
    }

    fn metadata(path: &Path) -> Result<fs::Metadata, Shut> {
        fs::metadata(path).map_err(|error| super::refused(path, &error))
    }

    fn owned(path: &Path, uid: u32) -> Result<(), Shut> {
        if uid == us() {
            return Ok(());
        }
        distrust(format!("{} belongs to user {uid}, not to you", path.display()))
    }

    fn us() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn distrust(message: String) -> Result<(), Shut> {
        let hint =
            "nothing was sent; set SSO_AGENT_SOCK to a path in a folder that only you can write (mode 0700)";
        Err(Shut::Failed(Error::unreachable(message, hint)))
    }
}

/// A name of a pipe is anybody's who takes it first; but whose the pipe is can be asked, and whoever made it
/// can neither read nor become its client before that one has written something.
#[cfg(windows)]
mod system {
    use std::{
        os::windows::io::AsHandle as _,
        path::Path,
        time::{Duration, Instant},
    };

    use interprocess::{
        ConnectWaitMode,
        local_socket::Stream,
        os::windows::named_pipe::{DuplexPipeStream, pipe_mode::Bytes},
    };
    use sso_agent_os::user::User;

    use super::{Error, Name, Shut, io};

    /// How long an agent may let clients wait at its door.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// Now and again it is looked whether there still is one: who waits at a pipe is not told that it went.
    const SLICE: ConnectWaitMode = ConnectWaitMode::Timeout(Duration::from_millis(250));

    pub(super) fn connect(_: Name<'_>, pipe: &Path) -> io::Result<Stream> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match DuplexPipeStream::<Bytes>::connect_by_path_with_wait_mode(pipe.as_os_str(), SLICE) {
                Err(error) if is_busy(&error) && Instant::now() < give_up => {}
                outcome => return outcome.map(|pipe| Stream::NamedPipe(pipe.into())),
            }
        }
    }

    #[cfg(feature = "tokio")]
    pub(super) async fn connect_async(
        _: Name<'_>,
        pipe: &Path,
    ) -> io::Result<interprocess::local_socket::tokio::Stream> {
        use interprocess::{local_socket::tokio::Stream, os::windows::named_pipe::tokio::DuplexPipeStream};

        let give_up = Instant::now() + PATIENCE;
        loop {
            let door = DuplexPipeStream::<Bytes>::connect_by_path_with_wait_mode(pipe.as_os_str(), SLICE);
            match door.await {
                Err(error) if is_busy(&error) && Instant::now() < give_up => {}
                outcome => return outcome.map(|pipe| Stream::NamedPipe(pipe.into())),
            }
        }
    }

    fn is_busy(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::TimedOut
    }

    /// Whose pipe it is.
    pub(super) trait Owned {
        fn owner(&self) -> io::Result<User>;
    }

    impl Owned for Stream {
        fn owner(&self) -> io::Result<User> {
            let Self::NamedPipe(pipe) = self;
            User::owning(pipe.inner().as_handle())
        }
    }

    #[cfg(feature = "tokio")]
    impl Owned for interprocess::local_socket::tokio::Stream {
        fn owner(&self) -> io::Result<User> {
            let Self::NamedPipe(pipe) = self;
            User::owning(pipe.inner().as_handle())
        }
    }

    pub(super) fn place(_: &Path) -> Result<(), Shut> {
        Ok(())
    }

    pub(super) fn peer(stream: &impl Owned, pipe: &Path) -> Result<(), Shut> {
        let me = User::me().ok();
        let why = match stream.owner() {
            Ok(owner) if Some(&owner) == me.as_ref() => return Ok(()),
            Ok(owner) => format!("what listens at {} belongs to user {owner}, not to you", pipe.display()),
            Err(error) => format!("the system does not say who listens at {}: {error}", pipe.display()),
        };
        let hint = "nothing was sent; end that program, or set SSO_AGENT_SOCK to another pipe";
        Err(Shut::Failed(Error::unreachable(why, hint)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Place;

    #[test]
    fn a_socket_of_our_own_is_opened() {
        let place = Place::new();
        let _listener = place.listen();
        open(&place.socket).unwrap();
    }

    #[test]
    fn where_nobody_listens_an_agent_may_be_started() {
        let place = Place::new();
        assert!(matches!(open(&place.socket), Err(Shut::Empty)));
        drop(place.listen());
        assert!(matches!(open(&place.socket), Err(Shut::Empty)));
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests_of_trust {
    use super::*;
    use crate::fake::Place;
    use std::{
        fs::{Permissions, set_permissions},
        os::unix::{fs::PermissionsExt as _, net::UnixListener},
    };

    fn failure(socket: &Path) -> String {
        match open(socket) {
            Err(Shut::Failed(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stale_socket_is_as_good_as_none() {
        let place = Place::new();
        assert!(matches!(open(&place.folder.path().join("none/s")), Err(Shut::Empty)));
        drop(UnixListener::bind(&place.socket).unwrap());
        assert!(place.socket.exists() && matches!(open(&place.socket), Err(Shut::Empty)));
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused() {
        let place = Place::new();
        let _listener = place.listen();
        set_permissions(place.folder.path(), Permissions::from_mode(0o775)).unwrap();
        assert!(failure(&place.socket).contains("can be written by other users (mode 775)"));
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let place = Place::new();
        let _listener = place.listen();
        std::os::unix::fs::chown(place.folder.path(), Some(4711), None).unwrap();
        assert!(failure(&place.socket).contains("belongs to user 4711"));
    }

    #[test]
    fn a_file_in_place_of_the_socket_is_refused() {
        let place = Place::new();
        std::fs::write(&place.socket, "").unwrap();
        assert!(failure(&place.socket).contains("is not a socket"));
    }
}

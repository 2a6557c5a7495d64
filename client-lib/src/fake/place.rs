//! Where a fake agent is met: a socket in a folder of its own, or a named pipe, and nobody else's.

use std::path::{Path, PathBuf};

use interprocess::local_socket::{GenericFilePath, Listener, ListenerOptions, ToFsName as _};

/// A place of its own, for as long as it lives.
pub(crate) struct Place {
    /// Ours alone, whatever the umask.
    #[allow(dead_code, reason = "a pipe has its name only")]
    pub(crate) folder: tempfile::TempDir,
    /// Where clients connect to.
    pub(crate) socket: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = system::folder();
        Self { socket: system::socket(folder.path()), folder }
    }

    /// From now on there is somebody.
    pub(crate) fn listen(&self) -> Listener {
        let name = self.socket.as_path().to_fs_name::<GenericFilePath>().expect("a path of our own");
        system::ours(ListenerOptions::new().name(name)).create_sync().expect("nobody else listens there")
    }
}

#[cfg(unix)]
mod system {
    use super::{ListenerOptions, Path, PathBuf};
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    pub(super) fn folder() -> tempfile::TempDir {
        let private = Permissions::from_mode(0o700);
        tempfile::Builder::new().permissions(private).tempdir().expect("a folder")
    }

    pub(super) fn socket(folder: &Path) -> PathBuf {
        folder.join("agent.sock")
    }

    pub(super) fn ours(options: ListenerOptions<'_>) -> ListenerOptions<'_> {
        options
    }
}

#[cfg(windows)]
mod system {
    use super::{ListenerOptions, Path, PathBuf};
    use interprocess::os::windows::{
        local_socket::ListenerOptionsExt as _, security_descriptor::SecurityDescriptor,
    };
    use sso_agent_os::{only_for, user::User};

    pub(super) fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    /// The name of the folder is nobody else's.
    pub(super) fn socket(folder: &Path) -> PathBuf {
        let name = folder.file_name().expect("it has a name").to_string_lossy();
        PathBuf::from(format!(r"\\.\pipe\sso-agent-test-{name}"))
    }

    /// What an administrator makes belongs to all of them, unless it is said whose it is.
    pub(super) fn ours(options: ListenerOptions<'_>) -> ListenerOptions<'_> {
        let descriptor = only_for(&User::me().expect("we are somebody"));
        let descriptor = widestring::U16CString::from_str(descriptor).expect("no NUL");
        options.security_descriptor(SecurityDescriptor::deserialize(&descriptor).expect("well formed"))
    }
}

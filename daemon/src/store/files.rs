//! Files that are ours alone: how they are opened, and how they are replaced.
//!
//! The hard part is what may stand in a file's place: a symbolic link to somebody else's file, a pipe
//! that blocks whoever opens it, a second name elsewhere. All are refused, and none is touched.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::Path,
};

use tempfile::NamedTempFile;

use super::StoreError;

/// What the names of unfinished files begin with.
const UNFINISHED: &str = ".tmp";

/// Nothing of ours is longer.
const LONGEST: u64 = 1 << 20;

/// Enough for a record with two long tokens and a client secret.
#[cfg(target_os = "linux")]
const ROOM: u64 = 16 * 1024;

/// Makes sure that a folder exists and that only we can use it.
pub(crate) fn private_dir(path: &Path) -> Result<(), StoreError> {
    create_dir(path).map_err(|cause| StoreError::at(path, cause))?;
    system::make_private(path)
}

fn create_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Reads a file that is ours alone; `None` if there is nothing.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match open(path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    if length > LONGEST {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
    file.take(LONGEST).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Reads a file that the service manager made for us, whoever owns it; `None` if there is nothing.
pub(super) fn read_given(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match system::open(path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    // Enough that it does not move while it is read: what it leaves behind is not wiped.
    let mut content = Vec::with_capacity(4096);
    file.take(4000).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Puts a whole file that is ours alone in the place of whatever is at `path`; durable when this returns.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    Draft::begin(path.parent().unwrap_or(path))?.finish(path, content)
}

/// Opens a file that is ours alone, and makes it private if it is not.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = system::open(path, options)?;
    system::check(path, &file)?;
    Ok(file)
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// While what this gives lives, nobody else of ours puts a file in another's place in this folder; where there is a
/// second process, there are locks.
pub(super) fn hold(dir: &Path) -> io::Result<Option<File>> {
    if !cfg!(unix) {
        return Ok(None);
    }
    let dir = File::open(dir)?;
    match dir.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        Ok(()) | Err(_) => Ok(Some(dir)),
    }
}

/// Removes what was begun and never finished, unless somebody is still at it.
pub(crate) fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            sweep_one(&entry.path());
        }
    }
    Ok(())
}

fn sweep_one(path: &Path) {
    let file = system::open(path, OpenOptions::new().read(true));
    if file.as_ref().is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock))) {
        return;
    }
    tracing::debug!(path = %path.display(), "unfinished file removed");
    let _ = fs::remove_file(path);
}

/// A file that has its room on the disk, and no name yet that matters. Locked, so that whoever sweeps
/// can tell it from one that was left behind.
pub(super) struct Draft(NamedTempFile);

impl Draft {
    pub(super) fn begin(dir: &Path) -> io::Result<Self> {
        loop {
            let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(dir)?;
            system::be_private(file.as_file())?;
            // It may have been swept away before it was locked.
            if system::locked(file.as_file())? {
                allocate(file.as_file())?;
                return Ok(Self(file));
            }
        }
    }

    /// Writes all of it, without waiting for the disk.
    pub(super) fn write(&mut self, content: &[u8]) -> io::Result<()> {
        self.0.write_all(content)?;
        self.0.as_file().set_len(content.len() as u64)
    }

    /// Waits for the disk. If that fails, nobody knows what is in the file: it is of no use any more.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.as_file().sync_all()
    }

    /// Takes the place of whatever is at `path`; [`sync_dir`] makes that durable.
    pub(super) fn place(self, path: &Path) -> io::Result<()> {
        self.0.persist(path)?;
        Ok(())
    }

    /// Puts `content` in the place of whatever is at `path`; durable when this returns.
    pub(super) fn finish(mut self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.write(content)?;
        self.sync()?;
        self.place(path)?;
        sync_dir(path.parent().unwrap_or(path))
    }
}

/// Where the file system cannot promise room, the write will tell.
#[cfg(target_os = "linux")]
fn allocate(file: &File) -> io::Result<()> {
    use rustix::{
        fs::{FallocateFlags, fallocate},
        io::Errno,
    };
    match fallocate(file, FallocateFlags::empty(), 0, ROOM) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        done => Ok(done?),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
mod system {
    use super::{File, OpenOptions, Path, StoreError, io};
    use rustix::{fs::OFlags, io::Errno, process::geteuid};
    use std::{
        fs::Permissions,
        os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    };

    const OTHERS: u32 = 0o077;
    /// As on /tmp, which is never ours, whoever owns it.
    const STICKY: u32 = 0o1000;

    pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
        let refused = |why| StoreError::NotPrivate { path: path.to_owned(), why };
        let folder = File::open(path).map_err(|cause| StoreError::at(path, cause))?;
        let about = folder.metadata().map_err(|cause| StoreError::at(path, cause))?;
        if !about.is_dir() {
            return Err(refused("it is not a folder"));
        }
        if about.uid() != geteuid().as_raw() {
            return Err(refused("it belongs to somebody else"));
        }
        if about.mode() & STICKY != 0 {
            return Err(refused("it is a folder that everybody shares"));
        }
        if about.mode() & OTHERS != 0 {
            tracing::warn!(path = %path.display(), "others could use this folder; no longer");
            let mode = Permissions::from_mode(0o700);
            folder
                .set_permissions(mode)
                .map_err(|_| refused("others can use it, and that cannot be changed"))?;
        }
        Ok(())
    }

    pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).expect("flags of open fit its argument");
        options.mode(0o600).custom_flags(flags).open(path).map_err(|error| {
            if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
                io::Error::other("it is a symbolic link")
            } else {
                error
            }
        })
    }

    pub(super) fn check(path: &Path, file: &File) -> io::Result<()> {
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        if about.uid() != geteuid().as_raw() {
            return Err(io::Error::other("it belongs to somebody else"));
        }
        if about.nlink() != 1 {
            return Err(io::Error::other("it has another name elsewhere"));
        }
        if about.mode() & OTHERS != 0 {
            tracing::warn!(path = %path.display(), "others could read this file; no longer");
            be_private(file)?;
        }
        Ok(())
    }

    pub(super) fn be_private(file: &File) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(0o600))
    }

    /// Locks a file until it is closed; whether it still has its name.
    pub(super) fn locked(file: &File) -> io::Result<bool> {
        match file.lock() {
            // Where there are no locks, there is no second process either.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            Ok(()) | Err(_) => Ok(file.metadata()?.nlink() > 0),
        }
    }
}

/// What a user's folders inherit keeps others out.
#[cfg(not(unix))]
mod system {
    use super::{File, OpenOptions, Path, StoreError, io};

    pub(super) fn make_private(_: &Path) -> Result<(), StoreError> {
        Ok(())
    }

    pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
        options.open(path)
    }

    pub(super) fn check(_: &Path, file: &File) -> io::Result<()> {
        if file.metadata()?.is_file() { Ok(()) } else { Err(io::Error::other("it is not a file")) }
    }

    pub(super) fn be_private(_: &File) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn locked(_: &File) -> io::Result<bool> {
        Ok(true)
    }
}

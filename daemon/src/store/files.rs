//! Files that are ours alone: how they are opened, and how they are replaced.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::Path,
};

use sso_agent_os::private::{self, NotPrivate, Was};
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
    private::create_dir(path).map_err(|cause| StoreError::at(path, cause))?;
    match private::make_private(path) {
        Ok(Was::Private) => {}
        Ok(Was::Mended) => tracing::warn!(path = %path.display(), "others could use this folder; no longer"),
        Err(NotPrivate::Refused(why)) => {
            return Err(StoreError::NotPrivate { path: path.to_owned(), why });
        }
        Err(NotPrivate::Io(cause)) => return Err(StoreError::at(path, cause)),
    }
    Ok(())
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
    let file = match private::open(path, OpenOptions::new().read(true)) {
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

/// Makes a whole file that is ours alone where there is none; durable when this returns. What is there already
/// stays as it is, and is an error.
#[cfg(windows)]
pub(super) fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut draft = Draft::begin(path.parent().unwrap_or(path))?;
    draft.write(content)?;
    draft.sync()?;
    let mut file = Some(draft.0);
    private::patiently(|| {
        let placed = file.take().ok_or(io::ErrorKind::NotFound)?.persist_noclobber(path);
        placed.map(drop).map_err(|refused| {
            file = Some(refused.file);
            refused.error
        })
    })?;
    private::sync_dir(path.parent().unwrap_or(path))
}

/// Opens a file that is ours alone, and makes it private if it is not.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = private::open(path, options)?;
    if private::check(path, &file)? == Was::Mended {
        tracing::warn!(path = %path.display(), "others could read this file; no longer");
    }
    Ok(file)
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
    let file = private::open(path, OpenOptions::new().read(true));
    if file.as_ref().is_ok_and(|file| matches!(private::try_lock(file), Err(TryLockError::WouldBlock))) {
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
            private::be_private(file.path(), file.as_file())?;
            // It may have been swept away before it was locked.
            if private::locked(file.path(), file.as_file())? {
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

    /// Takes the place of whatever is at `path`; [`private::sync_dir`] makes that durable.
    pub(super) fn place(self, path: &Path) -> io::Result<()> {
        // Open, and so locked, until it has its name.
        let (_file, beside) = self.0.keep().map_err(|refused| refused.error)?;
        let placed = private::patiently(|| fs::rename(&beside, path));
        if placed.is_err() {
            let _ = fs::remove_file(&beside);
        }
        placed
    }

    /// Puts `content` in the place of whatever is at `path`; durable when this returns.
    pub(super) fn finish(mut self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.write(content)?;
        self.sync()?;
        self.place(path)?;
        private::sync_dir(path.parent().unwrap_or(path))
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

//! Folders and files that are their user's alone: born so, known to be so, and put in each other's place.
//!
//! The hard part is what may stand in a file's place: a symbolic link to somebody else's file, a pipe that
//! blocks whoever opens it, a second name elsewhere. All are refused, and none is touched.

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io,
    path::Path,
    time::Duration,
};

use crate::system::private as system;

/// Whether it was as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Was {
    /// It was ours alone.
    Private,
    /// Others could use it, and cannot any more.
    Mended,
}

/// Makes a folder, and those above it that are missing, for this user alone. One that is there stays as it is.
///
/// # Errors
/// The file system's.
pub fn create_dir(path: &Path) -> io::Result<()> {
    system::create_dir(path)
}

/// Why a folder is not ours alone.
#[derive(Debug, thiserror::Error)]
pub enum NotPrivate {
    /// It is somebody else's, shared on purpose, or cannot be mended; in words.
    #[error("{0}")]
    Refused(&'static str),
    /// It cannot be looked at.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Sees that a folder is ours alone.
///
/// # Errors
/// See [`NotPrivate`].
pub fn make_private(folder: &Path) -> Result<Was, NotPrivate> {
    system::make_private(folder)
}

/// Whether a folder is ours alone already; changes nothing.
///
/// # Errors
/// See [`NotPrivate`].
pub fn is_private(folder: &Path) -> Result<bool, NotPrivate> {
    system::is_private(folder)
}

/// What new files are made with so that they are ours alone from the start.
pub fn born_private(options: &mut OpenOptions) -> &mut OpenOptions {
    system::born_private(options)
}

/// Opens what is at a path, and no link in its place; does not wait for whoever is at the other end of a pipe.
///
/// # Errors
/// The file system's, or that it is a link.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    system::open(path, options)
}

/// The same, through links.
///
/// # Errors
/// The file system's.
pub fn open_where_it_leads(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    system::open_where_it_leads(path, options)
}

/// Sees that what was opened at a path is a file of ours, under one name, that nobody else can read.
///
/// # Errors
/// In words why it is not.
pub fn check(path: &Path, file: &File) -> io::Result<Was> {
    system::check(path, file)
}

/// Shuts others out of a file.
///
/// # Errors
/// The file system's.
pub fn be_private(path: &Path, file: &File) -> io::Result<()> {
    system::be_private(path, file)
}

/// Locks a file until it is closed, and waits for whoever has it. Locks are among those who ask for them, and
/// keep nobody else from reading or writing.
///
/// # Errors
/// The file system's: `Unsupported` where it has none.
pub fn lock(file: &File) -> io::Result<()> {
    system::lock(file)
}

/// The same, together with all who ask for it in this way.
///
/// # Errors
/// As for [`lock`].
pub fn lock_shared(file: &File) -> io::Result<()> {
    system::lock_shared(file)
}

/// The same as [`lock`], without waiting.
///
/// # Errors
/// Somebody has it, or as for [`lock`].
pub fn try_lock(file: &File) -> Result<(), TryLockError> {
    system::try_lock(file)
}

/// Locks a file; whether it still is at its path then, or was removed before.
///
/// # Errors
/// The file system's. Where it has no locks, there is no second process either, and that is no error.
pub fn locked(path: &Path, file: &File) -> io::Result<bool> {
    match lock(file) {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        Ok(()) | Err(_) => Ok(is_at(file, path)),
    }
}

/// Whether a path still leads to what was opened.
pub fn is_at(file: &File, path: &Path) -> bool {
    system::is_at(file, path)
}

/// Tells a file or folder from another one that came to have its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity(pub(crate) system::Identity);

impl Identity {
    /// Of what was found.
    pub fn of(found: &Metadata) -> Self {
        Self(system::identity(found))
    }
}

/// While what this gives lives, nobody else who asks for the same folder has it; `None` where there are no
/// locks.
///
/// # Errors
/// The file system's.
pub fn hold(folder: &Path) -> io::Result<Option<File>> {
    let held = system::to_hold(folder)?;
    match lock(&held) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
        outcome => outcome.map(|()| Some(held)),
    }
}

/// Makes the names in a folder durable.
///
/// # Errors
/// The file system's.
pub fn sync_dir(folder: &Path) -> io::Result<()> {
    system::sync_dir(folder)
}

/// Whether somebody just has the file open, so that it is worth another try a little later. Only Windows
/// minds, where virus scanners do it all the time.
pub fn is_in_use(error: &io::Error) -> bool {
    system::is_in_use(error)
}

/// How long it is tried again; virus scanners have a file open for a moment.
const PAUSES_MS: [u64; 8] = [1, 2, 5, 10, 20, 50, 100, 200];

/// Does something to a file, again if somebody has it open just now.
///
/// # Errors
/// The last one of `work`.
pub fn patiently<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for pause in PAUSES_MS.map(Duration::from_millis) {
        match work() {
            Err(error) if is_in_use(&error) => std::thread::sleep(pause),
            outcome => return outcome,
        }
    }
    work()
}

/// Whether a failure says nothing about the file: there were no descriptors, no memory, a sick disk.
pub fn passes(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(system::passes)
}

/// Why it may be somebody else who speaks in this file: another owner than this user or the system, or others
/// who can write it.
///
/// # Errors
/// It cannot be told.
pub fn writable_by_others(path: &Path, file: &File) -> io::Result<Option<&'static str>> {
    system::writable_by_others(path, file)
}

/// Whether nobody but the machine's administrator could have written what is there.
pub fn is_the_administrators(path: &Path) -> bool {
    system::is_the_administrators(path)
}

#[cfg(test)]
mod tests;

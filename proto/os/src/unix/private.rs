//! Owners, modes and links.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{fs::OFlags, io::Errno, process::geteuid};

use crate::private::{NotPrivate, Was};

const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;
/// As on /tmp, which is never ours, whoever owns it.
const STICKY: u32 = 0o1000;

pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

pub(crate) fn is_private(path: &Path) -> Result<bool, NotPrivate> {
    judge(&path.metadata()?)
}

fn judge(about: &Metadata) -> Result<bool, NotPrivate> {
    let refused = |why| Err(NotPrivate::Refused(why));
    if !about.is_dir() {
        return refused("it is not a folder");
    }
    if about.uid() != geteuid().as_raw() {
        return refused("it belongs to somebody else");
    }
    if about.mode() & STICKY != 0 {
        return refused("it is a folder that everybody shares");
    }
    Ok(about.mode() & OTHERS == 0)
}

pub(crate) fn make_private(path: &Path) -> Result<Was, NotPrivate> {
    let folder = File::open(path)?;
    if judge(&folder.metadata()?)? {
        return Ok(Was::Private);
    }
    match folder.set_permissions(Permissions::from_mode(0o700)) {
        Ok(()) => Ok(Was::Mended),
        Err(_) => Err(NotPrivate::Refused("others can use it, and that cannot be changed")),
    }
}

pub(crate) fn born_private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    born_private(options).custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK)).open(path).map_err(
        |error| {
            if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
                io::Error::other("it is a symbolic link")
            } else {
                error
            }
        },
    )
}

pub(crate) fn open_where_it_leads(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.custom_flags(flags(OFlags::NONBLOCK)).open(path)
}

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).expect("flags of open fit its argument")
}

pub(crate) fn check(path: &Path, file: &File) -> io::Result<Was> {
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
    if about.mode() & OTHERS == 0 {
        return Ok(Was::Private);
    }
    be_private(path, file)?;
    Ok(Was::Mended)
}

pub(crate) fn be_private(_: &Path, file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o600))
}

/// Device and inode.
pub(crate) type Identity = (u64, u64);

pub(crate) fn identity(found: &Metadata) -> Identity {
    (found.dev(), found.ino())
}

pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let (one, other) = (file.metadata(), fs::symlink_metadata(path));
    matches!((one, other), (Ok(one), Ok(other)) if identity(&one) == identity(&other))
}

pub(crate) fn lock(file: &File) -> io::Result<()> {
    file.lock()
}

pub(crate) fn lock_shared(file: &File) -> io::Result<()> {
    file.lock_shared()
}

pub(crate) fn try_lock(file: &File) -> Result<(), TryLockError> {
    file.try_lock()
}

pub(crate) fn to_hold(folder: &Path) -> io::Result<File> {
    File::open(folder)
}

pub(crate) fn sync_dir(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(crate) fn is_in_use(_: &io::Error) -> bool {
    false
}

pub(crate) fn passes(code: i32) -> bool {
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO, Errno::INTR];
    passing.iter().any(|errno| errno.raw_os_error() == code)
}

pub(crate) fn writable_by_others(_: &Path, file: &File) -> io::Result<Option<&'static str>> {
    let found = file.metadata()?;
    let (owner, ours) = (found.uid(), geteuid().as_raw());
    Ok(if owner != ours && owner != 0 {
        Some("it belongs to another user")
    } else if found.mode() & OTHERS_WRITE != 0 {
        Some("others can write it: take that away with chmod go-w")
    } else {
        None
    })
}

pub(crate) fn is_the_administrators(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.uid() == 0 && found.mode() & OTHERS_WRITE == 0)
}

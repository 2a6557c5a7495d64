//! Owners and access lists.
//!
//! A folder of ours lets its user in, and whatever is made in it inherits that.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::windows::{
        fs::{MetadataExt as _, OpenOptionsExt as _},
        io::AsHandle as _,
    },
    path::{Path, PathBuf},
    sync::OnceLock,
};

use same_file::Handle;
use windows_sys::Win32::{
    Foundation::{
        ERROR_ACCESS_DENIED, ERROR_IO_DEVICE, ERROR_LOCK_VIOLATION, ERROR_NO_SYSTEM_RESOURCES,
        ERROR_NOT_ENOUGH_MEMORY, ERROR_SHARING_VIOLATION, ERROR_TOO_MANY_OPEN_FILES,
    },
    Storage::FileSystem::{
        FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    },
};

pub(crate) use super::lock::{lock, lock_shared, try_lock};
use super::{access::Descriptor, descriptor, user};
use crate::private::{NotPrivate, Was};

/// Beside a folder that somebody holds: folders themselves have no locks.
const HELD: &str = "lock";

pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    match descriptor::create_dir(path, &ours_alone()?) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_dir(path.parent().ok_or(error)?)?;
            descriptor::create_dir(path, &ours_alone()?)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        outcome => outcome,
    }
}

pub(crate) fn is_private(path: &Path) -> Result<bool, NotPrivate> {
    let refused = NotPrivate::Refused;
    let folder = OpenOptions::new().read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?;
    if !folder.metadata()?.is_dir() {
        return Err(refused("it is not a folder"));
    }
    let found = of(&folder)?;
    if !found.is_of(us()?) {
        return Err(refused("it belongs to somebody else"));
    }
    Ok(!found.lets_others_in(us()?))
}

pub(crate) fn make_private(path: &Path) -> Result<Was, NotPrivate> {
    if is_private(path)? {
        return Ok(Was::Private);
    }
    let mended = descriptor::set_access(path, &ours_alone()?);
    mended.map_err(|_| NotPrivate::Refused("others can use it, and that cannot be changed"))?;
    Ok(Was::Mended)
}

/// The folder decides.
pub(crate) fn born_private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)?;
    if file.metadata()?.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        return Err(io::Error::other("it is a symbolic link"));
    }
    Ok(file)
}

pub(crate) fn open_where_it_leads(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.open(path)
}

pub(crate) fn check(path: &Path, file: &File) -> io::Result<Was> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let found = of(file)?;
    if !found.is_of(us()?) {
        return Err(io::Error::other("it belongs to somebody else"));
    }
    if !found.lets_others_in(us()?) {
        return Ok(Was::Private);
    }
    be_private(path, file)?;
    Ok(Was::Mended)
}

pub(crate) fn be_private(path: &Path, file: &File) -> io::Result<()> {
    if !of(file)?.lets_others_in(us()?) {
        return Ok(());
    }
    descriptor::set_access(path, &format!("D:P(A;;FA;;;{})", user::me()?))
}

/// When it was made, in steps of 100 ns.
pub(crate) type Identity = u64;

pub(crate) fn identity(found: &Metadata) -> Identity {
    found.creation_time()
}

pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let opened = file.try_clone().and_then(Handle::from_file);
    matches!((opened, Handle::from_path(path)), (Ok(one), Ok(other)) if one == other)
}

pub(crate) fn to_hold(folder: &Path) -> io::Result<File> {
    let mut name = folder.as_os_str().to_owned();
    name.push(".");
    name.push(HELD);
    OpenOptions::new().write(true).create(true).truncate(false).open(PathBuf::from(name))
}

/// The journal of the file system has names in the order in which they were made, and goes out with the next
/// file that is synced.
pub(crate) fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(crate) fn is_in_use(error: &io::Error) -> bool {
    let busy = [ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION];
    is_one_of(error.raw_os_error(), &busy)
}

pub(crate) fn passes(code: i32) -> bool {
    let passing =
        [ERROR_TOO_MANY_OPEN_FILES, ERROR_NOT_ENOUGH_MEMORY, ERROR_NO_SYSTEM_RESOURCES, ERROR_IO_DEVICE];
    is_one_of(Some(code), &[passing.as_slice(), &[ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION]].concat())
}

pub(crate) fn writable_by_others(_: &Path, file: &File) -> io::Result<Option<&'static str>> {
    let found = of(file)?;
    Ok(if !found.is_of(us()?) {
        Some("it belongs to another user")
    } else if found.lets_others_write(us()?) {
        Some("others can write it: take that away in its properties, or with icacls")
    } else {
        None
    })
}

pub(crate) fn is_the_administrators(path: &Path) -> bool {
    let found = File::open(path).and_then(|file| of(&file));
    found.is_ok_and(|found| found.is_of(&[]) && !found.lets_others_write(&[]))
}

fn of(file: &File) -> io::Result<Descriptor> {
    let text = descriptor::of_file(file.as_handle())?;
    Descriptor::parse(&text).ok_or_else(|| io::Error::other("its access list cannot be read"))
}

/// This user, by its SID and by the name that descriptors have for it, if they have one.
fn us() -> io::Result<&'static [String]> {
    static US: OnceLock<Vec<String>> = OnceLock::new();
    if let Some(us) = US.get() {
        return Ok(us);
    }
    let me = user::me()?;
    let mut us = vec![me.clone()];
    // The accounts that every machine has: its first administrator, and its guest.
    us.extend(
        ["LA", "LG"]
            .iter()
            .filter(|name| descriptor::sid(name).is_ok_and(|sid| sid == me))
            .map(ToString::to_string),
    );
    Ok(US.get_or_init(|| us))
}

/// The access list of a folder, that what is in it inherits.
fn ours_alone() -> io::Result<String> {
    Ok(format!("D:P(A;OICI;FA;;;{})", user::me()?))
}

fn is_one_of(code: Option<i32>, all: &[u32]) -> bool {
    code.is_some_and(|code| all.contains(&code.cast_unsigned()))
}

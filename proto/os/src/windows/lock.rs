//! Locks that keep nobody from reading and writing.
//!
//! Those of the standard library are of a whole file, and Windows refuses what others do in a locked part. So
//! one byte is locked that no file of ours ever has.
#![expect(unsafe_code, reason = "the standard library locks what is in a file, too")]

use std::{
    fs::{File, TryLockError},
    io,
    os::windows::io::AsRawHandle as _,
};

use windows_sys::Win32::{
    Foundation::{ERROR_IO_PENDING, ERROR_LOCK_VIOLATION},
    Storage::FileSystem::{LOCK_FILE_FLAGS, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx},
    System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0},
};

/// Of the offset of that byte, the upper half.
const FAR_AWAY: u32 = 0x4000_0000;

pub(crate) fn lock(file: &File) -> io::Result<()> {
    take(file, LOCKFILE_EXCLUSIVE_LOCK)
}

pub(crate) fn lock_shared(file: &File) -> io::Result<()> {
    take(file, 0)
}

pub(crate) fn try_lock(file: &File) -> Result<(), TryLockError> {
    take(file, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY).map_err(|error| {
        let held = [ERROR_LOCK_VIOLATION, ERROR_IO_PENDING].map(u32::cast_signed);
        match error.raw_os_error() {
            Some(code) if held.contains(&code) => TryLockError::WouldBlock,
            Some(_) | None => TryLockError::Error(error),
        }
    })
}

/// It goes with the last handle of the file.
fn take(file: &File, how: LOCK_FILE_FLAGS) -> io::Result<()> {
    let at = OVERLAPPED_0_0 { Offset: 0, OffsetHigh: FAR_AWAY };
    let mut place = OVERLAPPED { Anonymous: OVERLAPPED_0 { Anonymous: at }, ..OVERLAPPED::default() };
    // SAFETY: the handle is open and was not opened for overlapped work, so the call is over when it returns.
    match unsafe { LockFileEx(file.as_raw_handle(), how, 0, 1, 0, &raw mut place) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

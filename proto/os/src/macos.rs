//! What only macOS has.
#![expect(unsafe_code, reason = "no crate offers confstr or PT_DENY_ATTACH")]

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt as _, path::PathBuf};

/// The user's own temporary folder, below /var/folders, whatever `TMPDIR` says.
pub(crate) fn user_temp_dir() -> Option<PathBuf> {
    let mut path = [0_u8; libc::PATH_MAX as usize];
    // SAFETY: the buffer is as long as it is said to be, and confstr writes no more than that.
    let length =
        unsafe { libc::confstr(libc::_CS_DARWIN_USER_TEMP_DIR, path.as_mut_ptr().cast(), path.len()) };
    // The length counts the NUL at the end; 0 is a failure, and more than there is room for cut off.
    let path = path.get(..length.checked_sub(1)?)?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

/// No debugger may attach to this process, whoever runs it.
pub(crate) fn deny_debuggers() -> io::Result<()> {
    // SAFETY: PT_DENY_ATTACH concerns the calling process alone and reads neither address nor data.
    let denied = unsafe { libc::ptrace(libc::PT_DENY_ATTACH, 0, std::ptr::null_mut(), 0) };
    if denied == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

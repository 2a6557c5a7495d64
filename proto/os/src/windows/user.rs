//! Users are SIDs, which tokens of processes tell.
#![expect(unsafe_code, reason = "no well-kept crate reads the SID of a process")]

use std::{
    io,
    os::windows::io::{AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle},
    ptr,
};

use windows_sys::Win32::{
    Foundation::HANDLE,
    Security::{GetTokenInformation, TOKEN_QUERY, TOKEN_USER, TokenUser},
    System::Threading::{
        GetCurrentProcess, OpenProcess, OpenProcessToken, PROCESS_QUERY_LIMITED_INFORMATION,
    },
};

use super::{access::Descriptor, descriptor};

/// In text: `S-1-5-21-…`.
pub(crate) type Id = String;

pub(crate) fn me() -> io::Result<Id> {
    // SAFETY: gives a constant that stands for this process and need not be closed.
    of_handle(unsafe { GetCurrentProcess() })
}

pub(crate) fn of_process(pid: u32) -> io::Result<Id> {
    // SAFETY: takes numbers only; what it gives is checked before it is used.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and nobody else closes it.
    let process = unsafe { OwnedHandle::from_raw_handle(process) };
    of_handle(process.as_raw_handle())
}

pub(crate) fn owning(object: BorrowedHandle<'_>) -> io::Result<Id> {
    let descriptor = descriptor::of_kernel_object(object)?;
    let owner = Descriptor::parse(&descriptor).and_then(|descriptor| descriptor.owner);
    let owner = owner.ok_or_else(|| io::Error::other("it does not say whose it is"))?;
    descriptor::sid(&owner)
}

fn of_handle(process: HANDLE) -> io::Result<Id> {
    let mut token = ptr::null_mut();
    // SAFETY: `process` is a process of ours or was opened to be queried; `token` is there to be written.
    if unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and nobody else closes it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // A SID has 68 bytes at the most, and the structure before it two words; as words, so that it is aligned.
    let mut about = [0_usize; 32];
    let (room, mut length) = (u32::try_from(size_of_val(&about)).unwrap_or_default(), 0);
    // SAFETY: the buffer is as long as it is said to be, and aligned for the structure.
    let told = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            about.as_mut_ptr().cast(),
            room,
            &raw mut length,
        )
    };
    if told == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has put this structure at the start of the buffer, and the SID that it points to behind it.
    let sid = unsafe { (*about.as_ptr().cast::<TOKEN_USER>()).User.Sid };
    // SAFETY: the SID is in `about`, which lives.
    unsafe { descriptor::text_of(sid) }
}

//! Access to this process, and what error reports take along.
#![expect(unsafe_code, reason = "no crate sets the flags of error reports")]

use std::{
    io,
    os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle, RawHandle},
};

use windows_sys::Win32::{
    Foundation::{ERROR_INVALID_PARAMETER, GetLastError, HANDLE_FLAG_INHERIT, SetHandleInformation},
    System::{
        Diagnostics::Debug::{SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SetErrorMode},
        ErrorReporting::{WER_FAULT_REPORTING_FLAG_NOHEAP, WerSetFlags},
        Threading::{OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION},
    },
};

use super::{descriptor, user};

/// To be asked who it is, waited for, and ended: `PROCESS_QUERY_LIMITED_INFORMATION`, `SYNCHRONIZE`,
/// `PROCESS_TERMINATE`, `READ_CONTROL`.
const LEFT_TO_OTHERS: &str = "0x121001";

pub(crate) fn keep_others_out() -> io::Result<()> {
    // SAFETY: both take flags, and concern this process alone.
    unsafe {
        SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
        // Where there are no reports, nothing has to be kept out of them.
        WerSetFlags(WER_FAULT_REPORTING_FLAG_NOHEAP);
    }
    let me = user::me()?;
    // Nobody has to be able to give the rights back either: an owner could, if nothing were said of it.
    descriptor::set_access_of_this_process(&format!(
        "D:P(A;;{LEFT_TO_OTHERS};;;{me})(A;;0x121001;;;OW)(A;;0x1fffff;;;SY)"
    ))
}

pub(crate) fn keep_own_streams() -> io::Result<()> {
    let streams: [RawHandle; 3] =
        [io::stdin().as_raw_handle(), io::stdout().as_raw_handle(), io::stderr().as_raw_handle()];
    // A process need not have them.
    for stream in streams.into_iter().filter(|stream| !stream.is_null()) {
        // SAFETY: concerns a handle of this process, which stays open.
        if unsafe { SetHandleInformation(stream, HANDLE_FLAG_INHERIT, 0) } == 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

pub(crate) fn is_alive(pid: u32) -> bool {
    // SAFETY: takes numbers only.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if process.is_null() {
        // SAFETY: reads a number of this thread.
        return unsafe { GetLastError() } != ERROR_INVALID_PARAMETER;
    }
    // SAFETY: it was just opened, and nobody else closes it.
    drop(unsafe { OwnedHandle::from_raw_handle(process) });
    true
}

//! A child in our place: nothing here can become another program.
#![expect(unsafe_code, reason = "no well-kept crate leaves interrupts to a child, or makes it end with us")]

use std::{
    io,
    os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle},
    process::{Child, Command},
    ptr,
};

use windows_sys::Win32::{
    Foundation::TRUE,
    System::{
        Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler},
        JobObjects::{
            AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
            JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
            JobObjectExtendedLimitInformation, SetInformationJobObject,
        },
    },
};
use windows_sys::core::BOOL;

pub(crate) fn become_it(command: &mut Command) -> io::Error {
    // SAFETY: the routine is there for as long as the process, and touches nothing of it. Unlike no routine at
    // all, it is not passed on to the child.
    unsafe { SetConsoleCtrlHandler(Some(left_to_the_child), TRUE) };
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return error,
    };
    // Where it cannot be had, the child outlives who kills us.
    let _bond = bond(&child);
    match child.wait() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}

/// Ctrl-C goes to all that share the console. A console that is closed ends us when this routine returns, which
/// is left to the child, too.
unsafe extern "system" fn left_to_the_child(event: u32) -> BOOL {
    if ![CTRL_C_EVENT, CTRL_BREAK_EVENT].contains(&event) {
        loop {
            std::thread::park();
        }
    }
    TRUE
}

/// Ends the child, and none of its own, when it is closed: at the latest with this process.
fn bond(child: &Child) -> io::Result<OwnedHandle> {
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags =
        JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
    let length = u32::try_from(size_of_val(&limits)).unwrap_or_default();
    // SAFETY: takes neither attributes nor a name; what it gives is checked.
    let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
    if job.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just made, and nobody else closes it.
    let job = unsafe { OwnedHandle::from_raw_handle(job) };
    // SAFETY: the handle is open, and the limits are as long as they are said to be.
    let limited = unsafe {
        SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            (&raw const limits).cast(),
            length,
        )
    };
    // SAFETY: both handles are open.
    if limited == 0 || unsafe { AssignProcessToJobObject(job.as_raw_handle(), child.as_raw_handle()) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(job)
}

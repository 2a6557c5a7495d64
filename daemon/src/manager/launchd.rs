//! launchd: the sockets of a launch agent. It watches its processes by itself, and wants to hear nothing.

use std::{
    ffi::{CString, c_char, c_int},
    os::fd::{FromRawFd as _, OwnedFd},
    ptr, slice,
    time::Duration,
};

use crate::rpc::socket::Listening;

/// Sockets are asked for by their name in the launch agent's property list.
#[derive(Debug, Default)]
pub(crate) struct Inherited(());

impl Inherited {
    pub(crate) fn take() -> Self {
        Self(())
    }

    /// The socket of that name, once; `None` where launchd did not start us, or has none.
    #[expect(clippy::unused_self, reason = "other systems have taken them before")]
    pub(crate) fn named(&mut self, name: &str) -> Option<Listening> {
        activate(&CString::new(name).ok()?)
    }
}

#[expect(unsafe_code, reason = "no crate asks launchd for its sockets")]
fn activate(name: &CString) -> Option<OwnedFd> {
    unsafe extern "C" {
        fn launch_activate_socket(name: *const c_char, fds: *mut *mut c_int, count: *mut usize) -> c_int;
        fn free(what: *mut std::ffi::c_void);
    }
    let (mut found, mut count) = (ptr::null_mut::<c_int>(), 0);
    // SAFETY: the name ends with a NUL; on success there are `count` descriptors at `found`, both ours then.
    let error = unsafe { launch_activate_socket(name.as_ptr(), &raw mut found, &raw mut count) };
    if error != 0 || found.is_null() {
        return None;
    }
    // SAFETY: as above; each is taken once, and nobody else in this process knows of them.
    let sockets: Vec<OwnedFd> = unsafe {
        let all = slice::from_raw_parts(found, count);
        let owned = all.iter().map(|fd| OwnedFd::from_raw_fd(*fd)).collect();
        free(found.cast());
        owned
    };
    sockets.into_iter().next()
}

pub(super) fn ready(_: &str) {}

pub(super) fn stopping() {}

pub(super) fn alive() {}

pub(super) fn watchdog() -> Option<Duration> {
    None
}

//! Security descriptors, as text (SDDL): read from objects, and put on them.
#![expect(unsafe_code, reason = "no well-kept crate reads and sets the access list of a file or process")]

use std::{
    ffi::c_void,
    io,
    os::windows::{
        ffi::OsStrExt as _,
        io::{AsRawHandle as _, BorrowedHandle},
    },
    path::Path,
    ptr, slice,
};

use windows_sys::Win32::{
    Foundation::{ERROR_SUCCESS, HANDLE, LocalFree},
    Security::{
        ACL,
        Authorization::{
            ConvertSecurityDescriptorToStringSecurityDescriptorW, ConvertSidToStringSidW,
            ConvertStringSecurityDescriptorToSecurityDescriptorW, ConvertStringSidToSidW, GetSecurityInfo,
            SDDL_REVISION_1, SE_FILE_OBJECT, SE_KERNEL_OBJECT, SE_OBJECT_TYPE, SetSecurityInfo,
        },
        DACL_SECURITY_INFORMATION, GetSecurityDescriptorDacl, OWNER_SECURITY_INFORMATION,
        PROTECTED_DACL_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES,
        SetFileSecurityW,
    },
    Storage::FileSystem::CreateDirectoryW,
    System::Threading::GetCurrentProcess,
};

/// The descriptor of a pipe that its user alone can use, and only from this machine.
pub fn only_for(user: &crate::user::User) -> String {
    format!("O:{user}D:P(D;;GA;;;NU)(A;;GA;;;{user})")
}

/// Whose a pipe or process is, and who may do what with it.
///
/// # Errors
/// The handle does not allow to ask.
pub fn of_kernel_object(object: BorrowedHandle<'_>) -> io::Result<String> {
    read(object.as_raw_handle(), SE_KERNEL_OBJECT)
}

/// The same of a file or folder.
pub(crate) fn of_file(file: BorrowedHandle<'_>) -> io::Result<String> {
    read(file.as_raw_handle(), SE_FILE_OBJECT)
}

fn read(object: HANDLE, kind: SE_OBJECT_TYPE) -> io::Result<String> {
    let wanted = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let mut descriptor: PSECURITY_DESCRIPTOR = ptr::null_mut();
    // SAFETY: the handle is open; of what may be asked for only the descriptor is, which is ours to free then.
    let error = unsafe {
        let none = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        GetSecurityInfo(object, kind, wanted, none.0, none.1, none.2, none.3, &raw mut descriptor)
    };
    succeeded(error)?;
    let descriptor = Local(descriptor);
    let mut text = ptr::null_mut();
    // SAFETY: the descriptor lives; the text is ours to free then.
    let told = unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor.0,
            SDDL_REVISION_1,
            wanted,
            &raw mut text,
            ptr::null_mut(),
        )
    };
    if told == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has made a text of it, that ends with a NUL.
    Ok(unsafe { take_text(text) })
}

/// Makes a folder that has this descriptor from the start.
pub(super) fn create_dir(path: &Path, descriptor: &str) -> io::Result<()> {
    let (path, descriptor) = (wide(path.as_os_str()), parse(descriptor)?);
    let attributes = SECURITY_ATTRIBUTES {
        nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or_default(),
        lpSecurityDescriptor: descriptor.0,
        bInheritHandle: 0,
    };
    // SAFETY: the path ends with a NUL; attributes and descriptor live until the call is over.
    match unsafe { CreateDirectoryW(path.as_ptr(), &raw const attributes) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Puts the access list of this descriptor in the place of the one of a file or folder, which then inherits
/// nothing from above. What is in a folder already stays as it is.
pub(crate) fn set_access(path: &Path, descriptor: &str) -> io::Result<()> {
    let (path, descriptor) = (wide(path.as_os_str()), parse(descriptor)?);
    access_list(&descriptor)?;
    let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    // SAFETY: the path ends with a NUL, and the descriptor lives until the call is over.
    match unsafe { SetFileSecurityW(path.as_ptr(), what, descriptor.0) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The same for this process.
pub(super) fn set_access_of_this_process(descriptor: &str) -> io::Result<()> {
    let descriptor = parse(descriptor)?;
    let list = access_list(&descriptor)?;
    // SAFETY: the handle stands for this process; the list is in the descriptor, which lives until the call is over.
    succeeded(unsafe {
        SetSecurityInfo(
            GetCurrentProcess(),
            SE_KERNEL_OBJECT,
            DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
            ptr::null_mut(),
            ptr::null_mut(),
            list,
            ptr::null_mut(),
        )
    })
}

/// A SID in full, which a descriptor may have by a name of two letters.
pub(super) fn sid(name: &str) -> io::Result<String> {
    let (name, mut sid) = (wide(name.as_ref()), ptr::null_mut());
    // SAFETY: the name ends with a NUL; the SID is ours to free then.
    if unsafe { ConvertStringSidToSidW(name.as_ptr(), &raw mut sid) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let sid = Local(sid);
    // SAFETY: it was just made, and lives.
    unsafe { text_of(sid.0) }
}

/// A SID in full.
///
/// # Safety
/// `sid` must lead to a SID that lives.
pub(super) unsafe fn text_of(sid: PSID) -> io::Result<String> {
    let mut text = ptr::null_mut();
    // SAFETY: as our caller promises; the text is ours to free then.
    if unsafe { ConvertSidToStringSidW(sid, &raw mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has made a text of it, that ends with a NUL.
    Ok(unsafe { take_text(text) })
}

fn parse(descriptor: &str) -> io::Result<Local> {
    let (text, mut parsed) = (wide(descriptor.as_ref()), ptr::null_mut());
    // SAFETY: the text ends with a NUL; the descriptor is ours to free then.
    let done = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &raw mut parsed,
            ptr::null_mut(),
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(Local(parsed)) }
}

fn access_list(descriptor: &Local) -> io::Result<*mut ACL> {
    let (mut present, mut list, mut by_default) = (0, ptr::null_mut(), 0);
    // SAFETY: the descriptor lives; what is found points into it.
    let told = unsafe {
        GetSecurityDescriptorDacl(descriptor.0, &raw mut present, &raw mut list, &raw mut by_default)
    };
    if told == 0 {
        return Err(io::Error::last_os_error());
    }
    // No list at all would let everybody in.
    if present == 0 || list.is_null() {
        return Err(io::Error::other("a descriptor without an access list"));
    }
    Ok(list)
}

/// What the system made with `LocalAlloc` and left to us.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: it was made for us, and is freed once.
        unsafe { LocalFree(self.0) };
    }
}

/// # Safety
/// `text` must have been made for us by the system, and end with a NUL.
unsafe fn take_text(text: *mut u16) -> String {
    let text = Local(text.cast());
    let start: *const u16 = text.0.cast();
    // SAFETY: as our caller promises, a NUL comes before the end.
    let length = (0..).take_while(|at| unsafe { *start.add(*at) } != 0).count();
    // SAFETY: so many have just been read.
    String::from_utf16_lossy(unsafe { slice::from_raw_parts(start, length) })
}

fn succeeded(error: u32) -> io::Result<()> {
    if error == ERROR_SUCCESS { Ok(()) } else { Err(io::Error::from_raw_os_error(error.cast_signed())) }
}

fn wide(text: &std::ffi::OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

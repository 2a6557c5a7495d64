//! Wraps secrets with what Windows keeps for the user that is signed in.
#![expect(unsafe_code, reason = "no well-kept crate offers DPAPI")]

use std::{io, ptr, slice};

use windows_sys::Win32::{
    Foundation::LocalFree,
    Security::Cryptography::{
        CRYPT_INTEGER_BLOB, CRYPTPROTECT_UI_FORBIDDEN, CryptProtectData, CryptUnprotectData,
    },
};
use zeroize::{Zeroize as _, Zeroizing};

/// What is wrapped for something else does not pass for ours.
const ENTROPY: &[u8] = b"sso-agent key of the stored sessions\0";

/// Something that only this user on this machine can open.
pub(super) fn protect(secret: &[u8]) -> io::Result<Vec<u8>> {
    let (secret, entropy) = (blob(secret)?, blob(ENTROPY)?);
    let mut wrapped = Answer(CRYPT_INTEGER_BLOB { cbData: 0, pbData: ptr::null_mut() });
    // SAFETY: both inputs are slices that outlive the call, which only reads them; the output is there to be
    // written; all else may be null.
    let done = unsafe {
        CryptProtectData(
            &raw const secret,
            ptr::null(),
            &raw const entropy,
            ptr::null(),
            ptr::null(),
            CRYPTPROTECT_UI_FORBIDDEN,
            &raw mut wrapped.0,
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(wrapped.bytes().to_vec()) }
}

/// What was wrapped.
pub(super) fn unprotect(wrapped: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    unprotect_with(ENTROPY, wrapped)
}

fn unprotect_with(entropy: &[u8], wrapped: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    let (wrapped, entropy) = (blob(wrapped)?, blob(entropy)?);
    let mut secret = Answer(CRYPT_INTEGER_BLOB { cbData: 0, pbData: ptr::null_mut() });
    // SAFETY: as in `protect`.
    let done = unsafe {
        CryptUnprotectData(
            &raw const wrapped,
            ptr::null_mut(),
            &raw const entropy,
            ptr::null(),
            ptr::null(),
            CRYPTPROTECT_UI_FORBIDDEN,
            &raw mut secret.0,
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(Zeroizing::new(secret.bytes().to_vec())) }
}

/// As the system takes it; it changes none that it only reads.
fn blob(bytes: &[u8]) -> io::Result<CRYPT_INTEGER_BLOB> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    Ok(CRYPT_INTEGER_BLOB { cbData: length, pbData: bytes.as_ptr().cast_mut() })
}

/// Memory that the system gave us: wiped before it goes back.
struct Answer(CRYPT_INTEGER_BLOB);

impl Answer {
    fn bytes(&mut self) -> &mut [u8] {
        if self.0.pbData.is_null() {
            return &mut [];
        }
        // SAFETY: the system has made this many bytes, and nobody else has them until `drop`.
        unsafe { slice::from_raw_parts_mut(self.0.pbData, self.0.cbData as usize) }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.bytes().zeroize();
        // SAFETY: it came from a call that says to free it so, or is null, which does nothing.
        unsafe { LocalFree(self.0.pbData.cast()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_comes_back_and_does_not_show() {
        let wrapped = protect(b"CANARY").unwrap();
        assert!(!wrapped.windows(6).any(|part| part == b"CANARY"));
        assert_eq!(unprotect(&wrapped).unwrap().as_slice(), b"CANARY");
        assert_ne!(wrapped, protect(b"CANARY").unwrap());
    }

    #[test]
    fn f31_what_is_damaged_is_refused() {
        let wrapped = protect(b"CANARY").unwrap();
        for length in [0, 1, wrapped.len() / 2, wrapped.len() - 1] {
            assert!(unprotect(&wrapped[..length]).is_err(), "{length}");
        }
        let mut changed = wrapped;
        *changed.last_mut().unwrap() ^= 1;
        assert!(unprotect(&changed).is_err());
    }

    #[test]
    fn what_was_wrapped_for_something_else_is_refused() {
        assert!(unprotect_with(b"something else", &protect(b"CANARY").unwrap()).is_err());
    }
}

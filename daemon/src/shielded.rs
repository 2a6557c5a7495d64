//! A secret that is only waiting to be used: encrypted in memory, opened for a moment at a time.
//!
//! As OpenSSH shields its keys: what a faulty read, a stray copy or a page on a swap disk shows is of use
//! only together with all of 16 KiB of random bytes elsewhere, which the system keeps out of swap if it
//! lets us. It does not stop who can read all of our memory at leisure; nothing in this process could.

use std::sync::OnceLock;

use chacha20poly1305::{AeadInOut as _, KeyInit as _, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::random;

/// What the key is made from, each time anew.
const PREKEY: usize = 16 * 1024;

/// See the module.
#[derive(Clone)]
pub(crate) struct Shielded {
    nonce: [u8; 24],
    sealed: Vec<u8>,
}

impl Shielded {
    /// Shows the secret for as long as `see` takes.
    pub(crate) fn open<T>(&self, see: impl FnOnce(&str) -> T) -> T {
        let mut content = Zeroizing::new(Vec::with_capacity(self.sealed.len()));
        content.extend_from_slice(&self.sealed);
        cipher()
            .decrypt_in_place(&XNonce::from(self.nonce), &[], &mut *content)
            .expect("it was sealed by this process, and nobody else has it");
        see(std::str::from_utf8(&content).expect("it was text when it was sealed"))
    }

    /// The secret itself, for those who need it for longer.
    pub(crate) fn reveal(&self) -> SecretString {
        self.open(|secret| SecretString::from(secret.to_owned()))
    }
}

impl From<SecretString> for Shielded {
    fn from(secret: SecretString) -> Self {
        let mut nonce = [0; 24];
        random::fill(&mut nonce);
        let secret = secret.expose_secret().as_bytes();
        // Room for the tag, so that the secret is not left behind while this grows.
        let mut sealed = Vec::with_capacity(secret.len() + 16);
        sealed.extend_from_slice(secret);
        cipher()
            .encrypt_in_place(&XNonce::from(nonce), &[], &mut sealed)
            .expect("no secret has the 256 GiB that the cipher takes");
        Self { nonce, sealed }
    }
}

impl std::fmt::Debug for Shielded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shielded(..)")
    }
}

/// Of this process, made anew each time it is needed.
fn cipher() -> XChaCha20Poly1305 {
    static PREKEY_OF_THIS_PROCESS: OnceLock<Prekey> = OnceLock::new();
    let prekey = PREKEY_OF_THIS_PROCESS.get_or_init(Prekey::new);
    let mut key: [u8; 32] = Sha256::digest(prekey.bytes.as_slice()).into();
    let cipher = XChaCha20Poly1305::new(&key.into());
    key.zeroize();
    cipher
}

struct Prekey {
    bytes: Box<[u8; PREKEY]>,
    /// Held for as long as this process lives.
    _stays: Option<region::LockGuard>,
}

impl Prekey {
    fn new() -> Self {
        let mut bytes = Box::new([0; PREKEY]);
        random::fill(&mut *bytes);
        let stays = region::lock(bytes.as_ptr(), PREKEY)
            .inspect_err(|error| tracing::debug!(%error, "the key of this process may be swapped out"))
            .ok();
        Self { bytes, _stays: stays }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_what_it_was_and_does_not_show() {
        let shielded = Shielded::from(SecretString::from("CANARY"));
        assert_eq!(shielded.open(str::len), 6);
        assert_eq!(shielded.clone().reveal().expose_secret(), "CANARY");
        assert!(!format!("{shielded:?}").contains("CANARY"));
        assert!(!shielded.sealed.windows(6).any(|part| part == b"CANARY"));
    }

    #[test]
    fn the_same_secret_is_sealed_differently_each_time() {
        let [one, other] = [(); 2].map(|()| Shielded::from(SecretString::from("")));
        assert_ne!(one.sealed, other.sealed);
        assert_eq!(one.reveal().expose_secret(), "");
    }
}

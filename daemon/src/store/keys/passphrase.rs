//! A key that only a passphrase opens: random, wrapped with what argon2id makes of the passphrase.
//!
//! The parameters stand beside the wrapped key, so that they can grow without locking anybody out.

use std::{path::Path, sync::Arc};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{AeadInOut as _, KeyInit as _, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{SealingKey, Source, StoreError, files, no_key};
use crate::store::seal::{KeyBytes, hex, random_key, unhex};

/// Beside the folder of sessions.
pub(super) const NAME: &str = "key.passphrase";

const FORMAT: u32 = 1;

/// RFC 9106's second recommendation, for where 2 GiB are too much: KiB, passes, lanes.
#[cfg(not(test))]
const COST: [u32; 3] = [64 * 1024, 3, 4];
#[cfg(test)]
const COST: [u32; 3] = [8, 1, 1];

/// What a file may ask for, so that a changed one cannot make us take all memory there is.
const MOST: [u32; 3] = [1 << 20, 16, 16];

/// What is wrapped is nothing else.
const ASSOCIATED: &[u8] = b"sso-agent key wrapped with a passphrase\0";

/// Why a passphrase did not open the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPassphrase {
    /// It is another one.
    #[error("this is not the passphrase")]
    Wrong,
    /// No key waits for one.
    #[error("no passphrase is set")]
    NotSet,
    /// The file with the wrapped key cannot be used, in words.
    #[error("the wrapped key cannot be used: {0}")]
    Unusable(String),
}

#[derive(Serialize, Deserialize)]
struct Wrapped {
    sso_agent_wrapped_key: u32,
    /// Of argon2id: KiB, passes, lanes.
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    nonce: String,
    key: String,
}

/// Whether there is something to open.
pub(super) fn is_set(dir: &Path) -> bool {
    dir.join(NAME).symlink_metadata().is_ok()
}

/// Wraps `key`, or a new one, and keeps it in the place of what was there; durable when this returns.
pub(super) fn wrap(
    dir: &Path,
    key: Option<Arc<SealingKey>>,
    passphrase: &SecretString,
) -> Result<Arc<SealingKey>, StoreError> {
    let random = |error: getrandom::Error| no_key(error.to_string());
    let key = match key {
        Some(key) => key,
        None => Arc::new(SealingKey::new(Source::Passphrase, random_key().map_err(random)?)),
    };
    let (salt, mut nonce) = (random_key().map_err(random)?, [0; 24]);
    getrandom::fill(&mut nonce).map_err(random)?;
    let made = derive(passphrase, &*salt, COST).map_err(no_key)?;
    let mut content = Zeroizing::new(Vec::with_capacity(64));
    content.extend_from_slice(&**key.bytes());
    XChaCha20Poly1305::new((&*made).into())
        .encrypt_in_place(&XNonce::from(nonce), ASSOCIATED, &mut *content)
        .expect("a key is far below the 256 GiB that the cipher takes");
    let [memory_kib, passes, lanes] = COST;
    let (salt, nonce, wrapped) = (hex(&*salt), hex(&nonce), hex(&content));
    let wrapped =
        Wrapped { sso_agent_wrapped_key: FORMAT, memory_kib, passes, lanes, salt, nonce, key: wrapped };
    let mut text = serde_json::to_vec(&wrapped).expect("strings and numbers always have a JSON form");
    text.push(b'\n');
    let path = dir.join(NAME);
    files::write(&path, &text).map_err(|cause| StoreError::at(&path, cause))?;
    Ok(key)
}

/// The key, if this is its passphrase.
pub(super) fn unwrap(dir: &Path, passphrase: &SecretString) -> Result<SealingKey, BadPassphrase> {
    let unusable = |why: &dyn std::fmt::Display| BadPassphrase::Unusable(why.to_string());
    let content = files::read(&dir.join(NAME)).map_err(|error| unusable(&error))?;
    let content = content.ok_or(BadPassphrase::NotSet)?;
    let damaged = || unusable(&"it was damaged, or written by a newer version");
    let wrapped: Wrapped = serde_json::from_slice(&content).map_err(|_| damaged())?;
    let cost = [wrapped.memory_kib, wrapped.passes, wrapped.lanes];
    if wrapped.sso_agent_wrapped_key != FORMAT || cost.iter().zip(MOST).any(|(cost, most)| *cost > most) {
        return Err(damaged());
    }
    let (salt, nonce) = (unhex::<32>(&wrapped.salt), unhex::<24>(&wrapped.nonce));
    let (Some(salt), Some(nonce), Some(sealed)) = (salt, nonce, unhex::<48>(&wrapped.key)) else {
        return Err(damaged());
    };
    let made = derive(passphrase, &*salt, cost).map_err(|why| unusable(&why))?;
    let mut key = Zeroizing::new(sealed.to_vec());
    XChaCha20Poly1305::new((&*made).into())
        .decrypt_in_place(&XNonce::from(*nonce), ASSOCIATED, &mut *key)
        .map_err(|_| BadPassphrase::Wrong)?;
    let mut bytes: KeyBytes = Zeroizing::new([0; 32]);
    bytes.copy_from_slice(key.get(..32).ok_or_else(damaged)?);
    Ok(SealingKey::new(Source::Passphrase, bytes))
}

fn derive(passphrase: &SecretString, salt: &[u8], cost: [u32; 3]) -> Result<KeyBytes, String> {
    let [memory, passes, lanes] = cost;
    let params = Params::new(memory, passes, lanes, Some(32)).map_err(|error| error.to_string())?;
    let mut made = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose_secret().as_bytes(), salt, &mut *made)
        .map_err(|error| error.to_string())?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    #[test]
    fn only_the_passphrase_opens_the_key_and_it_can_be_changed() {
        let dir = tempdir().unwrap();
        assert_eq!(unwrap(dir.path(), &"a".into()).err(), Some(BadPassphrase::NotSet));
        let key = wrap(dir.path(), None, &"a".into()).unwrap();
        assert_eq!(unwrap(dir.path(), &"a".into()).unwrap().id(), key.id());
        assert_eq!(unwrap(dir.path(), &"b".into()).err(), Some(BadPassphrase::Wrong));
        wrap(dir.path(), Some(key.clone()), &"b".into()).unwrap();
        assert_eq!(unwrap(dir.path(), &"a".into()).err(), Some(BadPassphrase::Wrong));
        assert_eq!(unwrap(dir.path(), &"b".into()).unwrap().id(), key.id());
    }

    #[test]
    fn f31_a_damaged_wrapped_key_is_told_of_and_takes_no_memory() {
        let dir = tempdir().unwrap();
        let path = dir.path().join(NAME);
        wrap(dir.path(), None, &"a".into()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut greedy: Wrapped = serde_json::from_slice(&whole).unwrap();
        greedy.memory_kib = u32::MAX;
        let greedy = serde_json::to_vec(&greedy).unwrap();
        for length in 0..whole.len() - 1 {
            files::write(&path, &whole[..length]).unwrap();
            assert!(matches!(unwrap(dir.path(), &"a".into()), Err(BadPassphrase::Unusable(_))), "{length}");
        }
        files::write(&path, &greedy).unwrap();
        assert!(matches!(unwrap(dir.path(), &"a".into()), Err(BadPassphrase::Unusable(_))));
    }
}

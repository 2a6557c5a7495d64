//! A note: something small, sealed with the key of the sessions, that is kept elsewhere, such as by the web
//! app whose user is about to sign in.
//!
//! To whoever has no key it is noise: a version, which key, then a nonce and a ciphertext. What it is for is
//! part of the seal, so that one kind of note is never taken for another.

use chacha20poly1305::{AeadInOut as _, XNonce};
use zeroize::Zeroizing;

use super::seal::{SealingKey, Source, hex, unhex};

const VERSION: u8 = 1;

/// Version, place of the key, id of the key, nonce.
const HEAD: usize = 2 + 8 + 24;

/// Seals a note that only this key opens, and only as `what`.
pub(super) fn seal(
    key: &SealingKey,
    what: &str,
    mut content: Zeroizing<Vec<u8>>,
) -> Result<Vec<u8>, getrandom::Error> {
    let mut note = vec![VERSION, key.source().number()];
    note.extend(unhex::<8>(key.id()).map(|id| *id).unwrap_or_default());
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce)?;
    note.extend(nonce);
    key.cipher()
        .encrypt_in_place(&XNonce::from(nonce), &associated(&note, what), &mut *content)
        .expect("a note is far below the 256 GiB that the cipher takes");
    note.extend_from_slice(&content);
    Ok(note)
}

/// Which key a note was sealed with; `None` for what is no note.
pub(super) fn key_of(note: &[u8]) -> Option<(Source, String)> {
    let head = note.get(..HEAD).filter(|head| head[0] == VERSION)?;
    Some((Source::numbered(head[1])?, hex(&head[2..10])))
}

/// Opens a note; `None` if it was changed, or sealed by another key, or as something else.
pub(super) fn open(key: &SealingKey, what: &str, note: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (head, content) = note.split_at_checked(HEAD)?;
    let nonce: [u8; 24] = head[10..].try_into().ok()?;
    let mut content = Zeroizing::new(content.to_vec());
    let opened = key.cipher().decrypt_in_place(&XNonce::from(nonce), &associated(head, what), &mut *content);
    opened.is_ok().then_some(content)
}

fn associated(head: &[u8], what: &str) -> Vec<u8> {
    [b"sso-agent note\0", head, what.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(Source::Keyring, Zeroizing::new([byte; 32]))
    }

    #[test]
    fn a_note_opens_with_its_key_and_as_what_it_is_only() {
        let note = seal(&key(1), "consent", Zeroizing::new(b"content".to_vec())).unwrap();
        assert_eq!(key_of(&note), Some((Source::Keyring, key(1).id().to_owned())));
        assert_eq!(**open(&key(1), "consent", &note).unwrap(), *b"content");
        assert!(open(&key(2), "consent", &note).is_none());
        assert!(open(&key(1), "app", &note).is_none());
    }

    #[test]
    fn no_byte_of_a_note_can_be_changed_or_left_out() {
        let note = seal(&key(1), "consent", Zeroizing::new(b"content".to_vec())).unwrap();
        for at in 0..note.len() {
            let mut changed = note.clone();
            changed[at] ^= 1;
            assert!(open(&key(1), "consent", &changed).is_none(), "byte {at}");
            assert!(open(&key(1), "consent", &note[..at]).is_none(), "first {at}");
        }
        assert!(key_of(b"").is_none() && key_of(&[7; 80]).is_none());
    }
}

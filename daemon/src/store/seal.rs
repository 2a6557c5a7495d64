//! One sealed file: a line that anybody may read, then a ciphertext.
//!
//! The line says what is needed to open the rest, and is its associated data: no byte of it can be
//! changed, so a record cannot be passed off as that of another session.

use chacha20poly1305::{AeadInOut as _, KeyInit as _, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sso_agent_proto::agent;
use zeroize::Zeroizing;

/// The version of the file format.
const FORMAT: u32 = 1;

/// No header is longer: an id has some hundred bytes.
const LONGEST_HEADER: usize = 16 * 1024;

/// The bytes of a key.
pub(crate) type KeyBytes = Zeroizing<[u8; 32]>;

/// Where a key is kept, as the header says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    File,
    Keyring,
    Credential,
    Passphrase,
}

impl Source {
    const ALL: [Self; 4] = [Self::File, Self::Keyring, Self::Credential, Self::Passphrase];

    /// In one word, as people write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Keyring => "keyring",
            Self::Credential => "credential",
            Self::Passphrase => "passphrase",
        }
    }

    /// The source with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }

    /// The source that a client means.
    pub(crate) fn of(key: agent::Key) -> Option<Self> {
        Self::ALL.into_iter().find(|source| agent::Key::from(*source) == key)
    }

    /// As one byte.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::File => 1,
            Self::Keyring => 2,
            Self::Credential => 3,
            Self::Passphrase => 4,
        }
    }

    /// The source with this number.
    pub(crate) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.number() == number)
    }
}

impl From<Source> for agent::Key {
    fn from(source: Source) -> Self {
        match source {
            Source::File => Self::File,
            Source::Keyring => Self::Keyring,
            Source::Credential => Self::Credential,
            Source::Passphrase => Self::Passphrase,
        }
    }
}

/// A key that opens and seals.
#[derive(Clone)]
pub(super) struct SealingKey {
    source: Source,
    id: String,
    bytes: KeyBytes,
}

impl SealingKey {
    pub(super) fn new(source: Source, bytes: KeyBytes) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"sso-agent store key id\0");
        hash.update(*bytes);
        Self { source, id: hex(&hash.finalize()[..8]), bytes }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn source(&self) -> Source {
        self.source
    }

    pub(super) fn bytes(&self) -> &KeyBytes {
        &self.bytes
    }

    pub(super) fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }

    /// The content of a file that only this key opens.
    pub(super) fn seal(
        &self,
        session: &str,
        mut content: Zeroizing<Vec<u8>>,
    ) -> Result<Vec<u8>, getrandom::Error> {
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce)?;
        let header = Header {
            sso_agent_session: FORMAT,
            session: session.to_owned(),
            key: self.source,
            key_id: self.id.clone(),
            nonce: hex(&nonce),
        };
        let mut file = serde_json::to_vec(&header).expect("strings and numbers always have a JSON form");
        file.push(b'\n');
        self.cipher()
            .encrypt_in_place(&XNonce::from(nonce), &file, &mut *content)
            .expect("a record is far below the 256 GiB that the cipher takes");
        file.extend_from_slice(&content);
        Ok(file)
    }
}

/// A file whose header was read; nothing in it is to be believed before it is open.
pub(super) struct Sealed<'a> {
    header: Header,
    nonce: XNonce,
    associated: &'a [u8],
    content: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct Header {
    sso_agent_session: u32,
    session: String,
    key: Source,
    key_id: String,
    nonce: String,
}

#[derive(Deserialize)]
struct Probe {
    sso_agent_session: u32,
}

/// Why a file does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadSeal {
    #[error("it was written by a newer version of this program (files of version {0})")]
    Newer(u32),
    #[error("its first line is damaged")]
    Header,
    #[error("its content was damaged or changed")]
    Content,
}

impl<'a> Sealed<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, BadSeal> {
        let within = &file[..file.len().min(LONGEST_HEADER)];
        let end = within.iter().position(|&byte| byte == b'\n').ok_or(BadSeal::Header)?;
        let (associated, content) = file.split_at(end + 1);
        let header: Header = serde_json::from_slice(associated).map_err(|_| newer_or_bad(associated))?;
        if header.sso_agent_session != FORMAT {
            return Err(newer_or_bad(associated));
        }
        let nonce = unhex::<24>(&header.nonce).ok_or(BadSeal::Header)?;
        Ok(Self { header, nonce: XNonce::from(*nonce), associated, content })
    }

    /// Whose it claims to be.
    pub(super) fn session(&self) -> &str {
        &self.header.session
    }

    /// Where its key is kept, and which it is.
    pub(super) fn key(&self) -> (Source, &str) {
        (self.header.key, &self.header.key_id)
    }

    /// What was sealed.
    pub(super) fn open(&self, key: &SealingKey) -> Result<Zeroizing<Vec<u8>>, BadSeal> {
        let mut content = Zeroizing::new(self.content.to_vec());
        key.cipher()
            .decrypt_in_place(&self.nonce, self.associated, &mut *content)
            .map_err(|_| BadSeal::Content)?;
        Ok(content)
    }
}

fn newer_or_bad(header: &[u8]) -> BadSeal {
    match serde_json::from_slice(header) {
        Ok(Probe { sso_agent_session }) if sso_agent_session > FORMAT => BadSeal::Newer(sso_agent_session),
        Ok(_) | Err(_) => BadSeal::Header,
    }
}

/// Fresh bytes for a key.
pub(super) fn random_key() -> Result<KeyBytes, getrandom::Error> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key)?;
    Ok(key)
}

/// Lower-case hexadecimal digits, allocated once, since a copy would not be wiped.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(half.into(), 16).unwrap_or('0'));
        }
    }
    text
}

/// Exactly `N` bytes of them.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    let digits = text.as_bytes();
    let digit = |at: usize| char::from(digits[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = Zeroizing::new([0; N]);
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = digit(2 * at)? << 4 | digit(2 * at + 1)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(Source::File, Zeroizing::new([byte; 32]))
    }

    fn sealed() -> Vec<u8> {
        key(1).seal("a#b", Zeroizing::new(b"content".to_vec())).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_key_only() {
        let file = sealed();
        let sealed = Sealed::parse(&file).unwrap();
        assert_eq!(sealed.session(), "a#b");
        assert_eq!(sealed.key(), (Source::File, key(1).id()));
        assert_eq!(**sealed.open(&key(1)).unwrap(), *b"content");
        assert_eq!(sealed.open(&key(2)).unwrap_err(), BadSeal::Content);
    }

    #[test]
    fn the_first_line_can_be_read_by_people_and_does_not_hold_the_content() {
        let file = sealed();
        let line = file.split(|&byte| byte == b'\n').next().unwrap();
        let json: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert_eq!(json["sso_agent_session"], 1);
        assert_eq!(json["key"], "file");
        assert!(!file.windows(7).any(|seven| seven == b"content"));
    }

    #[test]
    fn no_two_files_are_sealed_alike() {
        assert_ne!(sealed(), sealed());
    }

    #[test]
    fn a_file_in_a_format_to_come_is_told_from_a_damaged_one() {
        let why = |file: &[u8]| Sealed::parse(file).err().unwrap();
        assert_eq!(why(b"{\"sso_agent_session\":7,\"new\":[]}\nrest"), BadSeal::Newer(7));
        for damaged in [&b""[..], b"\n", b"{}\n", b"no line", b"{\"sso_agent_session\":1}\n", &[0; 70_000]] {
            assert_eq!(why(damaged), BadSeal::Header);
        }
    }

    #[test]
    fn hexadecimal_digits_come_back_as_bytes() {
        assert_eq!(hex(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(unhex::<3>("001fff").map(|bytes| *bytes), Some([0, 0x1f, 0xff]));
        for bad in ["001ff", "001ffg", "001fff0", "00é1ff"] {
            assert!(unhex::<3>(bad).is_none());
        }
    }
}

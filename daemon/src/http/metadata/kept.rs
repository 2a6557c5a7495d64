//! What the metadata service keeps over a restart: its port, a key, and which addresses it gave out.
//!
//! An address is its session and scopes under the key (HMAC-SHA256), so that the same question has the
//! same answer, and nobody who lacks the key can guess one.

use std::{io, path::Path};

use aws_lc_rs::{digest, hmac};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sso_agent_proto::secret;
use zeroize::Zeroizing;

use crate::store;

/// A file of another version is left alone.
const VERSION: u32 = 1;

/// Nobody has so many sessions and wishes.
const MOST_GRANTS: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) port: Option<u16>,
    key: Key,
    grants: Vec<Grant>,
}

/// For which session an address is good, and for which scopes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) session: String,
    /// The session's, as a URL: what a client has to name.
    pub(crate) host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account_id: Option<String>,
    /// In order, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) scopes: Vec<String>,
}

/// Turns grants into paths.
struct Key(Zeroizing<[u8; 32]>);

/// What a path is looked up by, so that how long it takes tells nothing of it.
pub(super) type PathDigest = [u8; 32];

#[derive(Serialize, Deserialize)]
struct OnDisk {
    version: u32,
    port: u16,
    #[serde(with = "secret::on_wire")]
    key: SecretString,
    grants: Vec<Grant>,
}

impl Kept {
    /// Nothing given out yet.
    pub(super) fn new() -> Self {
        Self { port: None, key: Key::new(), grants: Vec::new() }
    }

    /// What was written last; `None` if nothing was.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let Some(content) = store::read_private(path)? else { return Ok(None) };
        let content = Zeroizing::new(content);
        // An error of serde_json may quote what it read.
        let read: OnDisk = serde_json::from_slice(&content)
            .map_err(|error| io::Error::other(format!("line {}, column {}", error.line(), error.column())))?;
        let key = Key::read(read.key.expose_secret()).filter(|_| read.version == VERSION && read.port != 0);
        let key = key.ok_or_else(|| io::Error::other("it is of another version"))?;
        Ok(Some(Self { port: Some(read.port), key, grants: read.grants }))
    }

    /// As it is written down.
    pub(super) fn content(&self) -> Zeroizing<Vec<u8>> {
        let on_disk = OnDisk {
            version: VERSION,
            port: self.port.unwrap_or_default(),
            key: self.key.text(),
            grants: self.grants.clone(),
        };
        // Room enough, so that the key is not left behind while it grows.
        let room = 4096 + self.grants.iter().map(|grant| 512 + grant.scopes.len() * 256).sum::<usize>();
        let mut content = Zeroizing::new(Vec::with_capacity(room));
        // Writing into a buffer does not fail.
        let _ = serde_json::to_writer(&mut *content, &on_disk);
        content
    }

    pub(super) fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Takes a grant in, if it is new: whether it was. `None` if there are too many.
    pub(super) fn admit(&mut self, grant: &Grant) -> Option<bool> {
        if self.grants.contains(grant) {
            return Some(false);
        }
        if self.grants.len() >= MOST_GRANTS {
            return None;
        }
        self.grants.push(grant.clone());
        Some(true)
    }

    /// Where a grant is served: 256 bits that only the key and the grant give.
    pub(super) fn path(&self, grant: &Grant) -> Zeroizing<String> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.key.0);
        let said = serde_json::to_vec(&(&grant.session, &grant.scopes)).unwrap_or_default();
        let tag = hmac::sign(&key, &said);
        let mut path = Zeroizing::new(String::with_capacity(65));
        path.push('/');
        path.push_str(&Zeroizing::new(hex(tag.as_ref())));
        path
    }
}

impl Grant {
    /// For a session, with scopes in any order.
    pub(super) fn new(session: &sso_agent_proto::session::Session, mut scopes: Vec<String>) -> Self {
        scopes.sort_unstable();
        scopes.dedup();
        Self {
            session: session.id.clone(),
            host: session.host.clone(),
            account_id: session.account_id.clone(),
            scopes,
        }
    }
}

impl Key {
    fn new() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        crate::random::fill(&mut *bytes);
        Self(bytes)
    }

    fn read(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }

    fn text(&self) -> SecretString {
        hex(&*self.0).into()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// What a path is looked up by.
pub(super) fn digest(path: &str) -> PathDigest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, path.as_bytes()).as_ref());
    bytes
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(session: &str, scopes: &[&str]) -> Grant {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Grant { session: session.into(), host: "https://a.example".into(), account_id: None, scopes }
    }

    #[test]
    fn the_same_grant_has_the_same_path_and_another_has_another() {
        let kept = Kept::new();
        let path = |grant: &Grant| kept.path(grant).to_string();
        let first = path(&grant("a.example", &["x"]));
        assert_eq!(first.len(), 65);
        assert_eq!(first, path(&grant("a.example", &["x"])));
        for other in [grant("a.example", &[]), grant("a.example#x", &[]), grant("a.example", &["x", "y"])] {
            assert_ne!(first, path(&other));
        }
        assert_ne!(first, *Kept::new().path(&grant("a.example", &["x"])), "another key, other paths");
    }

    #[test]
    fn what_is_written_down_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metadata.json");
        assert!(Kept::read(&file).unwrap().is_none());
        let mut kept = Kept { port: Some(4711), ..Kept::new() };
        assert_eq!(kept.admit(&grant("a.example", &["x"])), Some(true));
        assert_eq!(kept.admit(&grant("a.example", &["x"])), Some(false));
        store::write_private(&file, &kept.content()).unwrap();
        let read = Kept::read(&file).unwrap().unwrap();
        assert_eq!((read.port, read.grants()), (Some(4711), kept.grants()));
        assert_eq!(read.path(&read.grants()[0]), kept.path(&kept.grants()[0]));
        let on_disk = std::fs::read_to_string(&file).unwrap();
        assert!(!on_disk.contains(&kept.path(&kept.grants()[0])[1..]), "the path itself is not there");
    }

    #[test]
    #[cfg(unix)]
    fn what_is_written_down_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metadata.json");
        store::write_private(&file, &Kept { port: Some(1), ..Kept::new() }.content()).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_no_such_file_is_an_error_that_does_not_quote_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metadata.json");
        for content in
            ["CANARY", "{\"version\":2,\"port\":1,\"key\":\"CANARY\",\"grants\":[]}", "{\"port\":\"CANARY\"}"]
        {
            store::write_private(&file, content.as_bytes()).unwrap();
            let error = Kept::read(&file).unwrap_err().to_string();
            assert!(!error.contains("CANARY"), "{error}");
        }
    }
}

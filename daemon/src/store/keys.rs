//! The keys that open what is stored, and the one that seals what will be.
//!
//! A key file, once there, is the current key, so that a keyring that comes and goes does not scatter
//! the sessions over two keys. Without one the keyring is asked; where it does not answer, a key file
//! is made as soon as there is something to seal, and not before: a keyring that was merely locked
//! once is asked again at the next start.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use zeroize::Zeroizing;

use super::{
    Keyring, KeyringError, StoreError, files,
    seal::{self, SealingKey, Source},
};

/// Beside the folder of sessions.
const KEY_FILE: &str = "key";

const FIRST_LINE: &str = "# Opens the sessions beside it. Keep it private; without it they are lost.";

/// All keys there are.
#[derive(Debug)]
#[allow(dead_code, reason = "for the process that spends")]
pub(super) enum Keys {
    /// Found by this process.
    Found(Found),
    /// Handed to it.
    Given(GivenKeys),
}

/// Keys from where they are kept.
pub(super) struct Found {
    dir: PathBuf,
    file: Mutex<Option<Arc<SealingKey>>>,
    keyring: Box<dyn Keyring>,
    /// Asked once, and only if it matters.
    asked: OnceLock<Result<Arc<SealingKey>, KeyringError>>,
}

/// Why there is no key for a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyMissing {
    #[error("sealed with the keyring, which does not answer ({0}); unlock it and restart the agent")]
    Keyring(KeyringError),
    #[error("sealed with a key that the keyring no longer has")]
    NotInKeyring,
    #[error("sealed with another key file than the one that is here now")]
    NotInFile,
    #[error("sealed with a key that was not handed on")]
    NotGiven,
}

impl Keys {
    /// Finds the keys of the store in `dir`.
    pub(super) fn open(dir: &Path, keyring: impl Keyring) -> Result<Self, StoreError> {
        let file = read_key_file(&dir.join(KEY_FILE))?;
        let found = Found {
            dir: dir.to_owned(),
            file: Mutex::new(file.map(Arc::new)),
            keyring: Box::new(keyring),
            asked: OnceLock::new(),
        };
        found.source();
        Ok(Self::Found(found))
    }

    /// Where the current key is, or will be.
    pub(super) fn source(&self) -> Source {
        match self {
            Self::Found(found) => found.source(),
            Self::Given(given) => given.current.as_ref().map_or(Source::File, |key| key.source()),
        }
    }

    /// The key that new records are sealed with.
    pub(super) fn current(&self) -> Result<Arc<SealingKey>, StoreError> {
        match self {
            Self::Found(found) => found.current(),
            Self::Given(given) => given
                .current
                .clone()
                .ok_or_else(|| StoreError::NoKey { why: "none was handed on".to_owned() }),
        }
    }

    /// The key with this id.
    pub(super) fn find(&self, source: Source, id: &str) -> Result<Arc<SealingKey>, KeyMissing> {
        match self {
            Self::Found(found) => found.find(source, id),
            Self::Given(given) => {
                let is_it = |key: &&Arc<SealingKey>| key.source() == source && key.id() == id;
                given.all().find(is_it).cloned().ok_or(KeyMissing::NotGiven)
            }
        }
    }

    #[allow(dead_code, reason = "for the process that spends")]
    /// All that are known; the current one is made now if there is none.
    pub(super) fn export(&self) -> Result<GivenKeys, StoreError> {
        match self {
            Self::Found(found) => {
                let current = found.current()?;
                let known = [found.in_file(), found.asked.get().and_then(|asked| asked.clone().ok())];
                let others = known.into_iter().flatten().filter(|key| key.id() != current.id()).collect();
                Ok(GivenKeys { current: Some(current), others })
            }
            Self::Given(given) => Ok(given.clone()),
        }
    }
}

impl Found {
    /// Where the current key is, or will be.
    fn source(&self) -> Source {
        let in_file = self.in_file().is_some();
        if in_file || self.in_keyring().is_err() { Source::File } else { Source::Keyring }
    }

    /// The key that new records are sealed with.
    fn current(&self) -> Result<Arc<SealingKey>, StoreError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*file {
            return Ok(key.clone());
        }
        match self.in_keyring() {
            Ok(key) => Ok(key.clone()),
            Err(error) => {
                tracing::warn!(%error, "the keyring cannot be used: the key is in a file beside the sessions");
                Ok(file.insert(Arc::new(create_key_file(&self.dir)?)).clone())
            }
        }
    }

    /// The key with this id.
    fn find(&self, source: Source, id: &str) -> Result<Arc<SealingKey>, KeyMissing> {
        match source {
            Source::File => self.in_file().filter(|key| key.id() == id).ok_or(KeyMissing::NotInFile),
            Source::Keyring => match self.in_keyring() {
                Ok(key) if key.id() == id => Ok(key.clone()),
                Ok(_) => Err(KeyMissing::NotInKeyring),
                Err(error) => Err(KeyMissing::Keyring(error.clone())),
            },
        }
    }

    fn in_file(&self) -> Option<Arc<SealingKey>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn in_keyring(&self) -> Result<&Arc<SealingKey>, &KeyringError> {
        let ask = || {
            let key = self.keyring.read_or_create()?;
            Ok(Arc::new(SealingKey::new(Source::Keyring, key)))
        };
        self.asked.get_or_init(ask).as_ref()
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Keys on their way from the agent to a process of its own.
#[derive(Clone, Default)]
pub(crate) struct GivenKeys {
    /// What new records are sealed with.
    current: Option<Arc<SealingKey>>,
    /// What may have sealed older ones.
    others: Vec<Arc<SealingKey>>,
}

#[allow(dead_code, reason = "for the process that spends")]
impl GivenKeys {
    /// The current key first, or a zero byte where there is none; then the others. For a pipe between two
    /// processes of ours, and for nothing else.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + (1 + self.others.len()) * PACKED));
        if self.current.is_none() {
            bytes.push(0);
        }
        for key in self.all() {
            bytes.push(key.source().number());
            bytes.extend_from_slice(&**key.bytes());
        }
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) made; `None` for anything else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (none, keys) = match bytes.split_first()? {
            (0, keys) => (true, keys),
            _ => (false, bytes),
        };
        let mut others = keys.chunks(PACKED).map(unpack).collect::<Option<Vec<_>>>()?;
        let current = (!none).then(|| others.remove(0));
        Some(Self { current, others })
    }

    fn all(&self) -> impl Iterator<Item = &Arc<SealingKey>> {
        self.current.iter().chain(&self.others)
    }
}

impl fmt::Debug for GivenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenKeys").field("keys", &self.all().count()).finish()
    }
}

/// The number of the source, then the key.
const PACKED: usize = 1 + 32;

fn unpack(packed: &[u8]) -> Option<Arc<SealingKey>> {
    let (&number, key) = packed.split_first()?;
    let mut bytes = Zeroizing::new([0; 32]);
    if key.len() != bytes.len() {
        return None;
    }
    bytes.copy_from_slice(key);
    Some(Arc::new(SealingKey::new(Source::numbered(number)?, bytes)))
}

/// A key file that cannot be read stops everything: to go on with another key would leave the
/// sessions of this one behind.
fn read_key_file(path: &Path) -> Result<Option<SealingKey>, StoreError> {
    let no_key = |why: &dyn fmt::Display| StoreError::NoKey { why: format!("{}: {why}", path.display()) };
    let Some(content) = files::read(path).map_err(|error| no_key(&error))? else { return Ok(None) };
    let content = Zeroizing::new(content);
    let key = std::str::from_utf8(&content)
        .ok()
        .and_then(|text| text.lines().find(|line| !line.starts_with('#')))
        .and_then(|line| seal::unhex(line.trim()))
        .ok_or_else(|| no_key(&"it holds no key; restore it, or move it away to begin anew"))?;
    Ok(Some(SealingKey::new(Source::File, key)))
}

fn create_key_file(dir: &Path) -> Result<SealingKey, StoreError> {
    let path = dir.join(KEY_FILE);
    let bytes = seal::random_key().map_err(|error| StoreError::at(&path, io::Error::other(error)))?;
    let digits = Zeroizing::new(seal::hex(&*bytes));
    let text = Zeroizing::new([FIRST_LINE, "\n", &digits, "\n"].concat());
    files::Draft::begin(dir)
        .and_then(|draft| draft.finish(&path, text.as_bytes()))
        .map_err(|cause| StoreError::at(&path, cause))?;
    Ok(SealingKey::new(Source::File, bytes))
}

/// Keyrings for tests: real ones, only simple.
#[cfg(test)]
pub(super) mod testing {
    use super::{Keyring, KeyringError, Zeroizing};
    use crate::store::seal::KeyBytes;

    /// Always has this key.
    pub(in crate::store) struct Unlocked(pub(in crate::store) u8);

    impl Keyring for Unlocked {
        fn read_or_create(&self) -> Result<KeyBytes, KeyringError> {
            Ok(Zeroizing::new([self.0; 32]))
        }
    }

    /// Never answers.
    pub(in crate::store) struct Silent;

    impl Keyring for Silent {
        fn read_or_create(&self) -> Result<KeyBytes, KeyringError> {
            Err(KeyringError("it is locked".to_owned()))
        }
    }

    /// Must not be asked.
    pub(in crate::store) struct Unasked;

    impl Keyring for Unasked {
        fn read_or_create(&self) -> Result<KeyBytes, KeyringError> {
            panic!("the keyring was asked")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        testing::{Silent, Unasked, Unlocked},
        *,
    };
    use std::fs;
    use tempfile::{TempDir, tempdir};

    fn with_key_file() -> TempDir {
        let dir = tempdir().unwrap();
        create_key_file(dir.path()).unwrap();
        dir
    }

    #[test]
    fn a_keyring_that_answers_keeps_the_key_and_no_file_does() {
        let dir = tempdir().unwrap();
        let keys = Keys::open(dir.path(), Unlocked(1)).unwrap();
        let key = keys.current().unwrap();
        assert_eq!(keys.source(), Source::Keyring);
        assert!(keys.find(Source::Keyring, key.id()).is_ok());
        assert!(!dir.path().join(KEY_FILE).exists());
    }

    #[test]
    fn without_a_keyring_the_key_file_is_made_when_it_is_needed() {
        let dir = tempdir().unwrap();
        let keys = Keys::open(dir.path(), Silent).unwrap();
        assert_eq!(keys.source(), Source::File);
        assert!(!dir.path().join(KEY_FILE).exists());
        let made = keys.current().unwrap().id().to_owned();
        assert_eq!(keys.current().unwrap().id(), made);
        assert_eq!(Keys::open(dir.path(), Silent).unwrap().current().unwrap().id(), made);
    }

    #[test]
    fn a_key_file_stays_the_current_key_and_the_keyring_is_not_even_asked() {
        let dir = with_key_file();
        let keys = Keys::open(dir.path(), Unasked).unwrap();
        let key = keys.current().unwrap();
        assert_eq!(keys.source(), Source::File);
        assert!(keys.find(Source::File, key.id()).is_ok());
    }

    #[test]
    fn beside_a_key_file_the_keyring_still_opens_what_it_sealed() {
        let dir = with_key_file();
        let keys = Keys::open(dir.path(), Unlocked(1)).unwrap();
        let sealed_with = SealingKey::new(Source::Keyring, Zeroizing::new([1; 32]));
        assert_eq!(keys.find(Source::Keyring, sealed_with.id()).unwrap().id(), sealed_with.id());
        assert_eq!(keys.find(Source::Keyring, "other").err(), Some(KeyMissing::NotInKeyring));
        assert_eq!(keys.find(Source::File, "other").err(), Some(KeyMissing::NotInFile));
    }

    #[test]
    fn a_keyring_that_was_locked_once_is_used_again_if_nothing_was_sealed_meanwhile() {
        let dir = tempdir().unwrap();
        assert_eq!(Keys::open(dir.path(), Silent).unwrap().source(), Source::File);
        assert_eq!(Keys::open(dir.path(), Unlocked(1)).unwrap().source(), Source::Keyring);
    }

    #[test]
    fn a_damaged_key_file_is_not_replaced() {
        let dir = tempdir().unwrap();
        let path = dir.path().join(KEY_FILE);
        for damaged in ["", "# only a comment\n", "0123\n", "no digits"] {
            fs::File::create(&path)
                .and_then(|mut file| io::Write::write_all(&mut file, damaged.as_bytes()))
                .unwrap();
            let refused = Keys::open(dir.path(), Unlocked(1));
            assert!(matches!(refused, Err(StoreError::NoKey { .. })));
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn keys_that_are_handed_on_open_and_seal_as_before() {
        let dir = with_key_file();
        let keys = Keys::open(dir.path(), Unlocked(1)).unwrap();
        let keyring = SealingKey::new(Source::Keyring, Zeroizing::new([1; 32]));
        keys.find(Source::Keyring, keyring.id()).unwrap();
        let bytes = keys.export().unwrap().to_bytes();
        let given = Keys::Given(GivenKeys::from_bytes(&bytes).unwrap());
        assert_eq!(given.current().unwrap().id(), keys.current().unwrap().id());
        assert_eq!(given.source(), Source::File);
        assert!(given.find(Source::Keyring, keyring.id()).is_ok());
        assert_eq!(given.find(Source::File, keyring.id()).err(), Some(KeyMissing::NotGiven));
        assert_eq!(given.export().unwrap().to_bytes(), bytes);

        let none = GivenKeys::from_bytes(&GivenKeys::default().to_bytes()).unwrap();
        assert!(Keys::Given(none).current().is_err());
        for bad in [&bytes[1..], &bytes[..bytes.len() - 1], b"", &[9; 33]] {
            assert!(GivenKeys::from_bytes(bad).is_none());
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_key_file_is_private_and_made_so_if_it_is_not() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = with_key_file();
        let path = dir.path().join(KEY_FILE);
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        Keys::open(dir.path(), Unasked).unwrap();
        assert_eq!(mode(), 0o600);
    }
}

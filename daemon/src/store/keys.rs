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
pub(super) struct Keys {
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
}

impl Keys {
    /// Finds the keys of the store in `dir`.
    pub(super) fn open(dir: &Path, keyring: impl Keyring) -> Result<Self, StoreError> {
        let file = read_key_file(&dir.join(KEY_FILE))?;
        let keys = Self {
            dir: dir.to_owned(),
            file: Mutex::new(file.map(Arc::new)),
            keyring: Box::new(keyring),
            asked: OnceLock::new(),
        };
        keys.source();
        Ok(keys)
    }

    /// Where the current key is, or will be.
    pub(super) fn source(&self) -> Source {
        let in_file = self.in_file().is_some();
        if in_file || self.in_keyring().is_err() { Source::File } else { Source::Keyring }
    }

    /// The key that new records are sealed with.
    pub(super) fn current(&self) -> Result<Arc<SealingKey>, StoreError> {
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
    pub(super) fn find(&self, source: Source, id: &str) -> Result<Arc<SealingKey>, KeyMissing> {
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

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("dir", &self.dir).finish_non_exhaustive()
    }
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

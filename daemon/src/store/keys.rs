//! The keys that open what is stored, and the one that seals what will be.
//!
//! Where the current key is, a person may say (`key` in config.toml, or the last rekey): then it is there
//! or nowhere. Where nobody says, a key file, once there, is the current key, so that a keyring that comes
//! and goes does not scatter the sessions over two keys. Without one the keyring is asked; where it does
//! not answer, a key file is made as soon as there is something to seal, and not before. What was sealed
//! with another key stays readable for as long as that one can be had: a keyring that does not answer is
//! asked again, a passphrase may come at any time.

mod chosen;
mod credential;
mod file;
mod given;
mod moving;
mod passphrase;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::SecretString;
use sso_agent_core::time::Deadline;

pub(crate) use self::{given::GivenKeys, passphrase::BadPassphrase};
use super::{
    Keyring, KeyringError, StoreError, files,
    seal::{SealingKey, Source},
};
use crate::clock;

/// How long a keyring that did not answer is left alone: first, and at most.
const ASK_AGAIN: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(300)];

/// Where keys may be found, as the person and the service manager say.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySetup {
    /// Where the current key has to be.
    pub(crate) choice: Option<Source>,
    /// The folder of credentials that systemd made for this process.
    pub(crate) credentials: Option<PathBuf>,
}

/// All keys there are.
#[derive(Debug)]
pub(super) enum Keys {
    /// Found by this process.
    Found(Found),
    /// Handed to it.
    Given(GivenKeys),
}

/// Keys from where they are kept.
pub(super) struct Found {
    dir: PathBuf,
    keyring: Box<dyn Keyring>,
    ring: Mutex<Ring>,
    /// Held by whoever asks the keyring, so that it is asked once and not by all who wait.
    asking: Mutex<()>,
}

/// What is at hand.
#[derive(Default)]
struct Ring {
    choice: Option<Source>,
    file: Option<Arc<SealingKey>>,
    keyring: Option<Arc<SealingKey>>,
    credential: Option<Arc<SealingKey>>,
    passphrase: Option<Arc<SealingKey>>,
    /// Of a key that waits for its passphrase.
    wrapped: bool,
    /// What cannot be read of where the key is: to go on with another one would leave the sessions of this one
    /// behind.
    damaged: Option<String>,
    /// No longer where they were, and still good for what they have sealed.
    retired: Vec<Arc<SealingKey>>,
    /// Why the keyring did not answer, and when it is asked again.
    failed: Option<(KeyringError, Deadline, Duration)>,
}

/// Why there is no key for a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyMissing {
    #[error("sealed with the keyring, which does not answer ({0}); unlock it")]
    Keyring(KeyringError),
    #[error("sealed with a passphrase; `sso unlock` asks for it")]
    Passphrase,
    #[error("sealed with the systemd credential {}, which this agent was not given", credential::NAME)]
    Credential,
    #[error("sealed with a key that the keyring no longer has")]
    NotInKeyring,
    #[error("sealed with another key file than the one that is here now")]
    NotInFile,
    #[error("sealed with another systemd credential than this agent was given")]
    OtherCredential,
    #[error("sealed with a key that no passphrase here opens")]
    OtherPassphrase,
    #[error("sealed with a key that was not handed on")]
    NotGiven,
    #[error("sealed with a key that cannot be read: {0}")]
    Damaged(String),
}

impl KeyMissing {
    /// Whether the key may still come.
    pub(super) fn may_come(&self) -> bool {
        match self {
            Self::Keyring(_) | Self::Passphrase | Self::Credential | Self::NotGiven | Self::Damaged(_) => {
                true
            }
            Self::NotInKeyring | Self::NotInFile | Self::OtherCredential | Self::OtherPassphrase => false,
        }
    }
}

impl Keys {
    /// Finds the keys of the store in `dir`.
    pub(super) fn open(dir: &Path, keyring: impl Keyring, setup: KeySetup) -> Result<Self, StoreError> {
        let mut damaged = None;
        let mut choice = setup.choice;
        if choice.is_none() {
            choice = chosen::read(dir).unwrap_or_else(|error| note(&mut damaged, &error));
        }
        let file = file::read(&dir.join(file::NAME)).unwrap_or_else(|error| note(&mut damaged, &error));
        let wrapped = passphrase::is_set(dir);
        if choice.is_none() && file.is_none() && wrapped && damaged.is_none() {
            // What was chosen is not noted any more, but this is what came of it.
            choice = Some(Source::Passphrase);
        }
        let credential = match credential::read(setup.credentials.as_deref()) {
            Ok(credential) => credential,
            Err(error) if choice == Some(Source::Credential) => note(&mut damaged, &error),
            Err(error) => {
                tracing::warn!(%error, "not used as a key");
                None
            }
        };
        let ring = Ring {
            choice,
            file: file.map(Arc::new),
            credential: credential.map(Arc::new),
            wrapped,
            damaged,
            ..Ring::default()
        };
        let found = Found {
            dir: dir.to_owned(),
            keyring: Box::new(keyring),
            ring: Mutex::new(ring),
            asking: Mutex::default(),
        };
        if found.ring().damaged.is_none() && found.source() == Source::Keyring {
            // What is the matter with it is to be known from the start.
            let _ = found.in_keyring();
        }
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

    /// All that are known; the current one is made now if there is none.
    pub(super) fn export(&self) -> Result<GivenKeys, StoreError> {
        match self {
            Self::Found(found) => {
                let current = found.current().ok();
                let ring = found.ring();
                let is_current =
                    |key: &SealingKey| current.as_ref().is_some_and(|current| current.id() == key.id());
                let others = ring.known().filter(|key| !is_current(key)).cloned().collect();
                Ok(GivenKeys { current, others })
            }
            Self::Given(given) => Ok(given.clone()),
        }
    }

    /// What a person has to know of where the key is; `None` if all is as it should be.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Found(found) => found.problem(),
            Self::Given(_) => None,
        }
    }

    /// Why nothing new can be kept; `None` if it can.
    pub(super) fn blocked(&self) -> Option<String> {
        match self {
            Self::Found(found) => {
                let by_choice = {
                    let ring = found.ring();
                    ring.choice.is_some() || ring.damaged.is_some()
                };
                found.problem().filter(|_| by_choice)
            }
            Self::Given(_) => None,
        }
    }

    /// Whether there is a key that waits for its passphrase.
    pub(super) fn needs_passphrase(&self) -> bool {
        match self {
            Self::Found(found) => found.ring().waits(),
            Self::Given(_) => false,
        }
    }

    /// The keyring is asked again at once.
    #[cfg(test)]
    pub(super) fn forget_pause(&self) {
        if let Self::Found(found) = self {
            found.ring().failed = None;
        }
    }

    /// Opens the key that waits for its passphrase. Takes some tenths of a second, on purpose.
    pub(super) fn unlock(&self, passphrase: &SecretString) -> Result<(), BadPassphrase> {
        match self {
            Self::Found(found) => {
                let key = passphrase::unwrap(&found.dir, passphrase)?;
                found.ring().passphrase = Some(Arc::new(key));
                Ok(())
            }
            Self::Given(_) => Err(BadPassphrase::NotSet),
        }
    }
}

impl Ring {
    fn known(&self) -> impl Iterator<Item = &Arc<SealingKey>> {
        let current = [&self.file, &self.keyring, &self.credential, &self.passphrase];
        current.into_iter().flatten().chain(&self.retired)
    }

    fn waits(&self) -> bool {
        self.wrapped && self.passphrase.is_none()
    }
}

impl Found {
    fn source(&self) -> Source {
        let (choice, in_file) = {
            let ring = self.ring();
            (ring.choice, ring.file.is_some() || ring.damaged.is_some())
        };
        match choice {
            Some(choice) => choice,
            None if in_file || self.in_keyring().is_err() => Source::File,
            None => Source::Keyring,
        }
    }

    fn current(&self) -> Result<Arc<SealingKey>, StoreError> {
        let (choice, damaged) = {
            let ring = self.ring();
            (ring.choice, ring.damaged.clone())
        };
        if let Some(why) = damaged {
            return Err(no_key(why));
        }
        match choice {
            Some(Source::File) => self.in_file_or_new(),
            Some(Source::Keyring) => self.in_keyring().map_err(|error| {
                no_key(format!(
                    "it has to be in the keyring, which cannot be used ({error}): unlock it, or `sso agent rekey`"
                ))
            }),
            Some(Source::Credential) => self.ring().credential.clone().ok_or_else(|| {
                no_key(format!(
                    "it has to be the systemd credential {}, which this agent was not given",
                    credential::NAME
                ))
            }),
            Some(Source::Passphrase) => {
                let ring = self.ring();
                ring.passphrase.clone().ok_or_else(|| {
                    no_key(if ring.wrapped {
                        "it waits for its passphrase: `sso unlock`".to_owned()
                    } else {
                        "no passphrase is set: `sso agent rekey --to passphrase`".to_owned()
                    })
                })
            }
            None => self.in_file_or_keyring(),
        }
    }

    fn in_file_or_keyring(&self) -> Result<Arc<SealingKey>, StoreError> {
        if let Some(key) = self.ring().file.clone() {
            return Ok(key);
        }
        match self.in_keyring() {
            Ok(key) => Ok(key),
            Err(error) => {
                tracing::warn!(%error, "the keyring cannot be used: the key is in a file beside the sessions");
                self.in_file_or_new()
            }
        }
    }

    fn in_file_or_new(&self) -> Result<Arc<SealingKey>, StoreError> {
        let mut ring = self.ring();
        match &ring.file {
            Some(key) => Ok(key.clone()),
            None => Ok(ring.file.insert(Arc::new(file::create(&self.dir)?)).clone()),
        }
    }

    fn find(&self, source: Source, id: &str) -> Result<Arc<SealingKey>, KeyMissing> {
        let ring = self.ring();
        let is_it = |key: &&Arc<SealingKey>| key.source() == source && key.id() == id;
        if let Some(key) = ring.known().find(is_it) {
            return Ok(key.clone());
        }
        match source {
            Source::File if ring.damaged.is_some() => {
                Err(KeyMissing::Damaged(ring.damaged.clone().unwrap_or_default()))
            }
            Source::File => Err(KeyMissing::NotInFile),
            Source::Credential if ring.credential.is_some() => Err(KeyMissing::OtherCredential),
            Source::Credential => Err(KeyMissing::Credential),
            Source::Passphrase if ring.waits() => Err(KeyMissing::Passphrase),
            Source::Passphrase => Err(KeyMissing::OtherPassphrase),
            Source::Keyring => {
                drop(ring);
                match self.in_keyring() {
                    Ok(key) if key.id() == id => Ok(key),
                    Ok(_) => Err(KeyMissing::NotInKeyring),
                    Err(error) => Err(KeyMissing::Keyring(error)),
                }
            }
        }
    }

    /// Asks once for all who want to know; one that does not answer is left alone for a while.
    fn in_keyring(&self) -> Result<Arc<SealingKey>, KeyringError> {
        if let Some(answer) = self.asked() {
            return answer;
        }
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = self.asked() {
            return answer;
        }
        let answer = self.keyring.read_or_create();
        let mut ring = self.ring();
        match answer {
            Ok(bytes) => {
                ring.failed = None;
                Ok(ring.keyring.insert(Arc::new(SealingKey::new(Source::Keyring, bytes))).clone())
            }
            Err(error) => {
                let [first, longest] = ASK_AGAIN;
                let pause = ring.failed.as_ref().map_or(first, |(_, _, pause)| (*pause * 2).min(longest));
                ring.failed = Some((error.clone(), clock::now().after(pause), pause));
                Err(error)
            }
        }
    }

    fn asked(&self) -> Option<Result<Arc<SealingKey>, KeyringError>> {
        let ring = self.ring();
        if let Some(key) = &ring.keyring {
            return Some(Ok(key.clone()));
        }
        let (error, again, _) = ring.failed.as_ref()?;
        (!again.is_over(clock::now())).then(|| Err(error.clone()))
    }

    fn problem(&self) -> Option<String> {
        let ring = self.ring();
        let failed = ring.failed.as_ref().map(|(error, ..)| error.to_string());
        if let Some(why) = &ring.damaged {
            return Some(format!("{why}: nothing new is kept"));
        }
        match ring.choice {
            None => failed.map(|why| {
                format!("the keyring cannot be used ({why}): the key is in a file, which protects copies of the sessions, not the account")
            }),
            Some(Source::Keyring) => failed.map(|why| {
                format!("the key has to be in the keyring, which cannot be used ({why}): nothing new is kept")
            }),
            Some(Source::Credential) if ring.credential.is_none() => {
                Some("the key has to be a systemd credential, which this agent was not given: nothing new is kept".to_owned())
            }
            Some(Source::Passphrase) if ring.passphrase.is_none() && !ring.wrapped => {
                Some("no passphrase is set: nothing new is kept until `sso agent rekey --to passphrase`".to_owned())
            }
            Some(Source::Passphrase) if ring.passphrase.is_none() => {
                Some("the key waits for its passphrase: nothing new is kept until `sso unlock`".to_owned())
            }
            Some(Source::File | Source::Credential | Source::Passphrase) => None,
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing, since it cannot be read; the first of such reasons is kept.
fn note<T>(damaged: &mut Option<String>, error: &StoreError) -> Option<T> {
    tracing::error!(%error, "the key of the sessions cannot be read");
    damaged.get_or_insert_with(|| error.to_string());
    None
}

fn no_key(why: String) -> StoreError {
    StoreError::NoKey { why }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("dir", &self.dir).finish_non_exhaustive()
    }
}

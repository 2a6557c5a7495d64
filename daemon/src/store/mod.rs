//! Where sessions are kept, sealed, across restarts.
//!
//! The hard part is that a refresh token is often good for one use: what replaces it must be durable
//! before anybody hears of it. So there is [`Store::reserve`], which fails while nothing is spent yet,
//! and [`Slot::commit`], which has little left to fail.
//!
//! Every call blocks; callers go through `spawn_blocking`.

#[cfg(test)]
mod contract;
mod files;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod keyring;
mod keys;
mod lock;
mod memory;
mod note;
mod record;
mod seal;
mod sealed_file;

use std::{io, path::PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

pub(crate) use self::{
    files::{open as open_private, private_dir, read as read_private, sweep, write as write_private},
    keyring::{Keyring, KeyringError, SystemKeyring},
    keys::{BadPassphrase, GivenKeys, KeySetup},
    lock::{LockError, StoreLock},
    memory::Memory,
    record::{Record, Renewal, SteadyAt, StoredLease, WebUser, record_json},
    seal::Source,
    sealed_file::{SealedFiles, file_name},
};

#[cfg(test)]
pub(crate) use record::example;

/// In the folder of the socket: what outlives every process, but not the machine's next stop.
pub(crate) const SPARE: &str = "banked";

/// Keeps one record for each session.
pub(crate) trait Store: Send + Sync + 'static {
    /// Everything there is; what cannot be read takes nothing else with it and is left as it is.
    fn load_all(&self) -> Result<Loaded, StoreError>;

    /// The record of one session.
    fn load(&self, id: &str) -> Result<Option<Record>, StoreError>;

    /// Makes sure that there is room and a key for the next record of a session, before what it
    /// replaces is spent. Leaves what is stored alone.
    fn reserve(&self, id: &str) -> Result<Box<dyn Slot>, StoreError>;

    /// As [`reserve`](Self::reserve), but where the disk has no room, in the spare place. For what cannot wait
    /// until there is room again.
    fn reserve_anywhere(&self, id: &str) -> Result<Box<dyn Slot>, StoreError> {
        self.reserve(id)
    }

    /// Keeps a record that is there already, so anywhere.
    fn put(&self, record: &Record) -> Result<Kept, StoreError> {
        self.reserve_anywhere(&record.id)?.commit(record)
    }

    /// Forgets a session, whether its record can be read or not; no error if there is none.
    fn remove(&self, id: &str) -> Result<(), StoreError>;

    /// Seals a note, which is kept by somebody else; see the module `note`.
    fn seal(&self, what: &str, content: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, StoreError>;

    /// Opens a note of ours; `None` for anything else.
    fn unseal(&self, what: &str, note: &[u8]) -> Option<Zeroizing<Vec<u8>>>;

    /// What records are sealed with.
    fn key(&self) -> sso_agent_proto::agent::Key;

    /// What a person has to know of where the key is; `None` if all is as it should be.
    fn key_problem(&self) -> Option<String> {
        None
    }

    /// Why there is no session of this id, if there is something on disk that should be one.
    fn trouble(&self, _id: &str) -> Option<Unreadable> {
        None
    }

    /// Why nothing new can be kept, in words; `None` if it can.
    fn blocked(&self) -> Option<String> {
        None
    }

    /// Whether sessions wait for a passphrase.
    fn needs_passphrase(&self) -> bool {
        false
    }

    /// Opens the key that waits for its passphrase: what it sealed can be loaded from then on. Takes some tenths of a
    /// second, on purpose.
    fn unlock(&self, _passphrase: &SecretString) -> Result<(), BadPassphrase> {
        Err(BadPassphrase::NotSet)
    }

    /// Moves to the key there, which seals from then on; `passphrase` is for a key that needs one. What is stored
    /// stays as it is until [`reseal`](Self::reseal).
    fn switch_key(&self, _to: Source, _passphrase: Option<&SecretString>) -> Result<(), StoreError> {
        Err(StoreError::NoKey { why: "nothing is kept on disk".to_owned() })
    }

    /// Seals every record anew that is sealed with another key than the current one.
    fn reseal(&self) -> Result<Resealed, StoreError> {
        Ok(Resealed::default())
    }

    /// Removes keys of ours that nothing on disk is sealed with any more.
    fn retire_keys(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The keys, to hand to a process of ours that keeps records in the same place; none where there is no place
    /// that two could share.
    fn export_keys(&self) -> Result<GivenKeys, StoreError> {
        Ok(GivenKeys::default())
    }
}

/// Room for one record.
pub(crate) trait Slot: Send {
    /// Keeps the record of the session that the room was made for, as its next generation.
    fn commit(self: Box<Self>, record: &Record) -> Result<Kept, StoreError>;
}

/// Where a record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is durable.
    Disk,
    /// The disk does not take it: it outlives every process, but not the machine's next stop.
    Spare,
}

/// What a store holds.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// In no particular order.
    pub(crate) records: Vec<Record>,
    /// Left untouched where it is.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// What became of the records when the key changed.
#[derive(Debug, Default)]
pub(crate) struct Resealed {
    /// So many are sealed with the current key now.
    pub(crate) sessions: usize,
    /// These could not be opened; what they are sealed with is kept.
    pub(crate) left: Vec<Unreadable>,
}

/// A stored session that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be read: {why}", path.display())]
pub(crate) struct Unreadable {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// In words.
    pub(crate) why: String,
    /// What can be done about it.
    pub(crate) trouble: Trouble,
}

/// What is the matter with a stored session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Its key may still come.
    Sealed,
    /// Its key is not here.
    Foreign,
    /// Another version of this program wrote it: nothing takes its place.
    Newer,
    /// It is not what was written; kept as evidence.
    Damaged,
    /// The disk, or what is in its place.
    Refused,
}

/// Why the store did not do as asked: one variant per thing that is done about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Somebody must make room.
    #[error("there is no room for {}: {cause}", path.display())]
    NoSpace { path: PathBuf, cause: io::Error },
    /// Somebody must look at the disk or at the permissions.
    #[error("{} cannot be used: {cause}", path.display())]
    Unusable { path: PathBuf, cause: io::Error },
    /// Somebody else could read or change what is kept there.
    #[error("{} is not private: {why}", path.display())]
    NotPrivate { path: PathBuf, why: &'static str },
    /// Nothing can be sealed.
    #[error("there is no key to seal sessions with: {why}")]
    NoKey { why: String },
    /// A new sign-in replaces it, and sets it aside.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The job died; the next one may not.
    #[error("the store broke off in the middle of its work")]
    Broken,
}

impl StoreError {
    /// What went wrong with the file or folder at `path`.
    pub(crate) fn at(path: &std::path::Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        if matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::NoSpace { path, cause }
        } else {
            Self::Unusable { path, cause }
        }
    }
}

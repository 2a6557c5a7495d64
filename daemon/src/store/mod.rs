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

use zeroize::Zeroizing;

pub(crate) use self::{
    files::{private_dir, read as read_private, sweep, write as write_private},
    keyring::{Keyring, KeyringError, SystemKeyring},
    lock::{LockError, StoreLock},
    memory::Memory,
    record::{Record, Renewal, SteadyAt, StoredLease, WebUser},
    sealed_file::{SealedFiles, file_name},
};

#[cfg(test)]
pub(crate) use record::example;

/// Keeps one record for each session.
pub(crate) trait Store: Send + Sync + 'static {
    /// Everything there is; what cannot be read takes nothing else with it and is left as it is.
    fn load_all(&self) -> Result<Loaded, StoreError>;

    /// The record of one session.
    fn load(&self, id: &str) -> Result<Option<Record>, StoreError>;

    /// Makes sure that there is room and a key for the next record of a session, before what it
    /// replaces is spent. Leaves what is stored alone.
    fn reserve(&self, id: &str) -> Result<Box<dyn Slot>, StoreError>;

    /// Keeps a record; it is durable when this returns.
    fn put(&self, record: &Record) -> Result<(), StoreError> {
        self.reserve(&record.id)?.commit(record)
    }

    /// Forgets a session, whether its record can be read or not; no error if there is none.
    fn remove(&self, id: &str) -> Result<(), StoreError>;

    /// Seals a note, which is kept by somebody else; see the module `note`.
    fn seal(&self, what: &str, content: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, StoreError>;

    /// Opens a note of ours; `None` for anything else.
    fn unseal(&self, what: &str, note: &[u8]) -> Option<Zeroizing<Vec<u8>>>;

    /// What records are sealed with.
    fn key(&self) -> sso_agent_proto::agent::Key;
}

/// Room for one record.
pub(crate) trait Slot: Send {
    /// Keeps the record of the session that the room was made for; it is durable when this returns.
    fn commit(self: Box<Self>, record: &Record) -> Result<(), StoreError>;
}

/// What a store holds.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// In no particular order.
    pub(crate) records: Vec<Record>,
    /// Left untouched where it is.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// A stored session that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be read: {why}", path.display())]
pub(crate) struct Unreadable {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// In words.
    pub(crate) why: String,
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
    fn at(path: &std::path::Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        if matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::NoSpace { path, cause }
        } else {
            Self::Unusable { path, cause }
        }
    }
}

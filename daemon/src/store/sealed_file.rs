//! One sealed file for each session.
//!
//! A file is only ever replaced as a whole, by one that is already durable. One that cannot be read
//! is evidence, or the work of a newer version, or waits for its key: it is never written over, only
//! set aside when its session is signed in to anew.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use sso_agent_os::private;
use sso_agent_proto::agent::Key;
use zeroize::Zeroizing;

use super::{
    BadPassphrase, GivenKeys, Kept, KeySetup, Keyring, Loaded, Record, Resealed, Slot, Source, Store,
    StoreError, Trouble, Unreadable,
    files::{self, Draft},
    keys::{KeyMissing, Keys},
    note,
    record::NotARecord,
    seal::{BadSeal, Sealed, SealingKey, hex},
};

use self::{aside::asides, spare::Spare};

mod aside;
#[cfg(test)]
mod faults;
mod rekey;
mod spare;
#[cfg(test)]
mod tests;

const SESSIONS: &str = "sessions";
const ENDING: &str = ".session";

/// Fewer are not worth a thread.
const FILES_PER_THREAD: usize = 256;

/// Sessions under a folder of ours.
#[derive(Debug, Clone)]
pub(crate) struct SealedFiles {
    sessions: PathBuf,
    keys: Arc<Keys>,
    spare: Option<Spare>,
}

impl SealedFiles {
    /// The sessions under `state_dir`. Whoever calls holds the [`StoreLock`](super::StoreLock), since
    /// unfinished files are removed here.
    pub(crate) fn open(state_dir: &Path, keyring: impl Keyring, setup: KeySetup) -> Result<Self, StoreError> {
        let sessions = folder(state_dir)?;
        for dir in [state_dir, &sessions] {
            files::sweep(dir).map_err(|cause| StoreError::at(dir, cause))?;
        }
        Ok(Self { keys: Arc::new(Keys::open(state_dir, keyring, setup)?), sessions, spare: None })
    }

    /// The same, with a spare place in the folder `spare`, which is on no disk and ours alone; without one
    /// where that cannot be had.
    pub(crate) fn beside(self, spare: &Path) -> Self {
        let spare = Spare::at(spare)
            .inspect_err(|error| tracing::error!(%error, "there is no spare place for sessions"))
            .ok();
        spare.iter().for_each(Spare::sweep);
        Self { spare, ..self }
    }

    /// The sessions under `state_dir` for a second process of ours, with the keys that the first one gave it.
    /// No keyring is asked.
    pub(crate) fn with_keys(
        state_dir: &Path,
        spare: Option<&Path>,
        given: GivenKeys,
    ) -> Result<Self, StoreError> {
        let sessions = folder(state_dir)?;
        let store = Self { keys: Arc::new(Keys::Given(given)), sessions, spare: None };
        Ok(match spare {
            Some(spare) => store.beside(spare),
            None => store,
        })
    }

    #[cfg(test)]
    fn path(&self, id: &str) -> PathBuf {
        self.sessions.join(file_name(id, ENDING))
    }

    /// Of all records, wherever they are.
    fn names(&self) -> Result<Vec<OsString>, StoreError> {
        let on_disk =
            sealed_names(&self.sessions, ENDING).map_err(|cause| StoreError::at(&self.sessions, cause))?;
        let Some(spare) = &self.spare else { return Ok(on_disk) };
        let mut names: BTreeSet<_> = on_disk.into_iter().collect();
        match spare.names() {
            Ok(spared) => names.extend(spared),
            Err(error) => tracing::warn!(%error, "the spare place cannot be read"),
        }
        Ok(names.into_iter().collect())
    }

    fn read_all(&self, names: &[OsString]) -> Loaded {
        let mut loaded = Loaded::default();
        for name in names {
            match self.newest(name) {
                Ok(record) => loaded.records.extend(record),
                Err(unreadable) => loaded.unreadable.push(self.quarantine(unreadable)),
            }
        }
        loaded
    }

    fn read(&self, path: &Path) -> Result<Option<Record>, Unreadable> {
        Ok(self.read_sealed(path)?.map(|(_, record)| record))
    }

    /// A record, and the file that it is in.
    fn read_sealed(&self, path: &Path) -> Result<Option<(Vec<u8>, Record)>, Unreadable> {
        let file = files::read(path).map_err(|error| Bad(Trouble::Refused, error.to_string()).at(path))?;
        let Some(file) = file else { return Ok(None) };
        let record = self.unseal_file(path, &file).map_err(|bad| bad.at(path))?;
        Ok(Some((file, record)))
    }

    /// The record in a file that was read at `path`, or would be.
    fn unseal_file(&self, path: &Path, file: &[u8]) -> Result<Record, Bad> {
        let sealed = Sealed::parse(file)?;
        if path.file_name() != Some(file_name(sealed.session(), ENDING).as_ref()) {
            return Err(Bad(Trouble::Damaged, "its name is not that of the session in it".to_owned()));
        }
        let (source, key_id) = sealed.key();
        let key = self.keys.find(source, key_id)?;
        let record = Record::from_json(&sealed.open(&key)?)?;
        if record.id == sealed.session() {
            Ok(record)
        } else {
            Err(Bad(Trouble::Damaged, "it holds another session than it says".to_owned()))
        }
    }

    /// Room for a record, with none on the disk yet.
    fn room(&self, id: &str) -> Result<Room, StoreError> {
        let key = self.keys.current()?;
        match self.read(&self.sessions.join(file_name(id, ENDING))) {
            Err(unreadable) if unreadable.trouble == Trouble::Newer => return Err(unreadable.into()),
            Ok(_) | Err(_) => {}
        }
        let in_spare = self.spare.as_ref().and_then(|spare| {
            spare.begin().inspect_err(|error| tracing::warn!(%error, "the spare place has no room")).ok()
        });
        Ok(Room { store: self.clone(), id: id.to_owned(), key, on_disk: None, in_spare })
    }
}

impl Store for SealedFiles {
    fn load_all(&self) -> Result<Loaded, StoreError> {
        let names = self.names()?;
        let most = thread::available_parallelism().map_or(1, usize::from).min(4);
        let threads = names.len().div_ceil(FILES_PER_THREAD).clamp(1, most);
        let share = names.len().div_ceil(threads).max(1);
        let parts: Vec<_> = thread::scope(|scope| {
            let readers: Vec<_> =
                names.chunks(share).map(|names| scope.spawn(|| self.read_all(names))).collect();
            readers.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        let mut all = Loaded::default();
        for part in parts {
            let part = part.map_err(|_| StoreError::Broken)?;
            all.records.extend(part.records);
            all.unreadable.extend(part.unreadable);
        }
        self.tell_of_asides(&mut all);
        Ok(all)
    }

    fn load(&self, id: &str) -> Result<Option<Record>, StoreError> {
        Ok(self.newest(file_name(id, ENDING).as_ref())?)
    }

    fn reserve(&self, id: &str) -> Result<Box<dyn Slot>, StoreError> {
        let mut room = self.room(id)?;
        room.on_disk =
            Some(Draft::begin(&self.sessions).map_err(|cause| StoreError::at(&self.sessions, cause))?);
        Ok(Box::new(room))
    }

    fn reserve_anywhere(&self, id: &str) -> Result<Box<dyn Slot>, StoreError> {
        let mut room = self.room(id)?;
        match Draft::begin(&self.sessions) {
            Ok(draft) => room.on_disk = Some(draft),
            Err(cause) if room.in_spare.is_some() => {
                tracing::warn!(session = id, error = %cause, "no room on the disk: the spare place has some");
            }
            Err(cause) => return Err(StoreError::at(&self.sessions, cause)),
        }
        Ok(Box::new(room))
    }

    fn remove(&self, id: &str) -> Result<(), StoreError> {
        let name = OsString::from(file_name(id, ENDING));
        let path = self.sessions.join(&name);
        // What was set aside holds tokens, too.
        for path in std::iter::once(path.clone()).chain(asides(&path).take_while(|aside| aside.exists())) {
            match fs::remove_file(&path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::at(&path, cause));
                }
                Ok(()) | Err(_) => {}
            }
        }
        if let Some(spare) = &self.spare {
            spare.remove(&name).map_err(|cause| StoreError::at(&spare.path(&name), cause))?;
        }
        private::sync_dir(&self.sessions).map_err(|cause| StoreError::at(&self.sessions, cause))
    }

    fn seal(&self, what: &str, content: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, StoreError> {
        let key = self.keys.current()?;
        note::seal(&key, what, content)
            .map_err(|error| StoreError::at(&self.sessions, io::Error::other(error)))
    }

    fn unseal(&self, what: &str, note: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (source, id) = note::key_of(note)?;
        note::open(&*self.keys.find(source, &id).ok()?, what, note)
    }

    fn key(&self) -> Key {
        self.keys.source().into()
    }

    fn key_problem(&self) -> Option<String> {
        self.keys.problem()
    }

    fn trouble(&self, id: &str) -> Option<Unreadable> {
        let name = OsString::from(file_name(id, ENDING));
        match self.newest(&name) {
            Err(unreadable) => Some(unreadable),
            Ok(None) => self.last_aside(&self.sessions.join(name)),
            Ok(Some(_)) => None,
        }
    }

    fn blocked(&self) -> Option<String> {
        self.keys.blocked()
    }

    fn needs_passphrase(&self) -> bool {
        self.keys.needs_passphrase()
    }

    fn unlock(&self, passphrase: &SecretString) -> Result<(), BadPassphrase> {
        self.keys.unlock(passphrase)
    }

    fn switch_key(&self, to: Source, passphrase: Option<&SecretString>) -> Result<(), StoreError> {
        self.keys.switch(to, passphrase)
    }

    fn reseal(&self) -> Result<Resealed, StoreError> {
        self.reseal_all()
    }

    fn retire_keys(&self) -> Result<(), StoreError> {
        self.retire_unused()
    }

    fn export_keys(&self) -> Result<GivenKeys, StoreError> {
        self.keys.export()
    }
}

/// Room for one record, with the key at hand.
struct Room {
    store: SealedFiles,
    id: String,
    key: Arc<SealingKey>,
    on_disk: Option<Draft>,
    in_spare: Option<Draft>,
}

impl Room {
    /// The same record, as the generation after all that are there.
    fn next(&self, record: &Record, name: &OsStr) -> Record {
        let spare = self.store.spare.as_ref().map(|spare| spare.path(name));
        let places = spare.into_iter().chain([self.store.sessions.join(name)]);
        let there = places.filter_map(|path| self.store.read(&path).ok().flatten());
        record.next_after(there.map(|record| record.generation).max().unwrap_or_default())
    }

    fn onto_spare(&mut self, name: &OsStr, sealed: &[u8]) -> io::Result<()> {
        let Some(spare) = &self.store.spare else {
            return Err(io::Error::other("there is no spare place"));
        };
        let draft = self.in_spare.take().map_or_else(|| spare.begin(), Ok)?;
        spare.keep(draft, name, sealed)
    }

    fn onto_disk(&mut self, path: &Path, sealed: &[u8]) -> Result<(), StoreError> {
        let failed = |cause| StoreError::at(path, cause);
        let draft = self.on_disk.take().map_or_else(|| Draft::begin(&self.store.sessions), Ok);
        let mut draft = draft.map_err(failed)?;
        draft.write(sealed).and_then(|()| draft.sync()).map_err(failed)?;
        {
            let _held = private::hold(&self.store.sessions).map_err(failed)?;
            self.store.set_aside(path)?;
            draft.place(path).map_err(failed)?;
        }
        private::sync_dir(&self.store.sessions).map_err(failed)
    }
}

impl Slot for Room {
    fn commit(mut self: Box<Self>, record: &Record) -> Result<Kept, StoreError> {
        debug_assert_eq!(self.id, record.id, "room was made for this session");
        let name = OsString::from(file_name(&record.id, ENDING));
        let path = self.store.sessions.join(&name);
        let record = self.next(record, &name);
        // The key may have changed since there was room.
        let key = self.store.keys.current().unwrap_or_else(|_| self.key.clone());
        let sealed = key
            .seal(&record.id, record.to_json())
            .map_err(|error| StoreError::at(&path, io::Error::other(error)))?;
        let spared = self.onto_spare(&name, &sealed);
        match (self.onto_disk(&path, &sealed), &self.store.spare) {
            (Ok(()), Some(spare)) => {
                if let Err(error) = spare.drop_copy(&name, &sealed) {
                    tracing::warn!(%error, "a copy of a record stays in the spare place");
                }
                Ok(Kept::Disk)
            }
            (Ok(()), None) => Ok(Kept::Disk),
            (Err(error), _) if spared.is_ok() => {
                tracing::error!(session = record.id, %error, "the disk does not take a session: it is in the spare place only, and lost when the machine stops");
                Ok(Kept::Spare)
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// The folder of sessions in that of the state, both ours alone.
fn folder(state_dir: &Path) -> Result<PathBuf, StoreError> {
    let sessions = state_dir.join(SESSIONS);
    files::private_dir(state_dir)?;
    if sessions.is_symlink() {
        return Err(StoreError::NotPrivate { path: sessions, why: "it is a symbolic link" });
    }
    files::private_dir(&sessions)?;
    Ok(sessions)
}

/// The names in a folder that end like this.
fn sealed_names(dir: &Path, ending: &str) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if name.as_encoded_bytes().ends_with(ending.as_bytes()) {
            names.push(name);
        }
    }
    Ok(names)
}

/// What is the matter with a file, and in words.
struct Bad(Trouble, String);

impl Bad {
    fn at(self, path: &Path) -> Unreadable {
        Unreadable { path: path.to_owned(), why: self.1, trouble: self.0 }
    }
}

impl From<BadSeal> for Bad {
    fn from(error: BadSeal) -> Self {
        let trouble = match error {
            BadSeal::Newer(_) => Trouble::Newer,
            BadSeal::Header | BadSeal::Content => Trouble::Damaged,
        };
        Self(trouble, error.to_string())
    }
}

impl From<KeyMissing> for Bad {
    fn from(error: KeyMissing) -> Self {
        Self(if error.may_come() { Trouble::Sealed } else { Trouble::Foreign }, error.to_string())
    }
}

impl From<NotARecord> for Bad {
    fn from(error: NotARecord) -> Self {
        let trouble = match error {
            NotARecord::Newer(_) => Trouble::Newer,
            NotARecord::Malformed => Trouble::Damaged,
        };
        Self(trouble, error.to_string())
    }
}

/// What people recognize of the id, and enough of its hash to be its alone.
pub(crate) fn file_name(id: &str, ending: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' };
    let mut name: String = id.chars().map(safe).take(100).collect();
    if name.starts_with('.') {
        name.replace_range(..1, "_");
    }
    let hash = Sha256::digest(id);
    format!("{name}-{}{ending}", hex(&hash[..8]))
}

//! One sealed file for each session.
//!
//! A file is only ever replaced as a whole, by one that is already durable. One that cannot be read
//! is evidence, or the work of a newer version, or waits for its key: it is never written over, only
//! set aside when its session is signed in to anew.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use sha2::{Digest as _, Sha256};
use sso_agent_proto::agent::Key;
use zeroize::Zeroizing;

use super::{
    Keyring, Loaded, Record, Slot, Store, StoreError, Unreadable,
    files::{self, Draft},
    keys::Keys,
    note,
    seal::{Sealed, SealingKey, hex},
};

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
}

impl SealedFiles {
    /// The sessions under `state_dir`. Whoever calls holds the [`StoreLock`](super::StoreLock), since
    /// unfinished files are removed here.
    pub(crate) fn open(state_dir: &Path, keyring: impl Keyring) -> Result<Self, StoreError> {
        let sessions = state_dir.join(SESSIONS);
        files::private_dir(state_dir)?;
        if sessions.is_symlink() {
            return Err(StoreError::NotPrivate { path: sessions, why: "it is a symbolic link" });
        }
        files::private_dir(&sessions)?;
        for dir in [state_dir, &sessions] {
            files::sweep(dir).map_err(|cause| StoreError::at(dir, cause))?;
        }
        Ok(Self { keys: Arc::new(Keys::open(state_dir, keyring)?), sessions })
    }

    fn path(&self, id: &str) -> PathBuf {
        self.sessions.join(file_name(id, ENDING))
    }

    fn paths(&self) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.sessions)? {
            let path = entry?.path();
            if path.as_os_str().as_encoded_bytes().ends_with(ENDING.as_bytes()) {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    fn read_all(&self, paths: &[PathBuf]) -> Loaded {
        let mut loaded = Loaded::default();
        for path in paths {
            match self.read(path) {
                Ok(record) => loaded.records.extend(record),
                Err(unreadable) => loaded.unreadable.push(unreadable),
            }
        }
        loaded
    }

    fn read(&self, path: &Path) -> Result<Option<Record>, Unreadable> {
        let unreadable = |why: String| Unreadable { path: path.to_owned(), why };
        let file = files::read(path).map_err(|error| unreadable(error.to_string()))?;
        file.map(|file| self.unseal(path, &file).map_err(unreadable)).transpose()
    }

    fn unseal(&self, path: &Path, file: &[u8]) -> Result<Record, String> {
        let sealed = Sealed::parse(file).map_err(|error| error.to_string())?;
        if path.file_name() != Some(file_name(sealed.session(), ENDING).as_ref()) {
            return Err("its name is not that of the session in it".to_owned());
        }
        let (source, key_id) = sealed.key();
        let key = self.keys.find(source, key_id).map_err(|error| error.to_string())?;
        let content = sealed.open(&key).map_err(|error| error.to_string())?;
        let record = Record::from_json(&content).map_err(|error| error.to_string())?;
        if record.id == sealed.session() {
            Ok(record)
        } else {
            Err("it holds another session than it says".to_owned())
        }
    }

    /// Moves what is in the way of a new record, and cannot be read, to a name of its own.
    fn set_aside(&self, path: &Path) -> Result<(), StoreError> {
        if let Err(cause) = files::read(path)
            && cause.raw_os_error().is_some_and(passes)
        {
            return Err(StoreError::at(path, cause));
        }
        let Err(unreadable) = self.read(path) else { return Ok(()) };
        let aside = asides(path).find(|aside| aside.symlink_metadata().is_err()).unwrap_or_default();
        fs::rename(path, &aside).map_err(|cause| StoreError::at(path, cause))?;
        tracing::warn!(%unreadable, aside = %aside.display(), "set aside for a new sign-in");
        Ok(())
    }
}

impl Store for SealedFiles {
    fn load_all(&self) -> Result<Loaded, StoreError> {
        let paths = self.paths().map_err(|cause| StoreError::at(&self.sessions, cause))?;
        let most = thread::available_parallelism().map_or(1, usize::from).min(4);
        let threads = paths.len().div_ceil(FILES_PER_THREAD).clamp(1, most);
        let share = paths.len().div_ceil(threads).max(1);
        let parts: Vec<_> = thread::scope(|scope| {
            let readers: Vec<_> =
                paths.chunks(share).map(|paths| scope.spawn(|| self.read_all(paths))).collect();
            readers.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        let mut all = Loaded::default();
        for part in parts {
            let part = part.map_err(|_| StoreError::Broken)?;
            all.records.extend(part.records);
            all.unreadable.extend(part.unreadable);
        }
        Ok(all)
    }

    fn load(&self, id: &str) -> Result<Option<Record>, StoreError> {
        Ok(self.read(&self.path(id))?)
    }

    fn reserve(&self, id: &str) -> Result<Box<dyn Slot>, StoreError> {
        let key = self.keys.current()?;
        let draft = Draft::begin(&self.sessions).map_err(|cause| StoreError::at(&self.sessions, cause))?;
        Ok(Box::new(Room { store: self.clone(), path: self.path(id), key, draft }))
    }

    fn remove(&self, id: &str) -> Result<(), StoreError> {
        let path = self.path(id);
        // What was set aside holds tokens, too.
        for path in std::iter::once(path.clone()).chain(asides(&path).take_while(|aside| aside.exists())) {
            match fs::remove_file(&path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::at(&path, cause));
                }
                Ok(()) | Err(_) => {}
            }
        }
        files::sync_dir(&self.sessions).map_err(|cause| StoreError::at(&self.sessions, cause))
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
}

/// Room for one record, with the key at hand.
struct Room {
    store: SealedFiles,
    path: PathBuf,
    key: Arc<SealingKey>,
    draft: Draft,
}

impl Slot for Room {
    fn commit(self: Box<Self>, record: &Record) -> Result<(), StoreError> {
        debug_assert_eq!(self.path, self.store.path(&record.id), "room was made for this session");
        let failed = |cause| StoreError::at(&self.path, cause);
        let sealed =
            self.key.seal(&record.id, record.to_json()).map_err(|error| failed(io::Error::other(error)))?;
        self.store.set_aside(&self.path)?;
        self.draft.finish(&self.path, &sealed).map_err(failed)
    }
}

/// Whether a failure says nothing about the file: there were no descriptors, no memory, a sick disk.
#[cfg(unix)]
fn passes(code: i32) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO, Errno::INTR]
        .iter()
        .any(|no| no.raw_os_error() == code)
}

/// Nothing is known of the codes here.
#[cfg(not(unix))]
fn passes(_: i32) -> bool {
    false
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

/// The names under which what was at `path` is kept.
fn asides(path: &Path) -> impl Iterator<Item = PathBuf> {
    (1_u64..).map(move |number| {
        let mut name = OsString::from(path);
        name.push(format!(".damaged-{number}"));
        PathBuf::from(name)
    })
}

//! What is known of refresh tokens besides the tokens: which are being spent, and which are spent.
//!
//! A refresh token may be good for one use, and an issuer counts a use even if nobody hears the answer. So
//! before one is sent, an *intent* is made durable: a file for the session, which its spender has locked
//! for as long as it works at it, and which goes when what came back is banked. One that is found later was
//! left by somebody who died in between. And whatever has a successor is remembered by its fingerprint, here
//! and beside the socket, so that a store that was restored from a backup brings no spent token back to life.

mod intent;
mod spent;

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use sso_agent_os::private;

pub(super) use self::intent::Intent;
use self::spent::Spent;
use crate::store::{self, StoreError, file_name};

const FOLDER: &str = "spending";
const ENDING: &str = ".intent";

/// How often somebody else's lock is tried.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How long somebody else's lock is waited for: longer than any exchange.
const PATIENCE: Duration = Duration::from_secs(70);

/// Tells refresh tokens apart without telling them.
pub(super) type Fingerprint = [u8; 16];

pub(super) fn fingerprint(token: &SecretString) -> Fingerprint {
    let hash = Sha256::digest(token.expose_secret());
    let mut print = Fingerprint::default();
    print.copy_from_slice(&hash[..16]);
    print
}

/// See the module.
pub(crate) struct Ledger {
    /// Where intents are, and where else they may be when there is no room for them there. None if nothing
    /// is kept on disk: then nobody else can spend, or die.
    folders: Vec<PathBuf>,
    /// What is left open where there are no files.
    memory: Arc<Memory>,
    spent: Spent,
}

type Memory = Mutex<HashMap<String, Intent>>;

impl Ledger {
    /// Of a store that is kept nowhere.
    pub(crate) fn in_memory() -> Self {
        Self { folders: Vec::new(), memory: Arc::default(), spent: Spent::in_memory() }
    }

    /// Of the store in `state`; what a backup must not bring back, or a full disk not take, is in `beside`.
    pub(crate) fn at(state: &Path, beside: Option<&Path>) -> Result<Self, StoreError> {
        let folders: Vec<PathBuf> = folders(state, beside).collect();
        let made: Vec<_> = folders.iter().map(|folder| store::private_dir(folder)).collect();
        if made.iter().all(Result::is_err) {
            made.into_iter().next().transpose()?;
        }
        Ok(Self { folders, memory: Arc::default(), spent: Spent::at(state, beside) })
    }

    /// The sessions at which somebody began to spend and did not come to an end, or is at it still.
    pub(crate) fn open_at(state: &Path, beside: Option<&Path>) -> BTreeSet<String> {
        let entries = folders(state, beside).filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        let intents = entries.flatten().filter_map(|entry| Intent::read(&entry.path()));
        intents.map(|intent| intent.session).collect()
    }

    /// Takes the session's place, which no other process has then; blocks while one does.
    pub(super) fn take(&self, session: &str) -> Result<Entry, StoreError> {
        let mut paths: Vec<_> = self.paths(session).collect();
        let Some(first) = paths.first().cloned() else {
            let left = lock_memory(&self.memory).get(session).cloned();
            let memory = Some((session.to_owned(), self.memory.clone()));
            return Ok(Entry { places: Vec::new(), elsewhere: Vec::new(), memory, left });
        };
        // What was left in another place counts, too, and where nothing can be written any more.
        paths.retain(|path| *path == first || path.exists());
        let elsewhere = self.paths(session).skip(1).collect();
        let mut entry = Entry { places: Vec::new(), elsewhere, memory: None, left: None };
        let mut failed = None;
        for path in paths {
            match wait_for(&path) {
                Ok(file) => entry.places.push((path.clone(), file)),
                Err(cause) => failed = Some(StoreError::at(&path, cause)),
            }
            let left = Intent::read(&path).filter(|intent| intent.session == session);
            entry.left = left.or(entry.left.take());
        }
        match (failed, entry.places.is_empty(), entry.elsewhere.first().cloned()) {
            (Some(error), true, None) => Err(error),
            (Some(_), true, Some(path)) => {
                let file = wait_for(&path).map_err(|cause| StoreError::at(&path, cause))?;
                entry.places.push((path, file));
                Ok(entry)
            }
            (Some(_) | None, _, _) => Ok(entry),
        }
    }

    fn paths(&self, session: &str) -> impl Iterator<Item = PathBuf> {
        let name = file_name(session, ENDING);
        self.folders.iter().map(move |folder| folder.join(&name))
    }

    /// Whether this token has a successor.
    pub(super) fn is_spent(&self, token: &SecretString) -> Result<bool, StoreError> {
        self.spent.has(&fingerprint(token))
    }

    /// Forgets that this token had a successor: an issuer has just given it.
    pub(super) fn is_good_again(&self, print: &Fingerprint) {
        self.spent.forget(print);
    }

    /// Remembers that this token has a successor.
    pub(super) fn is_now_spent(&self, print: &Fingerprint) {
        self.spent.add(print);
    }
}

/// At work at a store: for as long as this lives.
pub(crate) struct Present(#[expect(dead_code, reason = "it is there to be held")] File);

/// Everybody who may write records has this file, those who must be alone have it to themselves.
const PRESENT: &str = "spenders";

impl Present {
    /// One of those who may be at work; waits for whoever has to be alone.
    pub(super) fn here(state: &Path) -> Result<Self, StoreError> {
        let path = state.join(PRESENT);
        let opened = store::open_private(&path, OpenOptions::new().read(true).write(true).create(true));
        let file = opened.map_err(|cause| StoreError::at(&path, cause))?;
        private::lock_shared(&file).map_err(|cause| StoreError::at(&path, cause))?;
        Ok(Self(file))
    }

    /// The only one; blocks until the others are gone, but not for ever.
    pub(super) fn alone(state: &Path) -> Result<Self, StoreError> {
        let path = state.join(PRESENT);
        let failed = |cause| StoreError::at(&path, cause);
        let file = store::open_private(&path, OpenOptions::new().read(true).write(true).create(true));
        let file = file.map_err(failed)?;
        let mut waited = Duration::ZERO;
        loop {
            match private::try_lock(&file) {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if waited < PATIENCE => {
                    std::thread::sleep(LOOK_AGAIN);
                    waited += LOOK_AGAIN;
                }
                Err(TryLockError::WouldBlock) => {
                    let why = "a process still spends a refresh token there: try again in a minute";
                    return Err(failed(io::Error::new(io::ErrorKind::TimedOut, why)));
                }
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
        }
    }
}

fn folders<'p>(state: &'p Path, beside: Option<&'p Path>) -> impl Iterator<Item = PathBuf> + 'p {
    std::iter::once(state).chain(beside).map(|folder| folder.join(FOLDER))
}

/// A session's place in the ledger. Whoever has it is alone with the session's refresh token.
#[derive(Default)]
pub(super) struct Entry {
    places: Vec<(PathBuf, File)>,
    /// Where else an intent may be written.
    elsewhere: Vec<PathBuf>,
    memory: Option<(String, Arc<Memory>)>,
    left: Option<Intent>,
}

impl Entry {
    /// What somebody before us has left open.
    pub(super) fn left(&self) -> Option<&Intent> {
        self.left.as_ref()
    }

    /// Makes it durable that a token is about to be sent.
    pub(super) fn begin(&mut self, intent: Intent) -> Result<(), StoreError> {
        self.write(&intent)?;
        self.left = Some(intent);
        Ok(())
    }

    fn write(&mut self, intent: &Intent) -> Result<(), StoreError> {
        let Some((first, _)) = self.places.first() else { return Ok(()) };
        let mut failed = None;
        for (path, file) in &self.places {
            match intent.write(file).and_then(|()| sync_folder(path)) {
                Ok(()) => return Ok(()),
                Err(cause) => failed = Some(StoreError::at(path, cause)),
            }
        }
        let known = first.clone();
        for path in self.elsewhere.iter().filter(|path| **path != known) {
            let written = wait_for(path).and_then(|file| {
                intent.write(&file)?;
                sync_folder(path)?;
                Ok(file)
            });
            if let Ok(file) = written {
                self.places.push((path.clone(), file));
                return Ok(());
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// What was left open by somebody who had banked what came of it is open no more: the token on record is
    /// another one.
    pub(super) fn look_at(&mut self, on_record: Option<&SecretString>) {
        let same = |left: &Intent| on_record.is_some_and(|token| left.is_of(&fingerprint(token)));
        self.left = self.left.take().filter(same);
    }

    /// What was begun has come to an end, and is banked.
    pub(super) fn done(&mut self) {
        self.left = None;
    }
}

impl Drop for Entry {
    /// What has an end leaves nothing behind; whatever has none is for the next one to find.
    fn drop(&mut self) {
        if let Some((session, memory)) = &self.memory {
            let mut memory = lock_memory(memory);
            match self.left.take() {
                Some(left) => memory.insert(session.clone(), left),
                None => memory.remove(session),
            };
            return;
        }
        if self.left.is_some() {
            return;
        }
        for (path, _) in &self.places {
            if let Err(error) = fs::remove_file(path) {
                tracing::debug!(%error, "an intent that is done stays");
            }
        }
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    private::sync_dir(path.parent().unwrap_or(path))
}

fn lock_memory(memory: &Memory) -> MutexGuard<'_, HashMap<String, Intent>> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file at `path`, locked.
fn wait_for(path: &Path) -> io::Result<File> {
    let mut waited = Duration::ZERO;
    loop {
        match lock(path)? {
            Some(file) => return Ok(file),
            None if waited < PATIENCE => {
                std::thread::sleep(LOOK_AGAIN);
                waited += LOOK_AGAIN;
            }
            None => return Err(io::Error::new(io::ErrorKind::TimedOut, "another process holds it")),
        }
    }
}

/// The file at `path`, locked; `None` while another process has it, or has just removed it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = store::open_private(path, OpenOptions::new().read(true).write(true).create(true))?;
    match private::try_lock(&file) {
        Ok(()) if private::is_at(&file, path) => Ok(Some(file)),
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    fn intent(session: &str, token: &str) -> Intent {
        Intent::new(session, &fingerprint(&token.into()), crate::clock::now())
    }

    #[test]
    fn an_intent_is_there_until_it_is_done_and_is_found_when_it_never_was() {
        let state = tempdir().unwrap();
        let ledger = Ledger::at(state.path(), None).unwrap();
        let mut entry = ledger.take("a#b").unwrap();
        assert!(entry.left().is_none());
        assert!(Ledger::open_at(state.path(), None).is_empty());
        entry.begin(intent("a#b", "rt")).unwrap();
        assert!(Ledger::open_at(state.path(), None).contains("a#b"));
        drop(entry);

        let mut entry = ledger.take("a#b").unwrap();
        assert!(entry.left().unwrap().is_of(&fingerprint(&"rt".into())));
        assert!(!entry.left().unwrap().is_of(&fingerprint(&"other".into())));
        entry.done();
        drop(entry);
        assert!(Ledger::open_at(state.path(), None).is_empty());
        assert!(ledger.take("a#b").unwrap().left().is_none());
    }

    #[test]
    fn one_at_a_time_has_a_sessions_place_and_the_next_one_waits() {
        let state = tempdir().unwrap();
        let ledger = Ledger::at(state.path(), None).unwrap();
        let first = ledger.take("a").unwrap();
        ledger.take("b").unwrap();
        let path = state.path().join(FOLDER).join(file_name("a", ENDING));
        assert!(lock(&path).unwrap().is_none(), "it is taken");
        std::thread::scope(|scope| {
            let second = scope.spawn(|| ledger.take("a").map(|_| ()));
            drop(first);
            second.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_file_that_is_no_intent_is_none_and_is_written_over() {
        let state = tempdir().unwrap();
        let ledger = Ledger::at(state.path(), None).unwrap();
        let path = state.path().join(FOLDER).join(file_name("a", ENDING));
        for text in ["", "{", "{\"session\":7}", "\u{0}\u{0}\u{0}"] {
            store::write_private(&path, text.as_bytes()).unwrap();
            assert!(Ledger::open_at(state.path(), None).is_empty());
            let mut entry = ledger.take("a").unwrap();
            assert!(entry.left().is_none());
            entry.begin(intent("a", "rt")).unwrap();
            assert!(Ledger::open_at(state.path(), None).contains("a"));
            entry.done();
        }
    }

    // Fault 29: a disk that is full, or cannot be written, takes no intent; the place beside the socket does.
    #[test]
    fn f29_an_intent_that_finds_no_room_is_noted_elsewhere_and_found_there() {
        let (state, beside) = (tempdir().unwrap(), tempdir().unwrap());
        let ledger = Ledger::at(state.path(), Some(beside.path())).unwrap();
        fs::remove_dir(state.path().join(FOLDER)).unwrap();
        store::write_private(&state.path().join(FOLDER), b"in its place").unwrap();
        let mut entry = ledger.take("a").unwrap();
        entry.begin(intent("a", "rt")).unwrap();
        drop(entry);
        assert!(Ledger::open_at(state.path(), Some(beside.path())).contains("a"));
        fs::remove_file(state.path().join(FOLDER)).unwrap();
        let ledger = Ledger::at(state.path(), Some(beside.path())).unwrap();
        let mut entry = ledger.take("a").unwrap();
        assert!(entry.left().is_some());
        entry.done();
        drop(entry);
        assert!(Ledger::open_at(state.path(), Some(beside.path())).is_empty());
    }

    #[test]
    fn where_nothing_is_on_disk_it_is_known_for_as_long_as_the_process_lives() {
        let ledger = Ledger::in_memory();
        let mut entry = ledger.take("a").unwrap();
        entry.begin(intent("a", "rt")).unwrap();
        drop(entry);
        let mut entry = ledger.take("a").unwrap();
        assert!(entry.left().is_some());
        entry.done();
        drop(entry);
        assert!(ledger.take("a").unwrap().left().is_none());
        ledger.is_now_spent(&fingerprint(&"rt".into()));
        assert!(ledger.is_spent(&"rt".into()).unwrap());
    }
}

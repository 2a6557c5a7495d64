//! The fingerprints of refresh tokens that have a successor: one after the other, in two files.
//!
//! One file is in the state folder. A backup of that folder brings an older one back with the older tokens,
//! so there is another one beside the socket, which lasts until its user has signed out of the machine.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use sso_agent_os::private;

use super::Fingerprint;
use crate::store::{StoreError, open_private, write_private};

const FILE: &str = "spent";

/// As many are remembered, at 16 bytes each: years of one person's sessions.
const MOST: usize = 65_536;

/// See the module.
pub(super) struct Spent {
    files: Vec<PathBuf>,
    memory: Mutex<HashSet<Fingerprint>>,
}

impl Spent {
    pub(super) fn in_memory() -> Self {
        Self { files: Vec::new(), memory: Mutex::default() }
    }

    pub(super) fn at(state: &Path, beside: Option<&Path>) -> Self {
        let files = std::iter::once(state).chain(beside).map(|folder| folder.join(FILE)).collect();
        Self { files, memory: Mutex::default() }
    }

    /// Whether a token with this fingerprint has a successor.
    pub(super) fn has(&self, print: &Fingerprint) -> Result<bool, StoreError> {
        if self.memory().contains(print) {
            return Ok(true);
        }
        for path in &self.files {
            let known = read(path).map_err(|cause| StoreError::at(path, cause))?;
            if known.chunks_exact(size_of::<Fingerprint>()).any(|known| known == print) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Remembers a fingerprint. A disk that does not take it keeps no token from being handed out: what is
    /// forgotten then is told from a good one by the issuer only.
    pub(super) fn add(&self, print: &Fingerprint) {
        // Held, so that this process has one writer; the folder's lock is for others.
        let mut memory = self.memory();
        memory.insert(*print);
        for path in &self.files {
            if let Err(error) = append(path, print) {
                tracing::warn!(path = %path.display(), %error, "a spent refresh token could not be noted");
            }
        }
    }

    /// Forgets a fingerprint.
    pub(super) fn forget(&self, print: &Fingerprint) {
        if !matches!(self.has(print), Ok(true)) {
            return;
        }
        let mut memory = self.memory();
        memory.remove(print);
        for path in &self.files {
            let without = turn(path).and_then(|_turn| {
                let (known, size) = (read(path)?, size_of::<Fingerprint>());
                let others: Vec<u8> =
                    known.chunks_exact(size).filter(|known| known != print).flatten().copied().collect();
                write_private(path, &others)
            });
            if let Err(error) = without {
                tracing::warn!(path = %path.display(), %error, "a refresh token that is good again could not be noted");
            }
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, HashSet<Fingerprint>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut known = Vec::new();
    match open_private(path, OpenOptions::new().read(true)) {
        Ok(file) => {
            file.take((MOST * size_of::<Fingerprint>()) as u64).read_to_end(&mut known)?;
            Ok(known)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(known),
        Err(error) => Err(error),
    }
}

/// Waits until nobody else writes in the same folder.
fn turn(path: &Path) -> io::Result<Option<File>> {
    private::hold(path.parent().unwrap_or(path))
}

/// A write that broke off leaves part of a fingerprint, which the next one is put over.
fn append(path: &Path, print: &Fingerprint) -> io::Result<()> {
    let _turn = turn(path)?;
    let mut file: File = open_private(path, OpenOptions::new().read(true).write(true).create(true))?;
    let size = size_of::<Fingerprint>() as u64;
    let whole = file.metadata()?.len() / size;
    if whole as usize >= MOST {
        drop(file);
        let known = read(path)?;
        let later = known.get(known.len() / 2 / 16 * 16..).unwrap_or_default();
        return write_private(path, &[later, print].concat());
    }
    file.seek(SeekFrom::Start(whole * size))?;
    file.write_all(print)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    fn print(number: u32) -> Fingerprint {
        let mut print = [7; 16];
        print[..4].copy_from_slice(&number.to_le_bytes());
        print
    }

    #[test]
    fn what_is_spent_stays_so_for_the_next_process() {
        let (state, beside) = (tempdir().unwrap(), tempdir().unwrap());
        let spent = Spent::at(state.path(), Some(beside.path()));
        assert!(!spent.has(&print(1)).unwrap());
        spent.add(&print(1));
        spent.add(&print(2));
        let next = Spent::at(state.path(), Some(beside.path()));
        assert!(
            next.has(&print(1)).unwrap() && next.has(&print(2)).unwrap() && !next.has(&print(3)).unwrap()
        );
    }

    #[test]
    fn many_at_once_lose_none_and_what_is_given_again_is_good_again() {
        let state = tempdir().unwrap();
        let all: Vec<Spent> = (0..4).map(|_| Spent::at(state.path(), None)).collect();
        std::thread::scope(|scope| {
            for (spent, from) in all.iter().zip([0, 100, 200, 300]) {
                scope.spawn(move || (from..from + 50).for_each(|number| spent.add(&print(number))));
            }
        });
        let next = Spent::at(state.path(), None);
        for number in [0, 100, 200, 300].into_iter().flat_map(|from| from..from + 50) {
            assert!(next.has(&print(number)).unwrap(), "{number}");
        }
        next.forget(&print(120));
        assert!(!next.has(&print(120)).unwrap() && next.has(&print(121)).unwrap());
        assert!(!Spent::at(state.path(), None).has(&print(120)).unwrap());
    }

    // Fault 32: the file that a backup brings back knows nothing; the other one does.
    #[test]
    fn f32_a_state_folder_of_yesterday_does_not_make_a_spent_token_new() {
        let (state, beside) = (tempdir().unwrap(), tempdir().unwrap());
        Spent::at(state.path(), Some(beside.path())).add(&print(1));
        std::fs::remove_file(state.path().join(FILE)).unwrap();
        assert!(Spent::at(state.path(), Some(beside.path())).has(&print(1)).unwrap());
        std::fs::remove_file(beside.path().join(FILE)).unwrap();
        assert!(!Spent::at(state.path(), Some(beside.path())).has(&print(1)).unwrap());
    }

    #[test]
    fn part_of_a_fingerprint_spoils_none_that_comes_after() {
        let state = tempdir().unwrap();
        let spent = Spent::at(state.path(), None);
        spent.add(&print(1));
        let path = state.path().join(FILE);
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend([1, 2, 3]);
        write_private(&path, &torn).unwrap();
        spent.add(&print(2));
        let next = Spent::at(state.path(), None);
        assert!(next.has(&print(1)).unwrap() && next.has(&print(2)).unwrap());
        assert_eq!(std::fs::read(&path).unwrap().len(), 32);
    }

    #[test]
    fn the_oldest_are_forgotten_when_there_are_too_many() {
        let state = tempdir().unwrap();
        let path = state.path().join(FILE);
        let all: Vec<u8> = (0..u32::try_from(MOST).unwrap()).flat_map(print).collect();
        write_private(&path, &all).unwrap();
        Spent::at(state.path(), None).add(&print(u32::MAX));
        let next = Spent::at(state.path(), None);
        assert!(next.has(&print(u32::MAX)).unwrap() && next.has(&print(65_535)).unwrap());
        assert!(!next.has(&print(0)).unwrap());
        assert!(std::fs::metadata(&path).unwrap().len() < (MOST * 16) as u64);
    }
}

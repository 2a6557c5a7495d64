//! From one key to another, record by record.
//!
//! At every moment each record is whole, and sealed with a key that is still there: the new key is durable
//! before anything is sealed with it, the old one goes when nothing names it any more. So it can be broken
//! off anywhere, and done again. A record that somebody replaces in the meantime is left alone: the new one
//! is sealed with the new key.

use std::{ffi::OsStr, fs, path::Path};

use sso_agent_os::private;

use super::{Resealed, SealedFiles, StoreError};
use crate::store::{
    files::{self, Draft},
    note,
    seal::{Sealed, SealingKey},
};

impl SealedFiles {
    pub(super) fn reseal_all(&self) -> Result<Resealed, StoreError> {
        let key = self.keys.current()?;
        let mut resealed = Resealed::default();
        for name in self.names()? {
            // What is in the spare place moves to the disk first.
            match self.newest(&name).map_err(StoreError::from).and_then(|_| self.reseal_one(&key, &name)) {
                Ok(()) => resealed.sessions += 1,
                Err(StoreError::Unreadable(unreadable)) => resealed.left.push(unreadable),
                Err(error) => return Err(error),
            }
        }
        private::sync_dir(&self.sessions).map_err(|cause| StoreError::at(&self.sessions, cause))?;
        Ok(resealed)
    }

    fn reseal_one(&self, key: &SealingKey, name: &OsStr) -> Result<(), StoreError> {
        let path = self.sessions.join(name);
        let failed = |cause| StoreError::at(&path, cause);
        while let Some((file, record)) = self.read_sealed(&path)? {
            if names_key(&file, key) {
                return Ok(());
            }
            let sealed = key
                .seal(&record.id, record.to_json())
                .map_err(|error| failed(std::io::Error::other(error)))?;
            let mut draft = Draft::begin(&self.sessions).map_err(failed)?;
            draft.write(&sealed).and_then(|()| draft.sync()).map_err(failed)?;
            let _held = private::hold(&self.sessions).map_err(failed)?;
            if files::read(&path).map_err(failed)?.is_some_and(|now| now == file) {
                return draft.place(&path).map_err(failed);
            }
        }
        Ok(())
    }

    pub(super) fn retire_unused(&self) -> Result<(), StoreError> {
        let state = self.sessions.parent().unwrap_or(&self.sessions).to_owned();
        let mut files = Vec::new();
        for place in [Some(state.as_path()), self.spare.as_ref().map(super::Spare::dir)].into_iter().flatten()
        {
            collect(place, 2, &mut files)
                .map_err(|unreadable| StoreError::at(&unreadable.0, unreadable.1))?;
        }
        self.keys.retire(|key| files.iter().any(|file| names_key(file, key)))
    }
}

/// Whether a file says that it is sealed with this key, as a record or as a note.
fn names_key(file: &[u8], key: &SealingKey) -> bool {
    let by_note = note::key_of(file).is_some_and(|(source, id)| source == key.source() && id == key.id());
    by_note || Sealed::parse(file).is_ok_and(|sealed| sealed.key() == (key.source(), key.id()))
}

/// Everything of ours below a folder. What cannot be read might need any key.
fn collect(
    dir: &Path,
    depth: u8,
    found: &mut Vec<Vec<u8>>,
) -> Result<(), (std::path::PathBuf, std::io::Error)> {
    for entry in fs::read_dir(dir).map_err(|error| (dir.to_owned(), error))? {
        let entry = entry.map_err(|error| (dir.to_owned(), error))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(|error| (entry.path(), error))?);
        if kind.is_dir() && depth > 0 {
            collect(&path, depth - 1, found)?;
        } else if kind.is_file() {
            found.extend(files::read(&path).map_err(|error| (path, error))?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! The spare place: a folder in memory of the machine's that takes a record first, and keeps it when the
//! disk does not.
//!
//! Writing there costs microseconds and outlives every process, so nothing that an issuer gave is lost
//! because the disk is slow, full or broken. The hard part is that a record then is in two places, and that
//! two processes of ours may look at them at once: the newer generation counts, and nothing is put in its
//! place or taken away but under a lock on the folder, after a second look.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use sso_agent_os::private;

use super::{ENDING, Record, SealedFiles, StoreError, Trouble, Unreadable, sealed_names};
use crate::store::files::{self, Draft};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Spare {
    dir: PathBuf,
}

impl Spare {
    /// A spare place in `dir`, which is made if it is not there.
    pub(super) fn at(dir: &Path) -> Result<Self, StoreError> {
        if dir.is_symlink() {
            return Err(StoreError::NotPrivate { path: dir.to_owned(), why: "it is a symbolic link" });
        }
        files::private_dir(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    pub(super) fn sweep(&self) {
        if let Err(error) = files::sweep(&self.dir) {
            tracing::debug!(%error, "unfinished files stay in the spare place");
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn path(&self, name: &OsStr) -> PathBuf {
        self.dir.join(name)
    }

    /// The names of the records here.
    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        sealed_names(&self.dir, ENDING)
    }

    /// Room for a record. The folder may have gone with the rest of the runtime folder.
    pub(super) fn begin(&self) -> io::Result<Draft> {
        match Draft::begin(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                files::private_dir(&self.dir).map_err(io::Error::other)?;
                Draft::begin(&self.dir)
            }
            begun => begun,
        }
    }

    /// Keeps a sealed record here until it is durable elsewhere.
    pub(super) fn keep(&self, mut draft: Draft, name: &OsStr, sealed: &[u8]) -> io::Result<()> {
        draft.write(sealed)?;
        let _held = self.hold()?;
        draft.place(&self.path(name))
    }

    /// Takes away what is durable elsewhere, unless something newer came in the meantime.
    pub(super) fn drop_copy(&self, name: &OsStr, sealed: &[u8]) -> io::Result<()> {
        let _held = self.hold()?;
        let path = self.path(name);
        if files::read(&path)?.is_some_and(|file| file == sealed) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Forgets a session.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        match self.hold().and_then(|_held| fs::remove_file(self.path(name))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Nobody else moves anything here while this lives; where there is a second process, there are locks.
    fn hold(&self) -> io::Result<Option<File>> {
        private::hold(&self.dir)
    }
}

impl SealedFiles {
    /// The newer of the two copies. What is in the spare place moves to the disk, if it can.
    pub(super) fn newest(&self, name: &OsStr) -> Result<Option<Record>, Unreadable> {
        let path = self.sessions.join(name);
        // In this order, since records move from there to here.
        let in_spare = self.spare.as_ref().map(|spare| (spare, self.read_sealed(&spare.path(name))));
        let on_disk = self.read(&path);
        let (spare, sealed, record) = match in_spare {
            None | Some((_, Ok(None))) => return on_disk,
            Some((spare, Ok(Some((sealed, record))))) => (spare, sealed, record),
            Some((_, Err(unreadable))) => {
                tracing::warn!(%unreadable, "a record in the spare place is left where it is");
                return on_disk.and_then(|record| record.map_or(Err(unreadable), |record| Ok(Some(record))));
            }
        };
        if let Ok(Some(durable)) = on_disk
            && durable.generation >= record.generation
        {
            if let Err(error) = spare.drop_copy(name, &sealed) {
                tracing::debug!(%error, "a copy stays in the spare place");
            }
            return Ok(Some(durable));
        }
        match self.migrate(spare, name, &sealed, record.generation) {
            Ok(()) => tracing::info!(session = record.id, "a session moved from the spare place to the disk"),
            Err(error) => {
                tracing::warn!(session = record.id, %error, "a session is in the spare place only: it is lost when the machine stops");
            }
        }
        Ok(Some(record))
    }

    fn migrate(&self, spare: &Spare, name: &OsStr, sealed: &[u8], generation: u64) -> Result<(), StoreError> {
        let path = self.sessions.join(name);
        let failed = |cause| StoreError::at(&path, cause);
        let mut draft = Draft::begin(&self.sessions).map_err(failed)?;
        draft.write(sealed).and_then(|()| draft.sync()).map_err(failed)?;
        {
            let _held = private::hold(&self.sessions).map_err(failed)?;
            let on_disk = self.read(&path);
            if on_disk.is_ok_and(|found| found.is_none_or(|record| record.generation < generation)) {
                draft.place(&path).map_err(failed)?;
            } else if let Err(Unreadable { trouble, .. }) = self.read(&path) {
                if matches!(trouble, Trouble::Newer | Trouble::Sealed) {
                    let why = "what is on the disk is not for this version, or its key may still come";
                    return Err(failed(io::Error::other(why)));
                }
                self.set_aside(&path)?;
                draft.place(&path).map_err(failed)?;
            }
            private::sync_dir(&self.sessions).map_err(failed)?;
        }
        spare.drop_copy(name, sealed).map_err(failed)
    }
}

#[cfg(test)]
mod tests;

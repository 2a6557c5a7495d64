//! What cannot be read and is kept all the same, under another name.
//!
//! A damaged record is evidence, and may be mended by somebody: its bytes are never touched. It goes out of
//! the way at once when all are loaded, others when their session is signed in to anew. Until then whoever
//! asks for the session is told of it.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use sso_agent_os::private;

use super::{Bad, ENDING, Loaded, SealedFiles, StoreError, Trouble, Unreadable, file_name};
use crate::store::files;

/// Behind the name of the record.
const DAMAGED: &str = ".damaged-";

impl SealedFiles {
    /// Moves what is in the way of a new record, and cannot be read, to a name of its own.
    pub(super) fn set_aside(&self, path: &Path) -> Result<(), StoreError> {
        if let Err(cause) = files::read(path)
            && private::passes(&cause)
        {
            return Err(StoreError::at(path, cause));
        }
        match self.read(path) {
            Err(unreadable) => self.move_aside(path, &unreadable).map(drop),
            Ok(_) => Ok(()),
        }
    }

    /// Moves a record that is damaged out of the way, now that all are loaded.
    pub(super) fn quarantine(&self, unreadable: Unreadable) -> Unreadable {
        if unreadable.trouble != Trouble::Damaged || unreadable.path.parent() != Some(&self.sessions) {
            return unreadable;
        }
        let Ok(_held) = private::hold(&self.sessions) else { return unreadable };
        match self.read(&unreadable.path) {
            Err(still) if still == unreadable => match self.move_aside(&unreadable.path, &still) {
                Ok(path) => Unreadable { path, ..unreadable },
                Err(_) => unreadable,
            },
            Ok(_) | Err(_) => unreadable,
        }
    }

    fn move_aside(&self, path: &Path, unreadable: &Unreadable) -> Result<PathBuf, StoreError> {
        let aside = asides(path).find(|aside| aside.symlink_metadata().is_err()).unwrap_or_default();
        fs::rename(path, &aside).map_err(|cause| StoreError::at(path, cause))?;
        let _ = private::sync_dir(&self.sessions);
        tracing::warn!(%unreadable, aside = %aside.display(), "set aside; nothing of it was changed");
        Ok(aside)
    }

    /// Adds what was set aside earlier and has not been replaced by a sign-in.
    pub(super) fn tell_of_asides(&self, loaded: &mut Loaded) {
        let known: BTreeSet<OsString> =
            loaded.records.iter().map(|record| file_name(&record.id, ENDING).into()).collect();
        let told: BTreeSet<PathBuf> = loaded.unreadable.iter().map(|found| found.path.clone()).collect();
        let mut asides = BTreeSet::new();
        for entry in fs::read_dir(&self.sessions).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Some((of, _)) = name.split_once(DAMAGED) else { continue };
            if of.ends_with(ENDING) && !known.contains(&OsString::from(of)) {
                asides.insert(self.sessions.join(of));
            }
        }
        let lasting = asides.iter().filter_map(|path| self.last_aside(path));
        loaded.unreadable.extend(lasting.filter(|aside| !told.contains(&aside.path)));
    }

    /// What was set aside last of the record at `path`, and what is the matter with it.
    pub(super) fn last_aside(&self, path: &Path) -> Option<Unreadable> {
        let aside = asides(path).take_while(|aside| aside.symlink_metadata().is_ok()).last()?;
        let bad = match files::read(&aside) {
            Ok(file) => match self.unseal_file(path, &file.unwrap_or_default()) {
                Err(bad) => bad,
                Ok(_) => Bad(Trouble::Foreign, "it was set aside while its key was missing".to_owned()),
            },
            Err(error) => Bad(Trouble::Refused, error.to_string()),
        };
        Some(bad.at(&aside))
    }
}

/// The names under which what was at `path` is kept.
pub(super) fn asides(path: &Path) -> impl Iterator<Item = PathBuf> {
    (1_u64..).map(move |number| {
        let mut name = OsString::from(path);
        name.push(format!("{DAMAGED}{number}"));
        PathBuf::from(name)
    })
}

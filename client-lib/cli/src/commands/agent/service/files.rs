//! Files that a service manager reads.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use sso_agent_os::private;

use crate::exit::Failure;

/// Whole or not at all: it may be being read. Others may read it, since nothing in it is secret.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    put(path, text).map_err(|error| unwritable(path, &error))
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("tmp-{}", std::process::id()));
    let done = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done
}

/// What must be there before the manager does its part.
pub(super) fn private_folder(path: &Path) -> Result<(), Failure> {
    private::create_dir(path).map_err(|error| unwritable(path, &error))
}

pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(path, &error)),
        _ => Ok(()),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be changed: {error}", path.display());
    Failure::failed(message, "see whether the folder belongs to you")
}

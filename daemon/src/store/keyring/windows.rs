//! A file in the state folder, wrapped with what Windows keeps for each user (DPAPI): another user, another
//! machine or a copy on another disk opens it not.

use std::{fmt::Display, io, path::Path};

use zeroize::Zeroizing;

use super::{
    KeyringError,
    dpapi::{protect, unprotect},
    unavailable,
};
use crate::store::{
    files,
    seal::{self, KeyBytes},
};

/// Beside the folder of sessions.
const NAME: &str = "key.dpapi";

const FOREIGN: &str = "it was made by another user or on another machine, or is damaged";

/// One that is there and cannot be opened stays as it is: what it sealed needs it.
pub(super) fn read_or_create(state: &Path) -> Result<KeyBytes, KeyringError> {
    let path = state.join(NAME);
    if let Some(key) = read(&path)? {
        return Ok(key);
    }
    let key = seal::random_key().map_err(unavailable)?;
    let wrapped = protect(&*key).map_err(|error| KeyringError(format!("Windows wraps no key: {error}")))?;
    match files::create(&path, &wrapped) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(at(&path, &error)),
        // What it gives back is what the next start will get, also if somebody else made one just now.
        Ok(()) | Err(_) => {}
    }
    read(&path)?.ok_or_else(|| at(&path, &"it does not stay there"))
}

fn read(path: &Path) -> Result<Option<KeyBytes>, KeyringError> {
    let Some(wrapped) = files::read(path).map_err(|error| at(path, &error))? else { return Ok(None) };
    let opened = unprotect(&wrapped).map_err(|error| at(path, &format!("{FOREIGN} ({error})")))?;
    let mut key = Zeroizing::new([0; 32]);
    if opened.len() != key.len() {
        return Err(at(path, &"it holds no key"));
    }
    key.copy_from_slice(&opened);
    Ok(Some(key))
}

fn at(path: &Path, why: &dyn Display) -> KeyringError {
    KeyringError(format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::keyring::{Keyring as _, SystemKeyring, contract};
    use std::fs;
    use tempfile::tempdir;

    #[test]
    fn the_keyring_keeps_the_key_that_it_made() {
        let dir = tempdir().unwrap();
        contract::keeps_the_key_that_it_made(|| SystemKeyring::of(dir.path()));
        let wrapped = fs::read(dir.path().join(NAME)).unwrap();
        let key = read_or_create(dir.path()).unwrap();
        assert!(!wrapped.windows(8).any(|part| key.windows(8).any(|own| own == part)));
    }

    #[test]
    fn each_state_folder_has_a_key_of_its_own() {
        let [one, other] = [(); 2].map(|()| tempdir().unwrap());
        assert_ne!(read_or_create(one.path()).unwrap(), read_or_create(other.path()).unwrap());
    }

    #[test]
    fn f31_a_wrapped_key_that_cannot_be_opened_is_told_of_and_left_alone() {
        let dir = tempdir().unwrap();
        let path = dir.path().join(NAME);
        let keyring = SystemKeyring::of(dir.path());
        keyring.read_or_create().unwrap();
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        let short = protect(b"CANARY").unwrap();
        for (damaged, why) in [
            (&changed[..], FOREIGN),
            (&whole[..whole.len() / 2], FOREIGN),
            (b"", FOREIGN),
            (&short, "it holds no key"),
        ] {
            files::write(&path, damaged).unwrap();
            contract::makes_no_other_key_while(&keyring, why);
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }
}

//! The keychain of macOS: one generic password, in the keychain that its user's sign-in unlocks.
//!
//! It would ask a person if it is locked, and also for a program that is another one than that which made
//! the item: a build that nobody signed is another one each time. Both are an error here.

use std::path::Path;

use security_framework::{base::Error, os::macos::keychain::SecKeychain};
use zeroize::Zeroizing;

use super::{KeyringError, unavailable};
use crate::store::seal::{self, KeyBytes};

const SERVICE: &str = "sso-agent";
const ACCOUNT: &str = "store-key";

// Of <Security/SecBase.h>.
const NO_SUCH_ITEM: i32 = -25300;
const THERE_ALREADY: i32 = -25299;
const REFUSED: i32 = -25293;
const NO_SUCH_KEYCHAIN: i32 = -25294;
const NO_DEFAULT_KEYCHAIN: i32 = -25307;
const WOULD_ASK: i32 = -25308;

/// The key of this user, whatever the state folder.
pub(super) fn read_or_create(_: &Path) -> Result<KeyBytes, KeyringError> {
    let _no_window = SecKeychain::disable_user_interaction().map_err(in_words)?;
    let keychain = SecKeychain::default().map_err(in_words)?;
    if let Some(key) = find(&keychain)? {
        return Ok(key);
    }
    let key = Zeroizing::new(seal::hex(&*seal::random_key().map_err(unavailable)?));
    match keychain.add_generic_password(SERVICE, ACCOUNT, key.as_bytes()) {
        Err(error) if error.code() != THERE_ALREADY => return Err(in_words(error)),
        // What it gives back is what the next start will get, also if somebody else made one just now.
        Ok(()) | Err(_) => {}
    }
    find(&keychain)?.ok_or_else(|| KeyringError("it does not keep what it is given".to_owned()))
}

/// One that is there and is none of ours stays as it is.
fn find(keychain: &SecKeychain) -> Result<Option<KeyBytes>, KeyringError> {
    match keychain.find_generic_password(SERVICE, ACCOUNT) {
        Ok((secret, _)) => std::str::from_utf8(&secret)
            .ok()
            .and_then(seal::unhex)
            .map(Some)
            .ok_or_else(|| KeyringError(format!("its item {SERVICE} ({ACCOUNT}) holds no key"))),
        Err(error) if error.code() == NO_SUCH_ITEM => Ok(None),
        Err(error) => Err(in_words(error)),
    }
}

fn in_words(error: Error) -> KeyringError {
    KeyringError(match error.code() {
        WOULD_ASK => format!(
            "it is locked, or would ask whether this program may read its item {SERVICE}: unlock it, or allow \
             sso-agent in Keychain Access"
        ),
        REFUSED => {
            format!("its item {SERVICE} is closed to this program: allow sso-agent in Keychain Access")
        }
        NO_DEFAULT_KEYCHAIN | NO_SUCH_KEYCHAIN => "it was never set up".to_owned(),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use crate::store::keyring::{SystemKeyring, contract};

    #[test]
    #[ignore = "leaves a key in the keychain of whoever runs it, which has to be unlocked"]
    fn the_keyring_keeps_the_key_that_it_made() {
        contract::keeps_the_key_that_it_made(|| SystemKeyring::of("/".as_ref()));
    }
}

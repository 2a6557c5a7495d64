//! Keyrings for tests: real ones, only simple.

use zeroize::Zeroizing;

use crate::store::{Keyring, KeyringError, seal::KeyBytes};

/// Always has this key.
pub(in crate::store) struct Unlocked(pub(in crate::store) u8);

impl Keyring for Unlocked {
    fn read_or_create(&self) -> Result<KeyBytes, KeyringError> {
        Ok(Zeroizing::new([self.0; 32]))
    }
}

/// Never answers.
pub(in crate::store) struct Silent;

impl Keyring for Silent {
    fn read_or_create(&self) -> Result<KeyBytes, KeyringError> {
        Err(KeyringError("it is locked".to_owned()))
    }
}

/// Must not be asked.
pub(in crate::store) struct Unasked;

impl Keyring for Unasked {
    fn read_or_create(&self) -> Result<KeyBytes, KeyringError> {
        panic!("the keyring was asked")
    }
}

#[test]
fn one_that_is_unlocked_is_a_keyring() {
    crate::store::keyring::contract::keeps_the_key_that_it_made(|| Unlocked(1));
}

//! The keyring of the operating system, as far as it keeps one key for us.

#[cfg(target_os = "linux")]
mod secret_service;

use super::seal::KeyBytes;

/// Keeps one key.
pub(crate) trait Keyring: Send + Sync + 'static {
    /// The key, made now if there is none. Never asks a person, and answers within 3 s.
    fn read_or_create(&self) -> Result<KeyBytes, KeyringError>;
}

/// No key from there, this time; in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct KeyringError(pub(crate) String);

/// What the desktop unlocks when its user signs in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemKeyring;

#[cfg(target_os = "linux")]
impl Keyring for SystemKeyring {
    fn read_or_create(&self) -> Result<KeyBytes, KeyringError> {
        secret_service::read_or_create()
    }
}

#[cfg(not(target_os = "linux"))]
impl Keyring for SystemKeyring {
    fn read_or_create(&self) -> Result<KeyBytes, KeyringError> {
        Err(KeyringError("the keyring of this system is not used yet".to_owned()))
    }
}

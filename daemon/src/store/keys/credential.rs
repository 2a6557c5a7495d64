//! A key that systemd hands to the service: `LoadCredentialEncrypted=`, sealed by the machine's TPM where
//! it has one.

use std::path::Path;

use zeroize::Zeroizing;

use super::{SealingKey, Source, StoreError, file, files, no_key};

/// Its name in the folder of credentials.
pub(super) const NAME: &str = "sso-agent.key";

/// What is in `folder`, if anything. Something that is no key is told of at once: whoever put it there
/// counts on it.
pub(super) fn read(folder: Option<&Path>) -> Result<Option<SealingKey>, StoreError> {
    let Some(path) = folder.map(|folder| folder.join(NAME)) else { return Ok(None) };
    let content = files::read_given(&path).map_err(|error| no_key(format!("{}: {error}", path.display())))?;
    let Some(content) = content.map(Zeroizing::new) else { return Ok(None) };
    let key = file::parse(&content)
        .ok_or_else(|| no_key(format!("{} holds no key: it has 64 hexadecimal digits", path.display())))?;
    Ok(Some(SealingKey::new(Source::Credential, key)))
}

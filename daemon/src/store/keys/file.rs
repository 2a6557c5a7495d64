//! The key file beside the sessions: private, and replaced by nobody.

use std::{fmt, io, path::Path};

use zeroize::Zeroizing;

use crate::store::{
    StoreError, files,
    seal::{self, KeyBytes, SealingKey, Source},
};

/// Beside the folder of sessions.
pub(super) const NAME: &str = "key";

const FIRST_LINE: &str = "# Opens the sessions beside it. Keep it private; without it they are lost.";

/// A key file that cannot be read stops everything: to go on with another key would leave the
/// sessions of this one behind.
pub(super) fn read(path: &Path) -> Result<Option<SealingKey>, StoreError> {
    let no_key = |why: &dyn fmt::Display| StoreError::NoKey { why: format!("{}: {why}", path.display()) };
    let Some(content) = files::read(path).map_err(|error| no_key(&error))? else { return Ok(None) };
    let content = Zeroizing::new(content);
    let key = parse(&content)
        .ok_or_else(|| no_key(&"it holds no key; restore it, or move it away to begin anew"))?;
    Ok(Some(SealingKey::new(Source::File, key)))
}

pub(super) fn create(dir: &Path) -> Result<SealingKey, StoreError> {
    let path = dir.join(NAME);
    let bytes = seal::random_key().map_err(|error| StoreError::at(&path, io::Error::other(error)))?;
    let digits = Zeroizing::new(seal::hex(&*bytes));
    let text = Zeroizing::new([FIRST_LINE, "\n", &digits, "\n"].concat());
    files::Draft::begin(dir)
        .and_then(|draft| draft.finish(&path, text.as_bytes()))
        .map_err(|cause| StoreError::at(&path, cause))?;
    Ok(SealingKey::new(Source::File, bytes))
}

/// The first line that is no comment, as hexadecimal digits.
pub(super) fn parse(content: &[u8]) -> Option<KeyBytes> {
    let text = std::str::from_utf8(content).ok()?;
    seal::unhex(text.lines().find(|line| !line.starts_with('#'))?.trim())
}

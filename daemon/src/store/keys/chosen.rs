//! Where the last rekey has put the key, where config.toml does not say.

use std::path::Path;

use super::{Source, StoreError, files, no_key};

const NAME: &str = "key.source";

pub(super) fn read(dir: &Path) -> Result<Option<Source>, StoreError> {
    let path = dir.join(NAME);
    let content = files::read(&path).map_err(|cause| StoreError::at(&path, cause))?;
    let Some(content) = content else { return Ok(None) };
    let word = String::from_utf8_lossy(&content);
    // Never downgraded, so never guessed.
    let bad =
        || no_key(format!("{} names no source of keys; `key` in config.toml does, too", path.display()));
    Source::named(word.trim()).map(Some).ok_or_else(bad)
}

pub(super) fn write(dir: &Path, source: Source) -> Result<(), StoreError> {
    let path = dir.join(NAME);
    files::write(&path, format!("{}\n", source.name()).as_bytes())
        .map_err(|cause| StoreError::at(&path, cause))
}

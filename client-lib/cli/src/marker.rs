//! How the stand-in for the Databricks CLI is known by its file, wherever it was copied to.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// The name that programs look for.
pub(crate) const NAME: &str = "databricks";

/// Backwards, so that no other program of ours holds it as it is.
const BACKWARDS: &str = "6c1a3f8d ILC skcirbataD eht rof ni-dnats s'tnega-oss";

/// A larger file is none of ours; the real one is.
const LARGEST: u64 = 32 * 1024 * 1024;

/// Says whether a file is the stand-in.
pub(crate) fn is_stand_in(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() || file.metadata()?.len() > LARGEST {
        return Ok(false);
    }
    let mark = mark();
    let mut window = Vec::with_capacity(1024 * 1024 + mark.len());
    loop {
        let read = file.by_ref().take(1024 * 1024).read_to_end(&mut window)?;
        if holds(&window, &mark) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        window.drain(..window.len().saturating_sub(mark.len() - 1));
    }
}

fn mark() -> Vec<u8> {
    BACKWARDS.bytes().rev().collect()
}

/// Goes by the first byte, which is faster than to compare at every place.
fn holds(window: &[u8], mark: &[u8]) -> bool {
    let mut rest = window;
    while let Some(at) = rest.iter().position(|byte| *byte == mark[0]) {
        rest = &rest[at..];
        if rest.starts_with(mark) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_known_by_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("databricks");
        let filler = vec![b's'; 1024 * 1024 - 7];
        fs::write(&file, [&filler[..], &mark(), &filler[..]].concat()).unwrap();
        assert!(is_stand_in(&file).unwrap(), "across two windows");
        fs::write(&file, BACKWARDS).unwrap();
        assert!(!is_stand_in(&file).unwrap());
        assert!(!is_stand_in(folder.path()).unwrap_or(false));
        assert!(is_stand_in(&folder.path().join("none")).is_err());
    }
}

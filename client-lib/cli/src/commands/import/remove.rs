//! Removes the originals of what was taken over, and nothing else.

use std::path::{Path, PathBuf};

use super::{
    cli_cache,
    find::{Skipped, Source, Tool},
};
use crate::private;

/// What became of the originals.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) paths: Vec<PathBuf>,
    pub(super) left: Vec<Skipped>,
}

pub(super) fn remove(sources: &[&Source]) -> Removed {
    let mut removed = Removed::default();
    for one in whole(sources) {
        match originals(&one) {
            Ok(()) => removed.paths.push(one.path),
            Err(why) => removed.left.push(Skipped::new(&one.path, why)),
        }
    }
    removed
}

/// Those of one file together: it changes once.
fn whole(sources: &[&Source]) -> Vec<Source> {
    let mut whole: Vec<Source> = Vec::new();
    for source in sources {
        match whole.iter_mut().find(|one| one.path == source.path) {
            Some(one) => one.keys.extend(source.keys.iter().cloned()),
            None => whole.push((*source).clone()),
        }
    }
    whole
}

fn originals(source: &Source) -> Result<(), String> {
    let path = source.path.as_path();
    let bytes = source.unchanged()?;
    let rest = match source.tool {
        Tool::Python => None,
        Tool::Cli => cli_cache::without(&bytes, &source.keys)?,
    };
    put(path, rest.as_ref().map(|rest| rest.as_slice()))
        .map_err(|error| format!("it cannot be changed: {error}"))
}

fn put(path: &Path, rest: Option<&[u8]>) -> std::io::Result<()> {
    match rest {
        Some(rest) => private::put(path, rest),
        None => private::remove(path),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::find::Seen, *};
    use std::fs;

    fn source(tool: Tool, path: &Path, keys: &[&str]) -> Source {
        let seen = Seen::of(&fs::read(path).unwrap());
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Source { tool, path: path.to_owned(), keys, seen }
    }

    #[test]
    fn only_the_keys_that_were_taken_over_go_and_the_rest_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token-cache.json");
        let other = r#"{"expires_in": 3600.00, "refresh_token": "\u0072", "new": 12345678901234567890123}"#;
        let text = format!(r#"{{"later": [1],"tokens":{{"b":{other},"a":{{}},"c":{{}}}},"version":1}}"#);
        fs::write(&path, text).unwrap();
        let (a, c) = (source(Tool::Cli, &path, &["a"]), source(Tool::Cli, &path, &["c"]));
        let removed = remove(&[&a, &c]);
        assert_eq!(removed.paths, [path.as_path()], "{removed:?}");
        let left = fs::read_to_string(&path).unwrap();
        assert!(left.contains(other) && !left.contains("\"a\"") && !left.contains("\"c\""), "{left}");
        assert!(left.find("later") < left.find("tokens") && left.find("tokens") < left.find("version"));
        serde_json::from_str::<serde_json::Value>(&left).unwrap();
    }

    #[test]
    fn a_file_of_which_nothing_is_left_goes_whole() {
        let folder = tempfile::tempdir().unwrap();
        for (tool, keys) in [(Tool::Cli, &["a", "b"][..]), (Tool::Python, &[])] {
            let path = folder.path().join("file");
            fs::write(&path, r#"{"version":1,"tokens":{"a":{},"b":{}}}"#).unwrap();
            assert_eq!(remove(&[&source(tool, &path, keys)]).paths, [path.as_path()]);
            assert!(!path.exists());
        }
    }

    #[test]
    fn what_changed_in_the_meantime_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (path, gone) = (folder.path().join("file"), folder.path().join("gone"));
        for path in [&path, &gone] {
            fs::write(path, r#"{"version":1,"tokens":{"a":{}}}"#).unwrap();
        }
        let (one, other) = (source(Tool::Cli, &path, &["a"]), source(Tool::Python, &gone, &[]));
        fs::write(&path, r#"{"version":1,"tokens":{"a":{"new":1}}}"#).unwrap();
        fs::remove_file(&gone).unwrap();
        let removed = remove(&[&one, &other]);
        assert!(removed.paths.is_empty() && removed.left.len() == 2, "{removed:?}");
        assert!(removed.left[0].why.starts_with("it changed"));
        assert!(fs::read_to_string(&path).unwrap().contains("new"));
    }
}

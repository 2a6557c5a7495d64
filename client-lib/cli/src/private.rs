//! Files that nobody else may read: read up to a limit, born private, written whole or not at all.
//!
//! A symlink stays one: what it leads to is read, replaced and removed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use secrecy::zeroize::Zeroizing;
use sso_agent_os::private as os;

/// The largest file that is read, in bytes.
pub(crate) const LIMIT: u64 = 1024 * 1024;

/// Reads a file whole; `None` when nothing is there. Says in words why it cannot be read, without its path.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let unreadable = |error: io::Error| format!("it cannot be read: {error}");
    // Looked at before it is opened, which would wait for ever at a pipe.
    let length = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
        Ok(found) if !found.is_file() => return Err("it is not a regular file".to_owned()),
        Ok(found) => found.len(),
    };
    // A buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length.min(LIMIT) + 2).unwrap_or(0)));
    File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(format!("it has more than {LIMIT} bytes"));
    }
    Ok(Some(bytes))
}

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// Puts content in the place of a file, or where there is none yet.
pub(crate) fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = followed(path)?;
    placed(&path, content, |beside| os::patiently(|| fs::rename(beside, &path)))
}

/// Makes a file that is not there yet, and its folder.
pub(crate) fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        os::create_dir(folder)?;
    }
    placed(path, content, |beside| match fs::hard_link(beside, path) {
        // Unlike a rename, a link does not replace what came there in the meantime. Some file systems
        // have none.
        Err(_) if fs::symlink_metadata(path).is_err() => fs::rename(beside, path),
        outcome => outcome.and_then(|()| fs::remove_file(beside)),
    })
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    os::patiently(|| fs::remove_file(&path))?;
    sync_folder_of(&path);
    Ok(())
}

fn placed(path: &Path, content: &[u8], put: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let beside = beside(path);
    let mut file = born_private(&beside)?;
    // Where the folder decides, it may let others in.
    let done = os::be_private(&beside, &file)
        .and_then(|()| file.write_all(content))
        .and_then(|()| file.sync_all())
        .and_then(|()| put(&beside));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    sync_folder_of(path);
    done
}

/// Finds out whether [`put`] would work, as far as that can be told.
pub(crate) fn can_put(path: &Path) -> io::Result<()> {
    let beside = beside(&followed(path)?);
    born_private(&beside)?;
    fs::remove_file(beside)
}

/// Waits until nobody else changes a file in the same folder; whoever drops it lets the next one go on. Where
/// there are no locks, as on some NFS, nobody waits.
pub(crate) fn turn_at(path: &Path) -> Option<File> {
    turn::at(&folder_of(&followed(path).ok()?)).ok()?
}

/// It is the folder that is locked, so that no file has to be left behind.
#[cfg(unix)]
mod turn {
    pub(super) use super::os::hold as at;
}

/// Folders have no locks, and that of a home is not ours to put a file beside: all turns are one, at a file in
/// the user's own folder for such.
#[cfg(not(unix))]
mod turn {
    use super::{File, OpenOptions, Path, io, os};

    pub(super) fn at(_: &Path) -> io::Result<Option<File>> {
        let path = std::env::temp_dir().join("sso-agent-files.lock");
        loop {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            if os::locked(&path, &file)? {
                return Ok(Some(file));
            }
        }
    }
}

fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

fn born_private(path: &Path) -> io::Result<File> {
    os::born_private(OpenOptions::new().write(true).create_new(true)).open(path)
}

/// Where a path leads to, whether or not something is there.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(to) => path = path.parent().unwrap_or(Path::new("")).join(to),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".tmp-{}", std::process::id()));
    path.with_file_name(name)
}

/// So that a crash does not undo what was done; where folders cannot be synced, it has to do without.
fn sync_folder_of(path: &Path) {
    let _ = os::sync_dir(&folder_of(path));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        fs::read_dir(folder).unwrap().map(name).collect()
    }

    #[test]
    fn a_new_file_is_whole_and_nothing_is_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b");
        create(&path, b"one").unwrap();
        assert_eq!(create(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&path).unwrap().unwrap().as_slice(), b"one");
        assert_eq!(names(&home.path().join("a")), ["b"]);
    }

    #[test]
    fn what_is_no_readable_file_is_told_and_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read(&home.path().join("nothing")), Ok(None));
        assert_eq!(read(home.path()), Err("it is not a regular file".into()));
        let large = home.path().join("large");
        File::create(&large).unwrap().set_len(LIMIT + 1).unwrap();
        assert!(read(&large).unwrap_err().contains("1048576"));
        File::create(&large).unwrap().set_len(LIMIT).unwrap();
        assert_eq!(read(&large).unwrap().unwrap().len() as u64, LIMIT);
    }

    #[test]
    fn a_file_is_replaced_and_removed_while_somebody_reads_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, "one").unwrap();
        let reader = File::open(&path).unwrap();
        let later = std::thread::spawn(move || drop(reader));
        put(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap().unwrap().as_slice(), b"two");
        later.join().unwrap();
        remove(&path).unwrap();
        assert!(names(home.path()).is_empty());
    }

    #[test]
    fn one_waits_for_the_turn_of_the_other() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let turn = turn_at(&path).unwrap();
        let (path, place) = (path.clone(), path);
        let other = std::thread::spawn(move || {
            let _turn = turn_at(&path).unwrap();
            fs::read(&path).unwrap()
        });
        put(&place, b"done").unwrap();
        drop(turn);
        assert_eq!(other.join().unwrap(), b"done");
    }

    #[cfg(unix)]
    mod on_unix {
        use super::*;
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        fn mode(path: &Path) -> u32 {
            path.metadata().unwrap().permissions().mode() & 0o777
        }

        #[test]
        fn a_new_file_and_its_folder_are_private() {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("a/b");
            create(&path, b"one").unwrap();
            assert_eq!((mode(&home.path().join("a")), mode(&path)), (0o700, 0o600));
        }

        #[test]
        fn what_a_link_leads_to_is_replaced_and_removed() {
            let home = tempfile::tempdir().unwrap();
            let (elsewhere, link) = (home.path().join("elsewhere"), home.path().join("link"));
            fs::write(&elsewhere, "one").unwrap();
            symlink(&elsewhere, &link).unwrap();
            put(&link, b"two").unwrap();
            assert_eq!((fs::read(&elsewhere).unwrap(), mode(&elsewhere)), (b"two".to_vec(), 0o600));
            assert!(link.is_symlink());
            remove(&link).unwrap();
            assert!(!elsewhere.exists() && link.is_symlink());
            put(&link, b"three").unwrap();
            assert_eq!(fs::read(&elsewhere).unwrap(), b"three", "also where there is nothing yet");
        }

        #[test]
        fn a_circle_of_links_is_told() {
            let home = tempfile::tempdir().unwrap();
            let circle = home.path().join("circle");
            symlink(&circle, &circle).unwrap();
            assert!(read(&circle).unwrap_err().starts_with("it cannot be read: "));
            assert!(put(&circle, b"").unwrap_err().to_string().contains("symbolic links"));
        }
    }
}

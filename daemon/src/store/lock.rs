//! At most one agent at a store: a lock file beside it, held for life.
//!
//! The kernel gives the lock back when its holder dies, however it dies, so there is no stale lock.
//! The number in the file is for people; nothing is decided by it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
    time::Duration,
};

use sso_agent_os::{private, process};

use super::{StoreError, files};

/// A process that was just being started by a holder who died has the lock until it is another program.
const PASSES: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Held as long as this lives; children do not inherit it.
#[derive(Debug)]
pub(crate) struct StoreLock {
    #[cfg_attr(windows, expect(dead_code, reason = "it is there to be held"))]
    file: File,
}

/// Why the lock is not ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Somebody else has it: that one serves.
    #[error("another agent is at work here{}", pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Held { pid: Option<u32> },
    /// There is something in its place.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StoreLock {
    /// Takes the lock `name` in the folder `dir`, which nobody else can write, or says at once who has it.
    pub(crate) fn take(dir: &Path, name: &str) -> Result<Self, LockError> {
        let path = dir.join(name);
        let failed = |cause| LockError::Store(StoreError::at(&path, cause));
        let mut options = OpenOptions::new();
        let mut file = files::open(&path, options.read(true).write(true).create(true).truncate(false))
            .map_err(failed)?;
        let mut waited = Duration::ZERO;
        loop {
            match private::try_lock(&file) {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
            let pid = read_pid(&mut file);
            if waited >= PASSES || pid.is_none_or(process::is_alive) {
                return Err(LockError::Held { pid });
            }
            std::thread::sleep(LOOK_AGAIN);
            waited += LOOK_AGAIN;
        }
        if let Err(error) = write_pid(&mut file) {
            tracing::debug!(%error, "the lock is held, but does not say by whom");
        }
        Ok(Self { file })
    }

    /// Whether it still is at this path, where others look for it.
    #[cfg(unix)]
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        private::is_at(&self.file, path)
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    const NAME: &str = "lock";

    #[test]
    fn the_second_one_hears_who_was_first() {
        let dir = tempdir().unwrap();
        let first = StoreLock::take(dir.path(), NAME).unwrap();
        let refused = StoreLock::take(dir.path(), NAME).unwrap_err();
        assert!(matches!(refused, LockError::Held { pid: Some(pid) } if pid == std::process::id()));
        drop(first);
        StoreLock::take(dir.path(), NAME).unwrap();
    }

    #[test]
    fn a_lock_file_left_by_a_dead_agent_is_no_obstacle() {
        let dir = tempdir().unwrap();
        drop(StoreLock::take(dir.path(), NAME).unwrap());
        assert!(dir.path().join(NAME).exists());
        StoreLock::take(dir.path(), NAME).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_not_a_lock_file_is_refused_and_left_alone() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let dir = tempdir().unwrap();
        let elsewhere = dir.path().join("elsewhere");
        File::create(&elsewhere).unwrap().write_all(b"mine").unwrap();
        let path = dir.path().join(NAME);

        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let error = StoreLock::take(dir.path(), NAME).unwrap_err();
        assert!(error.to_string().ends_with("it is a symbolic link"), "{error}");
        std::fs::remove_file(&path).unwrap();

        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let error = StoreLock::take(dir.path(), NAME).unwrap_err();
        assert!(error.to_string().ends_with("it is not a file"), "{error}");
        std::fs::remove_file(&path).unwrap();

        std::fs::hard_link(&elsewhere, &path).unwrap();
        let error = StoreLock::take(dir.path(), NAME).unwrap_err();
        assert!(error.to_string().ends_with("it has another name elsewhere"), "{error}");
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"mine");
    }
}

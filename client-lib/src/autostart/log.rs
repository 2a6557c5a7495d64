//! Where an agent that no service manager watches writes to.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::Stdio,
};

use sso_agent_os::private;

/// A log larger than this is put aside at the next start.
const LARGEST: u64 = 1 << 20;
/// How much of its end is told when the agent did not come up.
const TOLD_BYTES: u64 = 2048;
const TOLD_LINES: usize = 3;

/// The log, and where in it this start begins.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    start: u64,
}

impl Log {
    pub(super) fn open(state: &Path) -> io::Result<Self> {
        let path = state.join("agent.log");
        let start = private_file(&path)?.metadata()?.len();
        Ok(Self { path, start })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a large log aside, over the one that was put aside before. Only who holds the lock does.
    pub(super) fn rotate(&mut self) {
        let length = self.path.metadata().map_or(0, |found| found.len());
        let put_aside =
            length > LARGEST && std::fs::rename(&self.path, self.path.with_extension("log.old")).is_ok();
        self.start = if put_aside { 0 } else { length };
    }

    /// For the agent to append to.
    pub(super) fn end(&self) -> io::Result<Stdio> {
        private_file(&self.path).map(Stdio::from)
    }

    /// What was written last since this start, in one line.
    pub(super) fn last_lines(&self) -> String {
        let text = self.tail().unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(TOLD_LINES)..].join(" | ");
        last.chars().filter(|c| !c.is_control()).collect()
    }

    fn tail(&self) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        let start = self.start.max(file.metadata()?.len().saturating_sub(TOLD_BYTES));
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(TOLD_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Opens a file for appending that only its user can read.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    private::born_private(OpenOptions::new().append(true).create(true)).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[cfg(unix)]
    #[test]
    fn folder_and_log_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/b");
        private::create_dir(&state).unwrap();
        let log = Log::open(&state).unwrap();
        assert_eq!((mode(&state), mode(log.path())), (0o700, 0o600));
    }

    #[test]
    fn a_large_log_is_put_aside_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path()).unwrap();
        log.rotate();
        private_file(log.path()).unwrap().write_all(&vec![b'x'; (LARGEST + 1) as usize]).unwrap();
        log.rotate();
        assert!(!log.path().exists());
        assert!(folder.path().join("agent.log.old").exists());
    }

    #[test]
    fn only_what_this_start_wrote_is_told_and_no_control_characters() {
        let folder = tempfile::tempdir().unwrap();
        private_file(&folder.path().join("agent.log")).unwrap().write_all(b"of yesterday\n").unwrap();
        let log = Log::open(folder.path()).unwrap();
        assert_eq!(log.last_lines(), "");
        private_file(log.path()).unwrap().write_all(b"1\n2\n3\n\x1b[31m4\n").unwrap();
        assert_eq!(log.last_lines(), "2 | 3 | [31m4");
    }
}

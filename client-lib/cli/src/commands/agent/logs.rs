//! `sso agent logs`: the service manager's where it keeps them, the log file elsewhere.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::PathBuf,
    time::Duration,
};

use sso_agent_os::{private, process};

use super::service::Manager;
use crate::{exit::Failure, output::Output};

/// How much of the past is shown before what is added.
const LINES: usize = 50;
/// As much of a log file as is read at once; the agent's is put aside at 1 MiB.
const LARGEST: u64 = 64 << 20;
/// Between two looks at what was added.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) fn show(follow: bool, output: &Output) -> Result<(), Failure> {
    if let Some(mut log) = Manager::in_charge().and_then(|manager| manager.log(follow.then_some(LINES))) {
        let why = process::become_it(&mut log);
        let name = log.get_program().to_string_lossy().into_owned();
        return Err(Failure::failed(format!("{name} cannot be run: {why}"), "see PATH"));
    }
    let log = super::places()?.state.join("agent.log");
    if !log.exists() {
        let message = format!("there is no log at {}", log.display());
        return Err(Failure::failed(message, "an agent in the foreground logs to its own stderr"));
    }
    let unreadable = |error: io::Error| {
        Failure::failed(format!("{} cannot be read: {error}", log.display()), "see its permissions")
    };
    if !follow {
        let mut all = Vec::new();
        let read = File::open(&log).and_then(|file| file.take(LARGEST).read_to_end(&mut all));
        read.map_err(unreadable)?;
        return output.bytes(&all);
    }
    let mut log = Followed::new(log.clone()).map_err(unreadable)?;
    loop {
        output.bytes(&log.added())?;
        std::thread::sleep(PAUSE);
    }
}

/// A log that is added to, and now and again put aside for a new one.
struct Followed {
    path: PathBuf,
    file: File,
    /// What is shown first.
    past: Vec<u8>,
}

impl Followed {
    fn new(path: PathBuf) -> io::Result<Self> {
        let mut file = File::open(&path)?;
        let mut all = Vec::new();
        file.by_ref().take(LARGEST).read_to_end(&mut all)?;
        let past = last_lines(&all).to_vec();
        Ok(Self { path, file, past })
    }

    /// What came since the last time. A log that cannot be read just now is not there just now.
    fn added(&mut self) -> Vec<u8> {
        let mut added = std::mem::take(&mut self.past);
        self.read(&mut added);
        if !private::is_at(&self.file, &self.path)
            && let Ok(new) = File::open(&self.path)
        {
            self.file = new;
            self.read(&mut added);
        }
        added
    }

    fn read(&mut self, added: &mut Vec<u8>) {
        let is_cut = || Some(self.file.metadata().ok()?.len() < (&self.file).stream_position().ok()?);
        if is_cut() == Some(true) {
            let _ = self.file.seek(SeekFrom::Start(0));
        }
        let _ = (&self.file).take(LARGEST).read_to_end(added);
    }
}

fn last_lines(text: &[u8]) -> &[u8] {
    let ends = text.iter().enumerate().rev().filter(|(at, byte)| **byte == b'\n' && at + 1 < text.len());
    let start = ends.map(|(at, _)| at + 1).nth(LINES - 1).unwrap_or(0);
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, io::Write as _, path::Path};

    fn add(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn what_is_added_is_shown_behind_the_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.log");
        let lines = |from: usize, to: usize| (from..to).map(|n| format!("{n}\n")).collect::<String>();
        add(&path, &lines(0, 60));
        let mut log = Followed::new(path.clone()).unwrap();
        assert_eq!(log.added(), lines(10, 60).as_bytes());
        assert_eq!(log.added(), b"");
        add(&path, "more");
        assert_eq!(log.added(), b"more");
        add(&path, "\nand more\n");
        assert_eq!(log.added(), b"\nand more\n");
    }

    #[test]
    fn a_log_that_is_put_aside_or_cut_is_followed_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.log");
        add(&path, "old\n");
        let mut log = Followed::new(path.clone()).unwrap();
        assert_eq!(log.added(), b"old\n");
        add(&path, "last\n");
        fs::rename(&path, folder.path().join("agent.log.old")).unwrap();
        assert_eq!(log.added(), b"last\n", "the rest of it, and no new one yet");
        add(&path, "new\n");
        assert_eq!(log.added(), b"new\n");
        fs::File::create(&path).unwrap();
        assert_eq!(log.added(), b"");
        add(&path, "x\n");
        assert_eq!(log.added(), b"x\n");
    }

    #[test]
    fn few_lines_are_all_shown() {
        assert_eq!(last_lines(b"a\nb\n"), b"a\nb\n");
        assert_eq!(last_lines(b""), b"");
    }
}

//! Runs several commands at once, and shows what each has printed when it is over, in one piece.

use crate::tally::{Count, Tally};
use anyhow::{Context, Result};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A command, and what to call it.
#[derive(Debug)]
pub struct Job {
    /// For a person.
    pub name: String,
    /// What to run.
    pub command: Command,
}

/// What came of a job.
#[derive(Debug)]
pub struct Done {
    /// The job's.
    pub name: String,
    /// How long it ran.
    pub took: Duration,
    /// Its tests.
    pub tally: Tally,
    /// What it printed.
    pub log: PathBuf,
}

/// Runs all of them in their order, `width` at a time, and keeps what they print in a folder of theirs.
///
/// # Errors
/// The folder cannot be made anew.
pub fn run(jobs: Vec<Job>, width: usize, logs: &Path) -> Result<Vec<Done>> {
    if logs.exists() {
        fs::remove_dir_all(logs)?;
    }
    fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let waiting = Mutex::new(jobs.into_iter().enumerate().collect::<VecDeque<_>>());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..width.max(1) {
            scope.spawn(|| {
                while let Some((number, job)) = next() {
                    println!("   running {}", job.name);
                    let start = Instant::now();
                    let log = logs.join(format!("{number:02}.log"));
                    let outcome = apart(job.command, &log);
                    let took = start.elapsed();
                    // Whoever holds this is alone on the screen.
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    let tally = show(&job.name, took, &log, outcome);
                    done.push(Done { name: job.name, took, tally, log });
                }
            });
        }
    });
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs it to its end with its output in a file: unlike a pipe that is complete when the command has ended,
/// though a process that it left behind may still hold on to it.
fn apart(mut command: Command, log: &PathBuf) -> Result<ExitStatus> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stderr(file.try_clone()?).stdout(file);
    let name = command.get_program().to_string_lossy().into_owned();
    command.status().with_context(|| format!("cannot run {name}"))
}

fn show(name: &str, took: Duration, log: &Path, outcome: Result<ExitStatus>) -> Tally {
    println!("\n-- {name}: {:.1} s", took.as_secs_f32());
    let said = fs::read(log).unwrap_or_default();
    let mut count = Count::default();
    for line in String::from_utf8_lossy(&said).lines() {
        println!("{line}");
        count.line(line);
    }
    match outcome {
        Ok(status) => {
            if !status.success() {
                println!("{name} ended with {status}");
            }
            count.end(status.success())
        }
        Err(error) => {
            println!("{error:#}");
            count.end(false)
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::{Job, run};
    use crate::tally::Tally;
    use std::collections::BTreeMap;
    use std::process::Command;

    fn sh(name: &str, script: &str) -> Job {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Job { name: name.to_owned(), command }
    }

    fn tallies(jobs: Vec<Job>, width: usize) -> BTreeMap<String, Tally> {
        let logs = std::env::temp_dir().join(format!("xtask-{}-{width}", std::process::id()));
        let done = run(jobs, width, &logs).expect("the folder can be made");
        std::fs::remove_dir_all(logs).expect("it is ours");
        done.into_iter().map(|done| (done.name, done.tally)).collect()
    }

    #[test]
    fn each_is_counted_by_what_it_printed_on_either_side_and_by_how_it_ended() {
        let done = tallies(
            vec![
                sh("tests", "echo 'test result: ok. 3 passed; 0 failed; 0 ignored'"),
                sh("other side", "echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored' >&2; exit 101"),
                sh("dies", "echo 'test result: ok. 3 passed; 0 failed; 0 ignored'; exit 1"),
                Job { name: "none".into(), command: Command::new("/no/such/program") },
            ],
            3,
        );
        let tally = |passed, failed| Tally { passed, failed };
        let expected = [
            ("dies", tally(3, 1)),
            ("none", tally(0, 1)),
            ("other side", tally(1, 2)),
            ("tests", tally(3, 0)),
        ];
        assert_eq!(done, expected.map(|(name, tally)| (name.to_owned(), tally)).into());
    }

    #[test]
    fn two_that_wait_for_each_other_are_run_at_once() {
        let folder = std::env::temp_dir().join(format!("xtask-fifo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let fifo = folder.join("fifo").display().to_string();
        assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
        let meet = [format!("echo met > '{fifo}'"), format!("read -r word < '{fifo}'; test \"$word\" = met")];
        let jobs = meet.iter().map(|script| sh(script, script)).collect();
        assert!(tallies(jobs, 2).values().all(|tally| tally.failed == 0));
        std::fs::remove_dir_all(folder).expect("it is ours");
    }
}

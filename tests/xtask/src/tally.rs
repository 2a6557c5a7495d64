//! Runs one command, shows what it prints, and counts the tests in it.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// How a step went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed; a step without tests counts as one.
    pub passed: u32,
    /// Tests that failed.
    pub failed: u32,
}

impl Tally {
    /// One thing that went well, or did not.
    pub fn one(well: bool) -> Self {
        Self { passed: u32::from(well), failed: u32::from(!well) }
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }

    /// Reads the line in which a test runner says how it went.
    fn of_line(line: &str) -> Option<Self> {
        Self::of_cargo(line).or_else(|| Self::of_pytest(line))
    }

    /// Reads `3 passed, 1 failed, 1 warning in 0.12s`, with or without a rule around it; a test whose
    /// preparation fails is an error there.
    fn of_pytest(line: &str) -> Option<Self> {
        let (counts, time) = line.trim_matches(['=', ' ']).rsplit_once(" in ")?;
        time.split(' ').next()?.strip_suffix('s')?.parse::<f32>().ok()?;
        let mut tally = Self::default();
        for part in counts.split(", ") {
            let (count, word) = part.split_once(' ')?;
            let count: u32 = count.parse().ok()?;
            match word {
                "passed" | "xfailed" => tally.passed += count,
                "failed" | "error" | "errors" | "xpassed" => tally.failed += count,
                "skipped" | "deselected" | "warning" | "warnings" => {}
                _ => return None,
            }
        }
        Some(tally)
    }

    /// Reads `test result: ok. 3 passed; 0 failed; …`, which the test harness prints per program.
    fn of_cargo(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |word: &str| {
            let part = counts.split("; ").find_map(|part| part.strip_suffix(word))?;
            part.trim().parse().ok()
        };
        Some(Self { passed: count("passed")?, failed: count("failed")? })
    }
}

/// Counts line by line.
#[derive(Debug, Default)]
pub struct Count {
    counted: Option<Tally>,
}

impl Count {
    /// One line more of what a command printed.
    pub fn line(&mut self, line: &str) {
        if let Some(tally) = Tally::of_line(line) {
            self.counted = Some(self.counted.unwrap_or_default().and(tally));
        }
    }

    /// All of it, for a command that ended well, or not.
    ///
    /// A command that fails without a failed test, say because it does not compile, counts as one failure.
    pub fn end(self, well: bool) -> Tally {
        match self.counted {
            Some(tally) if well || tally.failed > 0 => tally,
            Some(tally) => tally.and(Tally::one(false)),
            None => Tally::one(well),
        }
    }
}

/// Runs `command` to its end, passing its output on.
pub fn run(command: &mut Command) -> Result<Tally> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let stdout = child.stdout.take().context("the child has no stdout")?;
    let mut count = Count::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        count.line(&line);
    }
    Ok(count.end(child.wait()?.success()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::{Tally, run};
    use std::process::Command;

    fn sh(script: &str) -> Tally {
        run(Command::new("sh").args(["-c", script])).expect("sh runs")
    }

    #[test]
    fn the_tests_of_all_programs_are_added_up() {
        let two = "echo 'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s'
                   echo 'test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out'; exit 101";
        assert_eq!(sh(two), Tally { passed: 7, failed: 2 });
    }

    #[test]
    fn the_tests_of_pytest_count_as_well() {
        assert_eq!(sh("echo '95 passed in 3.97s'"), Tally { passed: 95, failed: 0 });
        assert_eq!(sh("echo '=== 95 passed in 75.00s (0:01:15) ==='"), Tally { passed: 95, failed: 0 });
        let mixed = "echo '1 failed, 3 passed, 2 skipped, 1 warning, 2 errors in 0.12s'; exit 1";
        assert_eq!(sh(mixed), Tally { passed: 3, failed: 3 });
        assert_eq!(
            sh("echo '3 ducks passed in 0.12s'; echo 'passed in review'"),
            Tally { passed: 1, failed: 0 }
        );
    }

    #[test]
    fn a_run_of_pytest_that_finds_no_test_is_a_failure() {
        assert_eq!(sh("echo 'no tests ran in 0.01s'; exit 5"), Tally { passed: 0, failed: 1 });
    }

    #[test]
    fn a_command_without_tests_counts_as_one() {
        assert_eq!(sh("echo fine"), Tally { passed: 1, failed: 0 });
        assert_eq!(sh("exit 3"), Tally { passed: 0, failed: 1 });
    }

    #[test]
    fn a_program_that_dies_between_tests_is_a_failure() {
        let died = "echo 'test result: ok. 3 passed; 0 failed; 0 ignored'; exit 101";
        assert_eq!(sh(died), Tally { passed: 3, failed: 1 });
    }
}

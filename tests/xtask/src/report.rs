//! What came of the steps: the summary at the end, and how one xtask tells another.

use crate::abreast::Done;
use crate::tally::Tally;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How a step ended.
#[derive(Debug)]
pub enum Outcome {
    /// It ran as a whole.
    Ran(Tally),
    /// It ran as several programs.
    Programs(Vec<Done>),
    /// A part of it ran; and what did not, and why.
    Partly(Tally, String),
    /// Not run, and why.
    Skipped(String),
}

impl Outcome {
    /// Of a step that could not be taken to its end.
    pub fn broken(error: anyhow::Error) -> Self {
        println!("{error:#}");
        Self::Ran(Tally::one(false))
    }

    fn tally(&self) -> Tally {
        match self {
            Self::Ran(tally) | Self::Partly(tally, _) => *tally,
            Self::Programs(programs) => {
                programs.iter().fold(Tally::default(), |sum, done| sum.and(done.tally))
            }
            Self::Skipped(_) => Tally::default(),
        }
    }
}

/// A step that has been taken.
#[derive(Debug)]
pub struct Report {
    /// The step's.
    pub name: &'static str,
    /// From its start to its end.
    pub took: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

impl Report {
    fn json(&self) -> Value {
        let tally = self.outcome.tally();
        let mut line = json!({ "step": self.name, "took_s": self.took.as_secs_f32(),
            "passed": tally.passed, "failed": tally.failed });
        match &self.outcome {
            Outcome::Skipped(why) | Outcome::Partly(_, why) => line["not_run"] = json!(why),
            Outcome::Programs(programs) => {
                let of = |done: &Done| {
                    json!({ "name": done.name, "took_s": done.took.as_secs_f32(),
                    "passed": done.tally.passed, "failed": done.tally.failed })
                };
                line["programs"] = programs.iter().map(of).collect();
            }
            Outcome::Ran(_) => {}
        }
        line
    }
}

/// Writes one line of JSON for each step.
///
/// # Errors
/// The file cannot be written.
pub fn write(reports: &[Report], file: &Path) -> Result<()> {
    let lines: String = reports.iter().map(|report| format!("{}\n", report.json())).collect();
    fs::write(file, lines).with_context(|| format!("cannot write {}", file.display()))
}

/// Reads how long a step took and how it ended from such a file.
///
/// # Errors
/// It says nothing of that step.
pub fn read(file: &Path, step: &str) -> Result<(Duration, Outcome)> {
    let text = fs::read_to_string(file).with_context(|| format!("{step} does not say how it went"))?;
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.find(|line| line["step"] == step).with_context(|| format!("nothing of {step}"))?;
    let count = |key: &str| line[key].as_u64().and_then(|count| u32::try_from(count).ok());
    let (passed, failed) = (count("passed").context("no number")?, count("failed").context("no number")?);
    let tally = Tally { passed, failed };
    let took = Duration::try_from_secs_f64(line["took_s"].as_f64().context("no time")?)?;
    let outcome = match line["not_run"].as_str() {
        None => Outcome::Ran(tally),
        Some(why) if tally == Tally::default() => Outcome::Skipped(why.to_owned()),
        Some(why) => Outcome::Partly(tally, why.to_owned()),
    };
    Ok((took, outcome))
}

/// Prints how all steps went, and says whether nothing failed.
pub fn summary(reports: &[Report]) -> bool {
    println!("\n== summary");
    let (mut total, mut skipped) = (Tally::default(), 0_u32);
    for Report { name, took, outcome } in reports {
        let (took, tally) = (took.as_secs_f32(), outcome.tally());
        total = total.and(tally);
        let counts = format!("{} passed, {} failed", tally.passed, tally.failed);
        let said = match outcome {
            Outcome::Skipped(why) => format!("not run: {why}"),
            Outcome::Partly(_, why) => format!("{counts}; not run: {why}"),
            Outcome::Ran(_) | Outcome::Programs(_) => counts,
        };
        println!("{name:15} {took:7.1} s  {said}");
        skipped += u32::from(matches!(outcome, Outcome::Skipped(_) | Outcome::Partly(..)));
        if let Outcome::Programs(programs) = outcome {
            longest_first(programs).iter().for_each(|line| println!("{:26}{line}", ""));
        }
    }
    if skipped > 0 {
        println!("{skipped} step(s) not run, or not all of it");
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    total.failed == 0
}

/// The programs with their times, some to a line.
fn longest_first(programs: &[Done]) -> Vec<String> {
    let mut sorted: Vec<&Done> = programs.iter().collect();
    sorted.sort_by_key(|done| std::cmp::Reverse(done.took));
    let word = |done: &&Done| {
        let failed = if done.tally.failed > 0 { " FAILED" } else { "" };
        format!("{} {:.1}{failed}", done.name, done.took.as_secs_f32())
    };
    sorted.chunks(6).map(|some| some.iter().map(word).collect::<Vec<_>>().join(", ")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Report, longest_first, read, write};
    use crate::abreast::Done;
    use crate::tally::Tally;
    use std::time::Duration;

    fn done(name: &str, took_s: u64, failed: u32) -> Done {
        let tally = Tally { passed: 2, failed };
        Done { name: name.into(), took: Duration::from_secs(took_s), tally, log: "log".into() }
    }

    #[test]
    fn what_one_xtask_writes_another_one_reads() {
        let took = Duration::from_secs(1);
        let file = std::env::temp_dir().join(format!("xtask-report-{}", std::process::id()));
        let programs = Outcome::Programs(vec![done("login", 1, 0), done("herd", 2, 1)]);
        let skipped = Outcome::Skipped("no mirror".into());
        let reports = [
            Report { name: "e2e", took, outcome: programs },
            Report { name: "parts", took, outcome: skipped },
        ];
        write(&reports, &file).expect("a folder for such files");
        let read = |step| read(&file, step);
        assert!(matches!(read("e2e"), Ok((_, Outcome::Ran(Tally { passed: 4, failed: 1 })))));
        assert!(
            matches!(read("parts"), Ok((time, Outcome::Skipped(why))) if time == took && why == "no mirror")
        );
        assert!(read("clippy").is_err());
        std::fs::remove_file(&file).expect("it is ours");
        assert!(super::read(&file, "e2e").is_err(), "who says nothing did not pass");
    }

    #[test]
    fn the_programs_that_took_longest_come_first_and_failures_are_named() {
        let lines = longest_first(&[done("login", 3, 0), done("clients", 131, 1)]);
        assert_eq!(lines, ["clients 131.0 FAILED, login 3.0"]);
    }
}

//! A step that runs while another one has the screen: by an xtask of its own, whose output is shown later,
//! and which the machine serves after everybody else.

use crate::report::{self, Outcome, Report};
use crate::steps::Plan;
use crate::tools::on_path;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// This program, where no build replaces it while it runs.
#[derive(Debug)]
pub struct This(PathBuf);

impl This {
    /// Puts a copy aside.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.target.join("xtask");
        fs::create_dir_all(&folder)?;
        let copy = folder.join(format!("this-{}{}", std::process::id(), std::env::consts::EXE_SUFFIX));
        fs::copy(std::env::current_exe()?, &copy)
            .with_context(|| format!("cannot write {}", copy.display()))?;
        Ok(Self(copy))
    }
}

impl Drop for This {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}

/// A step on its way.
#[derive(Debug)]
pub struct Beside {
    name: &'static str,
    child: Child,
    start: Instant,
    log: PathBuf,
    report: PathBuf,
}

impl Beside {
    /// Lets it begin.
    ///
    /// # Errors
    /// A file of its cannot be written, or this program not be started once more.
    pub fn start(This(this): &This, workspace: &Workspace, name: &'static str, plan: &Plan) -> Result<Self> {
        let folder = workspace.target.join("xtask");
        let [log, report] = ["log", "json"].map(|kind| folder.join(format!("{name}.{kind}")));
        if report.exists() {
            fs::remove_file(&report)?;
        }
        let mut command = match on_path("nice") {
            Some(nice) => {
                let mut command = Command::new(nice);
                command.args(["-n", "19"]).arg(this);
                command
            }
            None => Command::new(this),
        };
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.args(["test", "--step", name, "--report"]).arg(&report);
        command.args(plan.quick.then_some("--quick"));
        command.args(plan.only.is_empty().then_some("--beside"));
        command.stdin(Stdio::null()).stderr(file.try_clone()?).stdout(file);
        println!("   beside it: {name}");
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, start: Instant::now(), log, report })
    }

    /// Waits until it is over, shows what it has printed, and gives how it went.
    pub fn end(mut self) -> Report {
        println!("\n== {}", self.name);
        let ended = self.child.wait();
        let said = fs::read(&self.log).unwrap_or_default();
        print!("{}", its_own_part(&String::from_utf8_lossy(&said)));
        let told =
            ended.context("it cannot be waited for").and_then(|_| report::read(&self.report, self.name));
        let (took, outcome) = told.unwrap_or_else(|error| (self.start.elapsed(), Outcome::broken(error)));
        Report { name: self.name, took, outcome }
    }
}

/// What it says between its headline and its summary, which is ours to give.
fn its_own_part(said: &str) -> &str {
    let body =
        said.split_once("\n== ").and_then(|(_, rest)| rest.split_once('\n')).map_or(said, |(_, body)| body);
    body.split_once("\n== summary").map_or(body, |(body, _)| body)
}

#[cfg(test)]
mod tests {
    use super::its_own_part;

    #[test]
    fn only_what_the_step_itself_said_is_shown() {
        let said =
            "\n== parts\nfetching\nmissing: a browser\n\n== summary\nparts 1.0 s  0 passed, 1 failed\n";
        assert_eq!(its_own_part(said), "fetching\nmissing: a browser\n");
        assert_eq!(its_own_part("xtask: no such step\n"), "xtask: no such step\n");
    }
}

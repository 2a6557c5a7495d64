//! The Python package: what a script pays for a token, and what a program pays that goes on asking.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::{Pair, Rig, process::Contest};
use crate::{
    report::{Report, Target},
    spread::Spread,
};

const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../client-lib/python/src/sso_agent");
const ASK_OFTEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/measure.py");

/// A script that wants one token.
const ASK_ONCE: &str =
    "import sys, sso_agent; print(sso_agent.Agent.connect().token(host=sys.argv[1]).access_token)";

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let pair = rig.pair()?;
    let Some(python) = python(&pair)? else {
        report.note("no python3 that can make a virtual environment");
        return Ok(());
    };
    rig.on_one_core(&[&pair.agent])?;
    let mut contest = Contest::default();
    let floor = contest.enter_command("python -c pass", command(&pair, &python, &["-c", "pass"]), 0)?;
    let script = command(&pair, &python, &["-c", ASK_ONCE, &pair.host]);
    let ours = contest.enter_command("a script with a token", script, 1000)?;
    contest.run(rig.plan.times(100, 20))?;
    contest.versus(report, ours, floor, Target::AtMost(2.1))?;

    let figures = ask_often(rig, &pair, &python)?;
    let bare = ("bare client", &*figures.bare);
    report.pair("request, open connection", "µs", &figures.ours, bare, Target::AtMost(1.3))?;
    let cached = Spread::of(figures.cached).context("nothing was measured")?;
    report.figure("token at hand", "µs", cached, Target::AtMost(2.0));
    Ok(())
}

/// In microseconds.
#[derive(Deserialize)]
struct Figures {
    ours: Vec<f64>,
    bare: Vec<f64>,
    cached: Vec<f64>,
}

fn ask_often(rig: &Rig<'_>, pair: &Pair, python: &Path) -> Result<Figures> {
    let [times, count] = [rig.plan.times(15, 5), rig.plan.times(2000, 500)].map(|number| number.to_string());
    let mut script = command(pair, python, &[ASK_OFTEN, &pair.host, &times, &count]);
    let done = script.stdout(Stdio::piped()).stderr(Stdio::inherit()).output()?;
    ensure!(done.status.success(), "{ASK_OFTEN} ended with {}", done.status);
    Ok(serde_json::from_slice(&done.stdout)?)
}

fn command(pair: &Pair, python: &Path, args: &[&str]) -> Command {
    let mut command = pair.home.command(python);
    command.args(args);
    command
}

/// Python with the package and nothing else installed, so that no start file of this machine is measured.
fn python(pair: &Pair) -> Result<Option<PathBuf>> {
    let folder = pair.home.state().join("venv");
    let made = Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&folder).status();
    if !made.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let library = fs::read_dir(folder.join("lib"))?.next().context("a venv has a library")??.path();
    let package = library.join("site-packages/sso_agent");
    fs::create_dir(&package)?;
    for file in fs::read_dir(PACKAGE)? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), package.join(file.file_name()))?;
        }
    }
    Ok(Some(folder.join("bin/python")))
}

//! What is installed.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::Rig;
use crate::{
    report::{Report, Target},
    spread::Spread,
};

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let programs = &rig.plan.programs;
    let size = |what: &str, program: &Path, target| -> Result<()> {
        let found = fs::metadata(program).with_context(|| program.display().to_string())?;
        report.figure(what, "MB", Spread::once(found.len() as f64 / 1e6), target);
        Ok(())
    };
    size("sso without demo, stripped", &programs.sso, Target::AtMost(1.8))?;
    if let Some(program) = &programs.sso_static {
        size("the same, static", program, Target::AtMost(1.8))?;
        size(
            "clap, a socket and JSON, static",
            programs.clap_static.as_deref().unwrap_or(program),
            Target::None,
        )?;
    }
    size("the stand-in for the Databricks CLI", &programs.databricks, Target::None)?;
    size("sso-agent, stripped", &programs.agent, Target::AtMost(7.0))
}

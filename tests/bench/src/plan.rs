//! What to measure, and with what.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

/// Where the programs are is said by who built them.
pub(crate) const USAGE: &str = "\
usage: cargo xtask bench [--quick] [--only ROW]... [--json]

  --quick     fewer repetitions, and 1,000 sessions where it would be 10,000
  --only ROW  only this row; may be given more than once
  --json      one JSON object per figure";

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) quick: bool,
    pub(crate) only: Vec<String>,
    pub(crate) json: bool,
    pub(crate) programs: Programs,
}

/// What is measured, and its floors.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    pub(crate) agent: PathBuf,
    pub(crate) echo: PathBuf,
    pub(crate) hyper: PathBuf,
    pub(crate) sso: PathBuf,
    pub(crate) clap: PathBuf,
    /// The stand-in for the Databricks CLI.
    pub(crate) databricks: PathBuf,
    /// What needs a toolchain that not everybody has.
    pub(crate) sso_static: Option<PathBuf>,
    pub(crate) clap_static: Option<PathBuf>,
    pub(crate) databricks_static: Option<PathBuf>,
    pub(crate) floor: Option<PathBuf>,
}

impl Plan {
    /// Reads the command line.
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut plan = Self::default();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--quick" => plan.quick = true,
                "--json" => plan.json = true,
                "--only" => plan.only.push(value()?),
                "--agent" => plan.programs.agent = value()?.into(),
                "--echo" => plan.programs.echo = value()?.into(),
                "--hyper" => plan.programs.hyper = value()?.into(),
                "--sso" => plan.programs.sso = value()?.into(),
                "--clap" => plan.programs.clap = value()?.into(),
                "--databricks" => plan.programs.databricks = value()?.into(),
                "--sso-static" => plan.programs.sso_static = Some(value()?.into()),
                "--clap-static" => plan.programs.clap_static = Some(value()?.into()),
                "--databricks-static" => plan.programs.databricks_static = Some(value()?.into()),
                "--floor" => plan.programs.floor = Some(value()?.into()),
                _ => bail!("what is {arg}?"),
            }
        }
        Ok(plan)
    }

    /// So many repetitions, or fewer when it has to be quick.
    pub(crate) fn times(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// How many sessions are many.
    pub(crate) fn many(&self) -> usize {
        self.times(10_000, 1_000)
    }
}

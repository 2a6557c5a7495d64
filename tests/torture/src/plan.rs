//! Which scenes to play, how long, and with which programs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::random;

/// Where the programs are is said by who built them.
pub(crate) const USAGE: &str = "\
usage: sso-torture --programs DIR [--short] [--only SCENE]... [--seed N] [--minutes N] [--json]

  --programs DIR  where sso-agent, sso and follow are
  --short         a few of each, for every change
  --only SCENE    only this scene; may be given more than once
  --seed N        repeats the moments of a run, as far as a scheduler lets it
  --minutes N     how long the soak is; 30 if not said
  --json          one JSON object per figure";

/// See the module.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) programs: PathBuf,
    pub(crate) short: bool,
    pub(crate) only: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) soak: Duration,
    pub(crate) json: bool,
}

impl Plan {
    /// Reads the command line.
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut plan = Self {
            programs: PathBuf::new(),
            short: false,
            only: Vec::new(),
            seed: random::seed(),
            soak: Duration::from_secs(30 * 60),
            json: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--programs" => plan.programs = value()?.into(),
                "--short" => plan.short = true,
                "--only" => plan.only.push(value()?),
                "--seed" => plan.seed = value()?.parse().context("a seed is a number")?,
                "--minutes" => {
                    let minutes: u64 = value()?.parse().context("minutes are a number")?;
                    plan.soak = Duration::from_secs(60 * minutes);
                }
                "--json" => plan.json = true,
                _ => bail!("what is {arg}?"),
            }
        }
        ensure!(plan.programs.join("sso-agent").is_file(), "there is no sso-agent in --programs");
        plan.programs = plan.programs.canonicalize()?;
        Ok(plan)
    }

    /// So many, or fewer when it has to be short.
    pub(crate) fn times(&self, full: u32, short: u32) -> u32 {
        if self.short { short } else { full }
    }
}

//! What is played, scene by scene.

mod canary;
mod crowd;
mod herd;
mod kills;
mod latency;
mod soak;
mod start;
mod syscalls;
mod trouble;

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow};
use sso_agent_tests::load::raise_file_limit;
use sso_agent_tests::parts;

use crate::plan::Plan;
use crate::random::Random;
use crate::report::{Report, Target};

type Scene = fn(&Stage<'_>, &mut Report) -> Result<()>;

const SCENES: &[(&str, Scene)] = &[
    ("kills", kills::of_the_agent),
    ("syscalls", syscalls::play),
    ("all", kills::of_everything),
    ("herd", herd::play),
    ("crowd", crowd::play),
    ("canary", canary::play),
    ("start", start::play),
    ("soak", soak::play),
    ("latency", latency::play),
];

/// What scenes have in common.
struct Stage<'a> {
    plan: &'a Plan,
    scene: &'static str,
}

impl Stage<'_> {
    /// A time: programs that were built for debugging, on a machine that runs all tests, are given more.
    fn time(most: f64) -> Target {
        Target::AtMost(if cfg!(debug_assertions) { 10.0 * most } else { most })
    }

    fn random(&self) -> Random {
        Random::of(self.plan.seed, self.scene)
    }
}

/// Plays what was asked for and says whether all of it went as it should.
pub(crate) fn play(plan: &Plan) -> bool {
    let mut report = Report::new(plan.json);
    parts::programs_are_in(plan.programs.clone());
    if let Some(unknown) = plan.only.iter().find(|name| SCENES.iter().all(|(scene, _)| scene != name)) {
        let known: Vec<_> = SCENES.iter().map(|(scene, _)| *scene).collect();
        report.broke(&format!("there is no scene {unknown}, only {}", known.join(", ")));
        return false;
    }
    if let Err(error) = raise_file_limit() {
        report.note(&format!("{error}"));
    }
    report.note(&format!("seed {}", plan.seed));
    for (name, scene) in SCENES {
        if plan.only.is_empty() || plan.only.iter().any(|only| only == name) {
            report.scene(name);
            let stage = Stage { plan, scene: name };
            let played = catch_unwind(AssertUnwindSafe(|| scene(&stage, &mut report)));
            if let Err(error) = played.unwrap_or_else(|_| Err(anyhow!("it panicked"))) {
                report.broke(&format!("{error:#}"));
            }
        }
    }
    report.finish()
}

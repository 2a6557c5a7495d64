//! Ten thousand clients that say nothing, a thousand that stop in the middle of a request, and a hundred
//! that do not read: an honest client does not notice.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use sso_agent_tests::load::{self, Burden, Figures};

use super::Stage;
use crate::house::{House, strict};
use crate::report::{Report, Target};

const HOUR: Duration = Duration::from_secs(3600);
/// A machine that is busy with something else spoils a trial or two.
const TRIALS: u32 = 5;

pub(super) fn play(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let times = |full, short| stage.plan.times(full, short) as usize;
    let burden = Burden { idle: times(10_000, 1000), half_open: times(1000, 100), slow: times(100, 10) };
    let house = House::new(strict(HOUR))?;
    let agent = house.agent()?;
    house.sign_in()?;
    let (socket, params) = (house.sandbox.socket(), json!({ "host": house.host }));
    let trial = || load::trial(&socket, agent.pid(), &params, burden, times(5000, 1000));
    let trials = (0..TRIALS).map(|_| trial()).collect::<Result<Vec<_>, _>>()?;
    let all = format!("{} idle, {} half-open, {} slow", burden.idle, burden.half_open, burden.slow);
    report.note(&format!("{all}; the median of {TRIALS} trials"));
    let median = |of: fn(&Figures) -> f64| {
        let mut figures: Vec<f64> = trials.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let ratio = median(|figures| figures.burdened.p99_us / figures.quiet.p99_us);
    report.figure("honest client: p99 when it is quiet", "µs", median(|f| f.quiet.p99_us), Target::None);
    report.figure("honest client: p99 in the crowd", "µs", median(|f| f.burdened.p99_us), Target::None);
    report.figure("honest client: p99 in the crowd by p99 when quiet", "x", ratio, Target::AtMost(2.0));
    let most = trials.iter().map(|figures| figures.rss_mib).fold(f64::NAN, f64::max);
    report.figure("memory in the crowd", "MiB", most, Target::AtMost(64.0));
    report.figure("share of a core", "%", 100.0 * median(|f| f.idle_cpu), Target::None);
    let hung_up = trials.iter().map(|figures| figures.hung_up).sum();
    report.count("connections that the agent hung up on", hung_up, Target::None);
    Ok(())
}

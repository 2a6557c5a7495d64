//! The core in a world of faults: random schedules of sign-ins, askers, reports that come late, twice or
//! never, lost answers, full disks, kills, restarts, sleep and clocks that are set, each repeatable by its
//! seed. What must hold is checked at every step; see ARCHITECTURE.md, "Invariants".
//!
//! `SSO_SIM_SCHEDULES` says how many schedules are run (2,000 by default), `SSO_SIM_FROM` with which seed
//! it begins, `SSO_SIM_SEED` runs one alone and tells what happens in it.

#![expect(
    clippy::print_stdout,
    clippy::panic,
    reason = "a simulation tells what it did and ends with the first thing that is wrong"
)]

mod actions;
mod checks;
mod issuer;
mod jobs;
mod random;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use self::world::{Tally, World};

/// As many as a run of all tests has time for, unoptimised; a million by `--release` take minutes.
const SCHEDULES: u64 = 2_000;

#[test]
fn whatever_happens_no_session_is_lost_no_token_is_stale_and_everybody_is_answered() {
    if let Some(seed) = number("SSO_SIM_SEED") {
        println!("{:?}", World::run(seed, true));
        return;
    }
    let (from, schedules) = (number("SSO_SIM_FROM").unwrap_or(0), number("SSO_SIM_SCHEDULES"));
    let to = from.saturating_add(schedules.unwrap_or(SCHEDULES));
    let (next, total) = (AtomicU64::new(from), Mutex::new(Tally::default()));
    let failed = Mutex::new(Vec::new());
    let work = || {
        let mut mine = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= to || !failed.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                break;
            }
            match catch_unwind(AssertUnwindSafe(|| World::run(seed, false))) {
                Ok(tally) => mine.add(&tally),
                Err(_) => {
                    eprintln!("SSO_SIM_SEED={seed} repeats it");
                    failed.lock().unwrap_or_else(PoisonError::into_inner).push(seed);
                }
            }
        }
        total.lock().unwrap_or_else(PoisonError::into_inner).add(&mine);
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} schedules from seed {from}: {total:?}", to - from);
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "SSO_SIM_SEED={} repeats it", failed.first().copied().unwrap_or_default());
}

fn number(name: &str) -> Option<u64> {
    std::env::var_os(name)?.to_str()?.parse().ok()
}

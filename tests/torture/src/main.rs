//! Faults and attacks, each injected into the real programs and survived; `cargo xtask torture` builds
//! what is tortured and calls this.
//!
//! Every scene prints its figures beside their targets, and the seed that repeats its moments. A missed
//! target is a failure, and so is a scene that could not be played.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

#[cfg(target_os = "linux")]
mod askers;
#[cfg(target_os = "linux")]
mod callers;
#[cfg(target_os = "linux")]
mod house;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod proc;
#[cfg(target_os = "linux")]
mod random;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod scenes;
#[cfg(target_os = "linux")]
mod trace;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match plan::Plan::read(std::env::args().skip(1)) {
        Ok(plan) if scenes::play(&plan) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}\n{}", plan::USAGE);
            ExitCode::from(2)
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("the faults are injected on Linux");
    ExitCode::FAILURE
}

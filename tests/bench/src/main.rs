//! The figures of sso-agent, each beside a floor measured in the same run; `cargo xtask bench` builds
//! what is measured and calls this.
//!
//! The hard part is a machine that is busy with other things: ours and the floor take turns, every
//! figure is a median with its extremes, and a ratio is made of neighbours in time. A target that is
//! missed is said, and nothing else; only what could not be measured is a failure.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]
#![cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "it reads /proc and pins to cores"))]

#[cfg(target_os = "linux")]
mod home;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod proc;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod rows;
#[cfg(target_os = "linux")]
mod spread;
#[cfg(target_os = "linux")]
mod stored;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let plan = match plan::Plan::read(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("{error:#}\n{}", plan::USAGE);
            return ExitCode::from(2);
        }
    };
    if rows::run(&plan) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("the figures are taken on Linux");
    ExitCode::FAILURE
}

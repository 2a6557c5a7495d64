//! `cargo xtask test`: everything that a change has to pass, on a fresh clone, with no question asked.
//! `cargo xtask check-platforms`: the systems that are not this one. `check-here`: what runs on every system,
//! where only that does.
//! `cargo xtask package`: the archive of a release. `cargo xtask bench`: the figures.
//! `cargo xtask fuzz`: what strangers can send, at random.
//! `cargo xtask torture`: what is survived, and how often it was tried.
//!
//! What the end-to-end tests need from outside Rust is fetched by the step `parts`; where that cannot be
//! had, the steps that need it say so, and the run does not end in success unless it was asked to do
//! without (`--quick`).

mod abreast;
mod bench;
mod beside;
mod e2e;
mod fuzz;
mod package;
mod parts;
mod platforms;
mod programs;
mod python;
mod report;
mod steps;
mod tally;
mod tools;
mod torture;
mod workflows;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask test [--quick] [--step NAME]... [--list] [--report FILE] [--beside]
       cargo xtask check-platforms [--only windows|macos] [--no-install]
       cargo xtask check-here
       cargo xtask package [--target TRIPLE]
       cargo xtask bench [ARGS]...
       cargo xtask fuzz [--seconds N] [--asan] [TARGET]...
       cargo xtask torture [--short] [--only SCENE]... [--seed N] [--minutes N] [--json]

  --quick      only what needs nothing but Rust
  --step NAME  only this step; may be given more than once
  --list       name the steps and stop
  --report F   also say how they went in this file, a line of JSON each
  --beside     as a part of a run of all

  --only windows|macos  that system alone
  --no-install          with what is there

  --short      a few of each: what `test` runs, on programs as they are released
  --only SCENE kills, syscalls, all, herd, crowd, canary, start, soak, latency, simulation or store
  --seed N     repeats the moments of a run
  --minutes N  how long the soak is (30)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((verb, rest)) if verb == "test" => test(rest),
        Some((verb, rest)) if verb == "check-platforms" => platforms::run(rest, USAGE),
        Some((verb, [])) if verb == "check-here" => platforms::here(),
        Some((verb, rest)) if verb == "package" => package::run(rest, USAGE),
        Some((verb, rest)) if verb == "bench" => bench::run(rest).map(|()| true),
        Some((verb, rest)) if verb == "fuzz" => fuzz::run(rest, USAGE),
        Some((verb, rest)) if verb == "torture" => torture::run(rest),
        _ => usage(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn test(args: &[String]) -> anyhow::Result<bool> {
    let mut plan = steps::Plan::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => plan.quick = true,
            "--step" => plan.only.push(args.next().ok_or_else(|| anyhow::anyhow!(USAGE))?.clone()),
            "--beside" => plan.beside = true,
            "--report" => plan.report = Some(args.next().ok_or_else(|| anyhow::anyhow!(USAGE))?.into()),
            "--list" => {
                println!("{}", steps::names().join("\n"));
                return Ok(true);
            }
            _ => return usage(),
        }
    }
    steps::run(&plan)
}

fn usage() -> anyhow::Result<bool> {
    anyhow::bail!(USAGE)
}

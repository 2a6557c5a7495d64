//! `sso-databricks`: stands in for the part of the Databricks CLI that SDKs and people sign in with.
//!
//! Programs find it as a file named `databricks` and must not notice a difference: `args` reads what the
//! CLI reads, `resolve` and `file` find the profile that it would find, and each command has its file.
//! What is no command of ours is handed to the real CLI by `theirs`. Its words are those of version
//! 1.13.0, since SDKs look for some of them.

mod args;
mod attributes;
#[path = "../browser.rs"]
#[expect(dead_code, reason = "`sso doctor` looks for a browser as well")]
mod browser;
mod describe;
mod env;
mod file;
mod help;
mod host;
mod login;
mod logout;
#[path = "../marker.rs"]
mod marker;
#[path = "../private.rs"]
#[allow(dead_code, reason = "`sso` makes and removes such files as well; its tests come along")]
mod private;
mod profiles;
#[path = "../programs.rs"]
#[allow(dead_code, reason = "`sso exec` runs what is typed; its tests come along")]
mod programs;
mod resolve;
mod say;
mod switch;
mod theirs;
mod token;
mod version;

use std::process::ExitCode;

use args::{Command, Meant};

/// What [`marker`] looks for.
#[used]
static MARK: [u8; 52] = *b"sso-agent's stand-in for the Databricks CLI d8f3a1c6";

fn main() -> ExitCode {
    // Without it there is a token to be had for all the same; the agent gives one to any process of ours.
    let _ = sso_agent_os::process::keep_others_out();
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let outcome = match args::read(&args) {
        Ok(Meant::Ours(command, said)) => run(command, &said),
        Ok(Meant::Help(topic)) => say::text(help::of(topic)),
        Ok(Meant::Theirs) => theirs::run(&args),
        Err(fail) => Err(fail),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) => say::fail(&fail),
    }
}

fn run(command: Command, said: &args::Said) -> Result<(), say::Fail> {
    match command {
        Command::Version => version::run(said),
        Command::Token => token::run(said),
        Command::Login => login::run(said),
        Command::Profiles => profiles::run(said),
        Command::Describe => describe::run(said),
        Command::Env => env::run(said),
        Command::Logout => logout::run(said),
        Command::Switch => switch::run(said),
    }
}

//! `sso`: sign in once per host, and fetch tokens from any tool.
//!
//! `args` is what can be said, `commands` what is done about it, `output` prints, `exit` says how it
//! went wrong.

mod args;
mod browser;
mod commands;
mod complete;
mod exit;
mod marker;
mod output;
#[allow(dead_code, reason = "the stand-in changes such files as well")]
mod private;
#[cfg_attr(unix, allow(dead_code, reason = "shells do some of it"))]
mod programs;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Without it there is a token to be had for all the same; the agent gives one to any process of ours.
    let _ = sso_agent_os::process::keep_others_out();
    complete::answer_the_shell();
    let cli = match args::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let output = output::Output::new(cli.json);
    match commands::run(cli.command, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => exit::report(&failure, &output),
    }
}

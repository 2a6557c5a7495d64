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
mod process;

use std::process::ExitCode;

fn main() -> ExitCode {
    process::harden();
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

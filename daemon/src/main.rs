//! `sso-agent`: the daemon.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Owns the OAuth session of every host and hands out short-lived access tokens over a local socket.
#[derive(Parser)]
#[command(name = "sso-agent", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run in the foreground, which is what systemd starts.
    Run {
        /// Keep nothing on disk.
        #[arg(long)]
        ephemeral: bool,
        /// Leave the terminal and the session of whoever started this.
        #[arg(long, hide = true)]
        detach: bool,
    },
}

fn main() -> ExitCode {
    let Args { command: Command::Run { ephemeral, detach } } = Args::parse();
    ExitCode::from(sso_agent::run(ephemeral, detach))
}

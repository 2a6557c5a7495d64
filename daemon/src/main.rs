//! `sso-agent`: the daemon.

use std::{alloc::System, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use zeroizing_alloc::ZeroAlloc;

/// Overwrites what is freed. The libraries for HTTP, TLS and JSON know of no secrets, and leave copies.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

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
    /// Spend refresh tokens for an agent, which starts this by itself.
    #[command(hide = true)]
    Spend {
        /// Where its store is: for whoever looks at the list of processes.
        state: PathBuf,
    },
}

fn main() -> ExitCode {
    sso_agent::harden();
    ExitCode::from(match Args::parse().command {
        Command::Run { ephemeral, detach } => sso_agent::run(ephemeral, detach),
        Command::Spend { state: _ } => sso_agent::spend(),
    })
}

//! The floor of a command line in Rust: clap, a socket, JSON, and nothing that a careful client does
//! besides. It knows about as many commands as `sso` does.
#![allow(dead_code, reason = "what it does not do it still parses")]

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

/// Prints a token.
#[derive(Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sign in
    Login(Login),
    /// Print an access token
    Token(Token),
    /// Show every session
    Status(Status),
    /// Forget a session
    Logout(Logout),
    /// Run a command
    Exec(Exec),
    /// Start and stop the agent
    #[command(subcommand)]
    Agent(Agent),
    /// Print shell completions
    Completions { shell: String },
    /// Print the manual page
    Man { dir: Option<PathBuf> },
}

#[derive(Subcommand)]
enum Agent {
    /// Start it
    Start,
    /// Stop it
    Stop,
    /// Say how it is
    Status,
}

#[derive(Args)]
struct Which {
    /// Any OAuth issuer
    host: Option<String>,
    /// Profile to take the host from
    #[arg(long, short = 'p')]
    profile: Option<String>,
    /// Which of several accounts
    #[arg(long = "as")]
    label: Option<String>,
    /// Which account
    #[arg(long)]
    account_id: Option<String>,
}

#[derive(Args)]
struct Login {
    #[command(flatten)]
    which: Which,
    /// The OAuth client
    #[arg(long)]
    client_id: Option<String>,
    /// What to ask for
    #[arg(long)]
    scope: Vec<String>,
    /// Print the address
    #[arg(long)]
    no_browser: bool,
    /// Of the listener
    #[arg(long)]
    port: Option<u16>,
}

#[derive(Args)]
struct Token {
    #[command(flatten)]
    which: Which,
    /// How long it stays valid
    #[arg(long, default_value_t = 60)]
    min_valid: u64,
    /// Fetch a new one
    #[arg(long)]
    force_refresh: bool,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Format::Raw)]
    output: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Raw,
    Json,
    Header,
}

#[derive(Args)]
struct Status {
    host: Option<String>,
    /// Redraw
    #[arg(long)]
    watch: bool,
}

#[derive(Args)]
struct Logout {
    #[command(flatten)]
    which: Which,
    /// Every session
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
struct Exec {
    #[command(flatten)]
    which: Which,
    /// Where the token goes
    #[arg(long)]
    env: Vec<String>,
    /// What to run
    #[arg(last = true)]
    command: Vec<String>,
}

#[derive(Serialize)]
struct Request<'a> {
    jsonrpc: &'a str,
    id: u64,
    method: &'a str,
    params: Params<'a>,
}

#[derive(Serialize)]
struct Params<'a> {
    host: &'a str,
}

#[derive(Deserialize)]
struct Reply {
    result: Granted,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Token(Token { which: Which { host: Some(host), .. }, .. }) => match print(&host) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Command::Token(_)
        | Command::Login(_)
        | Command::Status(_)
        | Command::Logout(_)
        | Command::Exec(_)
        | Command::Agent(_)
        | Command::Completions { .. }
        | Command::Man { .. } => ExitCode::from(2),
    }
}

fn print(host: &str) -> io::Result<()> {
    let socket = std::env::var_os("SSO_AGENT_SOCK").unwrap_or_default();
    let mut stream = UnixStream::connect(socket)?;
    let request = Request { jsonrpc: "2.0", id: 1, method: "token.get", params: Params { host } };
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    line.clear();
    BufReader::new(stream).read_until(b'\n', &mut line)?;
    let reply: Reply = serde_json::from_slice(&line)?;
    let mut token = reply.result.access_token.into_bytes();
    token.push(b'\n');
    io::stdout().write_all(&token)
}

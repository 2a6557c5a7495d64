//! What can be said on the command line; the doc comments are the help.

pub(crate) mod app;

use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;

use crate::{complete, exit, marker, output::Output};

/// Signs in once per host; from then on any tool gets a fresh token from the agent.
#[derive(Debug, Parser)]
#[command(name = "sso", bin_name = "sso", version, max_term_width = 100, arg_required_else_help = true, after_help = AFTER)]
pub(crate) struct Cli {
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Exit codes: 0 done, 1 failed, 2 usage, 3 agent not reachable, 4 sign-in required, 5 issuer or
network unavailable (try again), 6 refused by policy or locked, 7 unknown host or profile";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in to a host and leave the session with the agent
    Login(Login),
    /// Print an access token
    Token(Token),
    /// Show every session
    Status(Status),
    /// Revoke a session where that can be done, and forget it
    Logout(Logout),
    /// Lock the agent with a passphrase: no token leaves it, and nobody signs in or out
    ///
    /// The passphrase is typed twice, or is the first line of stdin where that is no terminal.
    Lock,
    /// Unlock the agent; each wrong passphrase takes longer than the one before
    ///
    /// The passphrase is typed, or is the first line of stdin where that is no terminal.
    Unlock,
    /// Run a command with a fresh token in its environment
    Exec(Exec),
    /// Print what sets up a shell for Databricks SDKs: eval "$(sso env HOST)"
    Env(Env),
    /// Print the address of the metadata service that Databricks SDKs get tokens from
    MetadataUrl(MetadataUrl),
    /// Take over sign-ins from the Databricks CLI and SDKs, without a browser
    Import(Import),
    /// Register and manage custom OAuth apps of a Databricks account
    #[command(subcommand)]
    App(app::App),
    /// Write, show, check and edit the settings of the agent
    #[command(subcommand)]
    Config(Config),
    /// Start, stop, install and watch the agent
    #[command(subcommand)]
    Agent(Agent),
    /// Put the stand-in for the Databricks CLI in place, so that SDKs get their tokens from the agent
    #[command(subcommand)]
    Shim(Shim),
    /// Check all that a sign-in and a token need, and say what to do about each finding
    Doctor,
    /// See it all at work on this machine, without an account
    #[cfg(feature = "demo")]
    Demo(Demo),
    /// Print shell completions
    Completions(Completions),
    /// Print the manual page
    Man(Man),
}

/// Which session is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Which {
    /// Databricks workspace or any OAuth issuer [env: DATABRICKS_HOST]
    #[arg(value_name = "HOST", add = ArgValueCompleter::new(complete::hosts))]
    pub(crate) host: Option<String>,
    /// Profile to take the host from [env: DATABRICKS_CONFIG_PROFILE]
    #[arg(long, short = 'p', value_name = "P", add = ArgValueCompleter::new(complete::profiles))]
    pub(crate) profile: Option<String>,
    /// Which of several accounts at the host
    #[arg(long = "as", value_name = "LABEL")]
    pub(crate) label: Option<String>,
    /// Databricks account, at an account console
    #[arg(long, value_name = "ID")]
    pub(crate) account_id: Option<String>,
}

impl Which {
    /// With what the environment says where the command line names neither host nor profile.
    pub(crate) fn or_environment(mut self, var: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name| var(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty());
        if self.host.is_none() && self.profile.is_none() {
            // As in the SDKs, both count; the host beats what the profile says of it.
            self.host = text("DATABRICKS_HOST");
            self.profile = text("DATABRICKS_CONFIG_PROFILE");
        }
        self
    }
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    #[command(flatten)]
    pub(crate) which: Which,
    /// OAuth client to sign in with, instead of the stock one
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// Read the client's secret from stdin; it then signs in as itself, without a person, except where a provider
    /// wants both, or with --no-browser or --port
    #[arg(long)]
    pub(crate) client_secret_stdin: bool,
    /// The authorization server, where it is not at HOST itself; HOST may then be left out
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// What kind of server it is, where its address does not tell (github, gitlab, google, entra, okta, keycloak)
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Scope to ask for, instead of the usual ones; may be repeated
    #[arg(long = "scope", value_name = "S")]
    pub(crate) scopes: Vec<String>,
    /// Print the address to visit instead of opening a browser
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Port that the browser is sent back to
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// How long to wait for you
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(flatten)]
    pub(crate) which: Which,
    /// How long the token stays valid at least [default: 60s, or less while no new one can be had]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) min_valid: Option<Duration>,
    /// Not a token that is older than 30 seconds
    #[arg(long)]
    pub(crate) force_refresh: bool,
    /// A token with these scopes only, if the session has more; may be repeated
    #[arg(long = "scope", value_name = "S")]
    pub(crate) scopes: Vec<String>,
    /// The token alone, an object with its expiry, or an Authorization header
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) output: TokenFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TokenFormat {
    #[default]
    Raw,
    Json,
    Header,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Show this session only
    #[arg(value_name = "HOST", add = ArgValueCompleter::new(complete::hosts))]
    pub(crate) host: Option<String>,
    /// Show the users of web apps instead: all of them, or those at HOST
    #[arg(long, conflicts_with = "watch")]
    pub(crate) web: bool,
    /// Stay and show what happens
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// Where to sign out; the user of a web app by the id that `sso status --web` shows
    #[arg(value_name = "HOST", required_unless_present = "all", add = ArgValueCompleter::new(complete::hosts))]
    pub(crate) host: Option<String>,
    /// Which of several accounts at the host
    #[arg(long = "as", value_name = "LABEL", requires = "host")]
    pub(crate) label: Option<String>,
    /// Sign out everywhere
    #[arg(long, conflicts_with = "host")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Put the token into NAME only, instead of DATABRICKS_HOST and DATABRICKS_TOKEN; may be repeated
    #[arg(long = "env", value_name = "NAME", value_parser = variable)]
    pub(crate) names: Vec<String>,
    /// Let Databricks SDKs ask the agent for tokens as long as CMD runs, instead of giving them one
    #[arg(long, conflicts_with = "names")]
    pub(crate) metadata: bool,
    /// The command, after --
    #[arg(last = true, required = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Env {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Tokens with these scopes only, if the session has more; may be repeated
    #[arg(long = "scope", value_name = "S")]
    pub(crate) scopes: Vec<String>,
    /// What the statements are for
    #[arg(long, value_enum, value_name = "SHELL", default_value_t)]
    pub(crate) shell: Shell,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// sh, bash, zsh, ksh
    #[default]
    Posix,
    /// sso env HOST --shell fish | source
    Fish,
    /// sso env HOST --shell powershell | Out-String | Invoke-Expression
    Powershell,
}

#[derive(Debug, Args)]
pub(crate) struct MetadataUrl {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Tokens with these scopes only, if the session has more; may be repeated
    #[arg(long = "scope", value_name = "S")]
    pub(crate) scopes: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Only sign-ins at these hosts. Those of the Python SDK may not be found unless you name their host
    #[arg(value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask whether to take them over
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Remove the plain-text originals of what was taken over, without asking
    #[arg(long, conflicts_with = "keep")]
    pub(crate) remove: bool,
    /// Keep the originals, without asking
    #[arg(long)]
    pub(crate) keep: bool,
    /// Take over also where the agent is signed in already
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Write a file in which every setting is explained and none is set
    Init,
    /// Show where the file is, and what stands in it
    Show,
    /// Let the agent read the file again, and tell what is wrong with it
    Check,
    /// Open the file in your editor, and check it afterwards
    Edit,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Start the agent
    Start,
    /// Stop the agent when what is under way is done
    Stop,
    /// Stop the agent and start it again
    Restart,
    /// Say whether the agent is running
    Status,
    /// Have the agent started by itself: by the user's systemd, by launchd, or when you log on to Windows
    ///
    /// With systemd and launchd it starts when somebody asks it, or with your desktop. On Windows it is an entry of
    /// your own in what runs at logon, which needs no administrator (a task of the Task Scheduler would).
    Install {
        /// Print what would be written instead
        #[arg(long)]
        print: bool,
    },
    /// Take away what `install` wrote
    ///
    /// An agent that systemd or launchd runs stops with it. The sessions are kept.
    Uninstall,
    /// Seal everything that is stored anew, with a key that is kept elsewhere
    ///
    /// Can be broken off at any point and done again. A passphrase is typed, or is the first line of stdin where that
    /// is no terminal.
    Rekey {
        /// Where the key is to be
        #[arg(long, value_name = "WHERE")]
        to: KeyPlace,
    },
    /// Show what the agent logged
    Logs {
        /// Stay and show what is added
        #[arg(long, short)]
        follow: bool,
    },
}

/// Where the key of the stored sessions can be.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum KeyPlace {
    /// The keyring of the desktop
    Keyring,
    /// A file beside the sessions: protects copies of them, not the account
    File,
    /// A credential that systemd hands to the service
    Credential,
    /// A file that only a passphrase opens
    Passphrase,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Shim {
    /// Copy the stand-in into a folder, where programs find it as `databricks`
    Install {
        /// Where to: a folder of PATH, before the one with the Databricks CLI
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
        /// What to call it there
        #[arg(long = "as", value_name = "NAME", default_value = marker::NAME, value_parser = file_name)]
        name: String,
        /// Replace whatever program is there
        #[arg(long)]
        force: bool,
    },
    /// Take the stand-in away
    Remove {
        /// Where from [default: all folders of PATH]
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
        /// What it is called there
        #[arg(long = "as", value_name = "NAME", default_value = marker::NAME, value_parser = file_name)]
        name: String,
    },
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How many clients ask at once
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) clients: usize,
    /// Sign in by clicking through the page of the demo issuer
    #[arg(long)]
    pub(crate) browser: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// For which shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    pub(crate) shell: String,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write the pages of all commands into a folder instead
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

/// Reads the command line; what is no valid one is told, and `Err` is what to exit with.
pub(crate) fn parse(args: Vec<OsString>) -> Result<Cli, ExitCode> {
    Cli::try_parse_from(&args).map_err(|error| {
        let wants_json = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
        exit::report_usage(&error, &Output::new(wants_json))
    })
}

/// `90s`, `5m`, `1h30m`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "a time looks like 90s, 5m or 1h30m".to_owned())
}

fn variable(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['=', '\0']) {
        return Err("that cannot be the name of a variable".to_owned());
    }
    Ok(text.to_owned())
}

fn file_name(text: &str) -> Result<String, String> {
    match PathBuf::from(text).file_name() {
        Some(name) if name == text => Ok(text.to_owned()),
        _ => Err("that cannot be the name of a file".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn which(
        host: Option<&str>,
        profile: Option<&str>,
        vars: &[(&str, &str)],
    ) -> (Option<String>, Option<String>) {
        let given = Which {
            host: host.map(Into::into),
            profile: profile.map(Into::into),
            label: None,
            account_id: None,
        };
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into());
        let found = given.or_environment(var);
        (found.host, found.profile)
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_command_line_beats_the_environment() {
        let vars = &[("DATABRICKS_HOST", "env-host"), ("DATABRICKS_CONFIG_PROFILE", "env-profile")];
        assert_eq!(which(Some("h"), None, vars), (Some("h".into()), None));
        assert_eq!(which(None, Some("p"), vars), (None, Some("p".into())));
        assert_eq!(which(None, None, vars), (Some("env-host".into()), Some("env-profile".into())));
        assert_eq!(which(None, None, &vars[1..]), (None, Some("env-profile".into())));
        assert_eq!(which(None, None, &[("DATABRICKS_HOST", "")]), (None, None));
    }

    #[test]
    fn times_are_written_as_people_write_them() {
        for (text, seconds) in [("60s", 60), ("5m", 300), ("1h30m", 5400), ("45", 45), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "soon", "-5m", "5 m 3"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}

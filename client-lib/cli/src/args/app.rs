//! What can be said of the OAuth apps of an account.

use std::ffi::OsString;

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;

use super::duration;
use crate::complete;

#[derive(Debug, Subcommand)]
pub(crate) enum App {
    /// Register an app, and print its client id and secret
    Create(Create),
    /// List the apps of the account
    List(List),
    /// Show an app
    Show(Which),
    /// Change an app; a list that is given replaces the one before, and lifetimes replace all lifetimes
    Update(Update),
    /// Delete an app, and what the agent keeps of it
    Delete(Which),
    /// Enrol the account for OAuth, which accounts needed until 2023
    Enroll(Enroll),
    /// Say whether the account is enrolled
    Enrollment(At),
    /// Enable and disable apps that others have published
    #[command(subcommand)]
    Published(Published),
    /// List the apps whose clients the agent keeps
    Kept,
    /// Let the agent forget the client of an app, which stays registered
    Forget {
        /// What the app is called
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Published {
    /// List the published apps that are enabled
    List(Pages),
    /// Enable a published app
    Add {
        /// As the catalogue gives it
        #[arg(value_name = "APP_ID")]
        app: String,
        #[command(flatten)]
        policy: Policy,
        #[command(flatten)]
        at: At,
    },
    /// Change how long the tokens of a published app live
    Update {
        /// As the list gives it
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        policy: Policy,
        #[command(flatten)]
        at: At,
    },
    /// Disable a published app
    Remove {
        /// As the list gives it
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// List all published apps that there are
    Catalogue(Pages),
}

/// Which account is meant, and by whose authority.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Account")]
pub(crate) struct At {
    /// Account console [env: DATABRICKS_HOST] [default: the only one that you are signed in to]
    #[arg(long, value_name = "HOST", add = ArgValueCompleter::new(complete::hosts))]
    pub(crate) host: Option<String>,
    /// Its account [env: DATABRICKS_ACCOUNT_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) account_id: Option<String>,
    /// Profile to take both from [env: DATABRICKS_CONFIG_PROFILE]
    #[arg(long, short = 'p', value_name = "P", add = ArgValueCompleter::new(complete::profiles))]
    pub(crate) profile: Option<String>,
    /// Which of several sessions there
    #[arg(long = "as", value_name = "LABEL")]
    pub(crate) label: Option<String>,
    /// Service principal to do it as, instead of the session
    #[arg(long, value_name = "ID", requires = "client_secret_stdin")]
    pub(crate) client_id: Option<String>,
    /// Read the service principal's secret from stdin
    #[arg(long, requires = "client_id")]
    pub(crate) client_secret_stdin: bool,
    /// Account admin with a password, which Databricks ended on 2024-07-10; asks for the password
    #[arg(long, value_name = "NAME", conflicts_with = "client_id")]
    pub(crate) username: Option<String>,
    /// Read the password from stdin, also where that is a terminal
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: bool,
}

impl At {
    /// With what the environment says where the command line is silent.
    pub(crate) fn or_environment(mut self, var: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name| var(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty());
        if self.host.is_none() && self.profile.is_none() {
            self.host = text("DATABRICKS_HOST");
            self.profile = text("DATABRICKS_CONFIG_PROFILE");
        }
        if self.account_id.is_none() && self.profile.is_none() {
            self.account_id = text("DATABRICKS_ACCOUNT_ID");
        }
        self
    }
}

/// How long the tokens of an app live.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Policy {
    /// How long an access token lives: 5m to 24h
    #[arg(long, value_name = "D", value_parser = minutes)]
    pub(crate) access_token_ttl: Option<u64>,
    /// How long a refresh token lives: 5m to 90d
    #[arg(long, value_name = "D", value_parser = minutes)]
    pub(crate) refresh_token_ttl: Option<u64>,
    /// After how long everybody signs in anew; counts with single-use refresh tokens
    #[arg(long, value_name = "D", value_parser = minutes)]
    pub(crate) session_lifetime: Option<u64>,
    /// Whether a refresh token is good for one use
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) single_use_refresh_tokens: Option<bool>,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What it is called
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// Where browsers may be sent back to: https, or http on this machine; may be repeated
    #[arg(long = "redirect-url", value_name = "URL", required = true)]
    pub(crate) redirect_urls: Vec<String>,
    /// Give it a secret: for apps that run on a server
    #[arg(long)]
    pub(crate) confidential: bool,
    /// What it may ask for; may be repeated
    #[arg(long = "scope", value_name = "S")]
    pub(crate) scopes: Vec<String>,
    /// Which of these scopes each user has to agree to; may be repeated
    #[arg(long = "user-authorized-scope", value_name = "S")]
    pub(crate) user_authorized_scopes: Vec<String>,
    #[command(flatten)]
    pub(crate) policy: Policy,
    /// Leave the secret with the agent, under the app's name, and print it nowhere
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Its integration id, or its name if no other app is called so
    #[arg(value_name = "APP")]
    pub(crate) app: String,
    /// Where browsers may be sent back to; may be repeated
    #[arg(long = "redirect-url", value_name = "URL")]
    pub(crate) redirect_urls: Vec<String>,
    /// What it may ask for; may be repeated
    #[arg(long = "scope", value_name = "S")]
    pub(crate) scopes: Vec<String>,
    /// Which of these scopes each user has to agree to; may be repeated
    #[arg(long = "user-authorized-scope", value_name = "S")]
    pub(crate) user_authorized_scopes: Vec<String>,
    #[command(flatten)]
    pub(crate) policy: Policy,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Also say who registered each app
    #[arg(long)]
    pub(crate) creators: bool,
    #[command(flatten)]
    pub(crate) pages: Pages,
}

/// All of a list, so many at once.
#[derive(Debug, Args)]
pub(crate) struct Pages {
    /// How many to ask for at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) page_size: Option<u64>,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its integration id, or its name if no other app is called so
    #[arg(value_name = "APP")]
    pub(crate) app: String,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct Enroll {
    /// Do not enable the published apps
    #[arg(long)]
    pub(crate) without_published_apps: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

/// `90d`, `12h`, `1h30m`: whole minutes.
fn minutes(text: &str) -> Result<u64, String> {
    let hint = || "a lifetime looks like 90d, 12h or 30m".to_owned();
    if let Some(days) = text.strip_suffix('d') {
        return days.parse::<u32>().map(|days| u64::from(days) * 24 * 60).map_err(|_| hint());
    }
    if text.ends_with(|c: char| c.is_ascii_digit()) {
        return Err(hint());
    }
    let seconds = duration(text).map_err(|_| hint())?.as_secs();
    if seconds % 60 == 0 { Ok(seconds / 60) } else { Err("a lifetime is in whole minutes".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_whole_minutes_in_the_words_of_people() {
        for (text, expected) in
            [("90d", 129_600), ("12h", 720), ("30m", 30), ("1h30m", 90), ("300s", 5), ("0d", 0)]
        {
            assert_eq!(minutes(text), Ok(expected), "{text}");
        }
        for text in ["", "60", "d", "-1d", "1.5d", "90s", "soon", "99999999999d"] {
            assert!(minutes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_environment_names_what_the_command_line_does_not() {
        let vars =
            [("DATABRICKS_HOST", "h"), ("DATABRICKS_ACCOUNT_ID", "a"), ("DATABRICKS_CONFIG_PROFILE", "")];
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
        let at = |host: Option<&str>, profile: Option<&str>| At {
            host: host.map(Into::into),
            account_id: None,
            profile: profile.map(Into::into),
            label: None,
            client_id: None,
            client_secret_stdin: false,
            username: None,
            password_stdin: false,
        };
        let meant = |at: At| {
            let at = at.or_environment(var);
            (at.host, at.account_id, at.profile)
        };
        let own = |text: &str| Some(text.to_owned());
        assert_eq!(meant(at(None, None)), (own("h"), own("a"), None));
        assert_eq!(meant(at(Some("x"), None)), (own("x"), own("a"), None));
        assert_eq!(meant(at(None, Some("p"))), (None, None, own("p")), "it names its own");
    }
}

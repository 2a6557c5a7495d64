//! What `--help` says, in the form of the CLI's own.

use crate::args::{Command, Topic};

/// Where no real CLI is installed.
pub(crate) const ALONE: &str = "\
Stands in for the Databricks CLI, with sign-ins and tokens from sso-agent

Usage:
  databricks [command]

Available Commands:
  auth        Authentication related commands
  version     Retrieve information about the current version of this CLI

All other commands are those of the Databricks CLI, which is not installed.
";

const AUTH: &str = "\
Authentication related commands, served by sso-agent

Usage:
  databricks auth [command]

Available Commands:
  describe    Describes the credentials and the source of those credentials, being used by the CLI to authenticate
  login       Log into a Databricks workspace or account
  logout      Log out of a Databricks profile
  profiles    Lists profiles from ~/.databrickscfg
  switch      Set the default profile
  token       Get authentication token

Flags:
      --account-id string     Databricks Account ID
  -h, --help                  help for auth
      --host string           Databricks Host
      --workspace-id string   Databricks Workspace ID

Global Flags:
  -o, --output type      output type: text or json (default text)
  -p, --profile string   ~/.databrickscfg profile

Use \"databricks auth [command] --help\" for more information about a command.
";

const GLOBAL: &str = "
Global Flags:
      --account-id string     Databricks Account ID
      --debug                 enable debug logging
      --host string           Databricks Host
  -o, --output type           output type: text or json (default text)
  -p, --profile string        ~/.databrickscfg profile
      --workspace-id string   Databricks Workspace ID
";

/// The help for something.
pub(crate) fn of(topic: Topic) -> String {
    match topic {
        Topic::Auth => AUTH.to_owned(),
        Topic::Of(command) => {
            let (long, usage, flags) = words(command);
            format!("{long}\n\nUsage:\n  databricks {usage} [flags]\n\nFlags:\n{flags}{GLOBAL}")
        }
    }
}

fn words(command: Command) -> (&'static str, &'static str, &'static str) {
    match command {
        Command::Version => (
            "Retrieve information about the current version of this CLI",
            "version",
            "      --check   Check for a newer version (left to the Databricks CLI)\n  -h, --help    help for version\n",
        ),
        Command::Token => (
            "Get authentication token from sso-agent, which keeps it fresh. Use --force-refresh for one that\nis not older than half a minute. Note: This command only works with U2M authentication (using the\n'databricks auth login' command). M2M authentication using a client ID and secret is not supported.",
            "auth token [PROFILE]",
            "      --force-refresh      Force a token refresh even if the cached token is still valid.\n  -h, --help               help for token\n      --timeout duration   Timeout for acquiring a token. (default 30s)\n",
        ),
        Command::Login => (
            "Log into a Databricks workspace or account. The sign-in stays with sso-agent; the profile is saved\nin ~/.databrickscfg, so that all Databricks tools find it.",
            "auth login [PROFILE]",
            "      --configure-serverless   Prompts to configure serverless\n  -h, --help                   help for login\n      --scopes string          Comma-separated list of OAuth scopes to request\n      --skip-workspace         Skip workspace selection for account-level access\n      --timeout duration       Timeout for completing login challenge in the browser (default 1h0m0s)\n",
        ),
        Command::Profiles => (
            "Lists profiles from ~/.databrickscfg",
            "auth profiles",
            "  -h, --help            help for profiles\n      --skip-validate   Whether to skip validating the profiles\n",
        ),
        Command::Describe => (
            "Describes the credentials and the source of those credentials, being used by the CLI to authenticate",
            "auth describe",
            "  -h, --help        help for describe\n      --sensitive   Include sensitive fields like passwords and tokens in the output\n",
        ),
        Command::Env => ("Get env", "auth env", "  -h, --help   help for env\n"),
        Command::Logout => (
            "Log out of a Databricks profile. The sign-in is revoked where that can be done; the profile stays in\n~/.databrickscfg unless --delete is given.",
            "auth logout [PROFILE]",
            "      --auto-approve   Skip confirmation prompt\n      --delete         Delete the profile from the config file\n  -h, --help           help for logout\n",
        ),
        Command::Switch => (
            "Set a named profile as the default in ~/.databrickscfg.",
            "auth switch",
            "  -h, --help   help for switch\n",
        ),
    }
}

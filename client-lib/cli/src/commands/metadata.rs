//! `sso metadata-url`, `sso env` and the same for `sso exec`: programs that get their tokens from the
//! agent by themselves, for as long as they run.

use std::io::Write as _;

use secrecy::{ExposeSecret as _, zeroize::Zeroizing};
use serde_json::json;
use sso_agent_client::{
    blocking::Agent,
    proto::{
        metadata::{MetadataGet, MetadataUrl},
        session::Target,
    },
};

use super::resolved;
use crate::{
    args::{self, Shell, Which},
    exit::Failure,
    output::Output,
};

/// Each would be a second way to authenticate, which SDKs refuse, or would name another host.
pub(super) const UNSET: [&str; 10] = [
    "DATABRICKS_ACCOUNT_ID",
    "DATABRICKS_WORKSPACE_ID",
    "DATABRICKS_GROUP_ID",
    "DATABRICKS_DISCOVERY_URL",
    "DATABRICKS_TOKEN",
    "DATABRICKS_CLIENT_ID",
    "DATABRICKS_CLIENT_SECRET",
    "DATABRICKS_CONFIG_PROFILE",
    "DATABRICKS_USERNAME",
    "DATABRICKS_PASSWORD",
];

pub(super) fn url(args: args::MetadataUrl, output: &Output) -> Result<(), Failure> {
    let found = ask(&mut Agent::connect()?, args.which, args.scopes)?;
    if output.is_json() {
        return written(output, |line| serde_json::to_writer(line, &found).map_err(Into::into));
    }
    written(output, |line| line.write_all(found.url.expose_secret().as_bytes()))
}

pub(super) fn env(args: args::Env, output: &Output) -> Result<(), Failure> {
    let found = ask(&mut Agent::connect()?, args.which, args.scopes)?;
    if output.is_json() {
        let set: serde_json::Map<_, _> =
            variables(&found).map(|(name, value)| (name.to_owned(), value.into())).collect();
        let all = json!({ "set": set, "unset": unset(&found).collect::<Vec<_>>() });
        return written(output, |line| serde_json::to_writer(line, &all).map_err(Into::into));
    }
    written(output, |line| line.write_all(script(args.shell, &found).trim_end().as_bytes()))
}

/// The address for a session.
pub(super) fn ask(agent: &mut Agent, which: Which, scopes: Vec<String>) -> Result<MetadataUrl, Failure> {
    let Which { host, profile, label, account_id } = resolved(which);
    let target = Target { host, profile, session: None, label, account_id };
    Ok(agent.metadata_url(MetadataGet { target, scopes })?)
}

/// What SDKs have to be told.
pub(super) fn variables(found: &MetadataUrl) -> impl Iterator<Item = (&'static str, &str)> {
    let told = [
        ("DATABRICKS_HOST", found.host.as_str()),
        ("DATABRICKS_METADATA_SERVICE_URL", found.url.expose_secret()),
        ("DATABRICKS_AUTH_TYPE", "metadata-service"),
    ];
    let account = found.account_id.as_deref().map(|account| ("DATABRICKS_ACCOUNT_ID", account));
    told.into_iter().chain(account)
}

/// What is to be unset for a session: what is not set for it.
fn unset(found: &MetadataUrl) -> impl Iterator<Item = &'static str> {
    let account = found.account_id.is_some();
    UNSET.into_iter().filter(move |name| !(account && *name == "DATABRICKS_ACCOUNT_ID"))
}

/// Statements that a shell runs. Each ends by itself, so that `eval $(…)` without quotes, which makes
/// one line of them, works as well.
fn script(shell: Shell, found: &MetadataUrl) -> Zeroizing<String> {
    let mut script = Zeroizing::new(String::with_capacity(2048));
    for name in unset(found) {
        let statement = match shell {
            Shell::Posix => ["unset ", name, ";\n"],
            Shell::Fish => ["set -e ", name, ";\n"],
            Shell::Powershell => ["Remove-Item Env:", name, " -ErrorAction Ignore;\n"],
        };
        statement.into_iter().for_each(|part| script.push_str(part));
    }
    for (name, value) in variables(found) {
        let value = Zeroizing::new(quoted(shell, value));
        let statement = match shell {
            Shell::Posix => ["export ", name, "=", &value, ";\n"],
            Shell::Fish => ["set -gx ", name, " ", &value, ";\n"],
            Shell::Powershell => ["$Env:", name, " = ", &value, ";\n"],
        };
        statement.into_iter().for_each(|part| script.push_str(part));
    }
    script
}

/// One word, whatever is in it.
fn quoted(shell: Shell, text: &str) -> String {
    let mut word = String::with_capacity(2 * text.len() + 2);
    word.push('\'');
    for c in text.chars() {
        match (shell, c) {
            (Shell::Posix, '\'') => word.push_str(r"'\''"),
            (Shell::Fish, '\'' | '\\') => word.extend(['\\', c]),
            // To PowerShell a typographic quote is a quote.
            (Shell::Powershell, '\'' | '\u{2018}'..='\u{201b}') => word.extend([c, c]),
            (Shell::Posix | Shell::Fish | Shell::Powershell, c) => word.push(c),
        }
    }
    word.push('\'');
    word
}

/// One line that is as good as a token, in a buffer that does not move while it grows.
fn written(output: &Output, write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Result<(), Failure> {
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    write(&mut line).expect("a buffer takes whatever it is given");
    line.push(b'\n');
    output.secret(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(account_id: Option<&str>) -> MetadataUrl {
        MetadataUrl {
            url: "http://127.0.0.1:1/x".into(),
            host: "https://h".into(),
            account_id: account_id.map(Into::into),
            session: "h".into(),
        }
    }

    #[test]
    fn each_shell_has_statements_of_its_own() {
        let lines = |shell| script(shell, &found(None)).lines().map(str::to_owned).collect::<Vec<_>>();
        let sets = UNSET.len();
        assert_eq!(lines(Shell::Posix)[sets], "export DATABRICKS_HOST='https://h';");
        assert!(lines(Shell::Posix)[..sets].contains(&"unset DATABRICKS_TOKEN;".to_owned()));
        assert_eq!(
            lines(Shell::Fish)[sets + 1],
            "set -gx DATABRICKS_METADATA_SERVICE_URL 'http://127.0.0.1:1/x';"
        );
        assert_eq!(lines(Shell::Powershell)[sets + 2], "$Env:DATABRICKS_AUTH_TYPE = 'metadata-service';");
        assert_eq!(lines(Shell::Posix).len(), 3 + UNSET.len());
    }

    #[test]
    fn an_account_is_told_where_there_is_one() {
        let told = script(Shell::Posix, &found(Some("a-1")));
        assert!(told.contains("export DATABRICKS_ACCOUNT_ID='a-1';\n"));
        assert!(!told.contains("unset DATABRICKS_ACCOUNT_ID"));
        assert!(script(Shell::Posix, &found(None)).contains("unset DATABRICKS_ACCOUNT_ID;\n"));
    }

    #[test]
    fn no_text_leaves_its_quotes() {
        assert_eq!(quoted(Shell::Posix, "a'$(b)\\"), r"'a'\''$(b)\'");
        assert_eq!(quoted(Shell::Fish, "a'$(b)\\"), r"'a\'$(b)\\'");
        assert_eq!(quoted(Shell::Powershell, "a'$b\u{2019}"), "'a''$b\u{2019}\u{2019}'");
    }
}

//! Which profile and which host are meant, in the order of the CLI.

use sso_agent_client::{
    blocking::Agent,
    proto::{
        databrickscfg::{Config, DEFAULT, PROFILE_VARIABLE, SETTINGS, Section},
        session::{Session, State},
    },
};

use crate::{
    args::Said,
    file::Loaded,
    host::{self, Ids},
    say::Fail,
};

/// As long as the agent lets a label be.
const LONGEST_LABEL: usize = 64;

/// What a token is wanted for.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// The name of the profile, whether or not the file has it.
    pub(crate) profile: Option<String>,
    /// The profile itself.
    pub(crate) section: Option<&'a Section>,
    pub(crate) host: Option<String>,
    pub(crate) account_id: Option<String>,
    pub(crate) workspace_id: Option<String>,
}

/// What the command line and the environment mean.
pub(crate) fn wanted<'a>(
    said: &Said,
    file: &'a Loaded,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Wanted<'a>, Fail> {
    check(said, &file.config)?;
    let mut wanted = named(said, &file.config)?;
    // Terraform passes --host and leaves the profile in the environment.
    wanted.profile = wanted.profile.or_else(|| env(PROFILE_VARIABLE));
    if wanted.profile.is_none() && wanted.host.is_none() {
        wanted = unnamed(&file.config, env)?;
    }
    wanted.account_id = said.account_id.clone().or(wanted.account_id);
    wanted.workspace_id = said.workspace_id.clone().or(wanted.workspace_id);
    wanted.complete(file)
}

/// `--profile` only selects a profile: it does not say where a host belongs.
pub(crate) fn check(said: &Said, config: &Config) -> Result<(), Fail> {
    if let (Some(word), true) = (said.words.first(), said.profile.is_some() || said.host.is_some()) {
        return Err(Fail::new(format!(
            "argument {word:?} cannot be combined with --host or --profile. Use the --host and --profile flags instead"
        )));
    }
    match (&said.profile, &said.host) {
        (Some(name), Some(host)) => no_conflict(config, name, host),
        (_, None) | (None, _) => Ok(()),
    }
}

/// A profile and a host that is named beside it must mean the same host.
pub(crate) fn no_conflict(config: &Config, name: &str, host: &str) -> Result<(), Fail> {
    match config.profile(name).and_then(|section| section.get("host")) {
        Some(own) if !host::same(own, host) => Err(Fail::new(format!(
            "--profile {name:?} has host {own:?}, which conflicts with --host {host:?}. Use --profile only to select a profile"
        ))),
        _ => Ok(()),
    }
}

/// What is named on the command line; a word is a profile first, and then a host.
fn named<'a>(said: &Said, config: &Config) -> Result<Wanted<'a>, Fail> {
    let wanted = Wanted { profile: said.profile.clone(), host: said.host.clone(), ..Wanted::default() };
    match said.words.first() {
        None => Ok(wanted),
        Some(word) if config.profile(word).is_some() => Ok(Wanted { profile: Some(word.clone()), ..wanted }),
        Some(word) if looks_like_host(word) => Ok(Wanted { host: Some(word.clone()), ..wanted }),
        Some(word) => Err(Fail::new(format!("no profile named {word:?} found"))),
    }
}

pub(crate) fn looks_like_host(word: &str) -> bool {
    word.contains('.') || word.starts_with("http://") || word.starts_with("https://")
}

fn unnamed<'a>(config: &Config, env: impl Fn(&str) -> Option<String>) -> Result<Wanted<'a>, Fail> {
    if let Some(host) = env("DATABRICKS_HOST") {
        let (account_id, workspace_id) = (env("DATABRICKS_ACCOUNT_ID"), env("DATABRICKS_WORKSPACE_ID"));
        return Ok(Wanted { host: Some(host), account_id, workspace_id, ..Wanted::default() });
    }
    // One that is there no more is no more than advice.
    let default = config.settings().default_profile.filter(|name| config.profile(name).is_some());
    if let Some(name) = default {
        return Ok(Wanted { profile: Some(name.to_owned()), ..Wanted::default() });
    }
    Err(Fail::new(match config.profiles().next() {
        Some(_) => "no profile specified. Use --profile <name> to specify which profile to use",
        None => "no profiles configured. Run 'databricks auth login' to create a profile",
    }))
}

impl<'a> Wanted<'a> {
    /// With what the profile says, or with the only profile that has this host.
    fn complete(mut self, file: &'a Loaded) -> Result<Self, Fail> {
        if self.profile.as_deref() == Some(SETTINGS) {
            return Err(reserved());
        }
        if let Some(host) = self.host.take() {
            let Ids { workspace, account } = host::ids(&host);
            self.account_id = self.account_id.or(account);
            self.workspace_id = self.workspace_id.or(workspace);
            self.host = Some(host::bare(&host).to_owned());
        }
        self.section = match (&self.profile, &self.host) {
            (Some(name), _) => file.config.profile(name),
            (None, Some(host)) => self.matching(host, file)?,
            (None, None) => None,
        };
        if let Some(section) = self.section {
            let own = |key: &str| section.get(key).map(str::to_owned);
            self.profile = self.profile.or_else(|| Some(section.name().to_owned()));
            self.host = self.host.or_else(|| own("host"));
            self.account_id = self.account_id.or_else(|| own("account_id"));
            self.workspace_id = self.workspace_id.or_else(|| own("workspace_id"));
        }
        Ok(self)
    }

    fn matching(&self, host: &str, file: &'a Loaded) -> Result<Option<&'a Section>, Fail> {
        let fits = |own: Option<&str>, wanted: &Option<String>| wanted.is_none() || own == wanted.as_deref();
        let of_account = self.account_id.is_some();
        let found: Vec<&Section> = at_host(&file.config, host)
            .filter(|section| fits(section.get("account_id"), &self.account_id))
            .filter(|section| !of_account || fits(section.get("workspace_id"), &self.workspace_id))
            .collect();
        match found.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            several => {
                let names: Vec<&str> = several.iter().map(|section| section.name()).collect();
                Err(Fail::new(format!(
                    "{} match {host} in {}. Use --profile to specify which profile to use",
                    names.join(" and "),
                    file.path.display()
                )))
            }
        }
    }

    /// The command that signs in again.
    pub(crate) fn login_command(&self) -> String {
        let mut command = "databricks auth login".to_owned();
        match (&self.profile, &self.host) {
            (Some(name), _) => command += &format!(" --profile {name}"),
            (None, Some(host)) => {
                command += &format!(" --host {host}");
                if let Some(account) = &self.account_id {
                    command += &format!(" --account-id {account}");
                }
            }
            (None, None) => {}
        }
        command
    }
}

/// All profiles with this host, in the order of the file.
pub(crate) fn at_host<'a>(config: &'a Config, host: &str) -> impl Iterator<Item = &'a Section> {
    config.profiles().filter(move |section| section.get("host").is_some_and(|own| host::same(own, host)))
}

pub(crate) fn reserved() -> Fail {
    Fail::new(format!("{SETTINGS} is a reserved section name and cannot be used as a profile"))
}

/// The session that serves a profile: its own, or the host's one without a label.
pub(crate) fn session_of<'a>(
    sessions: &'a [Session],
    host: &str,
    account_id: Option<&str>,
    profile: Option<&str>,
) -> Option<&'a Session> {
    let here = || sessions.iter().filter(|session| is_at(session, host, account_id));
    let own = profile.and_then(|name| here().find(|session| is_label_of(&session.label, name)));
    own.or_else(|| here().find(|session| session.label.is_empty()))
}

/// Whether a session is at this host, and of this account where the host has several.
pub(crate) fn is_at(session: &Session, host: &str, account_id: Option<&str>) -> bool {
    let same_account = match (&session.account_id, account_id) {
        (Some(own), Some(other)) => own.eq_ignore_ascii_case(other),
        _ => true,
    };
    same_account && host::same(&session.host, host)
}

/// What a label may be: the agent takes no other.
pub(crate) fn is_label(text: &str) -> bool {
    text.chars().count() <= LONGEST_LABEL && text.chars().all(fits_label)
}

/// Whether a session is the one of this profile. The agent labels it with the profile's name; where that
/// can be no label, with what it can have of it and a check sum.
pub(crate) fn is_label_of(label: &str, profile: &str) -> bool {
    if is_label(profile) {
        return label == profile;
    }
    let fitted = |c: char| if fits_label(c) { c } else { '-' };
    let stem: String = profile.chars().take(40).map(fitted).chain(['.']).collect();
    label
        .strip_prefix(&stem)
        .is_some_and(|sum| sum.len() == 8 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn fits_label(c: char) -> bool {
    c.is_alphanumeric() || "._@+-".contains(c)
}

/// Whether a session can give a token now.
pub(crate) fn is_live(session: &Session) -> bool {
    match session.state {
        State::Active | State::Refreshing | State::Retrying => true,
        // What is left of its token is still handed out.
        State::LoginRequired => session.expires_at.is_some_and(|end| end > jiff::Timestamp::now()),
    }
}

/// Has the agent see what was written. It sees it by itself too, a moment later.
pub(crate) fn tell(mut agent: Agent) {
    let _ = agent.reload();
}

/// What the environment says; what is empty says nothing.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The name that a new profile gets when nobody names it, as the CLI proposes it.
pub(crate) fn proposed_name(host: &str, account_id: Option<&str>) -> String {
    if let Some(account) = account_id.filter(|_| host::is_account_console(host)) {
        return format!("ACCOUNT-{account}");
    }
    let canonical = host::canonical(host).unwrap_or_default();
    let name = canonical.split("://").nth(1).and_then(|name| name.split(['.', ':']).next());
    name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_of_a_profile_is_known_by_its_label() {
        assert!(is_label_of("work", "work") && !is_label_of("work", "home"));
        assert!(is_label_of("a-b.0123abcd", "a b") && is_label_of("a-b.0123abcd", "a/b"));
        assert!(!is_label_of("a-b", "a b") && !is_label_of("a-b.0123abcx", "a b") && !is_label_of("", "a b"));
        let long = "x".repeat(65);
        assert!(is_label_of(&format!("{}.0123abcd", "x".repeat(40)), &long));
    }

    #[test]
    fn a_name_is_proposed_as_by_the_cli() {
        assert_eq!(proposed_name("https://adb-7.1.azuredatabricks.net", None), "adb-7");
        assert_eq!(proposed_name("accounts.cloud.databricks.com", Some("a")), "ACCOUNT-a");
        assert_eq!(proposed_name("http://localhost:8080", None), "localhost");
    }
}

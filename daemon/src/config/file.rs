//! The agent's own config file: TOML, every key known by name, no secret in it.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer};

use crate::issuer::{self, ProxyUrl};
use crate::store::Source;

/// How old a token may be at most for those who ask for a new one, if the file does not say.
const FORCE_REFRESH_WITHIN: Duration = Duration::from_secs(30);

/// How long the session of a web app's user lasts unused, if the file does not say.
const WEB_SESSION_IDLE: Duration = Duration::from_secs(7 * 24 * 3600);

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// A token younger than this is new enough for `--force-refresh`.
    #[serde(deserialize_with = "duration")]
    pub(crate) force_refresh_within: Duration,
    /// After so long without being used, the session of a web app's user ends.
    #[serde(deserialize_with = "some_time")]
    pub(crate) web_session_idle: Duration,
    /// The proxy that issuers are reached by, instead of the environment's.
    #[serde(deserialize_with = "proxy")]
    pub(crate) proxy: Option<ProxyUrl>,
    /// What is reached without it, instead of the environment's.
    pub(crate) no_proxy: Vec<String>,
    /// A file with certificates that are trusted besides the system's.
    #[serde(deserialize_with = "absolute")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Where the key of the stored sessions has to be; it never is elsewhere then. Counts at the start.
    pub(crate) key: Option<Source>,
    /// Whether sessions are kept fresh while the agent is locked.
    pub(crate) refresh_while_locked: bool,
    /// Whether the desktop says that a session needs a sign-in.
    pub(crate) notifications: bool,
    /// Hosts by names of the person's own.
    pub(crate) profile: BTreeMap<String, ProfileText>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            force_refresh_within: FORCE_REFRESH_WITHIN,
            web_session_idle: WEB_SESSION_IDLE,
            proxy: None,
            no_proxy: Vec::new(),
            ca_file: None,
            key: None,
            refresh_while_locked: true,
            notifications: true,
            profile: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// How issuers are reached, as far as it is said here.
    pub(crate) fn reach(&self) -> issuer::Settings {
        issuer::Settings {
            proxy: self.proxy.clone(),
            no_proxy: self.no_proxy.clone(),
            ca: self.ca_file.iter().cloned().collect(),
        }
    }
}

/// One `[profile.NAME]`, unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProfileText {
    /// What the tokens are for; the issuer's address where it is left out.
    pub(crate) host: Option<String>,
    pub(crate) account_id: Option<String>,
    /// The authorization server, where it is not at the host.
    pub(crate) issuer: Option<String>,
    /// What kind of server it is, where its address does not tell.
    pub(crate) provider: Option<String>,
    pub(crate) discovery_url: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) scopes: Vec<String>,
    /// The label of its session; its name where it is left out.
    pub(crate) label: Option<String>,
    /// The port of the redirect listener.
    pub(crate) redirect_port: Option<u16>,
}

/// Reads the file; says what is wrong with it and where, without quoting it.
pub(crate) fn read(text: &str) -> Result<Settings, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let at = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{at}{}", sso_agent_core::callback::clean(error.message()))
    })
}

/// The same, and not nothing: that would end sessions as they begin.
fn some_time<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let time = duration(from)?;
    if time.is_zero() { Err(serde::de::Error::custom("it must be longer than no time")) } else { Ok(time) }
}

/// One that can be used; what is wrong with it is told without its password.
fn proxy<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ProxyUrl>, D::Error> {
    let text = String::deserialize(from)?;
    issuer::check_proxy(&text).map_err(serde::de::Error::custom)?;
    Ok(Some(ProxyUrl(text)))
}

/// The agent has no folder that a relative path could start from.
fn absolute<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(from)?;
    let bad = || serde::de::Error::custom("the path must begin at the root");
    if path.is_absolute() { Ok(Some(path)) } else { Err(bad()) }
}

/// `"30s"`, `"5m"`, or a bare number of seconds.
fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Seconds(u64),
        Words(String),
    }
    let bad = || serde::de::Error::custom("a time looks like \"30s\", \"5m\" or \"1h30m\"");
    match Text::deserialize(from)? {
        Text::Seconds(seconds) => Ok(Duration::from_secs(seconds)),
        Text::Words(text) => {
            text.parse::<jiff::SignedDuration>().ok().and_then(|time| time.try_into().ok()).ok_or_else(bad)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sso_agent_proto::places::CONFIG_TEMPLATE;

    #[test]
    fn an_empty_file_is_a_good_one() {
        assert_eq!(read(""), Ok(Settings::default()));
    }

    #[test]
    fn a_new_file_sets_nothing_and_all_that_it_explains_can_be_set() {
        assert_eq!(read(CONFIG_TEMPLATE), Ok(Settings::default()));
        let set =
            |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).map(str::to_owned);
        let all: Vec<String> = CONFIG_TEMPLATE.lines().filter_map(set).collect();
        let settings = read(&here(&all.join("\n"))).unwrap();
        assert_eq!((settings.profile.len(), settings.force_refresh_within), (2, FORCE_REFRESH_WITHIN));
    }

    /// With paths as this system has them.
    fn here(text: &str) -> String {
        let root = if cfg!(windows) { "C:/" } else { "/" };
        text.replace("\"/", &format!("\"{root}"))
    }

    #[test]
    fn the_source_of_the_key_is_one_of_four_words() {
        assert_eq!(read("key = \"credential\"").unwrap().key, Some(Source::Credential));
        assert!(read("key = \"CANARY\"").unwrap_err().starts_with("line 1: unknown variant"));
    }

    #[test]
    fn an_issuer_is_one_entry() {
        let settings = read(
            "force_refresh_within = \"1m\"\n[profile.git]\nhost = \"https://gitlab.example.com\"\nclient_id = \"abc\"\nscopes = [\"api\"]\n",
        )
        .unwrap();
        assert_eq!(settings.force_refresh_within, Duration::from_secs(60));
        assert_eq!(settings.profile["git"].client_id.as_deref(), Some("abc"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_not_quoted() {
        let error = read("force_refresh_within = 5\n[profile.a]\nclient_secret = \"CANARY\"\n").unwrap_err();
        assert!(error.starts_with("line 3: unknown field `client_secret`"), "{error}");
        assert!(!error.contains("CANARY"));
        let error = read("force_refresh_within = \"CANARY\"").unwrap_err();
        assert!(error.contains("a time looks like") && !error.contains("CANARY"), "{error}");
        assert!(read("[profile.a\n").unwrap_err().starts_with("line 1: "));
        assert!(read("web_session_idle = 0").unwrap_err().contains("longer than no time"));
        let error = read("proxy = \"ftp://me:CANARY@p\"").unwrap_err();
        assert!(error.contains("http://") && !error.contains("CANARY"), "{error}");
        assert!(read("ca_file = \"ca.pem\"").unwrap_err().contains("begin at the root"));
    }

    #[test]
    fn how_issuers_are_reached_is_said_here() {
        let settings =
            read(&here("proxy = \"http://me:CANARY@p:1\"\nno_proxy = [\"a\"]\nca_file = \"/ca.pem\"\n"))
                .unwrap();
        let reach = settings.reach();
        assert_eq!(
            (reach.no_proxy, reach.ca),
            (vec!["a".to_owned()], vec![PathBuf::from(here("\"/ca.pem").trim_matches('"'))])
        );
        assert!(!format!("{settings:?}").contains("CANARY"));
    }
}

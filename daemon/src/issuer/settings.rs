//! How issuers are reached: by which proxy, and by whose word a certificate is believed.
//!
//! The config file says it, then the environment as other tools read it. Neither can move an endpoint or
//! switch a check off: a proxy sees no more than names and sizes, and a certificate that the environment
//! adds must be one that only the administrator of this machine could have put there.

use std::{ffi::OsString, fmt, path::PathBuf};

use serde::{Deserialize, Serialize};
use sso_agent_os::private;

/// Where the environment names a proxy for what is encrypted, the first that is set; as curl has it.
const PROXY: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// Where OpenSSL's users name certificates: a file, and folders.
pub(super) const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// See the module. Plain, so that it can be handed to another process; it may hold a password.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) proxy: Option<ProxyUrl>,
    /// What is reached without it, in the words of `NO_PROXY`.
    pub(crate) no_proxy: Vec<String>,
    /// Files and folders with certificates that are trusted besides the system's.
    pub(crate) ca: Vec<PathBuf>,
}

impl Settings {
    /// What the config file says, and, of what it does not say, what the environment does.
    pub(crate) fn of(configured: Self, var: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |names: &[&str]| {
            let set = names.iter().find_map(|name| var(name).filter(|value| !value.is_empty()));
            set.and_then(|value| value.into_string().ok())
        };
        let listed =
            |text: String| text.split(|c: char| c == ',' || c.is_whitespace()).map(str::to_owned).collect();
        let mut settings = configured;
        if settings.proxy.is_none() {
            settings.proxy = text(&PROXY).map(ProxyUrl);
        }
        if settings.no_proxy.is_empty() {
            settings.no_proxy = text(&NO_PROXY).map(listed).unwrap_or_default();
        }
        let named = CERTIFICATES.iter().filter_map(|name| var(name));
        let (ours, others): (Vec<_>, Vec<_>) = named
            .flat_map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>())
            .partition(|path| private::is_the_administrators(path));
        for path in others {
            tracing::warn!(path = %path.display(), "not trusted: more than the administrator can change it; see ca_file in the config file");
        }
        settings.ca.extend(ours);
        settings
    }
}

/// `http://user:password@host:port`, as it was written; not shown, for the password's sake.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ProxyUrl(pub(crate) String);

impl ProxyUrl {
    /// Where it is, without who we are to it.
    pub(crate) fn shown(&self) -> String {
        let (scheme, rest) = self.0.trim().split_once("://").unwrap_or(("http", self.0.trim()));
        // A password may hold what should have been written otherwise.
        let place = rest.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{}", place.split(['/', '?', '#']).next().unwrap_or_default())
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyUrl(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(configured: Settings, environment: &[(&str, &str)]) -> Settings {
        let var =
            |name: &str| environment.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into());
        Settings::of(configured, var)
    }

    #[test]
    fn the_environment_names_a_proxy_as_other_tools_have_it() {
        let proxy =
            |environment: &[(&str, &str)]| of(Settings::default(), environment).proxy.map(|proxy| proxy.0);
        assert_eq!(proxy(&[]), None);
        assert_eq!(
            proxy(&[("HTTPS_PROXY", "http://a:1"), ("ALL_PROXY", "http://b:1")]).as_deref(),
            Some("http://a:1")
        );
        assert_eq!(proxy(&[("https_proxy", ""), ("ALL_PROXY", "http://b:1")]).as_deref(), Some("http://b:1"));
        assert_eq!(
            proxy(&[("http_proxy", "http://a:1"), ("HTTP_PROXY", "http://a:1")]),
            None,
            "it is for what is not encrypted"
        );
        let none = of(Settings::default(), &[("NO_PROXY", "a.example, .b.example 10.0.0.0/8")]).no_proxy;
        assert_eq!(
            none.iter().filter(|word| !word.is_empty()).collect::<Vec<_>>(),
            ["a.example", ".b.example", "10.0.0.0/8"]
        );
    }

    #[test]
    fn the_config_file_beats_the_environment() {
        let configured =
            Settings { proxy: Some(ProxyUrl("http://c:1".into())), no_proxy: vec!["c".into()], ca: vec![] };
        let found = of(configured.clone(), &[("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", "a")]);
        assert_eq!(found, configured);
    }

    #[cfg(unix)]
    #[test]
    fn a_certificate_of_the_environment_is_trusted_if_it_is_the_administrators() {
        let mine = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::chown(mine.path(), Some(1234), None).unwrap_or(());
        let mine = mine.path().to_str().unwrap();
        assert_eq!(of(Settings::default(), &[("SSL_CERT_FILE", mine)]).ca, Vec::<PathBuf>::new());
        assert_eq!(of(Settings::default(), &[("SSL_CERT_DIR", "/etc:/no/such")]).ca, [PathBuf::from("/etc")]);
    }

    #[test]
    fn a_password_does_not_show() {
        let settings =
            Settings { proxy: Some(ProxyUrl("http://me:CANARY@p:1".into())), ..Settings::default() };
        assert!(!format!("{settings:?}").contains("CANARY"));
        for (text, shown) in [
            ("http://me:CANARY@p:1", "http://p:1"),
            ("me:CAN@ARY/CANARY@p:1/x", "http://p:1"),
            ("socks5h://[::1]:1080", "socks5h://[::1]:1080"),
        ] {
            assert_eq!(ProxyUrl(text.into()).shown(), shown);
        }
    }
}

//! What tokens are for: a Databricks workspace, a Databricks account, or any issuer.
//!
//! [`Host::parse`] is the only door, so that lookup, storage and sending all use one spelling.

use url::{Host as Name, Url};

/// A host in its one spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    url: String,
    kind: Kind,
}

/// What a host is, as far as its name tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A Databricks workspace.
    Workspace(Cloud),
    /// A Databricks account console, and which account.
    Account(Cloud, String),
    /// Anything else: an OAuth or OIDC issuer, or a workspace under a name of its own.
    Other,
}

/// Where a Databricks host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cloud {
    /// Amazon Web Services.
    Aws,
    /// Microsoft Azure.
    Azure,
    /// Google Cloud.
    Gcp,
}

impl Cloud {
    /// As it stands on the wire and on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
        }
    }
}

/// The suffixes of Databricks hosts, the more specific ones first (as in the SDKs' own table).
const SUFFIXES: [(&str, Cloud); 7] = [
    (".gcp.databricks.com", Cloud::Gcp),
    (".dev.databricks.com", Cloud::Aws),
    (".cloud.databricks.us", Cloud::Aws),
    (".cloud.databricks.com", Cloud::Aws),
    (".azuredatabricks.net", Cloud::Azure),
    (".databricks.azure.us", Cloud::Azure),
    (".databricks.azure.cn", Cloud::Azure),
];

/// Why a text is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// It cannot be read as a URL.
    #[error("{0:?} is not a host")]
    NotAHost(String),
    /// Secrets would travel in the clear.
    #[error("{0} must be https: plain http is for this machine's own addresses only")]
    NotSecure(String),
    /// It carries a user name or a password.
    #[error("a host must not carry a user name or password")]
    Credentials,
    /// An account console without an account.
    #[error("{0} is an account console: say which account with --account-id")]
    AccountMissing(String),
    /// The account id is no UUID.
    #[error("{0:?} is not an account id")]
    BadAccount(String),
}

impl Host {
    /// Reads a host as a person types it.
    ///
    /// The scheme is added, query, fragment, trailing slashes and default port are dropped, the name
    /// is lower-cased. A Databricks host loses its path as well; anything else keeps it, since issuers
    /// may have one.
    ///
    /// # Errors
    /// See [`HostError`].
    pub fn parse(typed: &str, account_id: Option<&str>) -> Result<Self, HostError> {
        if let Some(plain) = Plain::read(typed) {
            return plain.host(account_id);
        }
        let trimmed = typed.trim();
        let shown = || trimmed.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
        let not_a_host = || HostError::NotAHost(shown());
        if trimmed.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(not_a_host());
        }
        let with_scheme =
            if trimmed.contains("://") { trimmed.to_owned() } else { format!("https://{trimmed}") };
        let url = Url::parse(&with_scheme).map_err(|_| not_a_host())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(HostError::Credentials);
        }
        let name = url.host_str().unwrap_or_default().trim_end_matches('.');
        if name.is_empty() {
            return Err(not_a_host());
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(HostError::NotSecure(shown())),
            _ => return Err(not_a_host()),
        }
        let cloud = cloud_of(name);
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let path = if cloud.is_some() { "" } else { url.path().trim_end_matches('/') };
        let url = format!("{}://{name}{port}{path}", url.scheme());
        let kind = kind(name, cloud, account_id, &url)?;
        Ok(Self { url, kind })
    }

    /// With scheme, without trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Where it runs, for a Databricks host.
    pub fn cloud(&self) -> Option<Cloud> {
        match self.kind {
            Kind::Workspace(cloud) | Kind::Account(cloud, _) => Some(cloud),
            Kind::Other => None,
        }
    }

    /// The account, at an account console.
    pub fn account_id(&self) -> Option<&str> {
        match &self.kind {
            Kind::Account(_, account) => Some(account),
            Kind::Workspace(_) | Kind::Other => None,
        }
    }

    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        Url::parse(&self.url).is_ok_and(|url| is_loopback(&url))
    }

    /// How a session at this host is named: readable, stable, not secret.
    pub fn id(&self) -> String {
        let bare = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        match self.account_id() {
            Some(account) => format!("{bare}/accounts/{account}"),
            None => bare.to_owned(),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.url)
    }
}

/// A host that is in its one spelling already, as programs say it. To read it as any URL would cost
/// more than all else that is done for a request.
struct Plain<'a> {
    scheme: &'static str,
    name: &'a str,
    /// With its colon.
    port: &'a str,
}

impl<'a> Plain<'a> {
    /// `None` for whatever is not obviously so; that is read the long way.
    fn read(typed: &'a str) -> Option<Self> {
        let (scheme, rest) = match typed.split_once("://") {
            None => ("https", typed),
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            Some(_) => return None,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (name, port) = rest.find(':').map_or((rest, ""), |at| rest.split_at(at));
        let here = name == "127.0.0.1" || name == "localhost";
        let fits = if scheme == "http" { here } else { here || is_plain_name(name) };
        (fits && is_plain_port(scheme, port)).then_some(Self { scheme, name, port })
    }

    fn host(self, account_id: Option<&str>) -> Result<Host, HostError> {
        let Self { scheme, name, port } = self;
        let url = [scheme, "://", name, port].concat();
        let kind = kind(name, cloud_of(name), account_id, &url)?;
        Ok(Host { url, kind })
    }
}

/// Lower-case labels without anything that a URL reads in a way of its own: numbers that are
/// addresses, and encoded scripts.
fn is_plain_name(name: &str) -> bool {
    let plain = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && !label.starts_with("xn--") && label.bytes().all(fits)
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && last.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('.').all(plain)
}

/// None, or one that is not the scheme's own.
fn is_plain_port(scheme: &str, port: &str) -> bool {
    let Some(digits) = port.strip_prefix(':') else { return port.is_empty() };
    let own = if scheme == "http" { "80" } else { "443" };
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    number && digits != own && digits.parse::<u16>().is_ok()
}

/// Whether a URL leads to this machine: a loopback address, or `localhost` (RFC 6761, 6.3).
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Name::Domain(name)) => name.trim_end_matches('.') == "localhost",
        Some(Name::Ipv4(address)) => address.is_loopback(),
        Some(Name::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn cloud_of(name: &str) -> Option<Cloud> {
    SUFFIXES.iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, cloud)| *cloud)
}

fn kind(name: &str, cloud: Option<Cloud>, account_id: Option<&str>, url: &str) -> Result<Kind, HostError> {
    let Some(cloud) = cloud else {
        return Ok(Kind::Other);
    };
    if !(name.starts_with("accounts.") || name.starts_with("accounts-dod.")) {
        return Ok(Kind::Workspace(cloud));
    }
    let account = account_id.ok_or_else(|| HostError::AccountMissing(url.to_owned()))?;
    if account.is_empty()
        || account.len() > 64
        || !account.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    {
        return Err(HostError::BadAccount(account.chars().take(64).collect()));
    }
    Ok(Kind::Account(cloud, account.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(typed: &str) -> String {
        Host::parse(typed, None).unwrap().url().to_owned()
    }

    proptest! {
        #[test]
        fn the_short_way_leads_where_the_long_way_does(
            text in r"(http://|https://|)(127\.0\.0\.1|localhost|[a-z0-9-]{1,6}(\.[a-z0-9-]{1,4}){0,3}|adb-1\.7\.azuredatabricks\.net|0x7f\.1|xn--a)(:[0-9]{1,6}|:443|:80|:)?/?",
        ) {
            if let Some(plain) = Plain::read(&text) {
                // A query is dropped, and only the long way reads one.
                prop_assert_eq!(plain.host(None), Host::parse(&format!("{text}?"), None));
            }
        }
    }

    #[test]
    fn a_workspace_has_one_spelling() {
        for typed in [
            "adb-1.7.azuredatabricks.net",
            "https://adb-1.7.azuredatabricks.net/",
            "HTTPS://ADB-1.7.AzureDatabricks.net:443/a/b/?o=123#x",
            " adb-1.7.azuredatabricks.net. ",
        ] {
            assert_eq!(url(typed), "https://adb-1.7.azuredatabricks.net");
        }
        assert_eq!(
            Host::parse("adb-1.7.azuredatabricks.net", None).unwrap().id(),
            "adb-1.7.azuredatabricks.net"
        );
    }

    #[test]
    fn an_issuer_keeps_its_path() {
        assert_eq!(url("sso.example.com/realms/Main/"), "https://sso.example.com/realms/Main");
        assert_eq!(url("https://example.com:8443//"), "https://example.com:8443");
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for typed in
            ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080", "http://127.9.9.9"]
        {
            assert_eq!(url(typed), typed);
        }
        for typed in [
            "http://example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
        ] {
            assert!(matches!(Host::parse(typed, None), Err(HostError::NotSecure(_))), "{typed}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for typed in ["", "https://", "ftp://x", "a b", "https://x\ny", "file:///etc/passwd", "http://"] {
            assert!(matches!(Host::parse(typed, None), Err(HostError::NotAHost(_))), "{typed:?}");
        }
        assert_eq!(Host::parse("https://u:p@x.example", None), Err(HostError::Credentials));
    }

    #[test]
    fn the_cloud_is_told_by_the_suffix() {
        let cloud = |typed| Host::parse(typed, None).unwrap().cloud();
        assert_eq!(cloud("dbc-1.cloud.databricks.com"), Some(Cloud::Aws));
        assert_eq!(cloud("1.2.gcp.databricks.com"), Some(Cloud::Gcp));
        assert_eq!(cloud("1.staging.gcp.databricks.com"), Some(Cloud::Gcp));
        assert_eq!(cloud("adb-1.databricks.azure.cn"), Some(Cloud::Azure));
        assert_eq!(cloud("evilcloud.databricks.com.example"), None);
    }

    #[test]
    fn an_account_console_needs_its_account() {
        let console = "accounts.cloud.databricks.com";
        assert!(matches!(Host::parse(console, None), Err(HostError::AccountMissing(_))));
        assert!(matches!(Host::parse(console, Some("../x")), Err(HostError::BadAccount(_))));
        let host = Host::parse(console, Some("ABC-1")).unwrap();
        assert_eq!(host.id(), "accounts.cloud.databricks.com/accounts/abc-1");
    }

    proptest! {
        #[test]
        fn parsing_is_stable_and_never_panics(typed in ".{0,80}") {
            if let Ok(host) = Host::parse(&typed, None) {
                prop_assert!(!host.url().ends_with('/'));
                let again = Host::parse(host.url(), None);
                prop_assert_eq!(again, Ok(host));
            }
        }

        #[test]
        fn parsing_is_stable_on_what_looks_like_a_host(typed in "(https?://)?[A-Za-z0-9.-]{1,20}(\\.azuredatabricks\\.net)?(:[0-9]{1,5})?(/[a-zA-Z%.]{0,5}){0,3}(\\?[a-z=]{0,5})?") {
            if let Ok(host) = Host::parse(&typed, None) {
                let again = Host::parse(host.url(), None);
                prop_assert_eq!(again, Ok(host));
            }
        }
    }
}

//! What tokens are for: a Databricks workspace, a Databricks account, or any issuer.
//!
//! [`Host::parse`] is the only door, so that lookup, storage and sending all use one spelling.

mod names;
#[cfg(test)]
mod tests;

use url::{Host as Name, Url};

pub(crate) use self::names::is_databricks;
use self::names::ran_by;
pub use self::names::{Cloud, Stage};

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
    /// One address for a Databricks account and all its workspaces, under any name, or a stand-in for
    /// one on this machine; and which account.
    Unified(String),
    /// Anything else: an OAuth or OIDC issuer, or a workspace under a name of its own.
    Other,
}

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
    /// may have one. An account is what makes any name but a workspace's a Databricks host; it may also
    /// stand in the query, as Databricks' own pages have it (`?o=1&a=ACCOUNT`), or behind the name, as
    /// in [`id`](Self::id).
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
        let whole = url.host_str().unwrap_or_default();
        let name = whole.strip_suffix('.').unwrap_or(whole);
        if name.is_empty() || name.ends_with('.') {
            return Err(not_a_host());
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(HostError::NotSecure(shown())),
            _ => return Err(not_a_host()),
        }
        let ours = is_databricks(name);
        let typed_too = if ours || is_loopback(&url) { account_in(&url) } else { None };
        let account_id = account_id.filter(|id| !id.is_empty()).or(typed_too.as_deref());
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let path = if ours || account_id.is_some() { "" } else { url.path().trim_end_matches('/') };
        let url = format!("{}://{name}{port}{path}", url.scheme());
        let kind = kind(name, account_id, &url)?;
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

    /// Where it runs, for a Databricks host whose name tells.
    pub fn cloud(&self) -> Option<Cloud> {
        match self.kind {
            Kind::Workspace(cloud) | Kind::Account(cloud, _) => Some(cloud),
            Kind::Unified(_) | Kind::Other => None,
        }
    }

    /// The account, at an account console or a unified host.
    pub fn account_id(&self) -> Option<&str> {
        match &self.kind {
            Kind::Account(_, account) | Kind::Unified(account) => Some(account),
            Kind::Workspace(_) | Kind::Other => None,
        }
    }

    /// Whether its name is one that only Databricks can have.
    pub fn is_databricks(&self) -> bool {
        is_databricks(self.name())
    }

    /// Whether it is for Databricks' own developers, which other systems have to be told.
    pub fn stage(&self) -> Stage {
        ran_by(self.name()).map_or(Stage::Production, |(_, stage)| stage)
    }

    /// Without scheme, port and path.
    pub fn name(&self) -> &str {
        let bare = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let end = bare.find('/').unwrap_or(bare.len());
        let authority = &bare[..end];
        let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        match authority.rsplit_once(':') {
            Some((name, port)) if digits(port) => name,
            Some(_) | None => authority,
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
        let kind = kind(name, account_id.filter(|id| !id.is_empty()), &url)?;
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

/// The account in an address. The workspace that may be there as well (`o`, `w`, `workspace_id`) has no
/// sign-in of its own.
fn account_in(url: &Url) -> Option<String> {
    let named = |key: &str| key == "a" || key == "account_id";
    let in_query = url.query_pairs().find(|(key, value)| named(key) && !value.is_empty());
    let in_path = || url.path().strip_prefix("/accounts/").map(|id| id.trim_end_matches('/'));
    match in_query {
        Some((_, value)) => Some(value.into_owned()),
        None => in_path().filter(|id| account(id).is_ok() && !id.is_empty()).map(str::to_owned),
    }
}

fn kind(name: &str, account_id: Option<&str>, url: &str) -> Result<Kind, HostError> {
    match (ran_by(name), account_id) {
        (None, None) => Ok(Kind::Other),
        (None, Some(account_id)) => Ok(Kind::Unified(account(account_id)?)),
        (Some((cloud, _)), account_id) if is_console(name) => {
            let account_id = account_id.ok_or_else(|| HostError::AccountMissing(url.to_owned()))?;
            Ok(Kind::Account(cloud, account(account_id)?))
        }
        (Some((cloud, _)), _) => Ok(Kind::Workspace(cloud)),
    }
}

fn is_console(name: &str) -> bool {
    name.starts_with("accounts.") || name.starts_with("accounts-dod.")
}

fn account(id: &str) -> Result<String, HostError> {
    let fits = id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits { Ok(id.to_ascii_lowercase()) } else { Err(HostError::BadAccount(id.chars().take(64).collect())) }
}

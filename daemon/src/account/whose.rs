//! Which account a call means, and by whose authority it is made.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use sso_agent_core::{
    agent::{Agent, Target},
    host::{Cloud, Host},
    session::{About, Session},
    words::SessionId,
};
use sso_agent_proto::{
    app::Account,
    fault::{Fault, Kind},
    rpc::RpcError,
    session::{Flow, Login, Target as Wanted},
};
use zeroize::Zeroizing;

use crate::{
    config::{Known, Meant},
    rpc::{
        service::{Service, stopped},
        translate,
    },
    signin,
};

/// How long a token may take, so that there is time left for what it is needed for.
const TOKEN_WITHIN: Duration = Duration::from_secs(12);

/// See the module.
pub(super) struct Whose {
    host: Host,
    account_id: String,
    pub(super) authority: Authority,
}

/// By whose authority.
pub(super) enum Authority {
    /// The token of a session.
    Session(SecretString),
    /// A token that a client bought for this call.
    Client(SecretString),
    /// What Databricks took until 2024-07-10.
    Password { username: String, password: SecretString },
}

/// The same before anybody was asked.
enum Way {
    Session,
    Client { id: String, secret: SecretString },
    Password { username: String, password: SecretString },
}

impl Whose {
    /// The address of the account's OAuth API, without a slash at its end.
    pub(super) fn root(&self) -> String {
        format!("{}/api/2.0/accounts/{}/oauth2", self.host.url(), self.account_id)
    }

    pub(super) fn host(&self) -> &str {
        self.host.url()
    }

    pub(super) fn account_id(&self) -> &str {
        &self.account_id
    }

    /// What to type to sign in there.
    pub(super) fn login(&self) -> String {
        format!("sso login {} --account-id {}", self.host.url(), self.account_id)
    }
}

impl Authority {
    /// The `Authorization` of a request; `None` for what fits into no header.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Session(token) | Self::Client(token) => ["Bearer ", token.expose_secret()].concat(),
            Self::Password { username, password } => ["Basic ", &basic(username, password)].concat(),
        };
        let mut value = HeaderValue::from_str(&Zeroizing::new(text)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// What must be in no message, in each form that it was sent in.
    pub(super) fn secrets(&self) -> Vec<Zeroizing<String>> {
        match self {
            Self::Session(token) | Self::Client(token) => vec![token.expose_secret().to_owned().into()],
            Self::Password { username, password } => {
                vec![password.expose_secret().to_owned().into(), basic(username, password)]
            }
        }
    }
}

/// A name and a password in one word (RFC 7617).
fn basic(username: &str, password: &SecretString) -> Zeroizing<String> {
    let pair = Zeroizing::new([username, ":", password.expose_secret()].concat());
    BASE64_STANDARD.encode(pair.as_bytes()).into()
}

/// Where an account is, and what a token for it comes from.
struct Found {
    host: Host,
    known: Arc<Known>,
    meant: Meant,
}

impl Service {
    /// Reads which account is meant, and gets what its API wants to see.
    pub(super) async fn whose(&self, said: Account) -> Result<Whose, RpcError> {
        let (way, said) = way(said)?;
        let Found { host, known, meant } = self.account_meant(&said, &way).await?;
        let account_id = host.account_id().map(str::to_owned).ok_or_else(|| no_account(&host))?;
        let authority = match way {
            Way::Session => {
                let lease = self.own_lease(&known, meant, TOKEN_WITHIN).await?;
                Authority::Session(lease.access_token.clone())
            }
            Way::Client { id, secret } => {
                let login = Login {
                    host: Some(host.url().to_owned()),
                    account_id: Some(account_id.clone()),
                    client_id: Some(id),
                    client_secret: Some(secret),
                    flow: Flow::ClientCredentials,
                    ..Login::default()
                };
                let plan = self.plan(login).await?;
                let token = signin::token_once(&plan, &self.apps.spender).await;
                Authority::Client(token.map_err(|refusal| translate::fault(&refusal))?)
            }
            Way::Password { username, password } => Authority::Password { username, password },
        };
        Ok(Whose { host, account_id, authority })
    }

    async fn account_meant(&self, said: &Wanted, way: &Way) -> Result<Found, RpcError> {
        let whole = said.profile.is_some() || (said.host.is_some() && said.account_id.is_some());
        if !whole && let Some(found) = self.signed_in(said, way).await? {
            return Ok(found);
        }
        if said.host.is_some() || said.profile.is_some() {
            let (known, meant) = self.meant(said).await?;
            let host = host_of(&meant).ok_or_else(|| nobody(None))?;
            return Ok(Found { host, known, meant });
        }
        let known = self.config.known();
        let meant = known.default_meant().and_then(|meant| Some((host_of(&meant)?, meant)));
        match meant.filter(|(host, _)| fits_account(host, said.account_id.as_deref())) {
            Some((host, meant)) => Ok(Found { host, known, meant }),
            None => Err(nobody(said.account_id.as_deref()).into()),
        }
    }

    /// The account that somebody is signed in to, of those that fit; `None` if there is none.
    async fn signed_in(&self, said: &Wanted, way: &Way) -> Result<Option<Found>, RpcError> {
        let wanted = said.clone();
        let look = move |agent: &Agent, _| -> Vec<(SessionId, Host)> {
            let sessions = agent.sessions().map(Session::about).filter(|about| fits(about, &wanted));
            sessions.map(|about| (about.id.clone(), about.host.clone())).collect()
        };
        let mut fitting = self.handle.look(look).await.ok_or_else(stopped)?;
        if !matches!(way, Way::Session) {
            // Whose sessions they are does not matter then.
            fitting.dedup_by(|(_, one), (_, other)| one == other);
        }
        match fitting.as_slice() {
            [] => Ok(None),
            [(id, host)] => {
                let target = Wanted { session: Some(id.to_string()), ..Wanted::default() };
                let (known, meant) = self.meant(&target).await?;
                Ok(Some(Found { host: host.clone(), known, meant }))
            }
            several => Err(undecided(several).into()),
        }
    }
}

/// Whether a session of this person is at an account, and at the one that is named as far as it is.
fn fits(about: &About, wanted: &Wanted) -> bool {
    let Some(account) = about.host.account_id() else { return false };
    let there = |typed: &String| Host::parse(typed, Some(account)).is_ok_and(|host| host == about.host);
    !about.id.is_web()
        && fits_account(&about.host, wanted.account_id.as_deref())
        && wanted.host.as_ref().is_none_or(there)
        && wanted.label.as_deref().is_none_or(|label| label == about.label.as_str())
}

fn fits_account(host: &Host, wanted: Option<&str>) -> bool {
    let fits = |account: &str| wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(account));
    host.account_id().is_some_and(fits)
}

fn host_of(meant: &Meant) -> Option<Host> {
    match meant {
        Meant::Session(Target::Host(host, _)) | Meant::Machine(Target::Host(host, _), _) => {
            Some(host.clone())
        }
        Meant::Token { host, .. } => Some(host.clone()),
        Meant::Session(Target::Only | Target::Session(_) | Target::Web(_))
        | Meant::Machine(Target::Only | Target::Session(_) | Target::Web(_), _) => None,
    }
}

/// Takes the secrets out of what was said.
fn way(said: Account) -> Result<(Way, Wanted), Fault> {
    let Account { host, account_id, profile, label, client_id, client_secret, username, password } = said;
    let way = match (client_id, client_secret, username, password) {
        (None, None, None, None) => Way::Session,
        (Some(id), Some(secret), None, None) => Way::Client { id, secret },
        (None, None, Some(username), Some(password)) => Way::Password { username, password },
        (Some(_) | None, Some(_) | None, Some(_) | None, Some(_) | None) => {
            let message =
                "a client id goes with its secret, and a user name with a password; not both, nor one alone";
            return Err(Fault::new(Kind::Unsupported, message, "or name neither, and use the session there"));
        }
    };
    Ok((way, Wanted { host, account_id, profile, label, ..Wanted::default() }))
}

fn nobody(account_id: Option<&str>) -> Fault {
    let message = match account_id {
        Some(id) => format!("nobody is signed in to the account {id:.80}"),
        None => "nobody is signed in to an account".to_owned(),
    };
    let hint = "sign in as an account admin: sso login accounts.cloud.databricks.com --account-id ID (Azure: accounts.azuredatabricks.net, GCP: accounts.gcp.databricks.com)";
    Fault::new(Kind::LoginRequired, message, hint)
}

fn undecided(several: &[(SessionId, Host)]) -> Fault {
    let names: Vec<&str> = several.iter().map(|(id, _)| id.as_str()).collect();
    let message = format!("more than one session is at an account: {}", names.join(", "));
    Fault::new(Kind::Ambiguous, message, "name one with --host and --account-id, or --as")
}

/// A workspace has no apps of its own.
fn no_account(host: &Host) -> Fault {
    let console = match host.cloud() {
        Some(Cloud::Aws) => "accounts.cloud.databricks.com",
        Some(Cloud::Azure) => "accounts.azuredatabricks.net",
        Some(Cloud::Gcp) => "accounts.gcp.databricks.com",
        None => {
            let message = format!("which account at {host} is not said");
            return Fault::new(Kind::UnknownHost, message, "name it with --account-id");
        }
    };
    let message = format!("{host} is a workspace, and OAuth apps belong to an account");
    let hint = format!("name the account: --host {console} --account-id ID");
    Fault::new(Kind::Unsupported, message, hint)
}

#[cfg(test)]
impl Whose {
    /// An account, as a test wants it.
    pub(super) fn made(host: &str, account_id: &str, authority: Authority) -> Self {
        let host = Host::parse(host, Some(account_id)).unwrap();
        Self { host, account_id: account_id.to_owned(), authority }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "00000000-0000-0000-0000-000000000042";

    #[test]
    fn the_api_is_at_the_console_of_each_cloud_and_at_unified_hosts() {
        for (typed, root) in [
            ("accounts.cloud.databricks.com", "https://accounts.cloud.databricks.com"),
            ("https://accounts.cloud.databricks.us/", "https://accounts.cloud.databricks.us"),
            ("ACCOUNTS.azuredatabricks.net/login?x=1", "https://accounts.azuredatabricks.net"),
            ("https://accounts.gcp.databricks.com", "https://accounts.gcp.databricks.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("dbc.company.example", "https://dbc.company.example"),
        ] {
            let whose = Whose::made(typed, ACCOUNT, Authority::Session("t".into()));
            assert_eq!(whose.root(), format!("{root}/api/2.0/accounts/{ACCOUNT}/oauth2"));
        }
    }

    #[test]
    fn a_workspace_is_told_where_its_account_is() {
        for (workspace, console) in [
            ("adb-1.2.azuredatabricks.net", "accounts.azuredatabricks.net"),
            ("dbc-1.cloud.databricks.com", "accounts.cloud.databricks.com"),
            ("1.gcp.databricks.com", "accounts.gcp.databricks.com"),
        ] {
            let fault = no_account(&Host::parse(workspace, Some(ACCOUNT)).unwrap());
            assert!(fault.data.hint.contains(console), "{fault:?}");
        }
    }

    #[test]
    fn credentials_come_in_pairs_and_one_pair_at_a_time() {
        let pair = |id: Option<&str>, secret: Option<&str>, user: Option<&str>, password: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            let account = Account {
                client_id: own(id),
                client_secret: secret.map(Into::into),
                username: own(user),
                password: password.map(Into::into),
                ..Account::default()
            };
            way(account).map(|(way, _)| way)
        };
        assert!(matches!(pair(None, None, None, None), Ok(Way::Session)));
        assert!(matches!(pair(Some("i"), Some("s"), None, None), Ok(Way::Client { .. })));
        assert!(matches!(pair(None, None, Some("u"), Some("p")), Ok(Way::Password { .. })));
        assert!(pair(Some("i"), None, None, None).is_err());
        assert!(pair(None, None, Some("u"), None).is_err());
        assert!(pair(Some("i"), Some("s"), Some("u"), Some("p")).is_err());
    }

    #[test]
    fn an_authority_shows_itself_to_the_server_only() {
        let password = Authority::Password { username: "admin".into(), password: "pässword".into() };
        assert_eq!(password.header().unwrap(), "Basic YWRtaW46cMOkc3N3b3Jk");
        let session = Authority::Session("CANARY".into());
        assert_eq!(session.header().unwrap(), "Bearer CANARY");
        assert!(!format!("{:?}", session.header()).contains("CANARY"));
        assert!(Authority::Session("a\nb".into()).header().is_none());
    }
}

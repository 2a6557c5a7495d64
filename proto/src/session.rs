//! `session.login`, `session.import`, `session.list`, `session.show`, `session.logout`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{rpc::Id, secret};

/// Which session is meant: by its id, or by host and label, or by nothing when there is just one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// A host as a person would type it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The name of a profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The id of a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Which of several accounts at the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Which Databricks account, at an account console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
}

/// Which sessions are listed: one, or all of a kind, in parts where there are many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// A host as a person would type it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The name of a profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The id of a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Which of several accounts at the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Which Databricks account, at an account console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The users of web apps, instead of this user's own sessions; all of them, or those at `host`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub web: bool,
    /// How many at most; 1,000 when absent, which is as many as fit into one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only those behind this one: [`Sessions::next`] of the part before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl List {
    /// Which one is meant, if it is just one.
    pub fn target(&self) -> Target {
        Target {
            host: self.host.clone(),
            profile: self.profile.clone(),
            session: self.session.clone(),
            label: self.label.clone(),
            account_id: self.account_id.clone(),
        }
    }
}

/// How a person or a program proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// Authorization code with PKCE, redirected to a loopback listener (RFC 8252).
    #[default]
    Browser,
    /// Device authorization (RFC 8628).
    Device,
    /// Authorization code, the redirected URL pasted back.
    Paste,
    /// Client credentials (RFC 6749, 4.4).
    ClientCredentials,
}

/// What to sign in to, and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// A host as a person would type it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The name of a profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What to tell this account at the host by; empty when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Which Databricks account, at an account console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The OAuth client; the stock one of Databricks when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Of a confidential client.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::on_wire_option")]
    pub client_secret: Option<SecretString>,
    /// What to ask for; the host's usual ones when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// See [`Flow`].
    #[serde(default)]
    pub flow: Flow,
    /// The port of the redirect listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_port: Option<u16>,
    /// How long the person may take, in seconds; 300 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// The authorization server, where it is not at the host itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What kind of server it is, where its address does not tell: `github`, `keycloak`, `entra` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The whole address of its discovery document (`DATABRICKS_DISCOVERY_URL`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery_url: Option<String>,
    /// What the caller's environment says of its workload identity, by the names of the variables: the
    /// agent's own environment does not have it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "secret::on_wire_map")]
    pub variables: BTreeMap<String, SecretString>,
}

/// A sign-in of another tool, to be taken over.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// A host as a person would type it.
    pub host: String,
    /// What to tell this account at the host by; empty when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Which Databricks account, at an account console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The OAuth client that signed in; the stock one of Databricks when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// What it was granted, as far as is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// What kind of server gave it, where the host does not tell: `entra` for an Azure workspace whose
    /// sign-in is Microsoft's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// It is spent at once, to see whether it is good: the other tool's copy may be worthless after that.
    #[serde(with = "secret::on_wire")]
    pub refresh_token: SecretString,
}

/// The params of a `session.login.progress` notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The `id` of the `session.login` request.
    pub request_id: Id,
    /// How far it is.
    #[serde(flatten)]
    pub step: Step,
}

/// How far a sign-in is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The person has to visit `url`; the client opens or prints it.
    Authorize {
        /// A one-shot loopback address that leads to the issuer.
        url: String,
    },
    /// The browser was sent to the issuer; the person is busy there.
    Waiting,
    /// The person is back; the code is being exchanged for tokens.
    Exchanging,
}

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All is well.
    Active,
    /// A new access token is being fetched.
    Refreshing,
    /// The last refresh failed and will be tried again.
    Retrying,
    /// Only a sign-in helps.
    LoginRequired,
}

impl State {
    /// As it stands on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Refreshing => "refreshing",
            Self::Retrying => "retrying",
            Self::LoginRequired => "login_required",
        }
    }
}

/// One signed-in identity at one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Stable, readable, not secret: `adb-1.azuredatabricks.net#work`.
    pub id: String,
    /// What its tokens are for, as a URL.
    pub host: String,
    /// Tells several accounts at one host apart; empty by default.
    pub label: String,
    /// `aws`, `azure` or `gcp` for a Databricks host.
    pub cloud: Option<String>,
    /// Of a Databricks account console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The authorization server.
    pub issuer: String,
    /// The OAuth client.
    pub client_id: String,
    /// Who signed in, as far as the issuer says.
    pub user: Option<String>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// See [`State`].
    pub state: State,
    /// When the access token ends.
    pub expires_at: Option<Timestamp>,
    /// When the next one is fetched.
    pub next_refresh_at: Option<Timestamp>,
    /// Why the last refresh failed, if it did.
    pub last_error: Option<String>,
    /// Whether another access token follows this one. Without, only a sign-in helps at `expires_at`.
    #[serde(default = "yes")]
    pub refreshable: bool,
    /// Of a web app's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<Web>,
}

fn yes() -> bool {
    true
}

/// What a session of a web app's user has besides. Only its handle gets tokens of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Web {
    /// The name of the app, if the agent keeps its client.
    pub app: Option<String>,
    /// When somebody last asked for its token.
    pub last_used_at: Timestamp,
    /// When it is given up unless somebody asks.
    pub idle_at: Timestamp,
}

/// The answer of `session.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// In the order of their ids.
    pub sessions: Vec<Session>,
    /// Where the rest begins, if there is more: goes into [`List::after`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The answer of `session.logout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedOut {
    /// Whether the issuer confirmed that the refresh token is worthless now.
    pub revoked: bool,
}

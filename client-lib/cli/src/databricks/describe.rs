//! `databricks auth describe`: which credentials count, where they come from, and whether they work.

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;
use serde::Serialize;
use sso_agent_client::{
    blocking::Agent,
    proto::{
        databrickscfg::{AuthType, is_secret},
        token::TokenGet,
    },
};

use crate::{
    args::{Format, Said},
    attributes::{Attributes, Value},
    file::Loaded,
    resolve,
    say::{self, Fail},
};

const HIDDEN: &str = "********";

/// How long it is worth waiting for an issuer that does not answer.
const PATIENCE_S: u64 = 10;

#[derive(Serialize)]
struct Shown {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    details: Details,
    token_storage: Storage,
}

#[derive(Serialize)]
struct Details {
    auth_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    configuration: BTreeMap<&'static str, Configured>,
    #[serde(skip)]
    order: Vec<&'static str>,
}

#[derive(Serialize)]
struct Configured {
    value: String,
    source: Origin,
    auth_type_mismatch: bool,
}

#[derive(Serialize)]
struct Origin {
    r#type: &'static str,
    name: String,
    #[serde(skip)]
    words: String,
}

/// Tokens are with the agent, whatever the CLI's own settings say.
#[derive(Serialize)]
struct Storage {
    mode: &'static str,
    location: &'static str,
    source: &'static str,
}

const STORAGE: Storage = Storage { mode: "secure", location: "sso-agent", source: "default" };

pub(crate) fn run(said: &Said) -> Result<(), Fail> {
    let file = Loaded::here()?;
    let attributes = Attributes::collect(said, &file)?;
    let shown = examine(&attributes, said.sensitive);
    match said.format() {
        Format::Json => say::text(say::json(&shown)?),
        Format::Text => say::text(words(&shown)),
    }
}

fn examine(attributes: &Attributes, sensitive: bool) -> Shown {
    let auth_type = attributes.auth_type();
    let name = auth_type.as_ref().map(ToString::to_string).unwrap_or_default();
    let used = auth_type.as_ref().map_or(AuthType::DatabricksCli, Clone::clone);
    let outcome =
        auth_type.map_err(|error| error.to_string()).and_then(|auth_type| try_out(attributes, &auth_type));
    let (username, error) = match outcome {
        Ok(username) => (username, None),
        Err(error) => (None, Some(error)),
    };
    let shown =
        |value: &Value| (value.key, configured(value, attributes.is_unused(value.key, &used), sensitive));
    Shown {
        status: if error.is_some() { "error" } else { "success" },
        error,
        username,
        account_id: attributes.get("account_id").map(str::to_owned),
        details: Details {
            auth_type: name,
            host: attributes.get("host").map(str::to_owned),
            configuration: attributes.values.iter().map(shown).collect(),
            order: attributes.values.iter().map(|value| value.key).collect(),
        },
        token_storage: STORAGE,
    }
}

/// Gives who is signed in, or why nobody is.
fn try_out(attributes: &Attributes, auth_type: &AuthType) -> Result<Option<String>, String> {
    let host = attributes.get("host").ok_or("no host is configured")?;
    if *auth_type == AuthType::Pat {
        return Ok(None);
    }
    let profile = attributes.get("profile").map(str::to_owned);
    let request = TokenGet {
        host: Some(host.to_owned()),
        profile: profile.clone(),
        account_id: attributes.get("account_id").map(str::to_owned),
        wait_s: Some(PATIENCE_S),
        ..TokenGet::default()
    };
    let mut agent = Agent::connect().map_err(|error| error.to_string())?;
    agent.token(request).map_err(|error| error.to_string())?;
    let sessions = agent.sessions().unwrap_or_default();
    let session = resolve::session_of(&sessions, host, attributes.get("account_id"), profile.as_deref());
    Ok(session.and_then(|session| session.user.clone()))
}

fn configured(value: &Value, unused: bool, sensitive: bool) -> Configured {
    let shown = if is_secret(value.key) && !sensitive { HIDDEN } else { value.value.expose_secret() };
    let source = &value.source;
    let source = Origin { r#type: source.kind(), name: source.name(), words: source.to_string() };
    Configured { value: shown.to_owned(), source, auth_type_mismatch: unused }
}

fn words(shown: &Shown) -> String {
    let mut text = String::new();
    match &shown.error {
        Some(error) => text += &format!("Unable to authenticate: {}\n", say::clean(error)),
        None => {
            text += &format!("Host: {}\n", shown.details.host.as_deref().unwrap_or_default());
            let optional = [("Account ID", &shown.account_id), ("User", &shown.username)];
            for (name, value) in optional.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
                text += &format!("{name}: {}\n", say::clean(value));
            }
            text += &format!("Authenticated with: {}\n", shown.details.auth_type);
        }
    }
    text += "-----\nCurrent configuration:\n";
    for key in &shown.details.order {
        let Some(one) = shown.details.configuration.get(key) else { continue };
        let mark = if one.auth_type_mismatch { "~" } else { "✓" };
        text += &format!("  {mark} {key}: {}", one.value);
        if !one.source.name.is_empty() {
            let unused = if one.auth_type_mismatch {
                format!(", not used for auth type {}", shown.details.auth_type)
            } else {
                String::new()
            };
            text += &format!(" (from {}{unused})", one.source.words);
        }
        text += "\n";
    }
    text
}

//! What a session has to buy its next access token with, and how that is done.

use std::{io, path::Path, time::Duration};

use secrecy::SecretString;
use sso_agent_core::discovery::{Flavor, Metadata};
use zeroize::Zeroizing;

use crate::{
    issuer::{self, AssertionError, Client, Http, Outcome},
    store::{Record, Renewal},
};

/// A token of a platform is a few kilobytes; a file that is longer holds something else.
const LONGEST_TOKEN: u64 = 64 * 1024;

/// Why nothing could be bought: nobody was asked.
pub(super) enum Without {
    /// There is nothing to buy it with, in words.
    Means(String),
    /// Not now.
    Now {
        /// In words.
        why: String,
        /// When to try again, if that is known.
        retry_after: Option<Duration>,
    },
}

impl Without {
    /// What it is bought with cannot be had now.
    pub(super) fn now(why: String) -> Self {
        Self::Now { why, retry_after: None }
    }
}

/// Shows a server what a program has to show for itself.
pub(super) async fn show(
    http: &Http,
    server: &Metadata,
    client: &Client,
    renewal: &Renewal,
    scopes: &[String],
) -> Result<Outcome, Without> {
    let resource = match renewal {
        Renewal::ClientCredentials { resource } => resource,
        Renewal::RefreshToken => return Err(Without::Means("it is no program's session".to_owned())),
        Renewal::Token { .. } | Renewal::File { .. } | Renewal::GitHub { .. } => {
            let subject = subject(http, renewal).await?;
            let id = Some(client.id.as_str()).filter(|id| !id.is_empty());
            return Ok(issuer::token_exchange(http, server, &subject, id, scopes).await);
        }
    };
    Ok(match resource {
        Some(resource) => issuer::azure_client_secret(http, server, client, resource).await,
        None => issuer::client_credentials(http, server, client, scopes).await,
    })
}

/// The token that a workload shows for itself.
async fn subject(http: &Http, renewal: &Renewal) -> Result<SecretString, Without> {
    match renewal {
        Renewal::Token { token } => Ok(token.clone()),
        Renewal::File { path } => {
            let (file, named) = (path.clone(), path.clone());
            let read = tokio::task::spawn_blocking(move || token_in(Path::new(&file))).await;
            let read = read.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()));
            read.map_err(|error| {
                Without::now(format!("the identity token in {named} cannot be read: {error}"))
            })
        }
        Renewal::GitHub { url, token, audience } => {
            let whom = || "the host does not say whom a token must be for: set token_audience".to_owned();
            let audience = audience.as_deref().ok_or_else(|| Without::Means(whom()))?;
            issuer::github_oidc(http, url, token, audience).await.map_err(|error| match error {
                AssertionError::Unreachable { .. } => Without::now(error.to_string()),
                AssertionError::Refused(_) => Without::Means(error.to_string()),
            })
        }
        Renewal::RefreshToken | Renewal::ClientCredentials { .. } => {
            Err(Without::Means("it has no identity token".to_owned()))
        }
    }
}

fn token_in(path: &Path) -> io::Result<SecretString> {
    use io::Read as _;
    let mut text = Zeroizing::new(String::with_capacity(8 * 1024));
    std::fs::File::open(path)?.take(LONGEST_TOKEN).read_to_string(&mut text)?;
    match text.trim() {
        "" => Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty")),
        token => Ok(token.into()),
    }
}

/// The client that a session signed in as.
pub(crate) fn client_of(record: &Record) -> Client {
    Client { id: record.client_id.clone(), secret: record.client_secret.clone() }
}

/// The server that a session signed in at: what it said then, whatever it says now.
pub(crate) fn server_of(record: &Record) -> Metadata {
    Metadata {
        issuer: record.issuer.clone(),
        authorization_endpoint: record.authorization_endpoint.clone(),
        token_endpoint: record.token_endpoint.clone(),
        revocation_endpoint: record.revocation_endpoint.clone(),
        userinfo_endpoint: record.userinfo_endpoint.clone(),
        iss_parameter_supported: false,
        scopes: None,
        grant_types: None,
        code_challenge_methods: None,
        token_endpoint_auth_methods: record.auth_methods.clone(),
        flavor: Flavor::Generic,
    }
}

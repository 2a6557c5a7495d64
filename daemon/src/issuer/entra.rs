//! Asks an Azure workspace where its Entra sign-in is. It says so by redirects, which are not followed.

use sso_agent_core::{
    azure::{self, Environment},
    discovery::Facts,
    host::Host,
};

use super::{
    discover::{By, DiscoverError, Found, Patience},
    http::Http,
};

/// Finds the sign-in for a client that is registered with Entra.
pub(super) async fn sign_in(http: &Http, host: &Host, patience: Patience) -> Result<Found, DiscoverError> {
    let location = location(http, host, &azure::entra_at(host), patience).await?;
    Ok(found(host, azure::entra(host, &location)?))
}

/// Finds where service principals of the workspace's own tenant sign in.
pub(super) async fn tenant(http: &Http, host: &Host, patience: Patience) -> Result<Found, DiscoverError> {
    let location = location(http, host, &azure::tenant_at(host), patience).await?;
    Ok(found(host, azure::principal(host, &location)?))
}

/// Where service principals of a tenant sign in.
pub(super) fn known_tenant(
    host: &Host,
    tenant: &str,
    environment: Option<Environment>,
) -> Result<Found, DiscoverError> {
    let environment = environment.unwrap_or_else(|| Environment::of(host));
    Ok(found(host, azure::principal_of(environment, tenant)?))
}

fn found(host: &Host, metadata: sso_agent_core::discovery::Metadata) -> Found {
    Found { metadata, facts: Facts::default().about(host), by: By::Redirect }
}

async fn location(http: &Http, host: &Host, url: &str, patience: Patience) -> Result<String, DiscoverError> {
    let reply = http
        .get(url, patience.whole)
        .await
        .map_err(|error| DiscoverError::Unreachable { retry_after: None, cause: error.to_string() })?;
    let path = url.strip_prefix(host.url()).unwrap_or(url);
    tracing::debug!(host = host.url(), path, answer = reply.summary(), "Entra asked for");
    match reply.location {
        Some(location) if reply.status.is_redirection() => Ok(location),
        Some(_) | None if reply.status.is_server_error() || matches!(reply.status.as_u16(), 408 | 429) => {
            let cause = format!("{host}: {path}: {}", reply.summary());
            Err(DiscoverError::Unreachable { retry_after: reply.retry_after, cause })
        }
        Some(_) | None => {
            let said = reply.summary();
            let why = format!("{host} has no Entra sign-in: {path} leads nowhere ({said})");
            Err(DiscoverError::NotOAuth { why })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::{
        discover::{PATIENCE, Sought, Via, look},
        testing::{Fake, reply},
    };

    async fn asked(fake: &Fake, via: Via<'_>) -> Result<Found, DiscoverError> {
        let host = Host::parse(&fake.url(""), None).unwrap();
        look(&Http::new(), &Sought { via, ..Sought::at(&host) }, PATIENCE).await
    }

    const PRINCIPAL: Via<'_> = Via::EntraPrincipal { tenant: None, environment: None };

    #[tokio::test]
    async fn a_workspace_leads_to_entra() {
        let fake = Fake::new(|request| {
            let to = if request.starts_with("GET /aad/auth ") {
                "http://127.0.0.1:9/tenant/oauth2/authorize?x"
            } else {
                "http://127.0.0.1:9/tenant/oauth2/v2.0/authorize?client_id=a"
            };
            reply(302, &format!("Location: {to}\r\n"), "")
        })
        .await;
        let found = asked(&fake, Via::Entra).await.unwrap();
        let metadata = found.metadata;
        assert_eq!(found.by, By::Redirect);
        assert_eq!(metadata.authorization_endpoint, "http://127.0.0.1:9/tenant/oauth2/v2.0/authorize");
        assert_eq!(metadata.token_endpoint, "http://127.0.0.1:9/tenant/oauth2/v2.0/token");

        let found = asked(&fake, PRINCIPAL).await.unwrap();
        assert_eq!(found.metadata.token_endpoint, "http://127.0.0.1:9/tenant/oauth2/token");
        let heard = fake.heard();
        assert!(heard[0].starts_with("GET /oidc/oauth2/v2.0/authorize HTTP"), "{heard:?}");
        assert_eq!(heard.len(), 2, "a redirect is not followed");
    }

    #[tokio::test]
    async fn a_tenant_that_is_known_is_not_asked_for() {
        let host = Host::parse("adb-1.7.databricks.azure.us", None).unwrap();
        let via = Via::EntraPrincipal { tenant: Some("tenant"), environment: None };
        let found = look(&Http::new(), &Sought { via, ..Sought::at(&host) }, PATIENCE).await.unwrap();
        assert_eq!(found.metadata.token_endpoint, "https://login.microsoftonline.us/tenant/oauth2/token");
    }

    #[tokio::test]
    async fn nowhere_is_no_sign_in_and_elsewhere_is_refused() {
        let nowhere = Fake::new(|_| reply(200, "Content-Type: text/html\r\n", "<html>")).await;
        let Err(DiscoverError::NotOAuth { why }) = asked(&nowhere, Via::Entra).await else { panic!() };
        assert!(why.contains("/oidc/oauth2/v2.0/authorize leads nowhere (a web page (200))"), "{why}");

        let unwell = Fake::new(|_| reply(503, "Retry-After: 3\r\n", "")).await;
        assert!(matches!(
            asked(&unwell, PRINCIPAL).await,
            Err(DiscoverError::Unreachable { retry_after: Some(_), .. })
        ));

        let evil = Fake::new(|_| reply(302, "Location: https://evil.example/t/authorize\r\n", "")).await;
        assert!(matches!(asked(&evil, Via::Entra).await, Err(DiscoverError::Refused(_))));
        let own = Fake::new(|_| reply(302, "Location: /login.html\r\n", "")).await;
        assert!(matches!(asked(&own, Via::Entra).await, Err(DiscoverError::Refused(_))));
    }
}

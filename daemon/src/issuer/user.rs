//! Who signed in: for people to see, never to decide by.
//!
//! An ID token that came straight from the token endpoint need not have its signature checked (OIDC
//! Core, 3.1.3.7), and an access token is not ours to check: hence the limit above.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Request, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use sso_agent_core::{callback::clean, discovery::Metadata};

use super::{http::Http, verdict::Grant};

/// A name is nice to have, and somebody is waiting for the sign-in.
const WITHIN: Duration = Duration::from_secs(3);

/// The claims that say who somebody is, the most readable first.
const NAMES: [&str; 5] = ["email", "preferred_username", "upn", "login", "sub"];

/// Says who a grant belongs to, if it tells by itself.
pub(crate) fn told(grant: &Grant) -> Option<String> {
    let told = |token: &SecretString| name(&claims(token.expose_secret())?);
    grant.id_token.as_ref().and_then(told).or_else(|| told(&grant.access_token))
}

/// Asks the issuer who a grant belongs to.
pub(crate) async fn asked(http: &Http, metadata: &Metadata, grant: &Grant) -> Option<String> {
    name(&userinfo(http, metadata, grant).await?)
}

/// OIDC Core, 5.3.
async fn userinfo(http: &Http, metadata: &Metadata, grant: &Grant) -> Option<Map<String, Value>> {
    let request = Request::get(metadata.userinfo_endpoint.as_ref()?)
        .header(header::ACCEPT, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", grant.access_token.expose_secret()))
        .body(Vec::new())
        .ok()?;
    let reply = http.send(request, WITHIN).await.ok()?;
    let whole = reply.status == StatusCode::OK && reply.cut.is_none();
    if whole { serde_json::from_slice(&reply.body).ok() } else { None }
}

/// The claims of a JWT; `None` if it is none, as with most access tokens.
fn claims(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
}

fn name(claims: &Map<String, Value>) -> Option<String> {
    let name =
        NAMES.iter().find_map(|claim| claims.get(*claim)?.as_str().filter(|name| !name.trim().is_empty()))?;
    Some(clean(name).chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::testing::{Fake, json, metadata};

    fn jwt(claims: &str) -> SecretString {
        format!("e30.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(claims)).into()
    }

    fn grant(access_token: SecretString, id_token: Option<SecretString>) -> Grant {
        Grant {
            access_token,
            token_type: "Bearer".into(),
            expires_in: None,
            refresh_token: None,
            scopes: None,
            id_token,
        }
    }

    #[test]
    fn an_id_token_says_it_best() {
        let id_token = jwt(r#"{"sub":"0a1b","email":"ann@example.com"}"#);
        let found = told(&grant(jwt(r#"{"sub":"other"}"#), Some(id_token)));
        assert_eq!(found.as_deref(), Some("ann@example.com"));
    }

    #[test]
    fn an_access_token_may_say_it() {
        let found = told(&grant(jwt(r#"{"sub":"ann@example.com","email":""}"#), Some("opaque".into())));
        assert_eq!(found.as_deref(), Some("ann@example.com"));
        for opaque in ["dapi123", "a.b.c", "a.!!.c", "a.b.c.d", "..", ""] {
            assert_eq!(told(&grant(opaque.into(), None)), None, "{opaque}");
        }
    }

    #[tokio::test]
    async fn the_issuer_is_asked_last() {
        let fake = Fake::new(|_| json(200, r#"{"sub":"7","preferred_username":"ann"}"#)).await;
        let server = Metadata { userinfo_endpoint: Some(fake.url("/me")), ..metadata(&fake.url("")) };
        let found = asked(&Http::new(), &server, &grant("opaque".into(), None)).await;
        assert_eq!(found.as_deref(), Some("ann"));
        assert!(fake.heard()[0].contains("authorization: Bearer opaque\r\n"));
    }

    #[test]
    fn a_name_is_made_safe_to_show() {
        let odd = format!(r#"{{"email":"\u001b[31m{}"}}"#, "x".repeat(500));
        let found = told(&grant(jwt(&odd), None)).unwrap();
        assert!(found.starts_with(" [31mx") && found.chars().count() == 200, "{found}");
    }
}

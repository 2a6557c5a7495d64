//! The requests by which machines get tokens: with a secret of their own, or with what another issuer
//! says of them. Nothing is spent by them, and no refresh token is to be expected.

use oauth2::{AuthType, Scope};
use secrecy::{ExposeSecret as _, SecretString};
use sso_agent_core::discovery::Metadata;

use super::{
    http::Http,
    recorder::{Recorder, no_address, post, without},
    token::{Client, oauth},
    verdict::{Asked, Outcome},
};

/// Asks for a token by the secret of a client (RFC 6749, 4.4).
///
/// The secret goes into a header, as Databricks' own programs have it, unless the server takes it in
/// the body only.
pub(crate) async fn client_credentials(
    http: &Http,
    metadata: &Metadata,
    client: &Client,
    scopes: &[String],
) -> Outcome {
    let Some(oauth) = oauth(metadata, client, way(metadata)) else {
        return no_address();
    };
    let recorder = Recorder::new(http);
    let request = oauth.exchange_client_credentials().add_scopes(scopes.iter().cloned().map(Scope::new));
    let answer = request.request_async(&recorder).await;
    without(recorder.judge(Asked::AsMachine, answer.ok()), &[client.secret.as_ref()])
}

fn way(metadata: &Metadata) -> AuthType {
    let methods = metadata.token_endpoint_auth_methods.as_deref().unwrap_or_default();
    let takes = |method: &str| methods.iter().any(|known| known == method);
    if takes("client_secret_post") && !takes("client_secret_basic") {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    }
}

/// Exchanges what another issuer says of a workload for a token (RFC 8693).
///
/// It proves itself: there is no secret, and `client_id` is only for a policy of one service principal.
pub(crate) async fn token_exchange(
    http: &Http,
    metadata: &Metadata,
    subject_token: &SecretString,
    client_id: Option<&str>,
    scopes: &[String],
) -> Outcome {
    let scope = scopes.join(" ");
    let mut fields = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", subject_token.expose_secret()),
    ];
    fields.extend(Some(("scope", scope.as_str())).filter(|_| !scopes.is_empty()));
    fields.extend(client_id.map(|id| ("client_id", id)));
    let outcome = post(http, &metadata.token_endpoint, Asked::AsMachine, &fields).await;
    without(outcome, &[Some(subject_token)])
}

/// Asks Entra for a token by the secret of a service principal, for `resource`
/// (`azure::resource` says which that is).
pub(crate) async fn azure_client_secret(
    http: &Http,
    metadata: &Metadata,
    client: &Client,
    resource: &str,
) -> Outcome {
    let secret = client.secret.as_ref().map(SecretString::expose_secret).unwrap_or_default();
    let fields = [
        ("grant_type", "client_credentials"),
        ("resource", resource),
        ("client_id", client.id.as_str()),
        ("client_secret", secret),
    ];
    let outcome = post(http, &metadata.token_endpoint, Asked::AsMachine, &fields).await;
    without(outcome, &[client.secret.as_ref()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::{
        http::Sent,
        testing::{Fake, fields, form, json, metadata, reply},
        verdict::Unreachable,
    };
    use std::time::Duration;

    const GRANT: &str =
        r#"{"access_token":"at","token_type":"Bearer","expires_in":"3599","scope":"all-apis"}"#;

    fn client() -> Client {
        Client { id: "id".into(), secret: Some("dose1".into()) }
    }

    fn head(request: &str) -> String {
        request.split_once("\r\n\r\n").unwrap().0.to_lowercase()
    }

    async fn by_secret(fake: &Fake, methods: Option<&[&str]>, scopes: &[&str]) -> Outcome {
        let methods = methods.map(|methods| methods.iter().map(|m| (*m).to_owned()).collect());
        let server = Metadata { token_endpoint_auth_methods: methods, ..metadata(&fake.url("")) };
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        client_credentials(&Http::new(), &server, &client(), &scopes).await
    }

    async fn exchanged(fake: &Fake, client_id: Option<&str>, scopes: &[String]) -> Outcome {
        let server = metadata(&fake.url(""));
        token_exchange(&Http::new(), &server, &"eyJ.CANARY".into(), client_id, scopes).await
    }

    #[tokio::test]
    async fn a_machine_shows_its_secret_in_a_header() {
        let fake = Fake::new(|_| json(200, GRANT)).await;
        let Outcome::Granted(grant) = by_secret(&fake, None, &["all-apis", "sql"]).await else { panic!() };
        assert_eq!(grant.access_token.expose_secret(), "at");
        assert_eq!(
            (grant.expires_in, grant.scopes),
            (Some(Duration::from_secs(3599)), Some(vec!["all-apis".into()]))
        );
        let heard = fake.heard();
        assert_eq!(
            form(&heard[0]),
            fields(&[("grant_type", "client_credentials"), ("scope", "all-apis sql")])
        );
        assert!(heard[0].contains("authorization: Basic aWQ6ZG9zZTE=\r\n"), "{}", heard[0]);
    }

    #[tokio::test]
    async fn a_machine_shows_its_secret_in_the_body_where_that_is_the_only_way() {
        let fake = Fake::new(|_| json(200, GRANT)).await;
        by_secret(&fake, Some(&["client_secret_post"]), &[]).await;
        by_secret(&fake, Some(&["client_secret_post", "client_secret_basic"]), &[]).await;
        by_secret(&fake, Some(&["private_key_jwt"]), &[]).await;
        let heard = fake.heard();
        assert_eq!(
            form(&heard[0]),
            fields(&[("grant_type", "client_credentials"), ("client_id", "id"), ("client_secret", "dose1")])
        );
        assert!(!head(&heard[0]).contains("authorization:"));
        assert!(heard[1..].iter().all(|request| head(request).contains("authorization: basic ")));
    }

    #[tokio::test]
    async fn what_another_issuer_says_is_exchanged_without_a_secret() {
        let fake = Fake::new(|_| json(200, GRANT)).await;
        assert!(matches!(exchanged(&fake, None, &["all-apis".into()]).await, Outcome::Granted(_)));
        exchanged(&fake, Some("principal"), &[]).await;
        let heard = fake.heard();
        let base = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("subject_token", "eyJ.CANARY"),
        ];
        assert_eq!(form(&heard[0]), fields(&[&base[..], &[("scope", "all-apis")]].concat()));
        assert_eq!(form(&heard[1]), fields(&[&base[..], &[("client_id", "principal")]].concat()));
        for request in &heard {
            assert!(!head(request).contains("authorization:"));
            assert!(head(request).contains("content-type: application/x-www-form-urlencoded"));
            assert!(head(request).contains("accept: application/json"));
        }
    }

    #[tokio::test]
    async fn a_service_principal_of_azure_asks_for_databricks() {
        let fake = Fake::new(|_| json(200, GRANT)).await;
        let server = metadata(&fake.url(""));
        let outcome = azure_client_secret(&Http::new(), &server, &client(), "2ff814a6").await;
        assert!(matches!(outcome, Outcome::Granted(_)));
        assert_eq!(
            form(&fake.heard()[0]),
            fields(&[
                ("grant_type", "client_credentials"),
                ("resource", "2ff814a6"),
                ("client_id", "id"),
                ("client_secret", "dose1"),
            ])
        );
    }

    #[tokio::test]
    async fn a_wrong_secret_or_assertion_is_a_matter_of_setting_up() {
        let fake = Fake::new(|_| json(401, r#"{"error":"invalid_client"}"#)).await;
        assert!(matches!(by_secret(&fake, None, &[]).await, Outcome::Refused(_)));
        let fake = Fake::new(|_| json(400, r#"{"error":"invalid_grant"}"#)).await;
        assert!(matches!(exchanged(&fake, None, &[]).await, Outcome::Refused(_)));
    }

    #[tokio::test]
    async fn a_server_that_is_unwell_is_worth_another_try() {
        let fake = Fake::new(|_| reply(503, "Retry-After: 4\r\n", "")).await;
        for outcome in [by_secret(&fake, None, &[]).await, exchanged(&fake, None, &[]).await] {
            let Outcome::Unreachable(Unreachable { retry_after, sent, .. }) = outcome else { panic!() };
            assert_eq!((retry_after, sent), (Some(Duration::from_secs(4)), Sent::Answered));
        }
        let page = Fake::new(|_| reply(200, "Content-Type: text/html\r\n", GRANT)).await;
        assert!(matches!(exchanged(&page, None, &[]).await, Outcome::Unreachable(_)), "a page is no grant");
    }

    #[tokio::test]
    async fn an_issuer_that_repeats_an_assertion_or_a_secret_puts_it_on_no_screen() {
        let fake = Fake::new(|request| {
            let sent = request.split("\r\n\r\n").nth(1).unwrap_or_default().replace('"', "");
            json(400, &format!(r#"{{"error":"invalid_request","error_description":"{sent}"}}"#))
        })
        .await;
        let server = metadata(&fake.url(""));
        let secret = Client { id: "id".into(), secret: Some("a b/CANARY".into()) };
        for outcome in [
            exchanged(&fake, None, &[]).await,
            azure_client_secret(&Http::new(), &server, &secret, "r").await,
        ] {
            assert!(!format!("{outcome:?}").contains("CANARY"), "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_address_is_not_sent_to() {
        let nowhere = Metadata { token_endpoint: "no address".into(), ..metadata("https://i.example") };
        let outcome = token_exchange(&Http::new(), &nowhere, &"eyJ".into(), None, &[]).await;
        let Outcome::Unreachable(Unreachable { sent, .. }) = outcome else { panic!() };
        assert_eq!(sent, Sent::No);
    }
}

//! Takes a refresh token back (RFC 7009). Not by `oauth2`, which will not do it over plain http on loopback.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Request, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use sso_agent_core::discovery::Metadata;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::{
    http::{Http, SendError},
    token::Client,
};

/// Somebody waits for their `logout`.
const WITHIN: Duration = Duration::from_secs(10);

/// Takes a refresh token back; `false` if the issuer cannot, or would not.
pub(crate) async fn revoke(
    http: &Http,
    metadata: &Metadata,
    client: &Client,
    refresh_token: &SecretString,
) -> Result<bool, SendError> {
    let Some(request) = request(metadata, client, refresh_token) else {
        return Ok(false);
    };
    // An unknown token is answered with 200 as well (RFC 7009, 2.2): it is just as gone.
    Ok(http.send(request, WITHIN).await?.status == StatusCode::OK)
}

fn request(metadata: &Metadata, client: &Client, refresh_token: &SecretString) -> Option<Request<Vec<u8>>> {
    let mut request = Request::post(metadata.revocation_endpoint.as_ref()?)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let mut form = Serializer::new(String::new());
    form.append_pair("token", refresh_token.expose_secret()).append_pair("token_type_hint", "refresh_token");
    match &client.secret {
        Some(secret) if client.uses_basic(metadata) => {
            request = request.header(header::AUTHORIZATION, basic(&client.id, secret));
        }
        Some(secret) => {
            form.append_pair("client_id", &client.id).append_pair("client_secret", secret.expose_secret());
        }
        None => {
            form.append_pair("client_id", &client.id);
        }
    }
    request.body(form.finish().into_bytes()).ok()
}

/// Encoded twice (RFC 6749, 2.3.1), as `oauth2` does it at the token endpoint.
fn basic(id: &str, secret: &SecretString) -> String {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret.expose_secret()));
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::testing::{Fake, metadata, reply};

    fn client(secret: Option<&str>) -> Client {
        Client { id: "id".into(), secret: secret.map(Into::into) }
    }

    #[tokio::test]
    async fn a_token_is_taken_back_where_that_is_possible() {
        let fake = Fake::new(|_| reply(200, "", "")).await;
        let server = metadata(&fake.url(""));
        assert!(revoke(&Http::new(), &server, &client(None), &"r&1".into()).await.unwrap());
        let heard = &fake.heard()[0];
        assert!(heard.starts_with("POST /revoke HTTP/1.1\r\n"), "{heard}");
        assert!(heard.ends_with("token=r%261&token_type_hint=refresh_token&client_id=id"), "{heard}");

        let none = Metadata { revocation_endpoint: None, ..server };
        assert!(!revoke(&Http::new(), &none, &client(None), &"r".into()).await.unwrap());
    }

    #[tokio::test]
    async fn an_issuer_may_refuse_to_take_a_token_back() {
        let fake = Fake::new(|_| reply(503, "", "")).await;
        let taken = revoke(&Http::new(), &metadata(&fake.url("")), &client(None), &"r".into()).await;
        assert!(!taken.unwrap());
    }

    #[tokio::test]
    async fn a_secret_goes_where_the_token_endpoint_has_it() {
        let fake = Fake::new(|_| reply(200, "", "")).await;
        let body = metadata(&fake.url(""));
        let basic = Metadata {
            token_endpoint_auth_methods: Some(vec!["client_secret_basic".into()]),
            ..body.clone()
        };
        for server in [&body, &basic] {
            revoke(&Http::new(), server, &client(Some("s")), &"r".into()).await.unwrap();
        }
        let heard = fake.heard();
        assert!(heard[0].ends_with("&client_id=id&client_secret=s"), "{heard:?}");
        assert!(heard[1].contains("authorization: Basic aWQ6cw==\r\n"), "{heard:?}");
        assert!(!heard[1].contains("client_secret"), "{heard:?}");
    }
}

//! The well-known documents.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::faults::{Fault, Spot};
use super::issuer::Shared;
use super::options::Shape;
use super::pages;
use super::reply::{self, Pieces};

/// Where a workspace keeps its issuer.
pub(super) fn workspace_config(shared: &Shared) -> Response<Pieces> {
    serve(shared, |shared, issuer| {
        json!({
            "oidc_endpoint": issuer,
            "account_id": "00000000-0000-4000-8000-00000000de30",
            "workspace_id": "1234567890123456",
            "cloud": "AWS",
            "host_type": "workspace",
            "token_federation_default_oidc_audiences": [format!("{}{}", shared.url, shared.routes.token)],
        })
    })
}

/// What the issuer can do (RFC 8414, 2; OpenID Connect Discovery, 3).
pub(super) fn document(shared: &Shared) -> Response<Pieces> {
    serve(shared, |shared, issuer| {
        let at = |path: &str| format!("{}{path}", shared.url);
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": at(shared.routes.authorize),
            "token_endpoint": at(shared.routes.token),
            "revocation_endpoint": at(shared.routes.revoke),
            "jwks_uri": at(shared.routes.keys),
            "scopes_supported": ["all-apis", "email", "offline_access", "openid", "profile", "sql"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        });
        if shared.options.iss_parameter {
            document["authorization_response_iss_parameter_supported"] = true.into();
        }
        if shared.options.shape != Shape::OAuth {
            document["subject_types_supported"] = json!(["public"]);
            document["id_token_signing_alg_values_supported"] = json!(["RS256"]);
        }
        document
    })
}

/// Nobody's: the signatures are random.
pub(super) fn keys() -> Response<Pieces> {
    reply::json(StatusCode::OK, &json!({ "keys": [] }))
}

fn serve(shared: &Shared, document: impl FnOnce(&Shared, String) -> Value) -> Response<Pieces> {
    shared.tally.count(|counters| counters.discoveries += 1);
    match shared.fault(Spot::Discovery) {
        Some(Fault::HtmlDiscovery) => reply::html(StatusCode::OK, pages::portal()),
        Some(Fault::DiscoveryStatus(code)) => {
            reply::raw(StatusCode::from_u16(code).unwrap_or(StatusCode::NOT_FOUND), "text/plain", "")
        }
        Some(Fault::WrongIssuer) => {
            reply::json(StatusCode::OK, &document(shared, "https://issuer.invalid/oidc".into()))
        }
        _ => reply::json(StatusCode::OK, &document(shared, shared.issuer())),
    }
}

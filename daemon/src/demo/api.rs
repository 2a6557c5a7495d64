//! Two calls of a workspace, which take only tokens that this issuer gave and that are still good.

use http::{HeaderMap, Response, StatusCode, header};
use serde_json::json;

use super::issuer::Shared;
use super::reply::{self, Pieces};

/// `GET /api/2.0/preview/scim/v2/Me`.
pub(super) fn me(shared: &Shared, headers: &HeaderMap) -> Response<Pieces> {
    let user = &shared.options.user;
    refusal(shared, headers).unwrap_or_else(|| {
        let name = user.split('@').next().unwrap_or(user);
        let me = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "1000000000000001",
            "userName": user,
            "displayName": name,
            "active": true,
            "emails": [{"value": user, "type": "work", "primary": true}],
        });
        reply::json(StatusCode::OK, &me)
    })
}

/// `GET /api/2.1/clusters/list`, and the same of 2.0.
pub(super) fn clusters(shared: &Shared, headers: &HeaderMap) -> Response<Pieces> {
    refusal(shared, headers).unwrap_or_else(|| {
        let cluster = |id: &str, name: &str, state: &str| json!({"cluster_id": id, "cluster_name": name, "state": state, "spark_version": "16.4.x-scala2.12", "creator_user_name": shared.options.user});
        let clusters = json!({"clusters": [
            cluster("0101-000000-analytic", "analytics", "RUNNING"),
            cluster("0202-000000-nightly0", "nightly", "TERMINATED"),
        ]});
        reply::json(StatusCode::OK, &clusters)
    })
}

/// The refusal of a call without a good token; none for one that has it.
fn refusal(shared: &Shared, headers: &HeaderMap) -> Option<Response<Pieces>> {
    let accepted = bearer(headers).is_some_and(|token| shared.accepts(token));
    shared.tally.count(|counters| {
        counters.api_calls += 1;
        counters.rejected_api_calls += u64::from(!accepted);
    });
    if accepted {
        return None;
    }
    let body = json!({"error_code": "UNAUTHENTICATED", "message": "Invalid or expired access token."});
    let mut response = reply::json(StatusCode::UNAUTHORIZED, &body);
    reply::insert(&mut response, header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"");
    Some(response)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

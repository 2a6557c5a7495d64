//! The revocation endpoint (RFC 7009).

use http::{HeaderMap, Response, StatusCode};

use super::client_auth;
use super::form::Form;
use super::issuer::Shared;
use super::refusal::Refusal;
use super::reply::{self, Pieces};

/// Answers 200 whether or not there was anything to revoke (RFC 7009, 2.2).
pub(super) fn answer(shared: &Shared, headers: &HeaderMap, form: &Form) -> Response<Pieces> {
    let client = match client_auth::admit(headers, form, &shared.options) {
        Ok(client) => client,
        Err(refusal) => return refusal.answer(headers),
    };
    let Ok(Some(token)) = form.one("token") else {
        return Refusal::missing("token").answer(headers);
    };
    if shared.desk().state.revoke(token, &client.id) {
        shared.tally.count(|counters| counters.revocations += 1);
    }
    reply::raw(StatusCode::OK, "text/plain", "")
}

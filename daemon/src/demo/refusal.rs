//! What a client is told when it gets nothing (RFC 6749, 5.2).

use http::{HeaderMap, Response, StatusCode, header};
use serde_json::json;

use super::form::Repeated;
use super::reply::{self, Pieces};
use super::state::Denied;

/// An OAuth error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    pub(super) error: &'static str,
    description: String,
}

impl Refusal {
    pub(super) fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: description.into() }
    }

    /// The client is not who it says it is.
    pub(super) fn of_client(description: &str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, ..Self::new("invalid_client", description) }
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::new("invalid_request", format!("The parameter {parameter} is missing"))
    }

    /// The answer to a request with these headers: who came by Basic is told to come by Basic.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response<Pieces> {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = reply::json(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED && headers.contains_key(header::AUTHORIZATION) {
            reply::insert(&mut response, header::WWW_AUTHENTICATE, "Basic realm=\"demo\"");
        }
        response
    }
}

impl From<Repeated> for Refusal {
    fn from(Repeated(parameter): Repeated) -> Self {
        Self::new("invalid_request", format!("The parameter {parameter} is repeated"))
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Grant(why) => Self::new("invalid_grant", why),
            Denied::Replay => {
                Self::new("invalid_grant", "It was used before: all from this sign-in is revoked")
            }
            Denied::Scope => Self::new("invalid_scope", "The scope goes beyond what was granted"),
        }
    }
}

//! What a browser is answered.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::Value;
use sso_agent_client::{Advice, Error};

use super::workspace::BoxError;

/// What a browser shall and shall not do with any page.
const RULES: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

pub(crate) async fn guarded(answer: Response) -> impl IntoResponse {
    (RULES, answer)
}

pub(crate) fn page(body: &str) -> Html<String> {
    Html(format!("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Clusters</title>{body}"))
}

/// Text from elsewhere, as it may stand in a page.
pub(crate) fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// Why there is no page.
pub(crate) enum Failed {
    Agent(Error),
    Workspace(BoxError),
    /// The browser comes back from a sign-in that it did not begin, or that was finished.
    Stranger,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Agent(error)
    }
}

impl From<BoxError> for Failed {
    fn from(error: BoxError) -> Self {
        Self::Workspace(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        const STRANGER: &str = "no sign-in is under way in this browser";
        const LATER: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        match self {
            Self::Agent(error) => {
                let page = failure(&error.to_string(), error.hint());
                match error.advice() {
                    Advice::StartOver | Advice::GiveUp => (StatusCode::FORBIDDEN, page).into_response(),
                    Advice::Retry { after } => {
                        (LATER, [(header::RETRY_AFTER, after.as_secs())], page).into_response()
                    }
                }
            }
            Self::Workspace(error) => {
                let message = format!("the workspace did not answer as it should: {error}");
                (LATER, failure(&message, "try again later")).into_response()
            }
            Self::Stranger => (StatusCode::FORBIDDEN, failure(STRANGER, "start over")).into_response(),
        }
    }
}

fn failure(message: &str, hint: &str) -> Html<String> {
    page(&format!(
        "<h1>Sign-in failed</h1><p>{}</p><p>{}</p><a href=\"/\">Start over</a>",
        escaped(message),
        escaped(hint)
    ))
}

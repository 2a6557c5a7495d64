//! What goes back over HTTP: JSON, an error as JSON, or a stream of events.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::{Frame, SizeHint};
use serde::Serialize;
use sso_agent_proto::{
    fault::{Data, Kind},
    rpc::{Code, RpcError},
    secret::Wiped,
};
use tokio::sync::mpsc;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Body {
    /// All of it, once.
    Whole(Option<Bytes>),
    /// What comes, for as long as the other side of the channel is held.
    Stream(mpsc::Receiver<Bytes>),
}

impl Default for Body {
    fn default() -> Self {
        Self::Whole(None)
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.poll_recv(context).map(|bytes| Some(Ok(Frame::data(bytes?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// Bytes that are wiped when the last of them was sent: they may hold a token.
pub(crate) fn wiped(bytes: Wiped) -> Bytes {
    struct Owner(Wiped);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Bytes::from_owner(Owner(bytes))
}

/// An answer of any kind. Nothing of ours is for a cache, or to be guessed at.
pub(crate) fn of(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// JSON.
pub(crate) fn json(status: StatusCode, body: Bytes) -> Response<Body> {
    of(status, "application/json", Body::Whole(Some(body)))
}

/// JSON without a secret.
pub(crate) fn plain(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    json(status, serde_json::to_vec(value).unwrap_or_default().into())
}

/// Server-sent events, as they come.
pub(crate) fn events(stream: mpsc::Receiver<Bytes>) -> Response<Body> {
    of(StatusCode::OK, "text/event-stream", Body::Stream(stream))
}

/// With one more header.
pub(crate) fn with(mut response: Response<Body>, name: HeaderName, value: HeaderValue) -> Response<Body> {
    response.headers_mut().insert(name, value);
    response
}

/// The body of an error.
#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    pub(crate) error: Told,
}

/// As the command line tells it with `--json`, and what the issuer said.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    kind: &'static str,
    message: String,
    hint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth_error_description: Option<String>,
}

impl Refused {
    fn new(kind: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            error: Told {
                kind,
                message: message.into(),
                hint: hint.into(),
                retry_after_s: None,
                oauth_error: None,
                oauth_error_description: None,
            },
        }
    }
}

/// An error of this server.
pub(crate) fn error(status: StatusCode, kind: &'static str, message: &str, hint: &str) -> Response<Body> {
    plain(status, &Refused::new(kind, message, hint))
}

/// The status and the body of an error of the service.
pub(crate) fn of_error(error: RpcError) -> (StatusCode, Refused) {
    let RpcError { code, message, data } = error;
    if let Some(data) = data {
        let status = StatusCode::from_u16(data.kind.http_status());
        return (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), of_fault(message, *data));
    }
    let is = |known: Code| known.number() == code;
    let (status, kind, hint) = if is(Code::MethodNotFound) {
        (StatusCode::NOT_FOUND, "unknown_method", "GET /openapi.json lists what there is")
    } else if is(Code::InvalidParams) {
        (StatusCode::BAD_REQUEST, "invalid_params", "GET /openapi.json says what each method takes")
    } else if is(Code::InvalidRequest) || is(Code::Parse) {
        (StatusCode::BAD_REQUEST, "invalid_request", "the body must be a JSON object")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "internal", "this is a defect: see the agent's log")
    };
    (status, Refused::new(kind, message, hint))
}

fn of_fault(message: String, data: Data) -> Refused {
    let Data { kind, hint, retry_after_s, oauth_error, oauth_error_description } = data;
    let retry_after_s = match kind {
        // A 503 says when to come back (RFC 9110, 15.6.4).
        Kind::IssuerUnavailable => Some(retry_after_s.unwrap_or(1)),
        Kind::LoginRequired
        | Kind::UnknownHost
        | Kind::IssuerRejected
        | Kind::Denied
        | Kind::Locked
        | Kind::Timeout
        | Kind::Cancelled
        | Kind::Ambiguous
        | Kind::Unsupported
        | Kind::StoreFailed => retry_after_s,
    };
    let told = Told { kind: kind.name(), message, hint, retry_after_s, oauth_error, oauth_error_description };
    Refused { error: told }
}

/// An error of the service.
pub(crate) fn refused(error: RpcError) -> Response<Body> {
    let (status, body) = of_error(error);
    retry_after(plain(status, &body), body.error.retry_after_s)
}

/// When to come back, if that is known.
pub(crate) fn retry_after(response: Response<Body>, seconds: Option<u64>) -> Response<Body> {
    match seconds {
        Some(seconds) => with(response, header::RETRY_AFTER, seconds.into()),
        None => response,
    }
}

#[cfg(test)]
mod tests {
    use sso_agent_proto::fault::Fault;

    use super::*;

    #[test]
    fn errors_have_the_promised_statuses() {
        let status = |error: RpcError| of_error(error).0.as_u16();
        let fault = |kind| status(Fault::new(kind, "m", "h").into());
        assert_eq!(
            [Kind::LoginRequired, Kind::Denied, Kind::Locked, Kind::IssuerUnavailable].map(fault),
            [401, 403, 403, 503]
        );
        let code = |code| status(RpcError::new(code, "m"));
        assert_eq!(
            [Code::MethodNotFound, Code::InvalidParams, Code::Parse, Code::Internal].map(code),
            [404, 400, 400, 500]
        );
    }

    #[test]
    fn who_is_to_come_back_is_told_when() {
        let response = refused(Fault::new(Kind::IssuerUnavailable, "m", "h").into());
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let body =
            serde_json::to_value(of_error(Fault::new(Kind::LoginRequired, "m", "h").into()).1).unwrap();
        let told = serde_json::json!({"error": {"kind": "login_required", "message": "m", "hint": "h"}});
        assert_eq!(body, told);
    }
}

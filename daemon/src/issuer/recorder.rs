//! One request to a token endpoint, and what was heard of it.
//!
//! `oauth2` makes the request and reads the grant, but its errors have lost the status and kept the
//! body. So the client that it is given remembers what was heard, and [`judge`] goes by that. What
//! `oauth2` cannot ask for is sent and read here in the same way.

use std::{future::Future, pin::Pin, sync::OnceLock, time::Duration};

use http::{HeaderValue, StatusCode, header};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use secrecy::{ExposeSecret as _, SecretString};
use sso_agent_core::refusal::OAuthError;

use super::{
    answer::Answer,
    http::{Http, SendError, Sent},
    reply::Reply,
    verdict::{Asked, Outcome, Unreachable, judge},
};
use crate::clock;

/// For one exchange, all of it. Shorter than a renewal waits for it: two of them with one refresh token must
/// not overlap.
const WITHIN: Duration = Duration::from_secs(30);

/// Sends one request and remembers the answer.
pub(super) struct Recorder<'h> {
    http: &'h Http,
    /// What a browser would say where it comes from.
    origin: Option<HeaderValue>,
    heard: OnceLock<Result<Reply, SendError>>,
}

/// What `oauth2` hears of a request that got no answer. The rest is in the record.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
pub(super) struct NoAnswer;

impl<'h> Recorder<'h> {
    pub(super) fn new(http: &'h Http) -> Self {
        Self::from_origin(http, None)
    }

    /// Says that the request comes from a page of `origin`.
    pub(super) fn from_origin(http: &'h Http, origin: Option<&str>) -> Self {
        let origin = origin.and_then(|origin| HeaderValue::from_str(origin).ok());
        Self { http, origin, heard: OnceLock::new() }
    }

    async fn record(&self, mut request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        if let Some(origin) = &self.origin {
            request.headers_mut().insert(header::ORIGIN, origin.clone());
        }
        let heard = self.http.send(request, WITHIN).await;
        if let Ok(Reply { date: Some(date), .. }) = &heard {
            clock::heard(*date);
        }
        let response = match &heard {
            Ok(reply) => response(reply),
            Err(_) => Err(NoAnswer),
        };
        // It sends one request only, so the record is still empty.
        let _ = self.heard.set(heard);
        response
    }

    pub(super) fn judge(self, asked: Asked, answer: Option<Answer>) -> Outcome {
        match self.heard.into_inner() {
            Some(heard) => judge(asked, heard, answer),
            None => no_address(),
        }
    }
}

/// Posts a form as no client in particular, or as `fields` say, and judges the answer.
pub(super) async fn post(http: &Http, endpoint: &str, asked: Asked, fields: &[(&str, &str)]) -> Outcome {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = http::Request::post(endpoint)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into_bytes());
    let Ok(request) = request else { return no_address() };
    let recorder = Recorder::new(http);
    let answer = recorder.record(request).await.ok();
    let answer = answer.and_then(|response| read(&response));
    recorder.judge(asked, answer)
}

/// Reads what `oauth2` would: a 200 that says that it is JSON, or nothing about that.
fn read(response: &HttpResponse) -> Option<Answer> {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let readable = response.status() == StatusCode::OK && kind.is_none_or(|kind| kind == JSON);
    if readable { serde_json::from_slice(response.body()).ok() } else { None }
}

pub(super) fn no_address() -> Outcome {
    let why = "the token endpoint or the redirect address is no URL".to_owned();
    Outcome::Unreachable(Unreachable { retry_after: None, why, sent: Sent::No, salvaged: None })
}

/// Takes back out what an issuer repeats of the request: its words go into logs and on screens.
pub(super) fn without(outcome: Outcome, sent: &[Option<&SecretString>]) -> Outcome {
    let repeats = |text: &str| {
        sent.iter().flatten().any(|secret| {
            let secret = secret.expose_secret();
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            !secret.is_empty() && (text.contains(secret) || text.contains(&encoded))
        })
    };
    let mend = |said: OAuthError| OAuthError {
        error: if repeats(&said.error) { "an error that repeats the request".to_owned() } else { said.error },
        description: said.description.filter(|text| !repeats(text)),
    };
    match outcome {
        Outcome::Rejected(said) => Outcome::Rejected(mend(said)),
        Outcome::Refused(said) => Outcome::Refused(mend(said)),
        Outcome::Unreachable(mut found) if repeats(&found.why) => {
            found.why = "the issuer repeated the request".to_owned();
            Outcome::Unreachable(found)
        }
        outcome @ (Outcome::Granted(_) | Outcome::Unreachable(_)) => outcome,
    }
}

/// What `oauth2` hears of an answer: it knows one name of JSON only.
fn response(reply: &Reply) -> Result<HttpResponse, NoAnswer> {
    let mut builder = http::Response::builder().status(reply.status);
    if let Some(kind) = &reply.content_type {
        builder = builder.header(header::CONTENT_TYPE, if reply.is_json() { JSON } else { kind });
    }
    builder.body(reply.text().to_vec()).map_err(|_| NoAnswer)
}

const JSON: &str = "application/json";

#[cfg(test)]
impl super::verdict::Outcome {
    /// What a request for which `reply` comes back ends with; all but the network.
    pub(super) fn of(asked: Asked, reply: Reply) -> Self {
        let answer = response(&reply).ok().and_then(|response| read(&response));
        judge(asked, Ok(reply), answer)
    }
}

impl<'c> AsyncHttpClient<'c> for Recorder<'_> {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.record(request))
    }
}

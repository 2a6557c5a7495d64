//! One request to the API of an account, and what its answer means.

use std::time::Duration;

use http::{Request as HttpRequest, StatusCode, header};
use serde_json::Value;
use sso_agent_proto::fault::{Fault, Kind};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::{
    requests::Request,
    said,
    whose::{Authority, Whose},
};
use crate::issuer::{Http, Reply, SendError, Sent};

/// For one request.
const WITHIN: Duration = Duration::from_secs(20);

/// When a server that is unwell is worth another try, if it does not say.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Why a request did not bring what was hoped for.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) fault: Fault,
    /// Whether it may have been done all the same.
    pub(super) maybe_done: bool,
    /// What the account answered, if it did.
    pub(super) answer: Option<(StatusCode, String)>,
}

impl From<Failed> for sso_agent_proto::rpc::RpcError {
    fn from(failed: Failed) -> Self {
        failed.fault.into()
    }
}

/// Makes a request, and gives the answer, which is a JSON object; one without a body is an empty object.
pub(super) async fn call(
    http: &Http,
    whose: &Whose,
    request: &Request,
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let Some(prepared) = prepare(whose, request) else {
        let fault = Fault::new(
            Kind::Unsupported,
            "what it should be signed with fits into no header",
            "check the user name and the secret",
        );
        return Err(Failed { fault, maybe_done: false, answer: None });
    };
    match http.send(prepared, WITHIN).await {
        Ok(reply) => judge(whose, reply),
        Err(error) => Err(unheard(whose, &error)),
    }
}

/// The same for what holds no secret.
pub(super) async fn ask(http: &Http, whose: &Whose, request: &Request) -> Result<Value, Failed> {
    let body = call(http, whose, request).await?;
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

fn prepare(whose: &Whose, request: &Request) -> Option<HttpRequest<Vec<u8>>> {
    let mut url = format!("{}/{}", whose.root(), request.path);
    if !request.query.is_empty() {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.query).finish();
        url = format!("{url}?{query}");
    }
    let mut prepared = HttpRequest::builder()
        .method(&request.method)
        .uri(url)
        .header(header::ACCEPT, "application/json")
        .header(header::AUTHORIZATION, whose.authority.header()?);
    if request.body.is_some() {
        prepared = prepared.header(header::CONTENT_TYPE, "application/json");
    }
    prepared.body(request.body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default()).ok()
}

fn judge(whose: &Whose, reply: Reply) -> Result<Zeroizing<Vec<u8>>, Failed> {
    if !reply.status.is_success() {
        return Err(refused(whose, &reply));
    }
    if reply.cut.is_none() {
        if reply.body.trim_ascii().is_empty() {
            return Ok(Zeroizing::new(b"{}".to_vec()));
        }
        // Whether it can be read, without a copy of what it holds.
        if serde_json::from_slice::<Object>(&reply.body).is_ok() {
            return Ok(reply.body);
        }
    }
    let message =
        format!("{} answered with {}, which is not what its API answers", whose.host(), reply.summary());
    let answer = Some((reply.status, reply.summary()));
    Err(Failed { fault: unavailable(message, TRY_AGAIN), maybe_done: true, answer })
}

/// Any JSON object.
struct Object;

impl<'de> serde::Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <std::collections::BTreeMap<String, serde::de::IgnoredAny>>::deserialize(from).map(|_| Self)
    }
}

fn unheard(whose: &Whose, error: &SendError) -> Failed {
    let maybe_done = match error.sent {
        Sent::No => false,
        Sent::Maybe | Sent::Answered => true,
    };
    let message = format!("the account at {} does not answer: {}", whose.host(), error.cause);
    Failed { fault: unavailable(message, TRY_AGAIN), maybe_done, answer: None }
}

fn unavailable(message: String, retry_after: Duration) -> Fault {
    let seconds = retry_after.as_secs().max(1);
    let mut fault =
        Fault::new(Kind::IssuerUnavailable, message, format!("it is worth another try in {seconds} s"));
    fault.data.retry_after_s = Some(seconds);
    fault
}

fn refused(whose: &Whose, reply: &Reply) -> Failed {
    let words = said::words(reply, &whose.authority.secrets());
    let status = reply.status;
    let fault = if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        let message = format!("{} cannot do it now: {words}", whose.host());
        unavailable(message, reply.retry_after.unwrap_or(TRY_AGAIN))
    } else if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        denied(whose, &words)
    } else {
        let message = format!("the account at {} refused: {words}", whose.host());
        Fault::new(Kind::IssuerRejected, message, hint(whose, status))
    };
    // A server that says that the client is wrong has done nothing.
    Failed { fault, maybe_done: !status.is_client_error(), answer: Some((status, words)) }
}

fn denied(whose: &Whose, words: &str) -> Fault {
    let (message, hint) = match &whose.authority {
        Authority::Session(_) => (
            format!("the session may not do this at {}: {words}", whose.host()),
            format!("only account admins may: sign in as one: {}", whose.login()),
        ),
        Authority::Client(_) => (
            format!("the client may not do this at {}: {words}", whose.host()),
            "only account admins may: give its service principal that role in the account console".to_owned(),
        ),
        Authority::Password { .. } => (
            format!("{} does not take this user name and password: {words}", whose.host()),
            no_passwords(whose),
        ),
    };
    Fault::new(Kind::Denied, message, hint)
}

fn no_passwords(whose: &Whose) -> String {
    format!("Databricks ended passwords on 2024-07-10: sign in with {}", whose.login())
}

fn hint(whose: &Whose, status: StatusCode) -> String {
    match &whose.authority {
        Authority::Password { .. } if status == StatusCode::BAD_REQUEST => no_passwords(whose),
        Authority::Session(_) | Authority::Client(_) | Authority::Password { .. } => {
            if status == StatusCode::NOT_FOUND {
                "`sso app list` shows what there is; check the account id if it is nothing".to_owned()
            } else if status == StatusCode::CONFLICT {
                "`sso app list` shows what there is already".to_owned()
            } else {
                "change what it names, and try again".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use super::*;
    use crate::issuer::testing::{Fake, json as answer, reply};

    fn whose(fake: &Fake, authority: Authority) -> Whose {
        Whose::made(&fake.url(""), "acc", authority)
    }

    fn password() -> Authority {
        Authority::Password { username: "admin".into(), password: "hunter2!".into() }
    }

    fn request() -> Request {
        Request {
            method: Method::POST,
            path: "enrollment".into(),
            query: vec![("page_token", "a b&c".into())],
            body: Some(json!({"a": 1})),
        }
    }

    async fn failed(status: u16, headers: &'static str, body: &'static str, authority: Authority) -> Failed {
        let fake = Fake::new(move |_| reply(status, headers, body)).await;
        call(&Http::new(), &whose(&fake, authority), &request()).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_request_is_what_was_meant() {
        let fake = Fake::new(|_| answer(200, r#"{"b": 2}"#)).await;
        let got =
            ask(&Http::new(), &whose(&fake, Authority::Session("tok".into())), &request()).await.unwrap();
        assert_eq!(got, json!({"b": 2}));
        let heard = fake.heard();
        let line = "POST /api/2.0/accounts/acc/oauth2/enrollment?page_token=a+b%26c HTTP/1.1\r\n";
        assert!(heard[0].starts_with(line), "{heard:?}");
        for part in [
            "accept: application/json\r\n",
            "content-type: application/json\r\n",
            "authorization: Bearer tok\r\n",
        ] {
            assert!(heard[0].contains(part), "{heard:?}");
        }
        assert!(heard[0].ends_with("\r\n\r\n{\"a\":1}"), "{heard:?}");
    }

    #[tokio::test]
    async fn no_content_is_an_empty_object() {
        for text in [reply(204, "", ""), reply(200, "", ""), answer(200, "{}")] {
            let fake = Fake::new(move |_| text.clone()).await;
            let body = call(&Http::new(), &whose(&fake, password()), &request()).await.unwrap();
            assert_eq!(&**body, b"{}");
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_of_the_api_may_have_been_done() {
        for (status, headers, body) in [
            (200, "Content-Type: text/html\r\n", "<html>"),
            (200, "Content-Type: application/json\r\n", "[1]"),
            (200, "Content-Type: application/json\r\n", "{\"client_"),
            (302, "Location: /login\r\n", ""),
            (500, "", "oops"),
            (504, "", ""),
        ] {
            let failed = failed(status, headers, body, password()).await;
            assert!(failed.maybe_done, "{status} {body}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_by_its_kind() {
        let session = || Authority::Session("tok".into());
        let error = r#"{"error_code":"PERMISSION_DENIED","message":"not an admin"}"#;
        for status in [401, 403] {
            let Failed { fault, maybe_done, .. } = failed(status, "", error, session()).await;
            assert_eq!((fault.kind(), maybe_done), (Kind::Denied, false));
            assert!(fault.message.contains("PERMISSION_DENIED: not an admin"), "{fault:?}");
            assert!(fault.data.hint.contains("sso login http://127.0.0.1:"), "{fault:?}");
        }
        for status in [400, 404, 409] {
            assert_eq!(failed(status, "", error, session()).await.fault.kind(), Kind::IssuerRejected);
        }
        for status in [429, 503] {
            let fault = failed(status, "Retry-After: 7\r\n", "", session()).await.fault;
            assert_eq!((fault.kind(), fault.data.retry_after_s), (Kind::IssuerUnavailable, Some(7)));
        }
    }

    #[tokio::test]
    async fn a_password_is_told_since_when_there_are_none_and_repeated_nowhere() {
        let echo =
            r#"{"error_code":"UNAUTHENTICATED","message":"hunter2! in YWRtaW46aHVudGVyMiE= will not do"}"#;
        for status in [400, 401, 403] {
            let Failed { fault, .. } = failed(status, "", echo, password()).await;
            assert!(fault.data.hint.contains("2024-07-10"), "{fault:?}");
            assert!(fault.data.hint.contains("--account-id acc"), "{fault:?}");
            assert!(fault.message.ends_with("UNAUTHENTICATED: *** in *** will not do"), "{fault:?}");
        }
    }

    #[tokio::test]
    async fn nobody_there_has_done_nothing_and_silence_says_nothing() {
        let gone = Whose::made("http://127.0.0.1:1", "acc", password());
        let failed = call(&Http::new(), &gone, &request()).await.unwrap_err();
        assert_eq!((failed.fault.kind(), failed.maybe_done), (Kind::IssuerUnavailable, false));
        let fake = Fake::new(|_| String::new()).await;
        let failed = call(&Http::new(), &whose(&fake, password()), &request()).await.unwrap_err();
        assert_eq!((failed.fault.kind(), failed.maybe_done), (Kind::IssuerUnavailable, true));
    }
}

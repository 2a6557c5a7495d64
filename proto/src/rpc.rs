//! The JSON-RPC 2.0 envelope: requests, replies, notifications and the standard error codes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::fault::Fault;

/// What a request is told apart by: a string, a number, or null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// What our own clients send.
    Number(serde_json::Number),
    /// Allowed as well.
    Text(String),
    /// Of an error reply to something that was no request.
    Null,
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

/// One line from a client.
#[derive(Debug)]
pub struct Request<'a> {
    /// Absent on a notification, which gets no reply.
    pub id: Option<Id>,
    /// For example `token.get`.
    pub method: Cow<'a, str>,
    /// Still unread: [`crate::method::Call::read`] knows what they must be.
    pub params: Option<Cow<'a, RawValue>>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "present")]
    id: Option<serde_json::Value>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// Tells `"id":null` from no id at all.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(from).map(Some)
}

impl<'a> Request<'a> {
    /// Reads one line.
    ///
    /// # Errors
    /// [`RpcError`] with the code that JSON-RPC 2.0 (section 5.1) gives it, and the id if one could be
    /// read. Its message never quotes the line, which may hold a secret.
    pub fn parse(line: &'a [u8]) -> Result<Self, (Id, RpcError)> {
        let envelope: Envelope<'a> = serde_json::from_slice(line).map_err(|error| {
            let code = if error.is_data() { Code::InvalidRequest } else { Code::Parse };
            (Id::Null, RpcError::new(code, format!("not a JSON-RPC request (column {})", error.column())))
        })?;
        let invalid = |id: Id, why: &str| (id, RpcError::new(Code::InvalidRequest, why));
        let id = match envelope.id {
            None => None,
            Some(serde_json::Value::Null) => Some(Id::Null),
            Some(serde_json::Value::Number(number)) => Some(Id::Number(number)),
            Some(serde_json::Value::String(text)) => Some(Id::Text(text)),
            Some(_) => {
                return Err(invalid(Id::Null, "the id must be a number, a string or null"));
            }
        };
        let told = || id.clone().unwrap_or(Id::Null);
        if envelope.jsonrpc.as_deref() != Some("2.0") {
            return Err(invalid(told(), "\"jsonrpc\" must be \"2.0\""));
        }
        let Some(method) = envelope.method else {
            return Err(invalid(told(), "\"method\" is missing"));
        };
        Ok(Self { id, method, params: envelope.params.map(Cow::Borrowed) })
    }
}

/// The codes of JSON-RPC 2.0, and ours for everything the agent itself refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The line is no JSON.
    Parse,
    /// The line is JSON but no request.
    InvalidRequest,
    /// No such method, or not in this version.
    MethodNotFound,
    /// The method does not take these parameters.
    InvalidParams,
    /// A defect in the agent.
    Internal,
    /// See `data`, a [`Fault`].
    Application,
}

impl Code {
    /// As it stands on the wire.
    pub fn number(self) -> i32 {
        match self {
            Self::Parse => -32700,
            Self::InvalidRequest => -32600,
            Self::MethodNotFound => -32601,
            Self::InvalidParams => -32602,
            Self::Internal => -32603,
            Self::Application => -32000,
        }
    }
}

/// The `error` of a reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RpcError {
    /// One of [`Code`].
    pub code: i32,
    /// One line for a person.
    pub message: String,
    /// What went wrong, for a program; always there with [`Code::Application`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<crate::fault::Data>>,
}

impl RpcError {
    /// An error of the protocol itself.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.number(), message: message.into(), data: None }
    }
}

impl From<Fault> for RpcError {
    fn from(fault: Fault) -> Self {
        Self { code: Code::Application.number(), message: fault.message, data: Some(fault.data) }
    }
}

/// One line to a client in answer to a request.
#[derive(Debug, Serialize)]
pub struct Reply<'a, R> {
    jsonrpc: &'static str,
    id: &'a Id,
    #[serde(flatten)]
    outcome: Outcome<R>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome<R> {
    Result(R),
    Error(RpcError),
}

/// Writes the line, newline included, that answers `id` with `result`.
pub fn result_line<R: Serialize>(id: &Id, result: &R) -> Vec<u8> {
    line(&Reply { jsonrpc: "2.0", id, outcome: Outcome::Result(result) })
}

/// The same with a result that is JSON already, in parts.
pub fn written_result_line(id: &Id, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256 + parts.iter().map(|part| part.len()).sum::<usize>());
    bytes.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    serde_json::to_writer(&mut bytes, id).expect("an id is a string, a number or null");
    bytes.extend_from_slice(b",\"result\":");
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.extend_from_slice(b"}\n");
    bytes
}

/// Writes the line, newline included, that answers `id` with `error`.
pub fn error_line(id: &Id, error: RpcError) -> Vec<u8> {
    line(&Reply { jsonrpc: "2.0", id, outcome: Outcome::<()>::Error(error) })
}

/// Writes a notification, newline included.
pub fn notification_line<P: Serialize>(method: &str, params: &P) -> Vec<u8> {
    line(&Notification { jsonrpc: "2.0", method, params })
}

/// Writes a request, newline included.
pub fn request_line<P: Serialize>(id: &Id, method: &str, params: &P) -> Vec<u8> {
    line(&Sent { jsonrpc: "2.0", id, method, params })
}

#[derive(Serialize)]
struct Notification<'a, P> {
    jsonrpc: &'static str,
    method: &'a str,
    params: &'a P,
}

#[derive(Serialize)]
struct Sent<'a, P> {
    jsonrpc: &'static str,
    id: &'a Id,
    method: &'a str,
    params: &'a P,
}

/// Sized for a token, so that it is not copied (and left behind) while the line grows.
fn line<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4096);
    serde_json::to_writer(&mut bytes, message).expect("our messages have string keys and no failing field");
    bytes.push(b'\n');
    bytes
}

/// One line from the agent, as a client sees it.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// The answer to the request with this id.
    Reply(Id, Result<&'a RawValue, RpcError>),
    /// Something that nobody asked for just now: progress, an event.
    Notice(Cow<'a, str>, Option<&'a RawValue>),
}

impl<'a> Incoming<'a> {
    /// Reads one line; `None` when it is neither a reply nor a notification.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Any<'a> {
            id: Option<Id>,
            #[serde(borrow)]
            method: Option<Cow<'a, str>>,
            #[serde(borrow)]
            params: Option<&'a RawValue>,
            #[serde(borrow)]
            result: Option<&'a RawValue>,
            error: Option<RpcError>,
        }
        let any: Any<'a> = serde_json::from_slice(line).ok()?;
        match any {
            Any { method: Some(method), params, .. } => Some(Self::Notice(method, params)),
            Any { id, error: Some(error), .. } => Some(Self::Reply(id.unwrap_or(Id::Null), Err(error))),
            Any { id: Some(id), result: Some(result), .. } => Some(Self::Reply(id, Ok(result))),
            Any { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(line: &str) -> (Id, i32) {
        let (id, error) = Request::parse(line.as_bytes()).expect_err(line);
        (id, error.code)
    }

    #[test]
    fn what_is_no_request_gets_the_standard_code() {
        assert_eq!(refused("{"), (Id::Null, -32700));
        assert_eq!(refused("hello"), (Id::Null, -32700));
        assert_eq!(refused("[]").1, -32600);
        assert_eq!(refused("1").1, -32600);
        assert_eq!(refused(r#"{"id":7,"method":"x"}"#), (Id::from(7), -32600));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":[1],"method":"x"}"#).1, -32600);
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":"a"}"#), (Id::Text("a".into()), -32600));
    }

    #[test]
    fn a_request_without_an_id_is_a_notification_and_null_is_an_id() {
        let parse = |line: &'static str| Request::parse(line.as_bytes()).unwrap().id;
        assert_eq!(parse(r#"{"jsonrpc":"2.0","method":"m"}"#), None);
        assert_eq!(parse(r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#), Some(Id::Null));
    }

    #[test]
    fn a_reply_is_read_back_as_it_was_written() {
        let line = result_line(&Id::from(3), &serde_json::json!({"a": 1}));
        let Some(Incoming::Reply(id, Ok(result))) = Incoming::parse(&line) else { panic!("no reply") };
        assert_eq!((id, result.get()), (Id::from(3), r#"{"a":1}"#));
        let line = error_line(&Id::Text("x".into()), RpcError::new(Code::MethodNotFound, "no such method"));
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"error\":{\"code\":-32601,\"message\":\"no such method\"}}\n"
        );
    }

    #[test]
    fn a_result_in_parts_is_the_same_line() {
        for id in [Id::from(3), Id::Text("a\"b".into()), Id::Null] {
            let whole = result_line(&id, &serde_json::json!({"a": 1, "b": 2}));
            assert_eq!(written_result_line(&id, &[b"{\"a\":", b"1", b",\"b\":2}"]), whole);
        }
    }

    #[test]
    fn an_error_does_not_quote_what_was_sent() {
        let (_, error) =
            Request::parse(br#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"client_secret":"CANARY"}"#)
                .unwrap_err();
        assert!(!format!("{error:?}").contains("CANARY"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Err((_, error)) = Request::parse(&bytes) {
                prop_assert!(error.code == -32700 || error.code == -32600);
            }
            let _ = Incoming::parse(&bytes);
        }

        #[test]
        fn nearly_a_request_is_a_request_or_an_error(text in r#"\{("jsonrpc":"2.0"|"id":[0-9]{1,30}|"id":"[a-z\\]*"|"method":"[a-z.]{0,9}"|"params":[\[\]{}0-9]{0,5}|,){0,8}\}?"#) {
            let _ = Request::parse(text.as_bytes());
        }
    }
}

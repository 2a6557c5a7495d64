//! How a request over HTTP reaches the service that answers JSON-RPC: by the same calls, so that both
//! mean the same. What comes back is the reply without its envelope.

use bytes::Bytes;
use sso_agent_proto::{
    method::Call,
    rpc::{Code, Id, Incoming, RpcError},
    token::TokenGet,
};

use super::{answer, metrics::Door};
use crate::rpc::service::{Line, Service};

/// What stands around the result in the reply to a request whose id is null.
const BEFORE: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":";
const AFTER: &[u8] = b"}\n";

/// The result of a call, as JSON in a buffer that is wiped.
pub(crate) struct Reply(Line);

impl Reply {
    fn read(line: Line) -> Result<Self, RpcError> {
        if line.starts_with(BEFORE) && line.ends_with(AFTER) {
            return Ok(Self(line));
        }
        match Incoming::parse(&line) {
            Some(Incoming::Reply(_, Err(error))) => Err(error),
            Some(Incoming::Reply(_, Ok(_)) | Incoming::Notice(..)) | None => {
                Err(RpcError::new(Code::Internal, "the reply cannot be read"))
            }
        }
    }

    /// The result.
    pub(crate) fn json(&self) -> &[u8] {
        &self.0[BEFORE.len()..self.0.len() - AFTER.len()]
    }

    /// The result, to be sent; not copied.
    pub(crate) fn into_bytes(self) -> Bytes {
        let end = self.0.len() - AFTER.len();
        answer::wiped(self.0).slice(BEFORE.len()..end)
    }
}

/// Makes a call that ends with one reply.
pub(crate) async fn ask(service: &Service, call: Call) -> Result<Reply, RpcError> {
    match service.at_once(&Id::Null, &call) {
        Some(line) => Reply::read(line),
        // Boxed, since a future is moved with all that it may ever hold, and this is seldom needed.
        None => Reply::read(Box::pin(service.answer(&Id::Null, call)).await?),
    }
}

/// Gets a token, and counts it for the door that it leaves by.
pub(crate) async fn token(service: &Service, wish: TokenGet, door: Door) -> Result<Reply, RpcError> {
    let reply = ask(service, Call::TokenGet(wish)).await?;
    service.handle.tally().token(door);
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use sso_agent_proto::rpc::{error_line, result_line};

    use super::*;

    #[test]
    fn the_envelope_is_taken_off() {
        let reply = Reply::read(result_line(&Id::Null, &serde_json::json!({"a": 1})).into()).unwrap();
        assert_eq!(reply.json(), br#"{"a":1}"#);
        assert_eq!(reply.into_bytes(), Bytes::from_static(br#"{"a":1}"#));
    }

    #[test]
    fn an_error_in_the_envelope_is_an_error() {
        let line = error_line(&Id::Null, RpcError::new(Code::MethodNotFound, "m"));
        assert_eq!(Reply::read(line.into()).err().unwrap().code, -32601);
        assert!(Reply::read(b"nonsense".to_vec().into()).is_err());
    }
}

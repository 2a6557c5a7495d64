//! What happens, as server-sent events (WHATWG HTML, 9.2): `event:` is the kind, `data:` the same
//! object as in the `event` notification of the socket.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde::Serialize;
use sso_agent_proto::{
    events::{EventKind, Subscribe},
    rpc::{Code, RpcError},
};
use tokio::sync::{broadcast::error::RecvError, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    answer::{self, Body},
    query,
};
use crate::rpc::service::Shared;

/// So many may wait for a client to read them.
pub(crate) const UNREAD: usize = 16;

/// So often a client that hears nothing hears that it is still connected; and one that is gone is missed.
const STILL_HERE: Duration = Duration::from_secs(30);

/// Reads `kinds=token.refreshed,session.added`.
///
/// # Errors
/// A kind or a parameter that there is not.
pub(crate) fn wish(query: &str) -> Result<Subscribe, RpcError> {
    let mut kinds = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "kinds" {
            return Err(RpcError::new(Code::InvalidParams, format!("unknown parameter {name:.64?}")));
        }
        for word in query::words(&value) {
            let kind: Result<EventKind, _> = serde_json::from_value(word.into());
            kinds.push(
                kind.map_err(|_| RpcError::new(Code::InvalidParams, "there is no such kind of event"))?,
            );
        }
    }
    Ok(Subscribe { kinds })
}

/// Tells what happens from now on, until either side ends it.
pub(crate) fn tell(service: &Shared, wish: Subscribe, stop: CancellationToken) -> Response<Body> {
    let (out, stream) = mpsc::channel(UNREAD);
    let mut events = service.handle.subscribe();
    let telling = async move {
        // So that the head of the answer goes out now.
        send(&out, Bytes::from_static(b": here\n\n")).await?;
        loop {
            let heard = tokio::select! {
                heard = events.recv() => heard,
                () = tokio::time::sleep(STILL_HERE) => {
                    send(&out, Bytes::from_static(b": still here\n\n")).await?;
                    continue;
                }
                () = out.closed() => return None,
            };
            match heard {
                Ok(event) if wish.kinds.is_empty() || wish.kinds.contains(&event.kind) => {
                    let kind = serde_json::to_value(event.kind).unwrap_or_default();
                    send(&out, message(kind.as_str().unwrap_or_default(), &event)).await?;
                }
                Ok(_) => {}
                // A client that reads slowly misses some, as on the other socket.
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "a client reads its events too slowly");
                }
                Err(RecvError::Closed) => return None,
            }
        }
    };
    tokio::spawn(async move {
        tokio::select! {
            None::<()> = telling => {}
            () = stop.cancelled() => {}
        }
    });
    answer::events(stream)
}

/// One event; JSON has no line breaks of its own.
pub(crate) fn message(kind: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {kind}\ndata: {data}\n\n").into()
}

/// `None` when the client is gone.
pub(crate) async fn send(out: &mpsc::Sender<Bytes>, bytes: Bytes) -> Option<()> {
    out.send(bytes).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_in_a_url() {
        assert_eq!(wish("").unwrap().kinds, []);
        let two = wish("kinds=token.refreshed,session.added").unwrap().kinds;
        assert_eq!(two, [EventKind::TokenRefreshed, EventKind::SessionAdded]);
        assert!(wish("kinds=nonsense").is_err() && wish("kind=token.refreshed").is_err());
    }

    #[test]
    fn an_event_is_two_lines_and_an_empty_one() {
        assert_eq!(
            message("a.b", &serde_json::json!({"x": "1\n2"})),
            "event: a.b\ndata: {\"x\":\"1\\n2\"}\n\n"
        );
    }
}

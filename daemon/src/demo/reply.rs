//! What goes back over the wire: ordinary answers, and bodies that break off or trickle.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::{Body, Frame, SizeHint};
use serde_json::Value;
use tokio::time::Sleep;

/// An answer, or none at all.
pub(super) type Answer = Result<Response<Pieces>, HungUp>;

/// The connection is closed without a word.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer, as was asked for")]
pub(super) struct HungUp;

pub(super) fn json(status: StatusCode, value: &Value) -> Response<Pieces> {
    raw(status, "application/json", value.to_string())
}

pub(super) fn html(status: StatusCode, page: String) -> Response<Pieces> {
    let mut response = raw(status, "text/html; charset=utf-8", page);
    let headers = response.headers_mut();
    // No `form-action`: browsers apply it to the redirect after the form as well, which leads away.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

pub(super) fn redirect(status: StatusCode, to: &str) -> Response<Pieces> {
    let mut response = raw(status, "text/plain", String::new());
    insert(&mut response, header::LOCATION, to);
    response
}

pub(super) fn raw(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Response<Pieces> {
    whole(status, content_type, Pieces::whole(body.into()))
}

/// An answer in JSON whose body does not come as it should.
pub(super) fn json_in(status: StatusCode, pieces: Pieces) -> Response<Pieces> {
    whole(status, "application/json", pieces)
}

fn whole(status: StatusCode, content_type: &str, pieces: Pieces) -> Response<Pieces> {
    let mut response = Response::new(pieces);
    *response.status_mut() = status;
    insert(&mut response, header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Leaves out what no header can hold.
pub(super) fn insert(response: &mut Response<Pieces>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// A body in pieces.
#[derive(Debug)]
pub(super) struct Pieces {
    left: VecDeque<Bytes>,
    declared: u64,
    between: Option<Duration>,
    pause: Option<Pin<Box<Sleep>>>,
    end: End,
}

#[derive(Debug)]
enum End {
    Proper,
    /// One turn for what was written to leave, then the break.
    Flushing,
    Broken,
}

impl Pieces {
    pub(super) fn whole(body: Bytes) -> Self {
        let declared = body.len() as u64;
        let left = if body.is_empty() { VecDeque::new() } else { VecDeque::from([body]) };
        Self { left, declared, between: None, pause: None, end: End::Proper }
    }

    /// Byte by byte, with a pause before each.
    pub(super) fn dripping(body: &Bytes, between: Duration) -> Self {
        let left = (0..body.len()).map(|at| body.slice(at..=at)).collect();
        Self { left, between: Some(between), ..Self::whole(body.clone()) }
    }

    /// Breaks off in the middle, although all of it was announced.
    pub(super) fn broken(body: &Bytes) -> Self {
        let left = VecDeque::from([body.slice(..body.len() / 2)]);
        Self { left, end: End::Flushing, ..Self::whole(body.clone()) }
    }

    /// `start`, then the letter `a` up to `length` bytes.
    pub(super) fn huge(start: &'static str, length: usize) -> Self {
        const PIECE: usize = 64 * 1024;
        static FILL: [u8; PIECE] = [b'a'; PIECE];
        let fill = length.saturating_sub(start.len());
        let mut left = VecDeque::from([Bytes::from_static(start.as_bytes())]);
        left.extend((0..fill / PIECE).map(|_| Bytes::from_static(&FILL)));
        left.push_back(Bytes::from_static(FILL.get(..fill % PIECE).unwrap_or_default()));
        Self { left, declared: (start.len() + fill) as u64, ..Self::whole(Bytes::new()) }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = HungUp;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HungUp>>> {
        if let (Some(between), false) = (self.between, self.left.is_empty()) {
            let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(between)));
            std::task::ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        if let Some(piece) = self.left.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match self.end {
            End::Proper => Poll::Ready(None),
            End::Flushing => {
                self.end = End::Broken;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Broken => Poll::Ready(Some(Err(HungUp))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && matches!(self.end, End::Proper)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.declared)
    }
}

//! What comes to the redirect listener and to `GET /v1/token.get`, for the fuzz targets.

use super::{query, redirect};
use crate::fuzzing::State;

/// No browser sends this to be shown again.
const ECHO: &str = "<script>echo";

/// Any bytes are answered by HTTP or not at all, and nothing of them is on the page; only a redirect that
/// knows the state counts.
pub(crate) fn request(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = query::token_get(text);
    }
    let filled = State::fill(bytes);
    let (answer, counted) = redirect::converse(filled.as_bytes(), State::expected(false));
    assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{answer:?}");
    assert!(!answer.contains(ECHO) && !answer.contains(State::TEXT), "{answer:?}");
    assert!(!counted || filled.contains("state"), "{filled:?}");
}

//! What came back from an issuer, before anybody judges it.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header, response::Parts};
use jiff::{Timestamp, fmt::rfc2822};
use zeroize::Zeroizing;

use crate::clock;

/// As much of an answer as is read.
const LIMIT: usize = 1 << 20;

/// The longest that an issuer can make us wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// An answer. It may hold tokens.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<String>,
    /// When to come again (RFC 9110, 10.2.3), an hour at most.
    pub(crate) retry_after: Option<Duration>,
    /// What time it is there (RFC 9110, 6.6.1).
    pub(crate) date: Option<Timestamp>,
    /// Where it sends us; it is nobody's wish that we follow unseen.
    pub(crate) location: Option<String>,
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// Why the body is not all there, or not what it says, if so.
    pub(crate) cut: Option<String>,
    /// Whether it comes in an encoding, none of which was asked for. It is not unpacked: a little can be a lot.
    pub(super) encoded: bool,
}

impl Reply {
    /// An answer of which the body is still to come.
    pub(crate) fn new(head: &Parts) -> Self {
        Self {
            status: head.status,
            content_type: text(&head.headers, header::CONTENT_TYPE).map(str::to_ascii_lowercase),
            retry_after: retry_after(&head.headers),
            date: text(&head.headers, header::DATE).and_then(date),
            location: text(&head.headers, header::LOCATION).map(str::to_owned),
            body: Zeroizing::default(),
            cut: None,
            encoded: is_encoded(&head.headers),
        }
    }

    /// The answer is over.
    pub(crate) fn finished(mut self) -> Self {
        if self.encoded {
            self.cut.get_or_insert_with(|| "it is compressed, which was not asked for".to_owned());
        }
        self
    }

    /// The body without the mark that some put before it (RFC 8259, 8.1 lets us).
    pub(crate) fn text(&self) -> &[u8] {
        self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body)
    }

    /// Takes in a piece of the body.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let fits = piece.len().min(LIMIT - self.body.len());
        self.body.extend_from_slice(&piece[..fits]);
        if fits < piece.len() {
            self.cut = Some("the answer is too long".to_owned());
        }
    }

    /// Whether it says that it is JSON, in any of its dialects.
    pub(crate) fn is_json(&self) -> bool {
        let named = |kind: &str| kind == "application/json" || kind.ends_with("+json");
        self.content_type
            .as_ref()
            .is_some_and(|kind| kind.split(';').next().is_some_and(|kind| named(kind.trim())))
    }

    /// What kind of answer it is, for people.
    pub(crate) fn summary(&self) -> String {
        let status = self.status.as_u16();
        match (&self.cut, &self.content_type) {
            (Some(cut), _) => format!("an answer {status} that broke off ({cut})"),
            (None, _) if self.status.is_redirection() => {
                format!("a redirect ({status}), which is not followed")
            }
            (None, Some(kind)) if kind.starts_with("text/html") => format!("a web page ({status})"),
            (None, _) => match self.status.canonical_reason() {
                Some(reason) => format!("{status} {reason}"),
                None => status.to_string(),
            },
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.summary(), self.body.len())
    }
}

/// In seconds, or as a date; that counts from the server's own date, if it says one, so that our clock does
/// not matter.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, header::RETRY_AFTER)?.trim();
    let wait = if value.bytes().all(|b| b.is_ascii_digit()) {
        Duration::from_secs(value.parse().ok().or((!value.is_empty()).then_some(u64::MAX))?)
    } else {
        let now = text(headers, header::DATE).and_then(date);
        let now = now.unwrap_or_else(|| clock::timestamp(clock::now().wall));
        let wait = date(value)?.duration_since(now);
        Duration::try_from(wait).unwrap_or_default()
    };
    Some(wait.min(LONGEST_WAIT))
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

fn date(value: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(value).ok()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
impl Reply {
    /// A whole answer, as a test wants it.
    pub(crate) fn made(status: u16, content_type: Option<&str>, body: &[u8]) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            content_type: content_type.map(str::to_ascii_lowercase),
            retry_after: None,
            date: None,
            location: None,
            body: Zeroizing::new(body.to_vec()),
            cut: None,
            encoded: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(retry_after: &str, date: Option<&str>) -> Option<u64> {
        let mut response = http::Response::builder().header("Retry-After", retry_after);
        if let Some(date) = date {
            response = response.header("Date", date);
        }
        Reply::new(&response.body(()).unwrap().into_parts().0).retry_after.map(|wait| wait.as_secs())
    }

    #[test]
    fn an_issuer_says_when_to_come_again() {
        assert_eq!(wait("30", None), Some(30));
        assert_eq!(wait("0", None), Some(0));
        let noon = Some("Mon, 23 Nov 2026 12:00:00 GMT");
        assert_eq!(wait("Mon, 23 Nov 2026 12:01:30 GMT", noon), Some(90));
        assert_eq!(wait("Mon, 23 Nov 2026 11:00:00 GMT", noon), Some(0), "it is over");
    }

    #[test]
    fn an_issuer_cannot_put_us_off_for_more_than_an_hour() {
        assert_eq!(wait("99999999", None), Some(3600));
        assert_eq!(wait("99999999999999999999999", None), Some(3600));
        assert_eq!(wait("Mon, 23 Nov 2099 12:00:00 GMT", None), Some(3600), "by our own clock");
        assert_eq!(wait("Mon, 23 Nov 2099 12:00:00 GMT", Some("Mon, 23 Nov 2026 12:00:00 GMT")), Some(3600));
    }

    #[test]
    fn what_cannot_be_read_is_no_wait() {
        for value in ["", "soon", "-1", "1.5", "Mon, 32 Nov 2026 12:01:30 GMT"] {
            assert_eq!(wait(value, None), None, "{value:?}");
        }
    }

    #[test]
    fn an_answer_shows_nothing_of_its_body() {
        let shown = format!("{:?}", Reply::made(200, None, b"canary"));
        assert!(!shown.contains("canary") && !shown.contains("99, 97"), "{shown}");
    }

    #[test]
    fn json_is_told_by_its_name() {
        let json = |kind| Reply::made(200, kind, b"").is_json();
        assert!(json(Some("Application/JSON; charset=utf-8")) && json(Some("application/problem+json")));
        assert!(!json(Some("text/html")) && !json(Some("application/jsonp")) && !json(None));
    }
}

//! The ways in which an issuer misbehaves, switched on by whoever tests against it.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

/// One way to misbehave. What is said of an answer holds for a code as well as for a refresh token.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Token endpoint: this answer, and nothing is spent.
    Status {
        /// The HTTP status.
        code: u16,
        /// The header `Retry-After`.
        retry_after: Option<String>,
        /// The header `Content-Type`.
        content_type: String,
        /// All of the body.
        body: String,
    },
    /// Token endpoint: a well-formed refusal (RFC 6749, 5.2), and nothing is spent.
    OAuthError {
        /// The HTTP status.
        status: u16,
        /// For example `invalid_grant`.
        error: String,
        /// For people.
        description: Option<String>,
    },
    /// Token endpoint: the page of a captive portal with status 200, and nothing is spent.
    HtmlOk,
    /// Token endpoint: half of a JSON object, properly framed, and nothing is spent.
    Truncated,
    /// Token endpoint: status 200 without a body, and nothing is spent.
    EmptyOk,
    /// Token endpoint: status 200 and bytes that are no text, and nothing is spent.
    InvalidUtf8,
    /// Token endpoint: an answer of so many bytes, and nothing is spent.
    HugeBody(usize),
    /// Token endpoint: so many bytes in the name of gzip, and nothing is spent.
    GzipBomb(usize),
    /// Token endpoint: JSON of so many levels, and nothing is spent.
    Deep(usize),
    /// Token endpoint: a redirect (307, which would repeat the post) to this URL, and nothing is spent.
    Redirect(String),
    /// Token endpoint: no answer ever, and nothing is spent.
    Hang,
    /// Token endpoint: the connection is closed, and nothing is spent.
    DropBeforeCommit,
    /// Token endpoint: takes so much longer to decide. Nothing is spent when the client hangs up.
    Slow(Duration),
    /// Token endpoint: the grant is made, and the connection closed without an answer.
    LoseAnswer,
    /// Token endpoint: the grant is made, and the connection closed in the middle of the answer.
    CutOff,
    /// Token endpoint: the grant is made, and the answer comes so much later.
    SlowAnswer(Duration),
    /// Token endpoint: the grant is made, and the answer comes byte by byte with this pause before each.
    Drip(Duration),
    /// Token endpoint: the grant is made, and the answer has this for `expires_in`.
    ExpiresIn(Value),
    /// Token endpoint: the grant is made, and the answer has no `expires_in`.
    NoExpiresIn,
    /// Token endpoint: the grant is made without a new refresh token; the old one stays good.
    NoRefreshToken,
    /// Token endpoint: the grant is made, and the answer has a `token_type` nobody asked for.
    WrongTokenType,
    /// Token endpoint: the grant is made, and the answer has every key twice, first with another value.
    DuplicateKeys,
    /// Token endpoint: the grant is made, and there is a line break in the access token.
    LineBreakInToken,
    /// Well-known documents: the page of a captive portal with status 200.
    HtmlDiscovery,
    /// Well-known documents: this status and an empty body.
    DiscoveryStatus(u16),
    /// Well-known documents: another issuer than the one they come from (RFC 8414, 3.3).
    WrongIssuer,
    /// Authorization endpoint: the redirect names another issuer (RFC 9207, 2.4).
    WrongIss,
    /// Authorization endpoint: the redirect names no issuer, whatever the documents say.
    NoIss,
}

/// Where a fault shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    Token,
    Discovery,
    Authorization,
}

impl Fault {
    /// A fault of the token endpoint by the name that tests and tables have for it, with what goes with it
    /// behind a colon: `500`, `429:30` (`Retry-After`), `slow:20` and `drip` (seconds), `huge:512` (MiB),
    /// `redirect:URL`, `lost`.
    pub fn named(name: &str) -> Option<Self> {
        let (name, with) = name.split_once(':').unwrap_or((name, ""));
        let number = |otherwise: u64| if with.is_empty() { Some(otherwise) } else { with.parse().ok() };
        let seconds = |otherwise| number(otherwise).map(Duration::from_secs);
        let size = |otherwise| number(otherwise).and_then(|number| usize::try_from(number).ok());
        let refusal =
            |status, error: &str| Self::OAuthError { status, error: error.to_owned(), description: None };
        Some(match name {
            "slow" => Self::SlowAnswer(seconds(20)?),
            "hang" => Self::Hang,
            "drip" => Self::Drip(seconds(1)?),
            "garbage" => Self::Status {
                code: 200,
                retry_after: None,
                content_type: "application/json".into(),
                body: "}{ garbage".into(),
            },
            "truncated" => Self::Truncated,
            "html" => Self::HtmlOk,
            "empty" => Self::EmptyOk,
            "notutf8" => Self::InvalidUtf8,
            "huge" => Self::HugeBody(size(512)?.saturating_mul(1 << 20)),
            "gzipbomb" => Self::GzipBomb(4 << 20),
            "deep" => Self::Deep(size(200_000)?),
            "noexp" => Self::NoExpiresIn,
            "negexp" => Self::ExpiresIn((-3600).into()),
            "strexp" => Self::ExpiresIn("3600".into()),
            "hugeexp" => Self::ExpiresIn(31_556_952_000_000_u64.into()),
            "badtype" => Self::WrongTokenType,
            "dupkeys" => Self::DuplicateKeys,
            "crlf" => Self::LineBreakInToken,
            "nort" => Self::NoRefreshToken,
            "redirect" => Self::Redirect(with.to_owned()),
            "lost" => Self::LoseAnswer,
            "invalid_grant" => refusal(400, "invalid_grant"),
            "invalid_client" => refusal(401, "invalid_client"),
            status => Self::Status {
                code: status.parse().ok().filter(|code| (400..600).contains(code))?,
                retry_after: Some(with.to_owned()).filter(|wait| !wait.is_empty()),
                content_type: "text/html".into(),
                body: "<html><body>unwell</body></html>".into(),
            },
        })
    }

    pub(super) fn spot(&self) -> Spot {
        match self {
            Self::Status { .. }
            | Self::OAuthError { .. }
            | Self::HtmlOk
            | Self::Truncated
            | Self::EmptyOk
            | Self::InvalidUtf8
            | Self::HugeBody(_)
            | Self::GzipBomb(_)
            | Self::Deep(_)
            | Self::Redirect(_)
            | Self::Hang
            | Self::DropBeforeCommit
            | Self::Slow(_)
            | Self::LoseAnswer
            | Self::CutOff
            | Self::SlowAnswer(_)
            | Self::Drip(_)
            | Self::ExpiresIn(_)
            | Self::NoExpiresIn
            | Self::NoRefreshToken
            | Self::WrongTokenType
            | Self::DuplicateKeys
            | Self::LineBreakInToken => Spot::Token,
            Self::HtmlDiscovery | Self::DiscoveryStatus(_) | Self::WrongIssuer => Spot::Discovery,
            Self::WrongIss | Self::NoIss => Spot::Authorization,
        }
    }
}

/// The faults that are switched on: those with a number first, in turn, then the standing one.
#[derive(Debug, Default)]
pub(super) struct Faults {
    counted: VecDeque<(Fault, u32)>,
    standing: Vec<Fault>,
}

impl Faults {
    /// For all requests until cleared; replaces the standing one of the same endpoint.
    pub(super) fn stand(&mut self, fault: Fault) {
        self.standing.retain(|other| other.spot() != fault.spot());
        self.standing.push(fault);
    }

    pub(super) fn count(&mut self, fault: Fault, times: u32) {
        if times > 0 {
            self.counted.push_back((fault, times));
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What the next request at `spot` meets.
    pub(super) fn take(&mut self, spot: Spot) -> Option<Fault> {
        let Some(at) = self.counted.iter().position(|(fault, _)| fault.spot() == spot) else {
            return self.standing.iter().find(|fault| fault.spot() == spot).cloned();
        };
        let (fault, left) = self.counted.get_mut(at)?;
        *left -= 1;
        if *left > 0 {
            return Some(fault.clone());
        }
        self.counted.remove(at).map(|(fault, _)| fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_the_table_has_its_name() {
        for name in [
            "slow:20",
            "hang",
            "drip",
            "500",
            "503",
            "429:30",
            "garbage",
            "truncated",
            "html",
            "empty",
            "notutf8",
            "huge:512",
            "gzipbomb",
            "deep",
            "noexp",
            "negexp",
            "strexp",
            "hugeexp",
            "badtype",
            "dupkeys",
            "crlf",
            "nort",
            "invalid_grant",
            "invalid_client",
            "redirect:http://127.0.0.1:1/",
            "lost",
        ] {
            assert!(Fault::named(name).is_some_and(|fault| fault.spot() == Spot::Token), "{name}");
        }
        assert_eq!(Fault::named("slow:3"), Some(Fault::SlowAnswer(Duration::from_secs(3))));
        assert_eq!(
            [Fault::named("nonsense"), Fault::named("slow:x"), Fault::named("200")],
            [None, None, None]
        );
    }

    #[test]
    fn counted_faults_come_in_turn_and_before_the_standing_one() {
        let mut faults = Faults::default();
        faults.stand(Fault::Hang);
        faults.stand(Fault::EmptyOk);
        faults.count(Fault::HtmlOk, 2);
        faults.count(Fault::HtmlDiscovery, 1);
        faults.count(Fault::Truncated, 1);
        let met: Vec<_> = (0..5).filter_map(|_| faults.take(Spot::Token)).collect();
        assert_eq!(met, [Fault::HtmlOk, Fault::HtmlOk, Fault::Truncated, Fault::EmptyOk, Fault::EmptyOk]);
        assert_eq!(faults.take(Spot::Discovery), Some(Fault::HtmlDiscovery));
        assert_eq!(faults.take(Spot::Discovery), None);
        faults.clear();
        assert_eq!(faults.take(Spot::Token), None);
    }
}

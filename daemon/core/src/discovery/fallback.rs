//! What to make of a host that answers, and has no document.
//!
//! Some account consoles answer everything with a web page, some hosts fail at what they do not know.
//! The endpoints are where they have always been all the same, so they are used unless the host says
//! plainly that there is nothing.

use super::{Metadata, fixed};
use crate::host::{Host, Kind};

/// What came back instead of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// There is nothing there (404).
    Nothing,
    /// Something else is there: a web page, a way to somewhere else.
    Nonsense,
    /// The server is unwell.
    Unwell,
    /// Nobody answered in time.
    Silence,
}

/// A document that did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// What came instead.
    pub absence: Absence,
    /// See [`Source::decides`](super::Source::decides).
    pub decides: bool,
}

/// What to do without a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// Use the endpoints that such a host has always had.
    Fixed(Box<Metadata>),
    /// There is no sign-in.
    NotOAuth,
    /// Try again later: nobody can say.
    Later,
}

/// Decides, by what came instead of each document, what to do about `host`; `answers` if it said
/// anything at all, be it only that it has nothing to say of itself.
pub fn without_document(host: &Host, answers: bool, missing: &[Missing]) -> Fallback {
    let any = |absence| missing.iter().any(|missing| missing.absence == absence);
    let deciding = |absence| missing.iter().any(|missing| missing.decides && missing.absence == absence);
    let fixed = || fixed(host).map_or(Fallback::NotOAuth, |server| Fallback::Fixed(Box::new(server)));
    match host.kind() {
        Kind::Account(..) | Kind::Unified(_) => {
            let answers = answers || missing.iter().any(|missing| missing.absence != Absence::Silence);
            if answers { fixed() } else { Fallback::Later }
        }
        Kind::Workspace(_) if deciding(Absence::Unwell) || deciding(Absence::Silence) => Fallback::Later,
        Kind::Workspace(_) if deciding(Absence::Nonsense) => fixed(),
        Kind::Other if any(Absence::Unwell) || any(Absence::Silence) => Fallback::Later,
        Kind::Workspace(_) | Kind::Other => Fallback::NotOAuth,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Absence::{Nonsense, Nothing, Silence, Unwell};

    fn missing(absence: Absence, decides: bool) -> Missing {
        Missing { absence, decides }
    }

    /// What becomes of a host that answers so at its OAuth document, and at another one.
    fn made_of(host: &Host, deciding: Absence, other: Absence) -> &'static str {
        match without_document(host, false, &[missing(deciding, true), missing(other, false)]) {
            Fallback::Fixed(_) => "fixed",
            Fallback::NotOAuth => "none",
            Fallback::Later => "later",
        }
    }

    #[test]
    fn an_account_has_its_endpoints_whenever_its_host_answers() {
        for host in ["accounts.cloud.databricks.com", "data.acme.example", "http://127.0.0.1:1"] {
            let host = Host::parse(host, Some("acc-1")).unwrap();
            for heard in [Nothing, Nonsense, Unwell] {
                assert_eq!(made_of(&host, heard, Silence), "fixed");
                assert_eq!(made_of(&host, Silence, heard), "fixed");
            }
            assert_eq!(made_of(&host, Silence, Silence), "later");
            let silent = [missing(Silence, true)];
            assert!(matches!(without_document(&host, true, &silent), Fallback::Fixed(_)));
        }
    }

    #[test]
    fn a_workspace_is_judged_by_its_own_document() {
        let host = Host::parse("adb-1.7.azuredatabricks.net", None).unwrap();
        for other in [Nothing, Nonsense, Unwell, Silence] {
            assert_eq!(made_of(&host, Nonsense, other), "fixed");
            assert_eq!(made_of(&host, Nothing, other), "none");
            assert_eq!(made_of(&host, Unwell, other), "later");
            assert_eq!(made_of(&host, Silence, other), "later");
        }
    }

    #[test]
    fn any_other_host_has_no_sign_in_if_it_is_well_and_none_is_there() {
        let host = Host::parse("i.example", None).unwrap();
        for heard in [Nothing, Nonsense] {
            assert_eq!(made_of(&host, heard, Nothing), "none");
            assert_eq!(made_of(&host, heard, Unwell), "later");
            assert_eq!(made_of(&host, heard, Silence), "later");
        }
    }
}

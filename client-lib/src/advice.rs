//! What to do about a failure, for a program that has to go on by itself.

use std::time::Duration;

use sso_agent_proto::fault::{Fault, Kind};

use crate::Error;

/// When to try again where the agent names no time.
const PAUSE: Duration = Duration::from_secs(5);

/// What the issuer says (RFC 6749, 4.1.2.1 and 5.2; OpenID Connect Core, 3.1.2.6) when another sign-in may
/// end better. All else it says of the client, which a person cannot mend by signing in.
const ANOTHER_SIGN_IN: [&str; 8] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_grant",
    "login_required",
    "server_error",
    "temporarily_unavailable",
];

/// What to do about an [`Error`].
///
/// | error | advice |
/// |---|---|
/// | `login_required`, `denied`, `cancelled`, [`Error::Expired`] | start over |
/// | `issuer_rejected` for a reason of the user or the code, such as `access_denied`, `invalid_grant` | start over |
/// | `issuer_rejected` else, such as `invalid_client`, `unauthorized_client` | give up |
/// | `issuer_unavailable`, `timeout`, `locked`, [`Error::Unreachable`] | retry |
/// | `unknown_host`, `ambiguous`, `unsupported`, `store_failed`, [`Error::Broken`] | give up |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Send the user to sign in again: what was kept of this sign-in is of no more use.
    StartOver,
    /// Make the same call again.
    Retry {
        /// How long to wait before: what the agent says, or five seconds.
        after: Duration,
    },
    /// Tell somebody: the same will happen until a setting or a machine is mended.
    GiveUp,
}

impl Error {
    /// Says what to do next, by the table of [`Advice`].
    pub fn advice(&self) -> Advice {
        match self {
            Self::Refused(fault) => of_refusal(fault),
            Self::Expired(_) => Advice::StartOver,
            Self::Unreachable { .. } => Advice::Retry { after: PAUSE },
            Self::Broken { .. } => Advice::GiveUp,
        }
    }
}

fn of_refusal(fault: &Fault) -> Advice {
    match fault.kind() {
        Kind::LoginRequired | Kind::Denied | Kind::Cancelled => Advice::StartOver,
        Kind::IssuerRejected => match &fault.data.oauth_error {
            Some(error) if ANOTHER_SIGN_IN.contains(&error.as_str()) => Advice::StartOver,
            Some(_) | None => Advice::GiveUp,
        },
        Kind::IssuerUnavailable | Kind::Timeout | Kind::Locked => {
            Advice::Retry { after: fault.data.retry_after_s.map_or(PAUSE, Duration::from_secs) }
        }
        Kind::UnknownHost | Kind::Ambiguous | Kind::Unsupported | Kind::StoreFailed => Advice::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Advice = Advice::Retry { after: PAUSE };

    fn fault(kind: Kind) -> Fault {
        Fault::new(kind, "no", "hint")
    }

    fn rejected(oauth_error: &str) -> Error {
        let mut fault = fault(Kind::IssuerRejected);
        fault.data.oauth_error = Some(oauth_error.into());
        fault.into()
    }

    #[test]
    fn every_kind_has_the_advice_that_the_table_says() {
        let advice = Kind::ALL.map(|kind| (kind.name(), Error::from(fault(kind)).advice()));
        assert_eq!(
            advice,
            [
                ("login_required", Advice::StartOver),
                ("unknown_host", Advice::GiveUp),
                ("issuer_unavailable", RETRY),
                ("issuer_rejected", Advice::GiveUp),
                ("denied", Advice::StartOver),
                ("locked", RETRY),
                ("timeout", RETRY),
                ("cancelled", Advice::StartOver),
                ("ambiguous", Advice::GiveUp),
                ("unsupported", Advice::GiveUp),
                ("store_failed", Advice::GiveUp),
            ]
        );
    }

    #[test]
    fn what_did_not_come_from_the_agent_has_advice_too() {
        assert_eq!(Error::hung_up().advice(), RETRY);
        assert_eq!(Error::silent().advice(), RETRY);
        assert_eq!(Error::broken("nonsense").advice(), Advice::GiveUp);
        assert_eq!(Error::Expired(fault(Kind::Timeout)).advice(), Advice::StartOver);
    }

    #[test]
    fn another_sign_in_helps_where_the_user_said_no_and_not_where_the_client_is_unknown() {
        for error in ANOTHER_SIGN_IN {
            assert_eq!(rejected(error).advice(), Advice::StartOver, "{error}");
        }
        for error in ["invalid_client", "unauthorized_client", "invalid_scope", "invalid_request", "x"] {
            assert_eq!(rejected(error).advice(), Advice::GiveUp, "{error}");
        }
    }

    #[test]
    fn the_agent_says_when_to_retry() {
        let mut fault = fault(Kind::IssuerUnavailable);
        fault.data.retry_after_s = Some(40);
        assert_eq!(Error::from(fault).advice(), Advice::Retry { after: Duration::from_secs(40) });
    }
}

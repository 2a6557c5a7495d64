//! The sign-in of a web app's user between its beginning and the callback: which callback counts, and that
//! it counts once.
//!
//! What a sign-in has to know is not kept here but by the app, sealed, so that there may be any number of
//! them that nobody ever comes back to. Here is only which of them were used.

use std::{collections::BTreeMap, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded;

use crate::{
    callback::{Callback, Expected},
    redirect::RedirectUrl,
    refusal::OAuthError,
    time::{Deadline, Now},
    words::SessionId,
};

/// How long the user of a web app may take.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// A clock that was set back this far makes a consent of now look like one to come.
const SKEW: Duration = Duration::from_secs(60);

/// What a web app's sign-in expects to come back.
#[derive(Debug)]
pub struct Consent {
    /// The session that comes of it.
    pub session: SessionId,
    /// Where the browser was to come back to.
    pub redirect: RedirectUrl,
    /// What the callback must know.
    pub expected: Expected,
    /// When it was begun, by the wall clock: it may have been another process.
    pub begun: Duration,
}

/// What came back.
#[derive(Debug, Clone)]
pub enum CameBack {
    /// The address that the browser came back to, whole or from its path on.
    At(SecretString),
    /// The query of that address.
    With(Vec<(String, SecretString)>),
}

/// Why a callback does not count: one variant per thing that is done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotConsented {
    /// The user took too long.
    #[error("this sign-in was begun more than {} minutes ago", LIFETIME.as_secs() / 60)]
    Late,
    /// It belongs to another sign-in, or to none.
    #[error("the callback does not belong to this sign-in: {0}")]
    NotIts(&'static str),
    /// It has brought a session already, or is about to.
    #[error("this sign-in was completed before, or is being completed now")]
    Again,
    /// The user or the issuer said no.
    #[error("the issuer refused: {0}")]
    Refused(OAuthError),
}

impl Consent {
    /// Gives the code, if this is what the sign-in waits for (RFC 6749, 4.1.2; RFC 9207).
    ///
    /// # Errors
    /// See [`NotConsented`]. Nothing has happened then: an honest callback still counts.
    pub fn judge(&self, came_back: &CameBack, now: Now) -> Result<SecretString, NotConsented> {
        let until = self.begun + LIFETIME;
        if now.wall >= until || now.wall + SKEW < self.begun {
            return Err(NotConsented::Late);
        }
        let pairs = self.pairs(came_back)?;
        match self.expected.judge(pairs.iter().map(|(name, value)| (name.as_str(), value.expose_secret()))) {
            None => Err(NotConsented::NotIts("its state is another one")),
            Some(Callback::Broken(why)) => Err(NotConsented::NotIts(why)),
            Some(Callback::Refused(said)) => Err(NotConsented::Refused(said)),
            Some(Callback::Code(code)) => Ok(code),
        }
    }

    fn pairs(&self, came_back: &CameBack) -> Result<Vec<(String, SecretString)>, NotConsented> {
        match came_back {
            CameBack::With(pairs) => Ok(pairs.clone()),
            CameBack::At(address) => {
                let url = self.redirect.came_back(address.expose_secret());
                let url = url.ok_or(NotConsented::NotIts(
                    "it came to another address than was said (behind a proxy, pass the params)",
                ))?;
                let pairs = form_urlencoded::parse(url.query().unwrap_or_default().as_bytes());
                Ok(pairs.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect())
            }
        }
    }
}

/// Which consents have been used; they are forgotten when they would be late anyway.
#[derive(Debug, Default)]
pub struct Used(BTreeMap<SessionId, Deadline>);

impl Used {
    /// Uses one, unless it was used before.
    ///
    /// # Errors
    /// [`NotConsented::Again`]
    pub fn take(&mut self, session: &SessionId, now: Now) -> Result<(), NotConsented> {
        self.0.retain(|_, until| !until.is_over(now));
        if self.0.contains_key(session) {
            return Err(NotConsented::Again);
        }
        // As long as any that was begun may live, whatever the clocks say of this one.
        self.0.insert(session.clone(), now.steadily_after(LIFETIME + SKEW * 2));
        Ok(())
    }

    /// It came to nothing: an honest callback still counts.
    pub fn give_back(&mut self, session: &SessionId) {
        self.0.remove(session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{callback::Issuer, host::Host};

    fn at(wall: u64) -> Now {
        Now { steady: Duration::from_secs(wall), wall: Duration::from_secs(wall) }
    }

    fn consent(key: &str, state: &str) -> Consent {
        let host = Host::parse("a.example", None).unwrap();
        Consent {
            session: SessionId::web(&host, key),
            redirect: RedirectUrl::parse("https://app.example/cb").unwrap(),
            expected: Expected {
                state: state.into(),
                issuer: Issuer::Named("https://a.example/oidc".into()),
                iss_required: false,
            },
            begun: Duration::from_secs(1000),
        }
    }

    fn with(pairs: &[(&str, &str)]) -> CameBack {
        CameBack::With(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect())
    }

    #[test]
    fn a_callback_counts_as_address_and_as_query() {
        let consent = consent("1", "s");
        for came in [
            CameBack::At("https://app.example/cb?code=c%20d&state=s".into()),
            CameBack::At("/cb?code=c+d&state=s".into()),
            with(&[("code", "c d"), ("state", "s"), ("session_state", "x")]),
        ] {
            assert_eq!(consent.judge(&came, at(1001)).unwrap().expose_secret(), "c d");
        }
    }

    #[test]
    fn whatever_is_not_its_callback_is_refused() {
        let consent = consent("1", "s");
        let why = |came: CameBack| consent.judge(&came, at(1001)).unwrap_err();
        for came in [
            with(&[("code", "c")]),
            with(&[("code", "c"), ("state", "other")]),
            with(&[("code", "c"), ("state", "s"), ("state", "s")]),
            with(&[("code", "c"), ("state", "s"), ("iss", "https://evil.example")]),
            with(&[("state", "s")]),
            with(&[("code", ""), ("state", "s")]),
            with(&[("error", "access_denied"), ("state", "other")]),
            CameBack::At("https://other.example/cb?code=c&state=s".into()),
            CameBack::At("https://app.example/other?code=c&state=s".into()),
        ] {
            let shown = format!("{came:?}");
            assert!(matches!(why(came), NotConsented::NotIts(_)), "{shown}");
        }
        let denied = why(with(&[("error", "access_denied"), ("state", "s")]));
        assert_eq!(denied.to_string(), "the issuer refused: access_denied");
    }

    #[test]
    fn ten_minutes_are_enough_and_a_clock_that_was_set_back_gives_no_more() {
        let consent = consent("1", "s");
        let honest = with(&[("code", "c"), ("state", "s")]);
        assert!(consent.judge(&honest, at(1599)).is_ok());
        assert_eq!(consent.judge(&honest, at(1600)).unwrap_err(), NotConsented::Late);
        assert_eq!(consent.judge(&honest, at(900)).unwrap_err(), NotConsented::Late);
    }

    #[test]
    fn a_consent_is_used_once_and_what_came_to_nothing_was_no_use() {
        let (mut used, one, other) = (Used::default(), consent("1", "s"), consent("2", "s"));
        used.take(&one.session, at(1000)).unwrap();
        assert_eq!(used.take(&one.session, at(1001)), Err(NotConsented::Again));
        used.take(&other.session, at(1001)).unwrap();
        used.give_back(&one.session);
        used.take(&one.session, at(1002)).unwrap();
        used.take(&consent("3", "s").session, at(3000)).unwrap();
        assert_eq!(used.0.len(), 1, "those that would be late are forgotten");
    }
}

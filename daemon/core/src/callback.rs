//! What a redirect back from the issuer may say: the check that decides whether it counts.
//!
//! Anybody on the machine, and any web page, can send a request to the listener. Only one that knows
//! the state of this sign-in has any effect, and it may be an error only then (RFC 6749, 4.1.2).

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::refusal::OAuthError;

/// What this sign-in expects to hear.
#[derive(Debug)]
pub struct Expected {
    /// The `state` that was sent.
    pub state: SecretString,
    /// The issuer that it was sent to.
    pub issuer: Issuer,
    /// Whether that issuer said that it names itself (RFC 9207, 3).
    pub iss_required: bool,
}

/// An issuer, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issuer {
    /// It said itself that this is its name.
    Named(String),
    /// There is no document of it; this is where it is.
    At(String),
}

impl Issuer {
    fn is(&self, iss: &str) -> bool {
        let origin = |text: &str| Url::parse(text).map(|url| url.origin()).ok();
        match self {
            Self::Named(name) => iss.trim_end_matches('/') == name.trim_end_matches('/'),
            Self::At(place) => origin(iss).is_some_and(|theirs| Some(theirs) == origin(place)),
        }
    }
}

/// A redirect that belongs to this sign-in.
#[derive(Debug)]
pub enum Callback {
    /// The person agreed.
    Code(SecretString),
    /// The person or the issuer did not.
    Refused(OAuthError),
    /// It knows our state and is wrong all the same: the sign-in is over.
    Broken(&'static str),
}

impl Expected {
    /// Judges the query of a redirect; `None` when it is not for this sign-in and has no effect.
    ///
    /// `params` are decoded. None that has a meaning may come twice (RFC 6749, 3.1): two states are none, and
    /// with anything else twice the answer means nothing.
    pub fn judge<'a>(&self, params: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Option<Callback> {
        let all = |name: &'static str| params.clone().filter(move |(key, _)| *key == name);
        let one = |name: &'static str| {
            let mut found = all(name).map(|(_, value)| value);
            let first = found.next();
            if found.next().is_some() { None } else { first }
        };
        if !equal_in_constant_time(one("state")?, self.state.expose_secret()) {
            return None;
        }
        if ["code", "error", "error_description", "iss"].iter().any(|name| all(name).nth(1).is_some()) {
            return Some(Callback::Broken("the answer says something twice"));
        }
        match one("iss") {
            Some(iss) if !self.issuer.is(iss) => {
                return Some(Callback::Broken("the answer came from another issuer than was asked"));
            }
            None if self.iss_required => {
                return Some(Callback::Broken("the answer does not say which issuer it came from"));
            }
            Some(_) | None => {}
        }
        if let Some(error) = one("error") {
            return Some(Callback::Refused(OAuthError {
                error: clean(error),
                description: one("error_description").map(clean),
            }));
        }
        match one("code") {
            Some(code) if !code.is_empty() => Some(Callback::Code(code.into())),
            Some(_) | None => Some(Callback::Broken("the answer has no code")),
        }
    }
}

/// Takes as long for a near miss as for a far one.
fn equal_in_constant_time(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

/// Text from outside that a terminal may show: no control characters, nothing that turns the writing round,
/// not much of it.
pub fn clean(text: &str) -> String {
    let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if steers(c) { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(iss_required: bool, params: &[(&str, &str)]) -> Option<Callback> {
        let issuer = Issuer::Named("https://i.example/oidc".into());
        let expected = Expected { state: "right".into(), issuer, iss_required };
        expected.judge(params.iter().copied())
    }

    #[test]
    fn only_the_right_state_has_any_effect() {
        assert!(judge(false, &[("code", "c")]).is_none());
        assert!(judge(false, &[("code", "c"), ("state", "wrong")]).is_none());
        assert!(judge(false, &[("error", "access_denied"), ("state", "wrong")]).is_none());
        assert!(judge(false, &[("code", "c"), ("state", "right"), ("state", "right")]).is_none());
        let Some(Callback::Code(code)) = judge(false, &[("code", "c"), ("state", "right")]) else { panic!() };
        assert_eq!(code.expose_secret(), "c");
    }

    #[test]
    fn nothing_may_be_said_twice() {
        let with = |more: [(&'static str, &'static str); 2]| {
            judge(false, &[("state", "right"), ("code", "c"), more[0], more[1]])
        };
        for name in ["error", "iss", "error_description"] {
            assert!(matches!(with([(name, "x"), (name, "x")]), Some(Callback::Broken(_))), "{name}");
        }
        let doubled = judge(false, &[("code", "c"), ("code", "d"), ("state", "right")]);
        assert!(matches!(doubled, Some(Callback::Broken(_))));
        assert!(matches!(with([("other", "x"), ("other", "x")]), Some(Callback::Code(_))));
    }

    #[test]
    fn the_issuer_must_be_the_one_that_was_asked() {
        let with = |iss| judge(true, &[("code", "c"), ("state", "right"), ("iss", iss)]);
        assert!(matches!(with("https://i.example/oidc"), Some(Callback::Code(_))));
        assert!(matches!(with("https://evil.example"), Some(Callback::Broken(_))));
        assert!(matches!(judge(true, &[("code", "c"), ("state", "right")]), Some(Callback::Broken(_))));
        let own = ("iss", "https://i.example/oidc");
        let doubled = judge(false, &[("code", "c"), ("state", "right"), own, own]);
        assert!(matches!(doubled, Some(Callback::Broken(_))));
        assert!(matches!(
            judge(false, &[("code", "c"), ("state", "right"), ("iss", "https://evil.example")]),
            Some(Callback::Broken(_))
        ));
    }

    #[test]
    fn an_issuer_of_which_only_the_place_is_known_may_call_itself_anything_there() {
        let issuer = Issuer::At("https://login.example/organizations/v2.0".into());
        let expected = Expected { state: "right".into(), issuer, iss_required: false };
        let with = |iss: &str| {
            let params = [("code", "c"), ("state", "right"), ("iss", iss)];
            expected.judge(params.into_iter())
        };
        assert!(matches!(with("https://login.example/0a1b/v2.0"), Some(Callback::Code(_))));
        for other in
            ["https://evil.example/organizations/v2.0", "https://login.example:8443/", "", "login.example"]
        {
            assert!(matches!(with(other), Some(Callback::Broken(_))), "{other}");
        }
    }

    #[test]
    fn an_error_needs_no_description_and_is_made_safe_to_show() {
        let Some(Callback::Refused(said)) =
            judge(false, &[("error", "access\u{1b}[31m_denied"), ("state", "right")])
        else {
            panic!()
        };
        assert_eq!(said, OAuthError { error: "access [31m_denied".into(), description: None });
        assert!(matches!(judge(false, &[("state", "right")]), Some(Callback::Broken(_))));
    }
}

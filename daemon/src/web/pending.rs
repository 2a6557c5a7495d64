//! A sign-in that waits for its callback, as the web app keeps it: sealed, and long enough that its length
//! says nothing.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};
use sso_agent_core::{
    callback::{Expected, Issuer},
    consent::Consent,
    redirect::RedirectUrl,
    words::SessionId,
};
use std::time::Duration;

use sso_agent_proto::secret;

use crate::store::{Record, Store, StoreError};

/// What the note is for.
const WHAT: &str = "consent";

/// The text is padded to a multiple of this.
const STEP: usize = 256;

/// Longer ones are not made: a cookie has 4096 bytes, and the text must not move while it is written.
const LARGEST: usize = 8 * 1024;

/// Longer texts are none of ours.
const LONGEST: usize = 2 * LARGEST;

/// See the module.
pub(crate) struct Pending {
    /// Of the session to come.
    pub(crate) record: Record,
    /// What is compared with the callback.
    pub(crate) state: SecretString,
    /// What is shown with the code (RFC 7636).
    pub(crate) verifier: SecretString,
    pub(crate) issuer: Issuer,
    /// Whether that issuer names itself in callbacks (RFC 9207).
    pub(crate) iss_required: bool,
}

/// The first line of the sealed text; the record follows.
#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(with = "secret::on_wire")]
    state: SecretString,
    #[serde(with = "secret::on_wire")]
    verifier: SecretString,
    issuer: String,
    named: bool,
    iss_required: bool,
}

impl Pending {
    /// Whether it is longer than a consent may be.
    pub(crate) fn is_too_long(&self) -> bool {
        let issuer = match &self.issuer {
            Issuer::Named(text) | Issuer::At(text) => text.len(),
        };
        self.record.to_json().len() + issuer + 1024 > LARGEST
    }

    /// The text for the app.
    pub(crate) fn seal(&self, store: &dyn Store) -> Result<SecretString, StoreError> {
        let (issuer, named) = match &self.issuer {
            Issuer::Named(name) => (name, true),
            Issuer::At(place) => (place, false),
        };
        let head = Head {
            state: self.state.clone(),
            verifier: self.verifier.clone(),
            issuer: issuer.clone(),
            named,
            iss_required: self.iss_required,
        };
        let mut text = Zeroizing::new(Vec::with_capacity(LONGEST));
        serde_json::to_writer(&mut *text, &head).expect("text and flags always have a JSON form");
        text.push(b'\n');
        text.extend_from_slice(&self.record.to_json());
        let length = text.len().next_multiple_of(STEP);
        text.resize(length, b' ');
        Ok(BASE64_URL_SAFE_NO_PAD.encode(store.seal(WHAT, text)?).into())
    }

    /// The sign-in that a text of ours is; `None` for any other text.
    pub(crate) fn unseal(store: &dyn Store, text: &SecretString) -> Option<Self> {
        let text = Some(text.expose_secret()).filter(|text| text.len() <= LONGEST)?;
        Self::read(&store.unseal(WHAT, &BASE64_URL_SAFE_NO_PAD.decode(text).ok()?)?)
    }

    /// What was sealed, read.
    pub(super) fn read(content: &[u8]) -> Option<Self> {
        let end = content.iter().position(|&byte| byte == b'\n')?;
        let Head { state, verifier, issuer, named, iss_required } =
            serde_json::from_slice(&content[..end]).ok()?;
        let record = Record::from_json(&content[end..]).ok()?;
        let issuer = if named { Issuer::Named(issuer) } else { Issuer::At(issuer) };
        Some(Self { record, state, verifier, issuer, iss_required })
    }

    /// What it waits for.
    pub(crate) fn consent(&self) -> Option<Consent> {
        Some(Consent {
            session: SessionId::named(&self.record.id),
            redirect: RedirectUrl::parse(self.record.redirect_uri.as_deref()?).ok()?,
            expected: Expected {
                state: self.state.clone(),
                issuer: self.issuer.clone(),
                iss_required: self.iss_required,
            },
            begun: Duration::from_secs(self.record.created_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Memory, example};

    fn pending() -> Pending {
        let mut record = example("adb-1.azuredatabricks.net#~0123");
        record.redirect_uri = Some("https://app.example/callback".into());
        Pending {
            record,
            state: "canary-state".into(),
            verifier: "canary-verifier".into(),
            issuer: Issuer::Named("https://i.example".into()),
            iss_required: true,
        }
    }

    #[test]
    fn what_the_app_keeps_says_nothing_and_comes_back_as_it_was() {
        let store = Memory::default();
        let text = pending().seal(&store).unwrap();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.expose_secret()).unwrap();
        for open in ["canary", "azuredatabricks", "app.example", "record\":"] {
            assert!(
                !text.expose_secret().contains(open)
                    && !String::from_utf8_lossy(&bytes).contains(&format!("\"{open}"))
            );
        }
        assert!(text.expose_secret().len() < 3800, "it fits into a cookie");
        let back = Pending::unseal(&store, &text).unwrap();
        assert_eq!(back.record.to_json(), pending().record.to_json());
        assert_eq!((back.state.expose_secret(), back.iss_required), ("canary-state", true));
        assert_eq!(back.issuer, pending().issuer);
        assert_eq!(back.consent().unwrap().session.web_key(), Some("0123"));
    }

    #[test]
    fn what_is_not_too_long_is_read_back() {
        let store = Memory::default();
        let mut pending = pending();
        while !pending.is_too_long() {
            let text = pending.seal(&store).unwrap();
            assert!(Pending::unseal(&store, &text).is_some());
            pending.record.scopes.push("another-scope-of-somebody".repeat(8));
        }
        assert!(pending.record.scopes.len() > 10);
    }

    #[test]
    fn two_of_the_same_are_not_alike() {
        let store = Memory::default();
        let [one, other] = [pending(), pending()].map(|pending| pending.seal(&store).unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_eq!(one.expose_secret().len(), other.expose_secret().len());
    }

    #[test]
    fn a_text_of_anybody_elses_is_none() {
        let store = Memory::default();
        let text = pending().seal(&store).unwrap();
        assert!(Pending::unseal(&Memory::default(), &text).is_none(), "another agent's");
        let mut changed = text.expose_secret().to_owned();
        changed.replace_range(60..61, if &changed[60..61] == "A" { "B" } else { "A" });
        for none in ["", "x", "!", &changed, &text.expose_secret()[..100], &"A".repeat(20_000)] {
            assert!(Pending::unseal(&store, &none.into()).is_none());
        }
    }
}

//! `consent.start`, `consent.finish`, `consent.end`: a web app on this machine signs its own users in, and
//! keeps a handle for each where it would have kept a refresh token.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap as _};

use crate::secret;

/// Where the user of a web app shall sign in, as which client, and back to where.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentStart {
    /// A host as a person would type it.
    pub host: String,
    /// Which Databricks account, at an account console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The OAuth client; the stock one of Databricks when neither this nor `app` is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The name of an app whose client the agent keeps (`app.create` with `keep`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Of a confidential client.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::on_wire_option")]
    pub client_secret: Option<SecretString>,
    /// Where the browser comes back to; that of the app when it has just one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<String>,
    /// What to ask for, and nothing else; `all-apis offline_access`, or what such a host has for it, when
    /// empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// What kind of server it is, where the host does not tell: `entra` for an Azure workspace whose users
    /// sign in by an application of Microsoft's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// The answer of `consent.start`.
#[derive(Clone, Serialize, Deserialize)]
pub struct ConsentStarted {
    /// Where to send the user's browser.
    pub authorization_url: String,
    /// To be kept in the user's web session until the callback; it is sealed and says nothing to anybody.
    #[serde(with = "secret::on_wire")]
    pub consent: SecretString,
    /// Until when the callback counts.
    pub expires_at: Timestamp,
}

/// The address has the state in it.
impl fmt::Debug for ConsentStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsentStarted").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// The user's browser came back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentFinish {
    /// As `consent.start` gave it.
    #[serde(with = "secret::on_wire")]
    pub consent: SecretString,
    /// The address that it came back to.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::on_wire_option")]
    pub callback_url: Option<SecretString>,
    /// Or the query of that address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<CallbackParams>,
}

/// The query of a callback as a web framework parsed it: each value a text, or a list of texts.
///
/// Values of other kinds, which some frameworks make of names with brackets, are passed over.
#[derive(Clone, Default)]
pub struct CallbackParams(Vec<(String, SecretString)>);

impl CallbackParams {
    /// The pairs in the order of their names; a name that came twice is there twice.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose_secret()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for CallbackParams {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into().into())).collect())
    }
}

impl fmt::Debug for CallbackParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackParams").finish_non_exhaustive()
    }
}

impl Serialize for CallbackParams {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in self.pairs() {
            names.entry(name).or_default().push(value);
        }
        let mut map = to.serialize_map(Some(names.len()))?;
        for (name, values) in &names {
            match values[..] {
                [one] => map.serialize_entry(name, one)?,
                _ => map.serialize_entry(name, values)?,
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for CallbackParams {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> de::Visitor<'de> for Names {
            type Value = CallbackParams;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the query of a callback, as an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, Values(values))) = map.next_entry::<String, Values>()? {
                    pairs.extend(values.into_iter().map(|value| (name.clone(), value)));
                }
                Ok(CallbackParams(pairs))
            }
        }
        from.deserialize_map(Names)
    }
}

/// What one name has. The texts move into secrets without a copy.
struct Values(Vec<SecretString>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> de::Visitor<'de> for Texts {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Values, E> {
                Ok(Values(vec![text.into()]))
            }

            fn visit_string<E>(self, text: String) -> Result<Values, E> {
                Ok(Values(vec![text.into()]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                while let Some(Values(more)) = list.next_element()? {
                    values.extend(more);
                }
                Ok(Values(values))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
                while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
                Ok(Values(Vec::new()))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Values, E> {
                Ok(Values(Vec::new()))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Values, E> {
                Ok(Values(Vec::new()))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Values, E> {
                Ok(Values(Vec::new()))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Values, E> {
                Ok(Values(Vec::new()))
            }

            fn visit_unit<E>(self) -> Result<Values, E> {
                Ok(Values(Vec::new()))
            }
        }
        from.deserialize_any(Texts)
    }
}

/// The answer of `consent.finish`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConsentFinished {
    /// Good for the tokens of this one session: to be kept in the user's web session.
    #[serde(with = "secret::on_wire")]
    pub handle: SecretString,
    /// The session's id, which is not secret.
    pub session: String,
    /// When its access token ends.
    pub expires_at: Timestamp,
    /// Whether there is a next one. Without, as where `offline_access` was not asked for, the user has to
    /// sign in again at `expires_at`.
    pub refreshable: bool,
    /// Who signed in, as far as the issuer says.
    pub user: Option<String>,
    /// What was granted.
    pub scopes: Vec<String>,
}

/// The user signs out of the web app.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentEnd {
    /// As `consent.finish` gave it.
    #[serde(with = "secret::on_wire")]
    pub handle: SecretString,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(json: &str) -> Vec<(String, String)> {
        let params: CallbackParams = serde_json::from_str(json).unwrap();
        params.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_query_is_taken_as_any_framework_parsed_it() {
        let owned = |list: &[(&str, &str)]| -> Vec<_> {
            list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let plain = owned(&[("code", "c"), ("state", "s")]);
        assert_eq!(pairs(r#"{"code":"c","state":"s"}"#), plain, "express, axum");
        assert_eq!(pairs(r#"{"code":["c"],"state":["s"]}"#), plain, "parse_qs, to_dict(flat=False)");
        assert_eq!(
            pairs(r#"{"code":"c","state":["s","t"],"a":{"b":["x"]},"n":1,"t":true,"z":null}"#),
            owned(&[("code", "c"), ("state", "s"), ("state", "t")])
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let params: CallbackParams = [("state", "s"), ("code", "c"), ("state", "t")].into_iter().collect();
        let json = serde_json::to_string(&params).unwrap();
        assert_eq!(json, r#"{"code":"c","state":["s","t"]}"#);
        assert_eq!(pairs(&json).len(), 3);
        assert!(serde_json::from_str::<CallbackParams>("[]").is_err());
        assert_eq!(format!("{params:?}"), "CallbackParams { .. }");
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused_and_written_as_it_was_read(
            text in r#"\{("[a-z]{0,3}":("[a-z\\u0]{0,5}"|\[("[a-z]{0,3}",?){0,3}\]|\{"x":1\}|[0-9]{1,30}|null),?){0,4}\}?"#
        ) {
            if let Ok(params) = serde_json::from_str::<CallbackParams>(&text) {
                let again = serde_json::to_string(&params).unwrap();
                let read: CallbackParams = serde_json::from_str(&again).unwrap();
                prop_assert_eq!(serde_json::to_string(&read).unwrap(), again);
            }
        }
    }

    #[test]
    fn nothing_of_a_consent_shows() {
        let started = ConsentStarted {
            authorization_url: "https://i.example/?state=CANARY".into(),
            consent: "CANARY".into(),
            expires_at: Timestamp::UNIX_EPOCH,
        };
        assert!(!format!("{started:?}").contains("CANARY"));
    }
}

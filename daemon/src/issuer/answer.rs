//! The body of a token response, read with patience.
//!
//! `oauth2`'s own type gives up on a quoted `expires_in`, on a key that comes twice, on a null. By then
//! the refresh token that was in it has been issued and the old one retired, so little may be fatal here.

use std::time::Duration;

use oauth2::{AccessToken, RefreshToken, Scope, basic::BasicTokenType};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{IgnoredAny, MapAccess, Visitor},
    ser::Error as _,
};
use serde_json::Value;

/// Longer lives than this are not believed.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// A token response (RFC 6749, 5.1).
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) access_token: AccessToken,
    pub(crate) token_type: BasicTokenType,
    pub(crate) life: Life,
    pub(crate) refresh_token: Option<RefreshToken>,
    pub(crate) scopes: Option<Vec<Scope>>,
    pub(crate) id_token: Option<AccessToken>,
}

/// How long a token lives, as its issuer has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Unsaid,
    Lasts(Duration),
    /// It is over before it began.
    Over,
}

impl Life {
    fn of(said: &Value) -> Self {
        let number = match said {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok().filter(|number: &f64| !number.is_nan()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        match number {
            Some(seconds) if seconds < 1.0 => Self::Over,
            Some(seconds) => Self::Lasts(
                Duration::try_from_secs_f64(seconds.floor()).unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE),
            ),
            None => Self::Unsaid,
        }
    }
}

impl oauth2::TokenResponse for Answer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        match self.life {
            Life::Lasts(life) => Some(life),
            Life::Unsaid | Life::Over => None,
        }
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        self.scopes.as_ref()
    }
}

impl Serialize for Answer {
    /// The trait of `oauth2` asks for it; tokens are written by the store alone.
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("a token response is not written down"))
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Answer;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a token response")
    }

    /// Of a key that comes twice the last one that is of use counts.
    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Answer, M::Error> {
        let mut access_token = None;
        let mut answer = Answer {
            access_token: AccessToken::new(String::new()),
            token_type: BasicTokenType::Bearer,
            life: Life::Unsaid,
            refresh_token: None,
            scopes: None,
            id_token: None,
        };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "access_token" => access_token = text(map.next_value()?).or(access_token),
                "refresh_token" => {
                    let token = text(map.next_value()?).map(RefreshToken::new);
                    answer.refresh_token = token.or(answer.refresh_token);
                }
                "id_token" => answer.id_token = text(map.next_value()?).map(AccessToken::new),
                "token_type" => answer.token_type = token_type(text(map.next_value()?)),
                "expires_in" => answer.life = Life::of(&map.next_value()?),
                "scope" => answer.scopes = scopes(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        answer.access_token =
            access_token.map(AccessToken::new).ok_or(serde::de::Error::missing_field("access_token"))?;
        Ok(answer)
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => None,
    }
}

/// Its absence is a fault that many issuers have; it has never meant anything but Bearer.
fn token_type(said: Option<String>) -> BasicTokenType {
    match said {
        Some(other) if !other.trim().eq_ignore_ascii_case("bearer") => BasicTokenType::Extension(other),
        Some(_) | None => BasicTokenType::Bearer,
    }
}

/// A list in one string by the RFC, in an array by some, and with commas by GitHub.
fn scopes(value: Value) -> Option<Vec<Scope>> {
    let scope = |word: &str| Scope::new(word.to_owned());
    let words = |text: &str| match text.trim() {
        text if text.contains(|c: char| c.is_ascii_whitespace()) => {
            text.split_ascii_whitespace().map(scope).collect()
        }
        text => text.split(',').filter(|word| !word.is_empty()).map(scope).collect(),
    };
    match value {
        Value::String(text) => Some(words(&text)),
        Value::Array(items) => Some(items.into_iter().filter_map(text).map(Scope::new).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(expires_in: &str) -> Life {
        let text = format!(r#"{{"access_token":"a","expires_in":{expires_in}}}"#);
        serde_json::from_str::<Answer>(&text).unwrap().life
    }

    #[test]
    fn a_lifetime_may_be_a_number_in_any_dress() {
        let lasts = |s| Life::Lasts(Duration::from_secs(s));
        for said in ["3600", "\"3600\"", "3600.9", "\" 3600 \""] {
            assert_eq!(life(said), lasts(3600), "{said}");
        }
        for said in ["null", "\"soon\"", "\"\"", "[]", "true", "\"NaN\""] {
            assert_eq!(life(said), Life::Unsaid, "{said}");
        }
        for said in ["0", "-1", "\"-1\"", "0.5"] {
            assert_eq!(life(said), Life::Over, "{said}");
        }
        for said in ["86401", "1e300", "18446744073709551616", "\"inf\""] {
            assert_eq!(life(said), lasts(24 * 60 * 60), "{said}");
        }
    }

    #[test]
    fn scopes_come_in_a_string_or_in_an_array() {
        let read = |scope: &str| {
            let text = format!(r#"{{"access_token":"a","scope":{scope}}}"#);
            let scopes = serde_json::from_str::<Answer>(&text).unwrap().scopes;
            scopes.map(|scopes| scopes.iter().map(|s| s.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(read(r#""a  b""#), Some(vec!["a".into(), "b".into()]));
        assert_eq!(read(r#"["a","b"]"#), Some(vec!["a".into(), "b".into()]));
        assert_eq!(read(r#""repo,read:user""#), Some(vec!["repo".into(), "read:user".into()]));
        assert_eq!(read(r#""a b,c""#), Some(vec!["a".into(), "b,c".into()]), "a comma may be in a scope");
        assert_eq!(read(r#""""#), Some(vec![]));
        assert_eq!(read("null"), None);
    }

    #[test]
    fn an_answer_is_neither_shown_nor_written() {
        let answer: Answer =
            serde_json::from_str(r#"{"access_token":"canary","id_token":"canary","refresh_token":"canary"}"#)
                .unwrap();
        assert!(!format!("{answer:?}").contains("canary"));
        assert!(serde_json::to_string(&answer).is_err());
    }
}

//! What the answer of a token endpoint means.
//!
//! Two mistakes would cost a sign-in. To take a proxy's error page for the issuer's verdict: so only a
//! well-formed OAuth error counts as one, whatever the status. And to lose the new refresh token in an
//! answer that is odd otherwise, when the old one is spent: so it is dug out and handed over to be kept.

use std::time::Duration;

use http::StatusCode;
use oauth2::basic::BasicTokenType;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::IgnoredAny};
use sso_agent_core::{callback::clean, refusal::OAuthError};

use super::{
    answer::{Answer, Life},
    http::{SendError, Sent},
    reply::Reply,
};

/// What became of an exchange.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Here are the tokens.
    Granted(Grant),
    /// Only a person can help.
    Rejected(OAuthError),
    /// Something is set up wrongly. The refresh token is as good as before.
    Refused(OAuthError),
    /// Worth another try.
    Unreachable(Unreachable),
}

/// Tokens, as issued.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) access_token: SecretString,
    pub(crate) token_type: String,
    /// `None` if the issuer does not say; a day at most.
    pub(crate) expires_in: Option<Duration>,
    /// `None` if the old one stays good (RFC 6749, 6).
    pub(crate) refresh_token: Option<SecretString>,
    /// `None` if they are those that were asked for.
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) id_token: Option<SecretString>,
}

/// Nobody answered, or not in a way that means anything.
#[derive(Debug)]
pub(crate) struct Unreachable {
    pub(crate) retry_after: Option<Duration>,
    /// For people.
    pub(crate) why: String,
    /// `Maybe`: the refresh token or code may be spent, and no successor is known.
    pub(crate) sent: Sent,
    /// A refresh token from an answer that is of no use otherwise. It must be kept: the old one is spent.
    pub(crate) salvaged: Option<SecretString>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    ByCode,
    ByRefreshToken,
    /// By a secret of its own, or by what another issuer says of it: no person can help.
    AsMachine,
}

/// It has to fit into a line to a client. Servers take some thousand bytes of header at most.
const LONGEST_TOKEN: usize = 256 * 1024;

/// And so much of a refresh token, or of scopes, is kept: a record has to be read again.
const LONGEST_REST: usize = 64 * 1024;

/// What GitHub says with 200, in place of the errors of the RFC.
const GITHUBS: [&str; 5] = [
    "bad_refresh_token",
    "bad_verification_code",
    "incorrect_client_credentials",
    "redirect_uri_mismatch",
    "unverified_user_email",
];

/// Judges an exchange. `answer` is the token response, if `heard` is one.
pub(crate) fn judge(asked: Asked, heard: Result<Reply, SendError>, answer: Option<Answer>) -> Outcome {
    let reply = match heard {
        Ok(reply) => reply,
        Err(SendError { sent, origin, cause }) => {
            let why = format!("{origin}: {cause}");
            return Outcome::Unreachable(Unreachable { retry_after: None, why, sent, salvaged: None });
        }
    };
    if let Some(answer) = answer.filter(|_| reply.cut.is_none() && reply.status == StatusCode::OK) {
        return grant(answer).unwrap_or_else(Outcome::Unreachable);
    }
    match oauth_error(&reply) {
        Some(said) if is_passing(&said) => Outcome::Unreachable(Unreachable {
            retry_after: reply.retry_after,
            why: format!("the token endpoint said {}", said.error),
            sent: Sent::Answered,
            salvaged: None,
        }),
        Some(Said { error, .. }) if needs_a_person(asked, &error) => Outcome::Rejected(error),
        Some(Said { error, .. }) => Outcome::Refused(error),
        None => Outcome::Unreachable(odd(&reply)),
    }
}

fn grant(answer: Answer) -> Result<Outcome, Unreachable> {
    let refresh_token = answer.refresh_token.map(|token| SecretString::from(token.into_secret()));
    let refresh_token = refresh_token.filter(|token| token.expose_secret().len() <= LONGEST_REST);
    let scopes =
        answer.scopes.filter(|scopes| scopes.iter().map(|scope| scope.len()).sum::<usize>() <= LONGEST_REST);
    let access_token = answer.access_token.into_secret();
    let expires_in = match answer.life {
        Life::Unsaid => None,
        Life::Lasts(life) => Some(life),
        Life::Over => return Err(useless("a token that has expired already", refresh_token)),
    };
    if answer.token_type != BasicTokenType::Bearer {
        let kind = clean(answer.token_type.as_ref());
        return Err(useless(&format!("a token of the type {kind:?}, which no tool can use"), refresh_token));
    }
    if access_token.len() > LONGEST_TOKEN {
        return Err(useless("a token that is longer than any tool can use", refresh_token));
    }
    // It goes into a header of every request that a tool makes.
    if !access_token.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        return Err(useless("a token with characters that no token has", refresh_token));
    }
    Ok(Outcome::Granted(Grant {
        access_token: access_token.into(),
        token_type: "Bearer".to_owned(),
        expires_in,
        refresh_token,
        scopes: scopes.map(|scopes| scopes.iter().map(|scope| clean(scope)).collect()),
        id_token: answer.id_token.map(|token| token.into_secret().into()),
    }))
}

fn useless(what: &str, salvaged: Option<SecretString>) -> Unreachable {
    let why = format!("the token endpoint gave {what}");
    // The old refresh token stays good if no new one came (RFC 6749, 6).
    Unreachable { retry_after: None, why, sent: Sent::Answered, salvaged }
}

/// An answer that is neither a grant nor an OAuth error.
fn odd(reply: &Reply) -> Unreachable {
    let salvaged = if reply.status.is_success() { salvage(reply.text()) } else { None };
    // What succeeded may have spent the token, unless it says that it failed.
    let failed = !reply.status.is_success() || said_in(reply).is_some();
    let sent = if failed || salvaged.is_some() { Sent::Answered } else { Sent::Maybe };
    let summary = if reply.status == StatusCode::OK && reply.cut.is_none() && reply.is_json() {
        "something that is no token response (200)".to_owned()
    } else {
        reply.summary()
    };
    Unreachable {
        retry_after: reply.retry_after,
        why: format!("the token endpoint answered with {summary}"),
        sent,
        salvaged,
    }
}

/// Finds a whole refresh token in what is left of an answer.
///
/// Only in what was meant to be an object: a web page may well show the words in a script.
fn salvage(body: &[u8]) -> Option<SecretString> {
    let text = String::from_utf8_lossy(body);
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let token = text.split("\"refresh_token\"").skip(1).filter_map(|rest| {
        let value = rest.trim_start().strip_prefix(':')?;
        // A string that was cut has no end, and is not taken for a shorter one.
        serde_json::Deserializer::from_str(value).into_iter::<String>().next()?.ok()
    });
    let damaged = |token: &String| token.is_empty() || token.contains(char::REPLACEMENT_CHARACTER);
    token.filter(|token| !damaged(token)).last().map(SecretString::from)
}

/// What an answer says in the words of RFC 6749, 5.2.
struct Said {
    error: OAuthError,
    /// Entra's own numbers (`error_codes`), which say more.
    numbers: Vec<u64>,
}

/// The OAuth error in an answer that may say one, if it is one to the letter.
fn oauth_error(reply: &Reply) -> Option<Said> {
    let said = said_in(reply)?;
    match reply.status.as_u16() {
        400 | 401 | 403 => Some(said),
        200 if GITHUBS.contains(&said.error.error.as_str()) => Some(said),
        _ => None,
    }
}

/// The OAuth error in an answer of any status.
fn said_in(reply: &Reply) -> Option<Said> {
    #[derive(Deserialize)]
    struct Text {
        error: String,
        error_description: Option<serde_json::Value>,
        error_codes: Option<serde_json::Value>,
        access_token: Option<IgnoredAny>,
    }
    let may_be = reply.cut.is_none() && reply.is_json() && reply.body.trim_ascii_start().starts_with(b"{");
    if !may_be {
        return None;
    }
    // By itself the parser looks only at the strings that it needs.
    let text: Text = serde_json::from_str(std::str::from_utf8(&reply.body).ok()?).ok()?;
    let allowed = |b: u8| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let well_formed = (1..=100).contains(&text.error.len()) && text.error.bytes().all(allowed);
    if !well_formed || text.access_token.is_some() {
        return None;
    }
    let description = text.error_description.as_ref().and_then(|value| value.as_str()).map(clean);
    let numbers = text.error_codes.as_ref().and_then(|value| value.as_array());
    let numbers = numbers.into_iter().flatten().filter_map(serde_json::Value::as_u64).collect();
    Some(Said { error: OAuthError { error: text.error, description }, numbers })
}

/// What an issuer says when it is unwell itself, or asked too often.
const PASSING: [&str; 8] = [
    "temporarily_unavailable",
    "server_error",
    "slow_down",
    "rate_limit_exceeded",
    "too_many_requests",
    // Google's and Keycloak's own.
    "internal_failure",
    "internal_error",
    "unknown_error",
];

/// What Entra says, in numbers, when it is unwell or asked too often; its word for it may be `invalid_grant`.
const PASSING_AT_ENTRA: [u64; 5] = [
    50196, // a loop of requests was cut
    90024, // request budget exceeded
    90025, // request budget exceeded, of a service behind it
    90033, // a transient error has occurred
    90055, // too many requests of this tenant
];

fn is_passing(said: &Said) -> bool {
    PASSING.contains(&said.error.error.as_str())
        || said.numbers.iter().any(|number| PASSING_AT_ENTRA.contains(number))
}

fn needs_a_person(asked: Asked, error: &OAuthError) -> bool {
    match error.error.as_str() {
        _ if asked == Asked::AsMachine => false,
        "invalid_grant" | "interaction_required" | "login_required" | "consent_required" | "mfa_required" => {
            true
        }
        // GitHub's, and what Hydra says of a refresh token that comes again.
        "bad_refresh_token" | "bad_verification_code" | "unverified_user_email" | "token_inactive" => true,
        // Databricks says it this way of a refresh token that is spent, revoked or too old.
        "invalid_request" if asked == Asked::ByRefreshToken => error
            .description
            .as_ref()
            .is_some_and(|said| said.trim_end_matches('.').eq_ignore_ascii_case("Refresh token is invalid")),
        _ => false,
    }
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;

//! What the answer of a token endpoint means.
//!
//! Two mistakes would cost a sign-in. To take a proxy's error page for the issuer's verdict: so only a
//! well-formed OAuth error counts as one, whatever the status. And to lose the new refresh token in an
//! answer that is odd otherwise, when the old one is spent: so it is dug out and handed over to be kept.

use std::time::Duration;

use http::StatusCode;
use oauth2::basic::BasicTokenType;
use secrecy::SecretString;
use serde::Deserialize;
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
        Some(error) if is_passing(&error) => Outcome::Unreachable(Unreachable {
            retry_after: reply.retry_after,
            why: format!("the token endpoint said {error}"),
            sent: Sent::Answered,
            salvaged: None,
        }),
        Some(error) if needs_a_person(asked, &error) => Outcome::Rejected(error),
        Some(error) => Outcome::Refused(error),
        None => Outcome::Unreachable(odd(&reply)),
    }
}

fn grant(answer: Answer) -> Result<Outcome, Unreachable> {
    let refresh_token = answer.refresh_token.map(|token| SecretString::from(token.into_secret()));
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
    // It goes into a header of every request that a tool makes.
    if !access_token.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        return Err(useless("a token with characters that no token has", refresh_token));
    }
    Ok(Outcome::Granted(Grant {
        access_token: access_token.into(),
        token_type: "Bearer".to_owned(),
        expires_in,
        refresh_token,
        scopes: answer.scopes.map(|scopes| scopes.iter().map(|scope| clean(scope)).collect()),
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
    let salvaged = if reply.status.is_success() { salvage(&reply.body) } else { None };
    let sent = if reply.status.is_success() && salvaged.is_none() { Sent::Maybe } else { Sent::Answered };
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

/// The OAuth error in an answer (RFC 6749, 5.2), if it is one to the letter.
fn oauth_error(reply: &Reply) -> Option<OAuthError> {
    #[derive(Deserialize)]
    struct Text {
        error: String,
        error_description: Option<serde_json::Value>,
    }
    let status = reply.status.as_u16();
    let may_be = matches!(status, 200 | 400 | 401 | 403) && reply.cut.is_none() && reply.is_json();
    let object = reply.body.trim_ascii_start().starts_with(b"{");
    if !may_be || !object {
        return None;
    }
    // By itself the parser looks only at the strings that it needs.
    let text: Text = serde_json::from_str(std::str::from_utf8(&reply.body).ok()?).ok()?;
    if status == 200 && !GITHUBS.contains(&text.error.as_str()) {
        return None;
    }
    let allowed = |b: u8| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let well_formed = (1..=100).contains(&text.error.len()) && text.error.bytes().all(allowed);
    let description = text.error_description.as_ref().and_then(|value| value.as_str()).map(clean);
    well_formed.then_some(OAuthError { error: text.error, description })
}

/// What an issuer says when it is unwell itself.
fn is_passing(error: &OAuthError) -> bool {
    ["temporarily_unavailable", "server_error", "slow_down"].contains(&error.error.as_str())
}

fn needs_a_person(asked: Asked, error: &OAuthError) -> bool {
    match error.error.as_str() {
        _ if asked == Asked::AsMachine => false,
        "invalid_grant" | "interaction_required" | "login_required" | "consent_required" => true,
        "bad_refresh_token" | "bad_verification_code" | "unverified_user_email" => true,
        // Databricks says it this way of a refresh token that is spent, revoked or too old.
        "invalid_request" if asked == Asked::ByRefreshToken => error
            .description
            .as_ref()
            .is_some_and(|said| said.trim_end_matches('.').eq_ignore_ascii_case("Refresh token is invalid")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    const JSON: Option<&str> = Some("application/json");
    const HTML: Option<&str> = Some("text/html; charset=utf-8");

    /// As `token.rs` has it, without the network: `oauth2` reads only what is 200 and JSON.
    fn judged(asked: Asked, reply: Reply) -> Outcome {
        let readable = reply.status == 200 && (reply.is_json() || reply.content_type.is_none());
        let answer = if readable { serde_json::from_slice(&reply.body).ok() } else { None };
        judge(asked, Ok(reply), answer)
    }

    /// In one line: what it is, whether the request may have been heard, and what is to be kept.
    fn verdict(status: u16, kind: Option<&str>, body: &str) -> String {
        in_one_line(judged(Asked::ByRefreshToken, Reply::made(status, kind, body.as_bytes())))
    }

    fn in_one_line(outcome: Outcome) -> String {
        let kept = |token: &Option<SecretString>| {
            token.as_ref().map(|token| format!(" keep {}", token.expose_secret())).unwrap_or_default()
        };
        match outcome {
            Outcome::Granted(grant) => format!("granted{}", kept(&grant.refresh_token)),
            Outcome::Rejected(error) => format!("rejected {}", error.error),
            Outcome::Refused(error) => format!("refused {}", error.error),
            Outcome::Unreachable(Unreachable { sent, salvaged, .. }) => {
                format!("{sent:?}{}", kept(&salvaged))
            }
        }
    }

    #[test]
    fn a_grant_is_recognised_in_all_its_shapes() {
        for (kind, body, expected) in [
            (
                JSON,
                r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r2"}"#,
                "granted keep r2",
            ),
            (JSON, r#"{"access_token":"a","token_type":"bearer","expires_in":"3600"}"#, "granted"),
            (JSON, r#"{"access_token":"a","token_type":"BEARER"}"#, "granted"),
            (JSON, r#"{"access_token":"a"}"#, "granted"),
            (None, r#"{"access_token":"a"}"#, "granted"),
            (Some("Application/JSON;charset=UTF-8"), r#"{"access_token":"a"}"#, "granted"),
            (JSON, r#"{"access_token":"a","refresh_token":null,"scope":null,"id_token":null}"#, "granted"),
            (JSON, r#"{"access_token":"a","refresh_token":""}"#, "granted"),
            (JSON, r#"{"access_token":"a","expires_in":1e99,"refresh_token":"r2"}"#, "granted keep r2"),
            (
                JSON,
                r#"{"access_token":"a","access_token":"b","refresh_token":"r1","refresh_token":"r2"}"#,
                "granted keep r2",
            ),
            (JSON, r#"{"access_token":"a","scope":["x","y"],"extra":{"deep":[1,2,{}]}}"#, "granted"),
            (JSON, "\r\n {\"access_token\":\"a\"} \n", "granted"),
        ] {
            assert_eq!(verdict(200, kind, body), expected, "{body}");
        }
    }

    #[test]
    fn the_refresh_token_of_an_odd_answer_is_kept() {
        for (status, kind, body, expected) in [
            (200, JSON, r#"{"access_token":"a","expires_in":0,"refresh_token":"r2"}"#, "Answered keep r2"),
            (200, JSON, r#"{"access_token":"a","expires_in":-5,"refresh_token":"r2"}"#, "Answered keep r2"),
            (
                200,
                JSON,
                r#"{"access_token":"a","token_type":"mac","refresh_token":"r2"}"#,
                "Answered keep r2",
            ),
            (200, JSON, r#"{"access_token":"a","token_type":"DPoP"}"#, "Answered"),
            (200, JSON, r#"{"access_token":"a\r\nX: y","refresh_token":"r2"}"#, "Answered keep r2"),
            (200, JSON, r#"{"access_token":"a\u0000","refresh_token":"r2"}"#, "Answered keep r2"),
            (200, JSON, r#"{"access_token":"ü","refresh_token":"r2"}"#, "Answered keep r2"),
            (200, JSON, r#"{"access_token":"","refresh_token":"r2"}"#, "Answered keep r2"),
            (200, JSON, r#"{"refresh_token":"r2"}"#, "Answered keep r2"),
            (200, JSON, r#"{"access_token":7,"refresh_token":"r2"}"#, "Answered keep r2"),
            (200, JSON, r#"{"refresh_token":"r2","access_token":"a"#, "Answered keep r2"),
            (200, JSON, r#"{"refresh_token" : "r\u0032", "x": <"#, "Answered keep r2"),
            (200, Some("text/plain"), r#"{"access_token":"a","refresh_token":"r2"}"#, "Answered keep r2"),
            (201, JSON, r#"{"access_token":"a","refresh_token":"r2"}"#, "Answered keep r2"),
        ] {
            assert_eq!(verdict(status, kind, body), expected, "{body}");
        }
    }

    #[test]
    fn an_answer_that_means_nothing_may_have_spent_the_token() {
        let deep = "[".repeat(200_000);
        for (kind, body) in [
            (JSON, ""),
            (JSON, "{}"),
            (JSON, "[]"),
            (JSON, "null"),
            (JSON, "not json"),
            (JSON, r#"{"access_token":"#),
            (JSON, r#"{"access_token":"a","refresh_token":"half"#),
            (JSON, r#"["refresh_token","r2"]"#),
            (JSON, r#"{"refresh_token":["r2"]}"#),
            (JSON, deep.as_str()),
            (JSON, r#"{"error":"invalid_grant"}"#),
            (HTML, "<html>Please sign in to the hotel's network</html>"),
            (HTML, r#"<script>x = {"refresh_token":"r2"}</script>"#),
            (None, ""),
        ] {
            assert_eq!(verdict(200, kind, body), "Maybe", "{body:.80}");
        }
        let latin = judged(Asked::ByRefreshToken, Reply::made(200, JSON, b"{\"refresh_token\":\"r\xff\"}"));
        assert_eq!(in_one_line(latin), "Maybe", "a damaged token is none");
    }

    #[test]
    fn only_the_issuers_own_words_end_a_session() {
        for (status, body, expected) in [
            (400, r#"{"error":"invalid_grant"}"#, "rejected invalid_grant"),
            (401, r#"{"error":"invalid_grant","error_description":"gone"}"#, "rejected invalid_grant"),
            (400, r#"{"error":"interaction_required"}"#, "rejected interaction_required"),
            (400, r#"{"error":"login_required"}"#, "rejected login_required"),
            (403, r#"{"error":"consent_required"}"#, "rejected consent_required"),
            (
                400,
                r#"{"error":"invalid_request","error_description":"Refresh token is invalid"}"#,
                "rejected invalid_request",
            ),
            (400, r#"{"error":"invalid_request","error_description":"bad"}"#, "refused invalid_request"),
            (400, r#"{"error":"invalid request"}"#, "refused invalid request"),
            (401, r#"{"error":"invalid_client"}"#, "refused invalid_client"),
            (400, r#"{"error":"unauthorized_client"}"#, "refused unauthorized_client"),
            (400, r#"{"error":"invalid_scope","error_description":null}"#, "refused invalid_scope"),
            (
                400,
                r#"{"error":"unsupported_grant_type","error_description":7}"#,
                "refused unsupported_grant_type",
            ),
            (400, r#"{"error":"temporarily_unavailable"}"#, "Answered"),
            (400, r#"{"error":"server_error"}"#, "Answered"),
        ] {
            assert_eq!(verdict(status, JSON, body), expected, "{body}");
        }
    }

    #[test]
    fn nobody_else_can_end_a_session() {
        for (status, kind, body) in [
            (500, JSON, r#"{"error":"invalid_grant"}"#),
            (503, JSON, r#"{"error":"invalid_grant"}"#),
            (429, JSON, r#"{"error":"invalid_grant"}"#),
            (404, JSON, r#"{"error":"invalid_grant"}"#),
            (302, JSON, r#"{"error":"invalid_grant"}"#),
            (400, HTML, r#"{"error":"invalid_grant"}"#),
            (400, None, r#"{"error":"invalid_grant"}"#),
            (400, JSON, r#"{"error":["invalid_grant"]}"#),
            (400, JSON, r#"["invalid_grant"]"#),
            (400, JSON, r#"{"error":""}"#),
            (400, JSON, r#"{"error":"a\"b"}"#),
            (400, JSON, r#"{"error":"invalid_grant\n"}"#),
            (400, JSON, r#"{"errorCode":"invalid_grant"}"#),
            (400, JSON, r#"{"error":"invalid_gr"#),
            (403, HTML, "<html>blocked by your administrator</html>"),
            (307, None, ""),
            (502, HTML, r#"<html>"refresh_token":"r2"</html>"#),
            (500, JSON, r#"{"access_token":"a","refresh_token":"r2"}"#),
        ] {
            assert_eq!(verdict(status, kind, body), "Answered", "{status} {body}");
        }
    }

    #[test]
    fn databricks_words_for_a_spent_refresh_token_do_not_count_for_a_code() {
        let said = br#"{"error":"invalid_request","error_description":"Refresh token is invalid"}"#;
        let outcome = judged(Asked::ByCode, Reply::made(400, JSON, said));
        assert!(matches!(outcome, Outcome::Refused(_)));
    }

    #[test]
    fn github_is_known_by_its_own_words() {
        for (status, body, expected) in [
            (200, r#"{"error":"bad_refresh_token","error_description":"x"}"#, "rejected bad_refresh_token"),
            (200, r#"{"error":"bad_verification_code"}"#, "rejected bad_verification_code"),
            (200, r#"{"error":"unverified_user_email"}"#, "rejected unverified_user_email"),
            (200, r#"{"error":"incorrect_client_credentials"}"#, "refused incorrect_client_credentials"),
            (200, r#"{"error":"redirect_uri_mismatch"}"#, "refused redirect_uri_mismatch"),
            (400, r#"{"error":"bad_refresh_token"}"#, "rejected bad_refresh_token"),
            (200, r#"{"error":"invalid_client"}"#, "Maybe"),
            (
                200,
                r#"{"error":"bad_refresh_token","refresh_token":"r2","access_token":"a"}"#,
                "granted keep r2",
            ),
            (500, r#"{"error":"bad_refresh_token"}"#, "Answered"),
        ] {
            assert_eq!(verdict(status, JSON, body), expected, "{body}");
        }
        assert_eq!(verdict(200, HTML, r#"{"error":"bad_refresh_token"}"#), "Maybe");
    }

    #[test]
    fn no_person_can_help_a_machine() {
        for error in ["invalid_grant", "interaction_required", "invalid_client", "bad_verification_code"] {
            let said = format!(r#"{{"error":"{error}"}}"#);
            let outcome = judged(Asked::AsMachine, Reply::made(400, JSON, said.as_bytes()));
            assert!(matches!(outcome, Outcome::Refused(_)), "{error}");
        }
    }

    #[test]
    fn an_answer_that_breaks_off_is_no_verdict() {
        let cut = |status, body: &[u8]| {
            let reply = Reply { cut: Some("too slow".into()), ..Reply::made(status, JSON, body) };
            in_one_line(judged(Asked::ByRefreshToken, reply))
        };
        assert_eq!(cut(400, br#"{"error":"invalid_grant"}"#), "Answered");
        assert_eq!(cut(200, br#"{"access_token":"a","refresh_token":"r2"}"#), "Answered keep r2");
        assert_eq!(cut(200, br#"{"access_token":"a","refresh_token":"r2"#), "Maybe");
    }

    #[test]
    fn a_wait_is_passed_on_and_the_reason_is_short() {
        let reply = Reply { retry_after: Some(Duration::from_secs(30)), ..Reply::made(429, HTML, b"canary") };
        let Outcome::Unreachable(found) = judged(Asked::ByRefreshToken, reply) else { panic!() };
        assert_eq!(found.retry_after, Some(Duration::from_secs(30)));
        assert_eq!(found.why, "the token endpoint answered with a web page (429)");
    }

    #[test]
    fn what_an_issuer_says_is_made_safe_to_show() {
        let long =
            format!(r#"{{"error":"invalid_grant","error_description":"\u001b[2J{}"}}"#, "x".repeat(1000));
        let Outcome::Rejected(error) = judged(Asked::ByCode, Reply::made(400, JSON, long.as_bytes())) else {
            panic!()
        };
        let description = error.description.unwrap();
        assert!(description.starts_with(" [2Jxxx") && description.len() == 300, "{description}");
    }

    #[test]
    fn nothing_secret_shows_in_an_outcome() {
        for body in [
            r#"{"access_token":"canary","refresh_token":"canary","id_token":"canary"}"#,
            r#"{"access_token":"canary","expires_in":0,"refresh_token":"canary"}"#,
            r#"{"refresh_token":"canary","access_token":"canary"#,
        ] {
            let shown = format!("{:?}", judged(Asked::ByCode, Reply::made(200, JSON, body.as_bytes())));
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}

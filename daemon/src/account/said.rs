//! What the account API says when it does not do what was asked: its errors come in several shapes.

use serde_json::Value;
use sso_agent_core::callback::clean;
use zeroize::Zeroizing;

use crate::issuer::Reply;

/// Nobody repeats less by accident.
const SHORTEST_SECRET: usize = 4;

/// The words of an error, made safe to show, without any of `secrets`, which a careless server may repeat.
pub(super) fn words(reply: &Reply, secrets: &[Zeroizing<String>]) -> String {
    let text = String::from_utf8_lossy(&reply.body);
    let told = match serde_json::from_str::<Value>(&text) {
        Ok(error) => in_json(&error),
        Err(_) => in_text(&text),
    };
    let Some(mut told) = told else { return reply.summary() };
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
        told = told.replace(secret.as_str(), "***");
    }
    clean(told.trim())
}

/// `{"error_code", "message"}`, `{"error"}` of API 1.2 and of OAuth, `{"detail", "scimType"}` of SCIM.
fn in_json(error: &Value) -> Option<String> {
    let text = |key: &str| error[key].as_str().map(str::trim).filter(|text| !text.is_empty());
    let code = text("error_code").or_else(|| text("error")).or_else(|| text("scimType"));
    let message = text("message").or_else(|| text("error_description")).or_else(|| text("detail"));
    match (code, message) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
        (None, None) => None,
    }
}

/// `CODE: text`; a web page says nothing to a person at a prompt.
fn in_text(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    (!line.starts_with('<')).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: &str, body: &str) -> String {
        words(&Reply::made(400, Some(kind), body.as_bytes()), &["hunter2!".to_owned().into()])
    }

    #[test]
    fn every_shape_of_an_error_becomes_words() {
        for (kind, body, expected) in [
            (
                "application/json",
                r#"{"error_code":"NOT_FOUND","message":"no such app","details":[]}"#,
                "NOT_FOUND: no such app",
            ),
            ("application/json", r#"{"error":"Bad thing"}"#, "Bad thing"),
            (
                "application/json",
                r#"{"error":"invalid_client","error_description":"who?"}"#,
                "invalid_client: who?",
            ),
            (
                "application/scim+json",
                r#"{"detail":"bad","status":"400","scimType":"invalidValue"}"#,
                "invalidValue: bad",
            ),
            ("application/json", r#"{"message":"m"}"#, "m"),
            (
                "text/plain",
                "\nMALFORMED_REQUEST: vpc_endpoints malformed\nmore",
                "MALFORMED_REQUEST: vpc_endpoints malformed",
            ),
            ("text/html", "<!doctype html><title>x</title>", "a web page (400)"),
            ("text/plain", "", "400 Bad Request"),
            ("application/json", "{}", "400 Bad Request"),
            ("application/json", r#"{"message":"a\u001b[2Jb\nc"}"#, "a [2Jb c"),
            (
                "application/json",
                r#"{"message":"Basic of admin:hunter2! is wrong"}"#,
                "Basic of admin:*** is wrong",
            ),
        ] {
            assert_eq!(said(kind, body), expected);
        }
    }
}

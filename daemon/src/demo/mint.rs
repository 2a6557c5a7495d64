//! Makes what the issuer hands out: codes, tokens and names that nobody can guess.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What a token says about itself.
pub(super) struct Claims<'a> {
    pub(super) issuer: &'a str,
    pub(super) user: &'a str,
    pub(super) client_id: &'a str,
    pub(super) scope: &'a str,
    pub(super) issued: Duration,
    pub(super) expires: Duration,
}

pub(super) fn code() -> String {
    format!("demo-code-{}", random(32))
}

pub(super) fn refresh_token() -> String {
    format!("demo-rt-{}", random(32))
}

/// The name of one visit to the sign-in page.
pub(super) fn ticket() -> String {
    random(18)
}

/// Shaped and sized like the JWT of a workspace, about 1.1 kB.
pub(super) fn access_token(claims: &Claims<'_>) -> String {
    signed(
        "at+jwt",
        &json!({
            "iss": claims.issuer,
            "sub": claims.user,
            "client_id": claims.client_id,
            "scope": claims.scope,
            "idp": "demo",
            "iat": claims.issued.as_secs(),
            "exp": claims.expires.as_secs(),
            "jti": random(16),
            // Stands for what a workspace puts in besides.
            "ctx": random(210),
        }),
    )
}

pub(super) fn id_token(claims: &Claims<'_>) -> String {
    signed(
        "JWT",
        &json!({
            "iss": claims.issuer,
            "aud": claims.client_id,
            "sub": claims.user,
            "email": claims.user,
            "email_verified": true,
            "iat": claims.issued.as_secs(),
            "exp": claims.expires.as_secs(),
        }),
    )
}

/// As long as an RS256 signature makes it, and signed by nobody.
fn signed(kind: &str, payload: &Value) -> String {
    let header = json!({"alg": "RS256", "typ": kind, "kid": "demo"});
    let [header, payload] = [&header, payload].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{header}.{payload}.{}", random(256))
}

fn random(bytes: usize) -> String {
    let mut drawn = vec![0; bytes];
    getrandom::fill(&mut drawn).expect("the system has random numbers for everybody");
    URL_SAFE_NO_PAD.encode(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_token_is_as_long_as_a_real_one() {
        let claims = Claims {
            issuer: "http://127.0.0.1:40000/oidc",
            user: "ada@example.com",
            client_id: "databricks-cli",
            scope: "all-apis offline_access",
            issued: Duration::from_secs(1_800_000_000),
            expires: Duration::from_secs(1_800_003_600),
        };
        let token = access_token(&claims);
        assert!((1000..1300).contains(&token.len()), "{}", token.len());
        assert_eq!(token.split('.').count(), 3);
        assert_ne!(token, access_token(&claims));
    }
}

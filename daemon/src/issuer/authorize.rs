//! The address that a browser is sent to, and the secrets that make its way back safe.

use std::{borrow::Cow, collections::BTreeMap};

use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope, basic::BasicClient};
use secrecy::SecretString;
use sso_agent_core::discovery::Metadata;

use crate::shielded::Shielded;

/// What nobody may set but us.
const OWN: [&str; 7] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

/// One way to the issuer and back.
pub(crate) struct Authorization {
    /// For the browser. It holds the state, so it is not for the log.
    pub(crate) url: String,
    /// What the redirect must know.
    pub(crate) state: SecretString,
    /// What the exchange must know (RFC 7636).
    pub(crate) verifier: Shielded,
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorization").finish_non_exhaustive()
    }
}

/// Makes an authorization request with PKCE S256 (RFC 6749, 4.1.1); `None` if an address is none.
///
/// `redirect_uri` is sent as it stands, since servers compare it letter by letter. `extra` is what a
/// provider wants to hear besides; it never takes the place of what makes the sign-in safe.
pub(crate) fn authorize(
    metadata: &Metadata,
    client_id: &str,
    redirect_uri: &str,
    scopes: &[String],
    extra: &BTreeMap<String, String>,
) -> Option<Authorization> {
    let endpoint = AuthUrl::new(metadata.authorization_endpoint.clone()).ok()?;
    let redirect = RedirectUrl::new(redirect_uri.to_owned()).ok()?;
    let client = BasicClient::new(ClientId::new(client_id.to_owned())).set_auth_uri(endpoint);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256_len(64);
    let mut request = client
        .authorize_url(|| CsrfToken::new_random_len(32))
        .set_redirect_uri(Cow::Owned(redirect))
        .add_scopes(scopes.iter().cloned().map(Scope::new))
        .set_pkce_challenge(challenge);
    for (key, value) in extra.iter().filter(|(key, _)| !OWN.contains(&key.as_str())) {
        request = request.add_extra_param(key, value);
    }
    let (url, state) = request.url();
    Some(Authorization {
        url: url.into(),
        state: state.into_secret().into(),
        verifier: SecretString::from(verifier.into_secret()).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::testing::metadata;
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use secrecy::ExposeSecret as _;
    use sha2::{Digest as _, Sha256};
    use url::Url;

    fn made(endpoint: &str) -> Authorization {
        with(endpoint, &[])
    }

    fn with(endpoint: &str, extra: &[(&str, &str)]) -> Authorization {
        let server = Metadata { authorization_endpoint: endpoint.into(), ..metadata("https://i.example") };
        let extra = extra.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let scopes = ["all-apis".into(), "offline_access".into()];
        authorize(&server, "client", "http://localhost:8020", &scopes, &extra).unwrap()
    }

    fn query(authorization: &Authorization) -> BTreeMap<String, String> {
        Url::parse(&authorization.url).unwrap().query_pairs().into_owned().collect()
    }

    #[test]
    fn the_address_has_what_an_issuer_needs_and_nothing_else() {
        let authorization = made("https://i.example/authorize");
        let query = query(&authorization);
        let verifier = authorization.verifier.reveal();
        let verifier = verifier.expose_secret();
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let expected = [
            ("client_id", "client"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("redirect_uri", "http://localhost:8020"),
            ("response_type", "code"),
            ("scope", "all-apis offline_access"),
            ("state", authorization.state.expose_secret()),
        ];
        assert!(query.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(expected), "{query:?}");
        assert!((43..=128).contains(&verifier.len()));
        assert!(!authorization.url.contains(verifier));
    }

    #[test]
    fn the_query_of_an_endpoint_is_kept() {
        let query = query(&made("https://i.example/authorize?tenant=a%20b"));
        assert_eq!(query["tenant"], "a b");
        assert_eq!(query["client_id"], "client");
    }

    #[test]
    fn what_a_provider_wants_besides_does_not_replace_what_makes_it_safe() {
        let query = query(&with("https://i.example/a", &[("prompt", "consent"), ("state", "known")]));
        assert_eq!(query["prompt"], "consent");
        assert_ne!(query["state"], "known");
    }

    #[test]
    fn no_two_sign_ins_share_a_secret() {
        let (a, b) = (made("https://i.example/a"), made("https://i.example/a"));
        assert_ne!(a.state.expose_secret(), b.state.expose_secret());
        assert_ne!(a.verifier.reveal().expose_secret(), b.verifier.reveal().expose_secret());
        assert_eq!(format!("{a:?}"), "Authorization { .. }");
    }
}

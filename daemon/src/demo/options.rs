//! How the issuer behaves when nothing is wrong.

use std::time::Duration;

use secrecy::SecretString;

/// How the issuer behaves when nothing is wrong.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of an access token.
    pub lifetime: Duration,
    /// Whether a refresh token is good for one use: using it again revokes all that came from the
    /// same sign-in (RFC 9700, 4.14.2).
    pub rotate: bool,
    /// How long a spent refresh token may be used again, for a client that lost the answer.
    pub grace: Duration,
    /// How long the token endpoint takes before it decides. A client that hangs up meanwhile has
    /// spent nothing.
    pub latency: Duration,
    /// What happens when the browser arrives.
    pub consent: Consent,
    /// The e-mail address of whoever signs in.
    pub user: String,
    /// Whether redirects name the issuer (RFC 9207), and the documents say so.
    pub iss_parameter: bool,
    /// What kind of issuer this is.
    pub shape: Shape,
    /// The only client that is known; any, when there is none.
    pub client_id: Option<String>,
    /// What the client must prove to know, in the body or by Basic (RFC 6749, 2.3.1).
    pub client_secret: Option<SecretString>,
    /// The port on 127.0.0.1; 0 for a free one.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(3600),
            rotate: true,
            grace: Duration::ZERO,
            latency: Duration::ZERO,
            consent: Consent::Page,
            user: "ada@example.com".into(),
            iss_parameter: true,
            shape: Shape::Databricks,
            client_id: None,
            client_secret: None,
            port: 0,
        }
    }
}

/// What happens when the browser arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// A page with a button to sign in and one to cancel.
    Page,
    /// Back at once with a code: for a script that follows redirects.
    Auto,
    /// Back at once with `access_denied`.
    Deny,
}

/// Where an issuer keeps its documents and endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A Databricks workspace: `/.well-known/databricks-config` leads to the issuer at `/oidc`.
    Databricks,
    /// OpenID Connect discovery: `/.well-known/openid-configuration`.
    Oidc,
    /// OAuth without OpenID (RFC 8414): `/.well-known/oauth-authorization-server`.
    OAuth,
}

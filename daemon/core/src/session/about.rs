//! Who a session is.

use crate::{
    host::Host,
    words::{Label, SessionId},
};

/// What does not change from one token to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub id: SessionId,
    /// What its tokens are for.
    pub host: Host,
    /// Tells several accounts at one host apart.
    pub label: Label,
    /// The OAuth client that signed in.
    pub client_id: String,
    /// The authorization server.
    pub issuer: String,
    /// Who signed in, as far as the issuer says.
    pub user: Option<String>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// Tells the settings that a program signed in from; `None` where a person did.
    pub made_from: Option<String>,
}

/// Where to sign in, as a person would type it: the host's URL, and `#label` behind it.
pub fn place(host: &Host, label: &Label) -> String {
    match label.as_str() {
        "" => host.url().to_owned(),
        label => format!("{}#{label}", host.url()),
    }
}

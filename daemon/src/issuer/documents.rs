//! The documents of discovery, as JSON.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use sso_agent_core::{
    callback::clean,
    discovery::{Document, Facts, HostConfig, HostType},
    host::Cloud,
};

use super::reply::Reply;

/// What a host says of itself, if this is it.
pub(super) fn host_config(reply: &Reply) -> Option<HostConfig> {
    object::<HostConfigText>(reply).map(HostConfig::from)
}

/// What an authorization server says of itself, if this is it.
pub(super) fn document(reply: &Reply) -> Option<Document> {
    object::<DocumentText>(reply).filter(DocumentText::says_anything).map(Document::from)
}

/// The JSON object in an answer, if it is one. Its content type may be anything: some file servers say octet-stream.
fn object<T: DeserializeOwned>(reply: &Reply) -> Option<T> {
    let whole = reply.status == ::http::StatusCode::OK && reply.cut.is_none();
    let object = reply.text().trim_ascii_start().starts_with(b"{");
    if whole && object { serde_json::from_slice(reply.text()).ok() } else { None }
}

/// One odd field must not hide the address of the sign-in, so each is read by itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct HostConfigText {
    oidc_endpoint: Value,
    account_id: Value,
    workspace_id: Value,
    cloud: Value,
    host_type: Value,
    token_federation_default_oidc_audiences: Value,
}

impl From<HostConfigText> for HostConfig {
    fn from(said: HostConfigText) -> Self {
        let audiences = match said.token_federation_default_oidc_audiences {
            Value::Array(all) => all.iter().filter_map(text).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => vec![],
        };
        let facts = Facts {
            host_type: text(&said.host_type).and_then(|name| HostType::named(&name)),
            account_id: text(&said.account_id),
            workspace_id: text(&said.workspace_id),
            cloud: text(&said.cloud).and_then(|name| Cloud::named(&name)),
            audiences,
        };
        Self { oidc_endpoint: said.oidc_endpoint.as_str().map(str::to_owned), facts }
    }
}

/// An id is a text to some and a number to others.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(clean(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[derive(Deserialize)]
struct DocumentText {
    issuer: Option<String>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    authorization_response_iss_parameter_supported: Option<bool>,
    scopes_supported: Option<Vec<String>>,
    grant_types_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl DocumentText {
    /// Some servers answer everything with a JSON object, even what they do not have.
    fn says_anything(&self) -> bool {
        self.issuer.is_some() || self.authorization_endpoint.is_some() || self.token_endpoint.is_some()
    }
}

impl From<DocumentText> for Document {
    fn from(text: DocumentText) -> Self {
        Self {
            issuer: text.issuer,
            authorization_endpoint: text.authorization_endpoint,
            token_endpoint: text.token_endpoint,
            revocation_endpoint: text.revocation_endpoint,
            userinfo_endpoint: text.userinfo_endpoint,
            authorization_response_iss_parameter_supported: text
                .authorization_response_iss_parameter_supported,
            scopes_supported: text.scopes_supported,
            grant_types_supported: text.grant_types_supported,
            code_challenge_methods_supported: text.code_challenge_methods_supported,
            token_endpoint_auth_methods_supported: text.token_endpoint_auth_methods_supported,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(body: &str) -> HostConfig {
        host_config(&Reply::made(200, Some("application/json"), body.as_bytes())).unwrap()
    }

    #[test]
    fn a_host_says_what_it_is() {
        let said = config(
            r#"{"oidc_endpoint":"https://a.example/oidc","account_id":"acc-1","workspace_id":7474,"cloud":"azure",
                "host_type":"WORKSPACE","token_federation_default_oidc_audiences":["https://a.example/oidc/v1/token"],"new":{}}"#,
        );
        assert_eq!(said.oidc_endpoint.as_deref(), Some("https://a.example/oidc"));
        assert_eq!(
            said.facts,
            Facts {
                host_type: Some(HostType::Workspace),
                account_id: Some("acc-1".into()),
                workspace_id: Some("7474".into()),
                cloud: Some(Cloud::Azure),
                audiences: vec!["https://a.example/oidc/v1/token".into()],
            }
        );
    }

    #[test]
    fn one_odd_field_does_not_hide_the_others() {
        let said = config(
            r#"{"oidc_endpoint":"https://a.example/oidc","account_id":null,"workspace_id":"","cloud":"MARS","host_type":7,
                "token_federation_default_oidc_audiences":"x"}"#,
        );
        assert!(said.oidc_endpoint.is_some());
        assert_eq!(said.facts, Facts::default());
    }

    #[test]
    fn what_is_no_object_or_not_whole_is_no_document() {
        for body in ["[]", "<html>", "", "null", r#"{"issuer":"#] {
            let reply = Reply::made(200, Some("application/json"), body.as_bytes());
            assert!(host_config(&reply).is_none() && document(&reply).is_none(), "{body}");
        }
        let said = br#"{"issuer":"https://a.example"}"#;
        assert!(document(&Reply::made(200, None, said)).is_some());
        assert!(document(&Reply::made(404, None, said)).is_none());
        let cut = Reply { cut: Some("x".into()), ..Reply::made(200, None, said) };
        assert!(document(&cut).is_none());
    }
}

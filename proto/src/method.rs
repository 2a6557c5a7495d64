//! What can be asked: one variant per method, with its params.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    events::Subscribe,
    metadata::MetadataGet,
    rpc::{Code, RpcError},
    session::{Import, Login, Target},
    token::TokenGet,
};

/// Defines [`Call`] from one table, so that a method cannot be known in one place only.
macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident $(($params:ty))? = $name:literal,)*) => {
        /// One request, read and understood.
        #[derive(Debug, Clone)]
        pub enum Call {
            $($(#[$doc])* $variant $(($params))?,)*
        }

        /// The name of every method, in the order of this file.
        pub const NAMES: &[&str] = &[$($name),*];

        impl Call {
            /// Its name on the wire.
            pub fn name(&self) -> &'static str {
                match self {
                    $(methods!(@pattern $variant $(($params))?) => $name,)*
                }
            }

            /// Reads the call out of a request.
            ///
            /// # Errors
            /// `-32601` for a method that is not there, `-32602` for params that it does not take.
            pub fn read(method: &str, params: Option<&RawValue>) -> Result<Self, RpcError> {
                match method {
                    $($name => methods!(@read params $variant $(($params))?),)*
                    _ => Err(RpcError::new(Code::MethodNotFound, format!("there is no method {:.80?}", method))),
                }
            }
        }
    };
    (@pattern $variant:ident ($params:ty)) => { Call::$variant(_) };
    (@pattern $variant:ident) => { Call::$variant };
    (@read $raw:ident $variant:ident ($params:ty)) => { Ok(Call::$variant(read_params::<$params>($raw)?)) };
    (@read $raw:ident $variant:ident) => { read_params::<crate::agent::Done>($raw).map(|_| Call::$variant) };
}

methods! {
    /// Who is answering: [`crate::agent::Info`].
    AgentInfo = "agent.info",
    /// Read the config files again.
    AgentReload = "agent.reload",
    /// Stop when what is under way is done.
    AgentShutdown = "agent.shutdown",
    /// An access token: [`crate::token::Token`].
    TokenGet(TokenGet) = "token.get",
    /// Sign in: [`crate::session::Session`], progress before it.
    SessionLogin(Login) = "session.login",
    /// Take over a sign-in of another tool: [`crate::session::Session`].
    SessionImport(Import) = "session.import",
    /// All sessions: [`crate::session::Sessions`].
    SessionList(Target) = "session.list",
    /// One session: [`crate::session::Session`].
    SessionShow(Target) = "session.show",
    /// Revoke and forget: [`crate::session::LoggedOut`].
    SessionLogout(Target) = "session.logout",
    /// All profiles: [`crate::profile::Profiles`].
    ProfileList = "profile.list",
    /// Where SDKs find the metadata service: [`crate::metadata::MetadataUrl`].
    MetadataUrl(MetadataGet) = "metadata.url",
    /// Be told what happens: [`crate::events::Event`] from now on.
    EventsSubscribe(Subscribe) = "events.subscribe",
}

/// Absent params are empty ones; params by position are refused, since ours all have names.
fn read_params<T: DeserializeOwned>(params: Option<&RawValue>) -> Result<T, RpcError> {
    let text = params.map_or("{}", RawValue::get);
    if !text.starts_with('{') {
        return Err(RpcError::new(Code::InvalidParams, "params must be an object"));
    }
    serde_json::from_str(text).map_err(|error| RpcError::new(Code::InvalidParams, explain(&error)))
}

/// Says which field is wrong without its value, which may be a secret.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once('`') {
        Some((what, rest)) if what == "unknown field " || what == "missing field " => {
            let field: String = rest.split('`').next().unwrap_or_default().chars().take(64).collect();
            format!("{what}{field:?}")
        }
        _ => format!("a parameter has the wrong type (column {})", error.column()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, params: &str) -> Result<Call, RpcError> {
        Call::read(method, Some(&RawValue::from_string(params.into()).unwrap()))
    }

    #[test]
    fn every_method_is_read_back_by_its_name() {
        for name in NAMES.iter().filter(|name| **name != "session.import") {
            assert_eq!(Call::read(name, None).unwrap().name(), *name);
        }
        let import = read("session.import", r#"{"host":"h","refresh_token":"r"}"#).unwrap();
        assert_eq!(import.name(), "session.import");
    }

    #[test]
    fn what_a_method_does_not_take_is_named() {
        assert_eq!(
            read("token.get", r#"{"min_valid":5}"#).unwrap_err().message,
            "unknown field \"min_valid\""
        );
        assert_eq!(read("token.get", "[1]").unwrap_err().code, -32602);
        assert_eq!(read("nope", "{}").unwrap_err().code, -32601);
        assert_eq!(read("agent.info", r#"{"x":1}"#).unwrap_err().code, -32602);
    }

    #[test]
    fn a_wrong_value_is_not_quoted() {
        let error = read("session.login", r#"{"client_secret":{"CANARY":1}}"#).unwrap_err();
        assert_eq!(error.code, -32602);
        assert!(!error.message.contains("CANARY"), "{}", error.message);
        let error = read("session.login", r#"{"flow":"CANARY"}"#).unwrap_err();
        assert!(!error.message.contains("CANARY"), "{}", error.message);
    }
}

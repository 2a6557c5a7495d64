//! What can be asked: one variant per method, with its params.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    agent::Rekey,
    app::AppCall,
    consent::{ConsentEnd, ConsentFinish, ConsentStart},
    events::Subscribe,
    metadata::MetadataGet,
    rpc::{Code, RpcError},
    session::{Import, List, Login, Target},
    token::TokenGet,
};

/// Defines the calls of one table, so that a method cannot be known in one place only. What the table does
/// not have may be in another, which is a variant of its own.
macro_rules! methods {
    (
        $(#[$doc:meta])* $calls:ident $(+ $(#[$family_doc:meta])* $family:ident($inner:ty))?;
        $($(#[$call_doc:meta])* $variant:ident $(($params:ty))? = $name:literal,)*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub enum $calls {
            $($(#[$call_doc])* $variant $(($params))?,)*
            $($(#[$family_doc])* $family($inner),)?
        }

        impl $calls {
            /// The name of every method of this table, in its order.
            pub const NAMES: &[&str] = &[$($name),*];

            /// Its name on the wire.
            pub fn name(&self) -> &'static str {
                match self {
                    $($crate::method::methods!(@pattern $calls $variant $(($params))?) => $name,)*
                    $($calls::$family(call) => call.name(),)?
                }
            }

            /// The request, newline included; it may hold a secret.
            pub fn line(&self, id: &$crate::rpc::Id) -> Vec<u8> {
                match self {
                    $($crate::method::methods!(@bind $calls params $variant $(($params))?) => {
                        $crate::method::methods!(@line id $name params $(($params))?)
                    })*
                    $($calls::$family(call) => call.line(id),)?
                }
            }

            /// Reads the call out of a request.
            ///
            /// # Errors
            /// `-32601` for a method that is not there, `-32602` for params that it does not take.
            pub fn read(
                method: &str,
                params: Option<&serde_json::value::RawValue>,
            ) -> Result<Self, $crate::rpc::RpcError> {
                match method {
                    $($name => $crate::method::methods!(@read $calls params $variant $(($params))?),)*
                    _ => $crate::method::methods!(@other method params $($calls $family $inner)?),
                }
            }
        }
    };
    (@pattern $calls:ident $variant:ident ($params:ty)) => { $calls::$variant(_) };
    (@pattern $calls:ident $variant:ident) => { $calls::$variant };
    (@bind $calls:ident $bound:ident $variant:ident ($params:ty)) => { $calls::$variant($bound) };
    (@bind $calls:ident $bound:ident $variant:ident) => { $calls::$variant };
    (@line $id:ident $name:literal $bound:ident ($params:ty)) => {
        $crate::rpc::request_line($id, $name, $bound)
    };
    (@line $id:ident $name:literal $bound:ident) => {
        $crate::rpc::request_line($id, $name, &$crate::agent::Done {})
    };
    (@read $calls:ident $raw:ident $variant:ident ($params:ty)) => {
        Ok($calls::$variant($crate::method::read_params::<$params>($raw)?))
    };
    (@read $calls:ident $raw:ident $variant:ident) => {
        $crate::method::read_params::<$crate::agent::Done>($raw).map(|_| $calls::$variant)
    };
    (@other $method:ident $raw:ident $calls:ident $family:ident $inner:ty) => {
        <$inner>::read($method, $raw).map($calls::$family)
    };
    (@other $method:ident $raw:ident) => {{
        let message = format!("there is no method {:.80?}", $method);
        Err($crate::rpc::RpcError::new($crate::rpc::Code::MethodNotFound, message))
    }};
}
pub(crate) use methods;

methods! {
    /// One request, read and understood.
    Call +
    /// The apps of a Databricks account.
    App(AppCall);
    /// Who is answering: [`crate::agent::Info`].
    AgentInfo = "agent.info",
    /// Read the config files again.
    AgentReload = "agent.reload",
    /// Stop when what is under way is done.
    AgentShutdown = "agent.shutdown",
    /// Move what is stored to another key: [`crate::agent::Rekeyed`].
    AgentRekey(Rekey) = "agent.rekey",
    /// An access token: [`crate::token::Token`].
    TokenGet(TokenGet) = "token.get",
    /// Sign in: [`crate::session::Session`], progress before it.
    SessionLogin(Login) = "session.login",
    /// Take over a sign-in of another tool: [`crate::session::Session`].
    SessionImport(Import) = "session.import",
    /// All sessions: [`crate::session::Sessions`].
    SessionList(List) = "session.list",
    /// One session: [`crate::session::Session`].
    SessionShow(Target) = "session.show",
    /// Revoke and forget: [`crate::session::LoggedOut`].
    SessionLogout(Target) = "session.logout",
    /// Begin the sign-in of a web app's user: [`crate::consent::ConsentStarted`].
    ConsentStart(ConsentStart) = "consent.start",
    /// End it: [`crate::consent::ConsentFinished`].
    ConsentFinish(ConsentFinish) = "consent.finish",
    /// Revoke and forget what it brought: [`crate::session::LoggedOut`].
    ConsentEnd(ConsentEnd) = "consent.end",
    /// All profiles: [`crate::profile::Profiles`].
    ProfileList = "profile.list",
    /// Where SDKs find the metadata service: [`crate::metadata::MetadataUrl`].
    MetadataUrl(MetadataGet) = "metadata.url",
    /// Be told what happens: [`crate::events::Event`] from now on.
    EventsSubscribe(Subscribe) = "events.subscribe",
}

/// The names of all methods there are.
pub fn names() -> impl Iterator<Item = &'static str> {
    Call::NAMES.iter().chain(AppCall::NAMES).copied()
}

/// Absent params are empty ones; params by position are refused, since ours all have names.
pub(crate) fn read_params<T: DeserializeOwned>(params: Option<&RawValue>) -> Result<T, RpcError> {
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
        for name in names() {
            match Call::read(name, None) {
                Ok(call) => assert_eq!(call.name(), name),
                Err(error) => assert!(error.message.starts_with("missing field"), "{name}: {error:?}"),
            }
        }
        let import = read("session.import", r#"{"host":"h","refresh_token":"r"}"#).unwrap();
        assert_eq!(import.name(), "session.import");
        let delete = read("app.delete", r#"{"integration_id":"i"}"#).unwrap();
        assert_eq!(delete.name(), "app.delete");
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
        for name in names() {
            let error = read(name, r#"{"no_such_name":1}"#).unwrap_err();
            assert!(error.code == -32602 && error.message.contains("no_such_name"), "{name}: {error:?}");
        }
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

//! Custom OAuth apps of a Databricks account: its REST API, and the clients that the agent keeps.

use sso_agent_proto::{
    app::AppCall,
    fault::{Fault, Kind},
    rpc::{Id, RpcError},
};

use crate::rpc::service::{Line, Service};

/// The clients of apps that the agent keeps.
#[derive(Default)]
pub(crate) struct Apps {}

/// One of them.
pub(crate) struct KeptClient {
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<secrecy::SecretString>,
    pub(crate) redirect_urls: Vec<String>,
    pub(crate) scopes: Vec<String>,
}

impl Apps {
    pub(crate) fn find(&self, name: &str) -> Result<KeptClient, Fault> {
        Err(Fault::new(Kind::UnknownHost, format!("no app {name:.80?} is kept"), "`sso app kept`"))
    }
}

impl Service {
    /// Answers everything about the apps of an account.
    pub(crate) async fn app(&self, _id: &Id, call: AppCall) -> Result<Line, RpcError> {
        Err(Fault::new(Kind::Unsupported, format!("{} is not there yet", call.name()), "").into())
    }
}

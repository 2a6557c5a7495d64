//! Calls to a workspace as a user.

use std::{error::Error, time::Duration};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use sso_agent_client::{WebSession, proto::token::Token, tokio::Agent};

use super::page::Failed;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// How long an answer may take, and how much of it is read.
const LONGEST: Duration = Duration::from_secs(30);
const LARGEST: usize = 16 << 20;

pub(crate) struct Workspace {
    host: String,
    http: Client<HttpsConnector<HttpConnector>, Body>,
}

impl Workspace {
    pub(crate) fn new(host: &str) -> Result<Self, BoxError> {
        let tls = rustls::crypto::aws_lc_rs::default_provider();
        let connector = HttpsConnectorBuilder::new().with_provider_and_platform_verifier(tls)?;
        let connector = connector.https_or_http().enable_http1().build();
        let host = host.trim_end_matches('/');
        let host = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        Ok(Self { host, http: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// Gives what is there for this user. A token that the workspace turns down is replaced, once.
    pub(crate) async fn get(&self, agent: &Agent, user: &WebSession, path: &str) -> Result<Value, Failed> {
        let token = user.token(agent).await?;
        let (mut status, mut body) = self.fetch(path, &token).await?;
        if status == StatusCode::UNAUTHORIZED {
            let another = agent.token(user.request().refused(token.token_id)).await?;
            (status, body) = self.fetch(path, &another).await?;
        }
        if status == StatusCode::OK { Ok(body) } else { Err(BoxError::from(status.to_string()).into()) }
    }

    async fn fetch(&self, path: &str, token: &Token) -> Result<(StatusCode, Value), BoxError> {
        let bearer = format!("Bearer {}", token.access_token.expose_secret());
        let address = format!("{}{path}", self.host);
        let request = Request::get(address).header(header::AUTHORIZATION, bearer).body(Body::empty())?;
        let answer = async {
            let answer = self.http.request(request).await?;
            let status = answer.status();
            let body = to_bytes(Body::new(answer.into_body()), LARGEST).await?;
            Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
        };
        tokio::time::timeout(LONGEST, answer).await?
    }
}

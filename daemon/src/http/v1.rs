//! `http.sock`: the methods of the socket for tools that speak HTTP.
//!
//! `POST /v1/METHOD` with the params as its body, `GET /v1/token.get?host=…` since that is what most
//! want, `GET /v1/events`, `GET /metrics`, `GET /openapi.json`.

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use serde_json::value::RawValue;
use sso_agent_proto::{
    method::Call,
    rpc::{Code, RpcError},
};
use tokio_util::sync::CancellationToken;

use super::{
    answer::{self, Body},
    ask, events, login,
    metrics::Door,
    query,
    server::{self, Site},
};
use crate::rpc::service::Shared;

/// What can be asked, as OpenAPI says it.
const OPENAPI: &str = include_str!("openapi.json");

const METHODS: &str = "/v1/";

/// Behind `http.sock`.
pub(crate) struct Api {
    pub(crate) service: Shared,
    /// Ends streams that would go on for ever.
    pub(crate) stop: CancellationToken,
}

impl Site for Api {
    fn is_called(&self, host: &str) -> bool {
        host.eq_ignore_ascii_case("localhost")
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default();
        let get = head.method == Method::GET;
        // What is rare is boxed: a future is moved with all that it may ever hold.
        match head.uri.path() {
            "/v1/token.get" if get => self.token(query).await,
            "/v1/events" if get => match events::wish(query) {
                Ok(wish) => events::tell(&self.service, wish, self.stop.clone()),
                Err(error) => answer::refused(error),
            },
            "/metrics" if get => Box::pin(self.metrics()).await,
            "/openapi.json" if get => answer::json(StatusCode::OK, OPENAPI.into()),
            "/v1/events" | "/metrics" | "/openapi.json" => not_allowed("GET"),
            path => match path.strip_prefix(METHODS) {
                Some(method) if head.method == Method::POST => Box::pin(self.call(method, body)).await,
                Some("token.get") => not_allowed("GET, POST"),
                Some(_) => not_allowed("POST"),
                None => {
                    let hint = "GET /openapi.json lists what there is";
                    answer::error(StatusCode::NOT_FOUND, "not_found", "there is nothing here", hint)
                }
            },
        }
    }

    fn answered(&self, status: StatusCode) {
        self.service.handle.tally().request(Door::Http, status);
    }
}

impl Api {
    async fn token(&self, query: &str) -> Response<Body> {
        match query::token_get(query) {
            Ok(wish) => said(ask::token(&self.service, wish, Door::Http).await),
            Err(error) => answer::refused(error),
        }
    }

    async fn call(&self, method: &str, body: Incoming) -> Response<Body> {
        let body = match server::whole(body).await {
            Ok(body) => body,
            Err(status) => {
                let message = "the body is too long, too slow or cut off";
                return answer::error(status, "invalid_request", message, "send one JSON object");
            }
        };
        match read(method, &body) {
            Err(error) => answer::refused(error),
            Ok(Call::SessionLogin(login)) => login::tell(&self.service, login).await,
            Ok(Call::EventsSubscribe(wish)) => events::tell(&self.service, wish, self.stop.clone()),
            Ok(Call::TokenGet(wish)) => said(ask::token(&self.service, wish, Door::Http).await),
            Ok(
                call @ (Call::AgentInfo
                | Call::AgentReload
                | Call::AgentRekey(_)
                | Call::AgentShutdown
                | Call::SessionImport(_)
                | Call::SessionList(_)
                | Call::SessionShow(_)
                | Call::SessionLogout(_)
                | Call::ProfileList
                | Call::MetadataUrl(_)
                | Call::ConsentStart(_)
                | Call::ConsentFinish(_)
                | Call::ConsentEnd(_)
                | Call::App(_)),
            ) => said(ask::ask(&self.service, call).await),
        }
    }

    async fn metrics(&self) -> Response<Body> {
        let states = match self.service.states().await {
            Ok(states) => states,
            Err(error) => return answer::refused(error),
        };
        let text = self.service.handle.tally().text(self.service.about.started.wall.as_secs(), &states);
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        answer::of(StatusCode::OK, kind, Body::Whole(Some(text.into())))
    }
}

/// An empty body is no params.
fn read(method: &str, body: &[u8]) -> Result<Call, RpcError> {
    if body.trim_ascii().is_empty() {
        return Call::read(method, None);
    }
    let params: &RawValue = serde_json::from_slice(body).map_err(|error| {
        RpcError::new(Code::Parse, format!("the body is no JSON (column {})", error.column()))
    })?;
    Call::read(method, Some(params))
}

fn said(reply: Result<ask::Reply, RpcError>) -> Response<Body> {
    match reply {
        Ok(reply) => answer::json(StatusCode::OK, reply.into_bytes()),
        Err(error) => answer::refused(error),
    }
}

fn not_allowed(allowed: &'static str) -> Response<Body> {
    let (status, hint) = (StatusCode::METHOD_NOT_ALLOWED, "GET /openapi.json lists what there is");
    let response = answer::error(status, "not_allowed", "this cannot be done here", hint);
    answer::with(response, header::ALLOW, http::HeaderValue::from_static(allowed))
}

#[cfg(test)]
mod tests {
    use sso_agent_proto::method::names;

    use super::*;

    #[test]
    fn every_method_is_described() {
        let api: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        assert_eq!(api["openapi"], "3.1.0");
        let paths = api["paths"].as_object().unwrap();
        for name in names() {
            let operation = &paths[&format!("{METHODS}{name}")]["post"];
            assert_eq!(operation["operationId"], name, "{name}");
            assert!(operation["responses"]["200"].is_object(), "{name}");
        }
        let described =
            paths.keys().filter_map(|path| path.strip_prefix(METHODS)).filter(|name| *name != "events");
        assert_eq!(described.count(), names().count());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let api: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let mut found = 0;
        for part in OPENAPI.split("\"$ref\"").skip(1) {
            let reference = part.split('"').nth(1).unwrap();
            assert!(api.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            found += 1;
        }
        assert!(found > 0);
    }

    #[test]
    fn params_are_the_body() {
        assert!(matches!(read("agent.info", b" \n"), Ok(Call::AgentInfo)));
        assert!(matches!(read("token.get", br#" {"host":"h"} "#), Ok(Call::TokenGet(_))));
        assert_eq!(read("token.get", b"[]").unwrap_err().code, -32602);
        assert_eq!(read("token.get", b"{\"host\":\"CANARY").unwrap_err().code, -32700);
        assert_eq!(read("nope", b"").unwrap_err().code, -32601);
    }
}

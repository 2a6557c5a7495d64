//! Takes connections and hands each request to who answers it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::form::Form;
use super::issuer::Shared;
use super::reply::{self, Answer};
use super::routes::Route;
use super::{api, authorize, discovery, revoke, token};

const MOST_CONNECTIONS: usize = 1024;
const LONGEST_HEADERS: usize = 64 * 1024;
const LONGEST_BODY: usize = 64 * 1024;

/// For the head of a request, which includes the idle time before it.
const HEAD_TIME: Duration = Duration::from_secs(60);
const BODY_TIME: Duration = Duration::from_secs(10);

/// Out of descriptors: time for some to come back.
const PAUSE_AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(50);

/// Serves until stopped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = next(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else {
            tokio::time::sleep(PAUSE_AFTER_FAILED_ACCEPT).await;
            continue;
        };
        let (shared, plug) = (Arc::clone(&shared), shared.plug());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = plug.cancelled() => {}
                () = converse(stream, shared) => {}
            }
            drop(place);
        });
    }
}

async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    Some((stream, place))
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    // An answer of two small writes would wait for the acknowledgement of the first.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(LONGEST_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "demo issuer: connection ended early");
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let Some(route) = shared.routes.find(head.uri.path()) else {
        return Ok(reply::raw(StatusCode::NOT_FOUND, "text/plain", "Not found\n"));
    };
    let query = || Form::parse(head.uri.query().unwrap_or_default().as_bytes());
    match (route, head.method.clone()) {
        (Route::WorkspaceConfig, Method::GET) => Ok(discovery::workspace_config(&shared)),
        (Route::Document, Method::GET) => Ok(discovery::document(&shared)),
        (Route::Keys, Method::GET) => Ok(discovery::keys()),
        (Route::Authorize, Method::GET) => Ok(authorize::arrive(&shared, &query())),
        (Route::Me, Method::GET) => Ok(api::me(&shared, &head.headers)),
        (Route::Clusters, Method::GET) => Ok(api::clusters(&shared, &head.headers)),
        (Route::Authorize, Method::POST) => Ok(authorize::decide(&shared, &form(&head.headers, body).await)),
        (Route::Token, Method::POST) => {
            token::answer(&shared, &head.headers, &form(&head.headers, body).await).await
        }
        (Route::Revoke, Method::POST) => {
            Ok(revoke::answer(&shared, &head.headers, &form(&head.headers, body).await))
        }
        _ => Ok(reply::raw(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "Method not allowed\n")),
    }
}

/// The posted form; an empty one when it is no form, too long or too slow.
async fn form(headers: &HeaderMap, body: Incoming) -> Form {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let whole = tokio::time::timeout(BODY_TIME, Limited::new(body, LONGEST_BODY).collect()).await;
    match whole {
        Ok(Ok(body)) if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") => {
            Form::parse(&body.to_bytes())
        }
        _ => Form::parse(b""),
    }
}

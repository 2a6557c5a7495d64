//! A sign-in over HTTP: `progress` events while it goes on, then `result` or `error`.
//!
//! A client that hangs up takes back its own sign-in and nothing else, as on the other socket.

use bytes::Bytes;
use http::Response;
use sso_agent_proto::{
    rpc::RpcError,
    session::{Login, Step},
};
use tokio::sync::mpsc;

use super::{
    answer::{self, Body},
    events::{UNREAD, message, send},
};
use crate::{
    handle::{LoginNews, LoginWatch},
    rpc::{service::Shared, translate},
};

/// Begins or joins a sign-in and tells how it goes.
pub(crate) async fn tell(service: &Shared, login: Login) -> Response<Body> {
    let watch = match service.plan(login).await {
        Ok(plan) => service.handle.login(plan),
        Err(fault) => return answer::refused(fault.into()),
    };
    let (out, stream) = mpsc::channel(UNREAD);
    let service = service.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = follow(&service, watch, &out) => {}
            () = out.closed() => {}
        }
    });
    answer::events(stream)
}

async fn follow(service: &Shared, mut watch: LoginWatch, out: &mpsc::Sender<Bytes>) -> Option<()> {
    loop {
        let step = match watch.next().await {
            LoginNews::Authorize(url) => Step::Authorize { url },
            LoginNews::Step(step) => translate::step(step),
            LoginNews::Done(Ok(session)) => {
                let last = match service.session(session).await {
                    Ok(session) => message("result", &session),
                    Err(error) => failed(error),
                };
                return send(out, last).await;
            }
            LoginNews::Done(Err(refusal)) => {
                return send(out, failed(translate::fault(&refusal).into())).await;
            }
        };
        send(out, message("progress", &step)).await?;
    }
}

fn failed(error: RpcError) -> Bytes {
    message("error", &answer::of_error(error).1)
}

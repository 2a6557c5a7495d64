//! One sign-in by browser, from discovery to the first banked refresh token.
//!
//! The hard part is the order: the listener stands before anybody hears of the address, and from the
//! moment the code is spent nothing calls the sign-in off any more.

use std::{io, ops::RangeInclusive};

use secrecy::SecretString;
use sso_agent_core::{
    agent::SignedIn,
    callback::{Callback, Expected},
    login::{Plan, Step},
    refusal::Refusal,
};
use tokio_util::sync::CancellationToken;

use super::{
    Chosen, Links, TRY_AGAIN, bank, record,
    server::{Server, find},
};
use crate::{
    http::{
        pages::Page,
        redirect::{Listener, Waiting},
    },
    issuer::{self, Authorization, Http, Manner},
    rpc::translate,
    shielded::Shielded,
    spender::{By, Spender},
    store::Renewal,
};

/// Signs in and banks what it brings. `step` hears how far it is, `report` how it ended.
pub(super) async fn sign_in(
    plan: &Plan,
    spender: &Spender,
    links: Links,
    call_off: CancellationToken,
    step: impl Fn(Step) + Clone + Send + Sync + 'static,
    report: impl FnOnce(Result<Box<SignedIn>, Refusal>) + Send + 'static,
) {
    let came_back = tokio::select! {
        came_back = send_out(plan, spender.http(), links, step.clone()) => came_back,
        () = call_off.cancelled() => Err(Refusal::Cancelled { why: "the sign-in was called off".to_owned() }),
    };
    let (chosen, browser, callback) = match came_back {
        Ok(came_back) => came_back,
        Err(refusal) => return report(Err(refusal)),
    };
    step(Step::Exchanging);
    let page = match code(callback) {
        Ok(code) => {
            let by = By::Code { code, verifier: browser.verifier.reveal() };
            match bank(spender, record(plan, &chosen), by, report).await {
                Ok(banked) => Page::SignedIn { host: plan.host.url().to_owned(), user: banked.about.user },
                Err(refusal) => failed(plan, &refusal),
            }
        }
        Err(refusal) => {
            let page = failed(plan, &refusal);
            report(Err(refusal));
            page
        }
    };
    browser.waiting.show(page);
}

/// Sends a browser to the issuer and waits until it comes back.
async fn send_out(
    plan: &Plan,
    http: &Http,
    links: Links,
    step: impl Fn(Step) + Clone + Send + Sync + 'static,
) -> Result<(Chosen, Browser, Option<Callback>), Refusal> {
    let (chosen, mut browser) = begin(plan, http, links, step).await?;
    let callback = browser.waiting.callback().await;
    Ok((chosen, browser, callback))
}

/// A browser that is on its way.
struct Browser {
    waiting: Waiting,
    verifier: Shielded,
}

async fn begin(
    plan: &Plan,
    http: &Http,
    links: Links,
    step: impl Fn(Step) + Clone + Send + Sync + 'static,
) -> Result<(Chosen, Browser), Refusal> {
    let server = find(plan, http).await?;
    let client = server.client(plan)?;
    let Server { metadata, issuer, manner: Manner { scopes, redirect, ports, extra, .. }, .. } = server;
    let listener = listen(ports).await?;
    let (origin, uri) = (redirect.origin(listener.port()), redirect.uri(listener.port()));
    let authorization = issuer::authorize(&metadata, &client.id, &uri, &scopes, &extra);
    let Some(Authorization { url, state, verifier }) = authorization else {
        return Err(Refusal::Unsupported { why: format!("{} has no usable sign-in address", plan.host) });
    };
    links.open(origin, url);
    let expected = Expected { state, issuer, iss_required: metadata.iss_parameter_supported };
    let on_start = step.clone();
    let waiting = listener.serve(redirect.path(), expected, links, move || on_start(Step::Waiting));
    step(Step::Authorize);
    let chosen = Chosen {
        metadata,
        client,
        scopes,
        renewal: Renewal::RefreshToken,
        redirect_uri: Some(uri),
        made_from: None,
    };
    Ok((chosen, Browser { waiting, verifier }))
}

async fn listen(ports: RangeInclusive<u16>) -> Result<Listener, Refusal> {
    let mut last = None;
    for port in ports.clone() {
        match Listener::bind(port).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    let error = last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into());
    let which = if ports.start() == ports.end() {
        format!("port {}", ports.start())
    } else {
        format!("any of the ports {} to {}", ports.start(), ports.end())
    };
    Err(Refusal::Unavailable {
        why: format!("the redirect listener cannot have {which}: {error}"),
        retry_after: TRY_AGAIN,
    })
}

fn code(callback: Option<Callback>) -> Result<SecretString, Refusal> {
    match callback {
        Some(Callback::Code(code)) => Ok(code),
        Some(Callback::Refused(said)) => Err(Refusal::Rejected(said)),
        Some(Callback::Broken(why)) => Err(Refusal::Cancelled { why: why.to_owned() }),
        None => Err(Refusal::Cancelled { why: "the redirect listener broke".to_owned() }),
    }
}

/// What the browser brought along is not shown to it again.
fn failed(plan: &Plan, refusal: &Refusal) -> Page {
    let why = if matches!(refusal, Refusal::Rejected(_)) {
        "The issuer said no. What it said is shown where the sign-in was begun.".to_owned()
    } else {
        translate::fault(refusal).message
    };
    Page::Failed { host: plan.host.url().to_owned(), why }
}

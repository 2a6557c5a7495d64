//! One sign-in by browser, from discovery to the first banked refresh token.
//!
//! The hard part is the order: the listener stands before anybody hears of the address, and from the
//! moment the code is spent nothing calls the sign-in off any more.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use secrecy::SecretString;
use sso_agent_core::{
    agent::SignedIn,
    callback::{Callback, Expected},
    discovery::{Flavor, Metadata},
    login::{Plan, Step},
    refusal::Refusal,
    session::About,
    time::Now,
    words::{Lease, Renewable},
};
use tokio_util::sync::CancellationToken;

pub(crate) use crate::http::links::Links;
use crate::{
    clock,
    http::{
        pages::Page,
        redirect::{Listener, Waiting},
    },
    issuer::{self, Authorization, Client, DiscoverError, Grant, Http, Outcome, Unreachable},
    rpc::translate,
    spender::{Spender, leased, stored},
    store::{Record, StoreError},
};

/// When an issuer that is down is worth another try, if it does not say.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Signs in and banks what it brings. `step` hears how far it is, `report` how it ended.
pub(crate) async fn sign_in(
    plan: &Plan,
    spender: &Spender,
    links: Links,
    call_off: CancellationToken,
    step: impl Fn(Step) + Clone + Send + Sync + 'static,
    report: impl FnOnce(Result<Box<SignedIn>, Refusal>),
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
    let exchanged = match code(callback) {
        Ok(code) => exchange(spender.http(), &chosen, &browser, &code).await,
        Err(refusal) => Err(refusal),
    };
    let page = match exchanged {
        Ok(exchanged) => bank(plan, spender, chosen, exchanged, report).await,
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

/// Where to sign in, as whom, for what.
struct Chosen {
    metadata: Metadata,
    client: Client,
    scopes: Vec<String>,
}

/// A browser that is on its way.
struct Browser {
    waiting: Waiting,
    verifier: SecretString,
    redirect_uri: String,
}

async fn begin(
    plan: &Plan,
    http: &Http,
    links: Links,
    step: impl Fn(Step) + Clone + Send + Sync + 'static,
) -> Result<(Chosen, Browser), Refusal> {
    let metadata = issuer::discover(http, &plan.host).await.map_err(undiscovered)?;
    let client = client(plan, &metadata)?;
    let scopes = metadata.scopes_for(&plan.scopes);
    let listener = listen(plan, &metadata, &client).await?;
    let redirect = redirect(metadata.flavor, listener.port());
    let authorization = issuer::authorize(&metadata, &client.id, &redirect.uri, &scopes, &BTreeMap::new());
    let Some(Authorization { url, state, verifier }) = authorization else {
        return Err(Refusal::Unsupported { why: format!("{} has no usable sign-in address", plan.host) });
    };
    links.open(redirect.origin, url);
    let expected =
        Expected { state, issuer: metadata.issuer.clone(), iss_required: metadata.iss_parameter_supported };
    let on_start = step.clone();
    let waiting = listener.serve(redirect.path, expected, links, move || on_start(Step::Waiting));
    step(Step::Authorize);
    Ok((Chosen { metadata, client, scopes }, Browser { waiting, verifier, redirect_uri: redirect.uri }))
}

fn undiscovered(error: DiscoverError) -> Refusal {
    match error {
        DiscoverError::Unreachable { retry_after, cause } => {
            Refusal::Unavailable { why: cause, retry_after: retry_after.unwrap_or(TRY_AGAIN) }
        }
        DiscoverError::NotOAuth { .. } | DiscoverError::Refused(_) => {
            Refusal::Unsupported { why: error.to_string() }
        }
    }
}

/// The stock client where the server knows it. A server on this machine counts as a stand-in for a
/// workspace.
fn client(plan: &Plan, metadata: &Metadata) -> Result<Client, Refusal> {
    let flavor = if plan.host.is_loopback() { Flavor::Databricks } else { metadata.flavor };
    let Some(client_id) = plan.client_id.clone().or(flavor.stock_client().map(str::to_owned)) else {
        let why = format!(
            "{} is not a Databricks host, so the OAuth client has to be named: --client-id",
            plan.host
        );
        return Err(Refusal::Unsupported { why });
    };
    Ok(Client { id: client_id, secret: plan.client_secret.clone() })
}

/// Where the browser comes back to.
struct Redirect {
    origin: String,
    path: &'static str,
    uri: String,
}

/// Databricks knows its redirect addresses by `localhost` and without a path; everybody else should
/// get the address itself (RFC 8252, 8.3).
fn redirect(flavor: Flavor, port: u16) -> Redirect {
    match flavor {
        Flavor::Databricks => {
            let origin = format!("http://localhost:{port}");
            Redirect { uri: origin.clone(), path: "/", origin }
        }
        Flavor::Generic => {
            let origin = format!("http://127.0.0.1:{port}");
            Redirect { uri: format!("{origin}/callback"), path: "/callback", origin }
        }
    }
}

async fn listen(plan: &Plan, metadata: &Metadata, client: &Client) -> Result<Listener, Refusal> {
    let stock = metadata.flavor.stock_client() == Some(client.id.as_str());
    let ports = match (plan.redirect_port, metadata.flavor.stock_ports().filter(|_| stock)) {
        (Some(port), _) => port..=port,
        (None, Some(ports)) => ports,
        (None, None) => 0..=0,
    };
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

/// What a code was good for, and when the exchange was sent.
struct Exchanged {
    grant: Grant,
    asked: Now,
}

async fn exchange(
    http: &Http,
    chosen: &Chosen,
    browser: &Browser,
    code: &SecretString,
) -> Result<Exchanged, Refusal> {
    let Chosen { metadata, client, .. } = chosen;
    let asked = clock::now();
    match issuer::exchange_code(http, metadata, client, &browser.redirect_uri, code, &browser.verifier).await
    {
        Outcome::Granted(grant) => Ok(Exchanged { grant, asked }),
        Outcome::Rejected(said) | Outcome::Refused(said) => Err(Refusal::Rejected(said)),
        Outcome::Unreachable(Unreachable { why, retry_after, .. }) => {
            Err(Refusal::Unavailable { why, retry_after: retry_after.unwrap_or(TRY_AGAIN) })
        }
    }
}

/// Makes what came of it durable, then tells the agent, then the person.
async fn bank(
    plan: &Plan,
    spender: &Spender,
    chosen: Chosen,
    exchanged: Exchanged,
    report: impl FnOnce(Result<Box<SignedIn>, Refusal>),
) -> Page {
    let Exchanged { grant, asked } = exchanged;
    let lease = leased(&grant, &chosen.scopes, asked);
    let mut about = About {
        id: plan.session(),
        host: plan.host.clone(),
        label: plan.label.clone(),
        client_id: chosen.client.id.clone(),
        issuer: chosen.metadata.issuer.clone(),
        user: issuer::told(&grant),
        scopes: lease.scopes.clone(),
    };
    let renewable = if grant.refresh_token.is_some() { Renewable::ByRefreshToken } else { Renewable::Never };
    let record = record(&about, &chosen, grant.refresh_token.clone(), &lease);
    let mut page = Page::NotFound;
    let banked = |banked: Result<Option<String>, StoreError>| match banked {
        Ok(user) => {
            page = Page::SignedIn { host: plan.host.url().to_owned(), user: user.clone() };
            about.user = user;
            report(Ok(Box::new(SignedIn { about, renewable, lease: Arc::new(lease) })));
        }
        Err(error) => {
            let refusal = Refusal::StoreFailed { why: error.to_string() };
            page = failed(plan, &refusal);
            report(Err(refusal));
        }
    };
    let user = issuer::asked(spender.http(), &chosen.metadata, &grant);
    spender.sign_in(record, user, banked).await;
    page
}

fn record(about: &About, chosen: &Chosen, refresh_token: Option<SecretString>, lease: &Lease) -> Record {
    let Chosen { metadata, client, .. } = chosen;
    Record {
        id: about.id.to_string(),
        host: about.host.url().to_owned(),
        label: about.label.as_str().to_owned(),
        account_id: about.host.account_id().map(str::to_owned),
        client_id: about.client_id.clone(),
        client_secret: client.secret.clone(),
        issuer: about.issuer.clone(),
        authorization_endpoint: metadata.authorization_endpoint.clone(),
        token_endpoint: metadata.token_endpoint.clone(),
        revocation_endpoint: metadata.revocation_endpoint.clone(),
        userinfo_endpoint: metadata.userinfo_endpoint.clone(),
        auth_methods: metadata.token_endpoint_auth_methods.clone(),
        scopes: about.scopes.clone(),
        user: about.user.clone(),
        refresh_token,
        login_required: None,
        lease: Some(stored(lease)),
        created_at: lease.obtained.wall.as_secs(),
    }
}

fn failed(plan: &Plan, refusal: &Refusal) -> Page {
    Page::Failed { host: plan.host.url().to_owned(), why: translate::fault(refusal).message }
}

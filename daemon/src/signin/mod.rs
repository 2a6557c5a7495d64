//! One sign-in, from discovery to what is banked: by a person in a [`browser`], by a [`machine`] that
//! shows who it is, or by taking over what another tool has ([`import`]).
//!
//! What they share is the end: what the issuer gave is durable before the agent hears of it, and the
//! agent before the person does.

mod browser;
mod import;
mod machine;
mod server;

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use sso_agent_core::{
    agent::SignedIn,
    discovery::Metadata,
    login::{Flow, Plan, Step},
    refusal::Refusal,
    session::About,
    time::Now,
    words::{Lease, Renewable},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::import::{Takeover, take_over};
pub(crate) use crate::http::links::Links;
use crate::{
    issuer::{self, Client, DiscoverError, Grant, Outcome, Unreachable},
    spender::{Spender, leased, stored},
    store::{Record, Renewal, StoreError},
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
    match &plan.flow {
        Flow::Browser { .. } => browser::sign_in(plan, spender, links, call_off, step, report).await,
        Flow::ClientCredentials | Flow::TokenExchange(_) => {
            machine::sign_in(plan, spender, call_off, step, report).await;
        }
    }
}

/// Where to sign in, as whom, for what.
struct Chosen {
    metadata: Metadata,
    client: Client,
    scopes: Vec<String>,
    renewal: Renewal,
    redirect_uri: Option<String>,
    made_from: Option<String>,
}

/// What the issuer gave, and when it was asked.
struct Exchanged {
    grant: Grant,
    asked: Now,
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

/// What an exchange brought, or why it brought nothing.
fn granted(outcome: Outcome, asked: Now) -> Result<Exchanged, Refusal> {
    match outcome {
        Outcome::Granted(grant) => Ok(Exchanged { grant, asked }),
        Outcome::Rejected(said) | Outcome::Refused(said) => Err(Refusal::Rejected(said)),
        Outcome::Unreachable(Unreachable { why, retry_after, .. }) => {
            Err(Refusal::Unavailable { why, retry_after: retry_after.unwrap_or(TRY_AGAIN) })
        }
    }
}

/// Makes what came of it durable, then tells the agent; gives who it was, or why nobody is signed in.
async fn bank(
    plan: &Plan,
    spender: &Spender,
    chosen: Chosen,
    exchanged: Exchanged,
    report: impl FnOnce(Result<Box<SignedIn>, Refusal>),
) -> Result<Option<String>, Refusal> {
    let Exchanged { grant, asked } = exchanged;
    let lease = leased(&grant, &chosen.scopes, asked);
    let mut about = about(plan, &chosen, lease.scopes.clone());
    about.user = issuer::told(&grant);
    let renewable = renewable(&chosen.renewal, grant.refresh_token.is_some());
    let record = record(&about, &chosen, grant.refresh_token.clone(), Some(&lease), asked);
    let mut told = Err(Refusal::Timeout);
    let banked = |banked: Result<Option<String>, StoreError>| match banked {
        Ok(user) => {
            about.user = user.clone();
            told = Ok(user);
            report(Ok(Box::new(SignedIn { about, renewable, lease: Arc::new(lease) })));
        }
        Err(error) => {
            let refusal = Refusal::StoreFailed { why: error.to_string() };
            told = Err(refusal.clone());
            report(Err(refusal));
        }
    };
    let user = issuer::asked(spender.http(), &chosen.metadata, &grant);
    spender.sign_in(record, user, banked).await;
    told
}

/// How a session goes on that has these means.
pub(crate) fn renewable(renewal: &Renewal, has_refresh_token: bool) -> Renewable {
    match renewal {
        Renewal::RefreshToken if has_refresh_token => Renewable::ByRefreshToken,
        Renewal::RefreshToken => Renewable::Never,
        Renewal::ClientCredentials { .. }
        | Renewal::Token { .. }
        | Renewal::File { .. }
        | Renewal::GitHub { .. } => Renewable::ByCredentials,
    }
}

fn about(plan: &Plan, chosen: &Chosen, scopes: Vec<String>) -> About {
    About {
        id: plan.session(),
        host: plan.host.clone(),
        label: plan.label.clone(),
        client_id: chosen.client.id.clone(),
        issuer: chosen.metadata.issuer.clone(),
        user: None,
        scopes,
        made_from: chosen.made_from.clone(),
    }
}

fn record(
    about: &About,
    chosen: &Chosen,
    refresh_token: Option<SecretString>,
    lease: Option<&Lease>,
    made: Now,
) -> Record {
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
        lease: lease.map(stored),
        created_at: made.wall.as_secs(),
        renewal: chosen.renewal.clone(),
        redirect_uri: chosen.redirect_uri.clone(),
        made_from: chosen.made_from.clone(),
    }
}

//! One sign-in, from discovery to what is banked: by a person in a [`browser`], by a [`machine`] that
//! shows who it is, or by taking over what another tool has ([`import`]).
//!
//! What they share is the end: what the issuer gave is durable before the agent hears of it, and the
//! agent before the person does.

mod bank;
mod browser;
mod import;
mod machine;
mod server;

use std::time::Duration;

use sso_agent_core::{
    agent::SignedIn,
    discovery::Metadata,
    login::{Flow, Plan, Step},
    refusal::Refusal,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{
    bank::{Banked, about, bank, record},
    import::{Takeover, take_over},
    machine::token_once,
    server::{Server, find},
};
pub(crate) use crate::http::links::Links;
use crate::{
    issuer::{Client, DiscoverError},
    spender::Spender,
    store::Renewal,
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
    report: impl FnOnce(Result<Box<SignedIn>, Refusal>) + Send + 'static,
) {
    match &plan.flow {
        Flow::Browser { .. } => browser::sign_in(plan, spender, links, call_off, step, report).await,
        Flow::ClientCredentials | Flow::TokenExchange(_) => {
            machine::sign_in(plan, spender, call_off, step, report).await;
        }
    }
}

/// Where to sign in, as whom, for what.
pub(crate) struct Chosen {
    pub(crate) metadata: Metadata,
    pub(crate) client: Client,
    pub(crate) scopes: Vec<String>,
    pub(crate) renewal: Renewal,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) made_from: Option<String>,
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

//! Taking over a sign-in that another tool keeps in plain text: its refresh token is spent once, which
//! shows whether it is good, and what comes of it is ours.

use std::sync::Arc;

use secrecy::SecretString;
use sso_agent_core::{agent::SignedIn, login::Plan, refusal::Refusal};

use super::{Chosen, about, record, renewable, server::find};
use crate::{
    spender::{Spender, Taken},
    store::{Record, Renewal},
};

/// What is taken over.
pub(crate) struct Takeover {
    /// Where, as whom.
    pub(crate) plan: Plan,
    pub(crate) refresh_token: SecretString,
}

/// Takes over a sign-in and banks it; `report` hears how it ended.
pub(crate) async fn take_over(
    takeover: Takeover,
    spender: &Spender,
    report: impl FnOnce(Result<Box<SignedIn>, Refusal>),
) {
    let Takeover { plan, refresh_token } = takeover;
    let server = match find(&plan, spender.http()).await {
        Ok(server) => server,
        Err(refusal) => return report(Err(refusal)),
    };
    let client = match server.client(&plan) {
        Ok(client) => client,
        Err(refusal) => return report(Err(refusal)),
    };
    let chosen = Chosen {
        metadata: server.metadata,
        client,
        scopes: server.manner.scopes,
        renewal: Renewal::RefreshToken,
        redirect_uri: None,
        made_from: None,
    };
    let new = Record { refresh_token: Some(refresh_token), ..record(&plan, &chosen) };
    spender.take_over(new, |taken| report(taken.and_then(signed_in))).await;
}

fn signed_in(taken: Taken) -> Result<Box<SignedIn>, Refusal> {
    let Taken { record, lease } = taken;
    let about = about(&record).map_err(|why| Refusal::StoreFailed { why })?;
    Ok(Box::new(SignedIn { about, renewable: renewable(&record), lease: Arc::new(lease) }))
}

//! Taking over a sign-in that another tool keeps in plain text: its refresh token is spent once, which
//! shows whether it is good, and what comes of it is ours.

use std::sync::Arc;

use secrecy::SecretString;
use sso_agent_core::{agent::SignedIn, login::Plan, refusal::Refusal, session::About};

use super::{Chosen, about, record, renewable, server::find};
use crate::{
    clock, issuer,
    spender::{Spender, Taken},
    store::Renewal,
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
    let about = about(&plan, &chosen, chosen.scopes.clone());
    let new = record(&about, &chosen, Some(refresh_token), None, clock::now());
    spender.take_over(new, |taken| report(taken.map(|taken| signed_in(about, taken)))).await;
}

fn signed_in(about: About, taken: Taken) -> Box<SignedIn> {
    let Taken { record, lease, grant } = taken;
    let renewable = renewable(&record.renewal, record.refresh_token.is_some());
    let about = About { user: issuer::told(&grant), scopes: lease.scopes.clone(), ..about };
    Box::new(SignedIn { about, renewable, lease: Arc::new(lease) })
}

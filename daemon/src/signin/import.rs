//! Taking over a sign-in that another tool keeps in plain text: its refresh token is spent once, which
//! shows whether it is good, and what comes of it is ours.

use secrecy::SecretString;
use sso_agent_core::{agent::SignedIn, login::Plan, refusal::Refusal};

use super::{Chosen, bank, record, server::find};
use crate::{
    spender::{By, Spender},
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
    report: impl FnOnce(Result<Box<SignedIn>, Refusal>) + Send + 'static,
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
    // Whoever asked hears it by `report`.
    let _ = bank(spender, new, By::Refresh, report).await;
}

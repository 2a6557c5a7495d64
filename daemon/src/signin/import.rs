//! Taking over a sign-in that another tool keeps in plain text: its refresh token is spent once, which
//! shows whether it is good, and what comes of it is ours.

use secrecy::SecretString;
use sso_agent_core::{agent::SignedIn, login::Plan, refusal::Refusal};

use super::{Chosen, bank, granted, server::find};
use crate::{clock, issuer, spender::Spender, store::Renewal};

/// What is taken over.
pub(crate) struct Takeover {
    /// Where, as whom.
    pub(crate) plan: Plan,
    pub(crate) refresh_token: SecretString,
}

/// Takes over a sign-in and banks it.
pub(crate) async fn take_over(takeover: Takeover, spender: &Spender) -> Result<Box<SignedIn>, Refusal> {
    let Takeover { plan, refresh_token } = takeover;
    let server = find(&plan, spender.http()).await?;
    let client = server.client(&plan)?;
    let (scopes, metadata) = (server.manner.scopes, server.metadata);
    let asked = clock::now();
    let outcome = issuer::refresh(spender.http(), &metadata, &client, &refresh_token, &[], None).await;
    let mut exchanged = granted(outcome, asked)?;
    // An issuer that gave no new one goes on taking the old one (RFC 6749, 6).
    exchanged.grant.refresh_token.get_or_insert(refresh_token);
    let chosen = Chosen {
        metadata,
        client,
        scopes,
        renewal: Renewal::RefreshToken,
        redirect_uri: None,
        made_from: None,
    };
    let mut signed_in = Err(Refusal::Timeout);
    bank(&plan, spender, chosen, exchanged, |outcome| signed_in = outcome).await?;
    signed_in
}

//! A sign-in without a person: the client shows its secret (RFC 6749, 4.4), or a token that its platform
//! gave it (RFC 8693).

use secrecy::SecretString;
use sso_agent_core::{
    agent::SignedIn,
    login::{Flow, Plan, Step, Subject},
    refusal::Refusal,
};
use tokio_util::sync::CancellationToken;

use super::{Chosen, bank, record, server::find};
use crate::{
    issuer::{Client, Http},
    spender::{By, Spender},
    store::Renewal,
};

/// Signs in and banks what it brings; as for [`super::sign_in`].
pub(super) async fn sign_in(
    plan: &Plan,
    spender: &Spender,
    call_off: CancellationToken,
    step: impl Fn(Step),
    report: impl FnOnce(Result<Box<SignedIn>, Refusal>) + Send + 'static,
) {
    let chosen = tokio::select! {
        chosen = choose(plan, spender.http()) => chosen,
        () = call_off.cancelled() => Err(Refusal::Cancelled { why: "the sign-in was called off".to_owned() }),
    };
    let chosen = match chosen {
        Ok(chosen) => chosen,
        Err(refusal) => return report(Err(refusal)),
    };
    step(Step::Exchanging);
    // Nobody looks at a page; whoever waits hears it by `report`.
    let _ = bank(spender, record(plan, &chosen), By::Means, report).await;
}

/// Gets a token for one call, and keeps nothing of it.
pub(crate) async fn token_once(plan: &Plan, spender: &Spender) -> Result<SecretString, Refusal> {
    let chosen = choose(plan, spender.http()).await?;
    Ok(spender.once(record(plan, &chosen)).await?.access_token.clone())
}

async fn choose(plan: &Plan, http: &Http) -> Result<Chosen, Refusal> {
    let server = find(plan, http).await?;
    let scopes = server.machine_scopes(plan);
    let renewal = match &plan.flow {
        Flow::ClientCredentials => {
            Renewal::ClientCredentials { resource: server.resource.map(str::to_owned) }
        }
        Flow::TokenExchange(subject) => means(subject, server.audience.clone()),
        Flow::Browser { .. } => Renewal::RefreshToken,
    };
    let client =
        Client { id: plan.client_id.clone().unwrap_or_default(), secret: plan.client_secret.clone() };
    if matches!(renewal, Renewal::ClientCredentials { .. })
        && (client.id.is_empty() || client.secret.is_none())
    {
        let why = "client credentials are a client id and its secret".to_owned();
        return Err(Refusal::Unsupported { why });
    }
    let made_from = plan.made_from.clone();
    Ok(Chosen { metadata: server.metadata, client, scopes, renewal, redirect_uri: None, made_from })
}

fn means(subject: &Subject, default_audience: Option<String>) -> Renewal {
    match subject {
        Subject::Token(token) => Renewal::Token { token: token.clone() },
        Subject::File(path) => Renewal::File { path: path.clone() },
        Subject::GitHub { url, token, audience } => Renewal::GitHub {
            url: url.clone(),
            token: token.clone(),
            audience: audience.clone().or(default_audience),
        },
    }
}

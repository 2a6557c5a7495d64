//! From what an issuer gave to a session: durable first, then known to the agent, then told.

use std::sync::Arc;

use sso_agent_core::{
    agent::SignedIn,
    host::Host,
    login::Plan,
    refusal::Refusal,
    session::About,
    words::{Label, Lease, Renewable, SessionId},
};

use super::{Chosen, Exchanged};
use crate::{
    clock, issuer,
    spender::{Spender, client_of, leased, server_of, stored},
    store::{Record, Renewal, StoreError},
};

/// A session that has just come to be.
pub(crate) struct Banked {
    pub(crate) about: About,
    pub(crate) renewable: Renewable,
    pub(crate) lease: Arc<Lease>,
}

/// The record of a sign-in that has brought nothing yet.
pub(crate) fn record(plan: &Plan, chosen: &Chosen) -> Record {
    let Chosen { metadata, client, .. } = chosen;
    Record {
        generation: 0,
        id: plan.session().to_string(),
        host: plan.host.url().to_owned(),
        label: plan.label.as_str().to_owned(),
        account_id: plan.host.account_id().map(str::to_owned),
        client_id: client.id.clone(),
        client_secret: client.secret.clone(),
        issuer: metadata.issuer.clone(),
        authorization_endpoint: metadata.authorization_endpoint.clone(),
        token_endpoint: metadata.token_endpoint.clone(),
        revocation_endpoint: metadata.revocation_endpoint.clone(),
        userinfo_endpoint: metadata.userinfo_endpoint.clone(),
        auth_methods: metadata.token_endpoint_auth_methods.clone(),
        scopes: chosen.scopes.clone(),
        user: None,
        refresh_token: None,
        login_required: None,
        lease: None,
        created_at: clock::now().wall.as_secs(),
        renewal: chosen.renewal.clone(),
        redirect_uri: chosen.redirect_uri.clone(),
        made_from: chosen.made_from.clone(),
        web: None,
    }
}

/// Who a record is of; says what is wrong with one that is of nobody.
pub(crate) fn about(record: &Record) -> Result<About, String> {
    let host = Host::parse(&record.host, record.account_id.as_deref()).map_err(|error| error.to_string())?;
    let label = Label::parse(&record.label).map_err(|error| error.to_string())?;
    let id = match (&record.web, SessionId::named(&record.id).web_key()) {
        (Some(_), Some(key)) => SessionId::web(&host, key),
        (Some(_), None) | (None, _) => SessionId::of(&host, &label),
    };
    if id.as_str() != record.id {
        return Err(format!("it says that it is {id}"));
    }
    Ok(About {
        id,
        host,
        label,
        client_id: record.client_id.clone(),
        issuer: record.issuer.clone(),
        user: record.user.clone(),
        scopes: record.scopes.clone(),
        made_from: record.made_from.clone(),
    })
}

/// How a session goes on that has these means.
pub(crate) fn renewable(record: &Record) -> Renewable {
    match &record.renewal {
        Renewal::RefreshToken if record.refresh_token.is_some() => Renewable::ByRefreshToken,
        Renewal::RefreshToken => Renewable::Never,
        Renewal::ClientCredentials { .. }
        | Renewal::Token { .. }
        | Renewal::File { .. }
        | Renewal::GitHub { .. } => Renewable::ByCredentials,
    }
}

/// Makes what came of a sign-in durable, then tells the agent by `report`, in the session's turn; gives the
/// session, or why nobody is signed in.
pub(crate) async fn bank(
    spender: &Spender,
    mut record: Record,
    exchanged: Exchanged,
    report: impl FnOnce(Result<Box<SignedIn>, Refusal>),
) -> Result<Banked, Refusal> {
    let Exchanged { grant, asked } = exchanged;
    let lease = leased(&grant, &record.scopes, asked);
    record.scopes.clone_from(&lease.scopes);
    record.user = issuer::told(&grant);
    record.refresh_token.clone_from(&grant.refresh_token);
    record.lease = Some(stored(&lease));
    let (lease, renewable) = (Arc::new(lease), renewable(&record));
    let about = about(&record).map_err(|why| Refusal::StoreFailed { why });
    let mut about = match about {
        Ok(about) => about,
        Err(refusal) => {
            report(Err(refusal.clone()));
            return Err(refusal);
        }
    };
    let server = server_of(&record);
    let mut told = Ok(());
    let banked = |banked: Result<Option<String>, StoreError>| match banked {
        Ok(user) => {
            about.user = user;
            report(Ok(Box::new(SignedIn { about: about.clone(), renewable, lease: lease.clone() })));
        }
        Err(error) => {
            let refusal = Refusal::StoreFailed { why: error.to_string() };
            told = Err(refusal.clone());
            report(Err(refusal));
        }
    };
    let client = client_of(&record);
    spender.sign_in(record, issuer::asked(spender.http(), &server, &grant), banked).await;
    if let (Err(_), Some(token)) = (&told, &grant.refresh_token) {
        // What cannot be kept is not left lying about at the issuer.
        let revoked = issuer::revoke(spender.http(), &server, &client, token).await;
        tracing::warn!(session = %about.id, revoked = matches!(revoked, Ok(true)), "a sign-in could not be kept");
    }
    told.map(|()| Banked { about, renewable, lease })
}

//! From a record to a session: durable first, then known to the agent, then told.

use std::sync::Arc;

use sso_agent_core::{
    agent::SignedIn,
    host::Host,
    login::Plan,
    refusal::Refusal,
    session::About,
    words::{Label, Lease, Renewable, SessionId},
};

use super::Chosen;
use crate::{
    clock,
    spender::{By, Signed, Spender},
    store::Record,
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

/// Has the first tokens of a session bought and made durable, then tells the agent by `report`, in the session's
/// turn; gives the session, or why nobody is signed in.
pub(crate) async fn bank(
    spender: &Spender,
    record: Record,
    by: By,
    report: impl FnOnce(Result<Box<SignedIn>, Refusal>) + Send + 'static,
) -> Result<Banked, Refusal> {
    let about = match about(&record) {
        Ok(about) => about,
        Err(why) => {
            let refusal = Refusal::StoreFailed { why };
            report(Err(refusal.clone()));
            return Err(refusal);
        }
    };
    let banked = move |signed: Signed| {
        let Signed { scopes, user, renewable, lease } = signed;
        Banked { about: About { scopes, user, ..about }, renewable, lease }
    };
    let tell = banked.clone();
    let report = move |outcome: Result<Signed, Refusal>| {
        report(
            outcome
                .map(tell)
                .map(|Banked { about, renewable, lease }| Box::new(SignedIn { about, renewable, lease })),
        );
    };
    spender.sign_in(record, by, report).await.map(banked)
}

//! The authorization server that a sign-in is for: found, and how to sign in there.

use sso_agent_core::{
    azure,
    callback::Issuer,
    discovery::Metadata,
    login::{Entra, Flow, Plan},
    refusal::Refusal,
};

use super::undiscovered;
use crate::issuer::{
    self, By, Client, Http, Manner, Sought, Via, Wishes,
    providers::{self, Provider},
};

/// See the module.
pub(crate) struct Server {
    pub(crate) metadata: Metadata,
    /// Who its redirects have to be from.
    pub(crate) issuer: Issuer,
    pub(crate) manner: Manner,
    /// Whom a token must be for that is exchanged there.
    pub(crate) audience: Option<String>,
    /// What a token of Entra's first version is for.
    pub(crate) resource: Option<&'static str>,
}

/// Finds the server that the plan means.
pub(crate) async fn find(plan: &Plan, http: &Http) -> Result<Server, Refusal> {
    let said = &plan.server;
    let via = match &said.entra {
        None => Via::Host,
        Some(Entra::Person) => Via::Entra,
        Some(Entra::Principal { tenant }) => {
            Via::EntraPrincipal { tenant: tenant.as_deref(), environment: None }
        }
    };
    let sought = Sought {
        account_id: said.account_id.as_deref(),
        document: said.discovery_url.as_deref(),
        provider: said.provider.as_deref().map(named).transpose()?,
        via,
        ..Sought::at(said.issuer.as_ref().unwrap_or(&plan.host))
    };
    let found = issuer::find(http, &sought).await.map_err(undiscovered)?;
    let port = match plan.flow {
        Flow::Browser { port } => port,
        Flow::ClientCredentials | Flow::TokenExchange(_) => None,
    };
    let wishes = Wishes { client_id: plan.client_id.as_deref(), scopes: &plan.scopes, port };
    let Some(manner) = Manner::at(&sought, &found, wishes) else {
        return Err(Refusal::Unsupported { why: "no way to sign in there is known".to_owned() });
    };
    let issuer = found.metadata.issuer.clone();
    Ok(Server {
        metadata: found.metadata.clone(),
        issuer: match found.by {
            By::Document(_) => Issuer::Named(issuer),
            By::Shape | By::Redirect => Issuer::At(issuer),
        },
        manner,
        audience: found.facts.audience().map(str::to_owned),
        resource: matches!(said.entra, Some(Entra::Principal { .. })).then(|| azure::resource(&plan.host)),
    })
}

fn named(name: &str) -> Result<&'static Provider, Refusal> {
    providers::named(name).ok_or_else(|| {
        let names: Vec<&str> = providers::all().iter().map(|provider| provider.name.as_str()).collect();
        let known = names.join(", ");
        Refusal::Unsupported { why: format!("there is no provider {name:.40?}; there are {known}") }
    })
}

impl Server {
    /// The client that a person signs in with.
    pub(crate) fn client(&self, plan: &Plan) -> Result<Client, Refusal> {
        let Manner { client_id, needs_secret, title, register, .. } = &self.manner;
        let Some(id) = client_id.clone() else {
            let why = format!(
                "{} is not a Databricks host, so the OAuth client has to be named: --client-id. For {title} it comes from: {register}",
                plan.host
            );
            return Err(Refusal::Unsupported { why });
        };
        if *needs_secret && plan.client_secret.is_none() {
            let why = format!(
                "{title} wants the secret of the client as well: --client-secret-stdin. It comes from: {register}"
            );
            return Err(Refusal::Unsupported { why });
        }
        Ok(Client { id, secret: plan.client_secret.clone() })
    }

    /// What a program asks for.
    pub(crate) fn machine_scopes(&self, plan: &Plan) -> Vec<String> {
        if self.resource.is_some() {
            return plan.scopes.clone();
        }
        self.metadata.scopes_for_machine(&plan.scopes)
    }
}

//! The authorization server that a sign-in is for: found, and what is special about it.

use sso_agent_core::{
    azure,
    discovery::{Flavor, Metadata},
    login::{Entra, Plan},
    refusal::Refusal,
};

use super::undiscovered;
use crate::issuer::{
    self, Client, Http, Sought, Via,
    providers::{self, Provider, Secret},
};

/// See the module.
pub(super) struct Server {
    pub(super) metadata: Metadata,
    pub(super) provider: &'static Provider,
    /// Whom a token must be for that is exchanged there.
    pub(super) audience: Option<String>,
    /// What a token of Entra is for.
    pub(super) resource: Option<&'static str>,
}

/// Finds the server that the plan means.
pub(super) async fn find(plan: &Plan, http: &Http) -> Result<Server, Refusal> {
    let said = &plan.server;
    let sought = Sought {
        host: said.issuer.as_ref().unwrap_or(&plan.host),
        account_id: None,
        document: said.discovery_url.as_deref(),
        provider: said.provider.as_deref().map(named).transpose()?,
        via: match &said.entra {
            None => Via::Host,
            Some(Entra::Person) => Via::Entra,
            Some(Entra::Principal { tenant }) => {
                Via::EntraPrincipal { tenant: tenant.as_deref(), environment: None }
            }
        },
    };
    let found = issuer::find(http, &sought).await.map_err(undiscovered)?;
    let otherwise = match found.metadata.flavor {
        Flavor::Databricks => "databricks",
        Flavor::Generic => "generic",
    };
    let own = if said.entra.is_some() { providers::named("entra") } else { sought.provider() };
    let Some(provider) = own.or_else(|| providers::named(otherwise)) else {
        return Err(Refusal::Unsupported { why: "the file of providers has no entry for it".to_owned() });
    };
    Ok(Server {
        metadata: found.metadata.clone(),
        provider,
        audience: found.facts.audience().map(str::to_owned),
        resource: matches!(said.entra, Some(Entra::Principal { .. })).then(|| azure::resource(&plan.host)),
    })
}

fn named(name: &str) -> Result<&'static Provider, Refusal> {
    providers::named(name).ok_or_else(|| {
        let names: Vec<&str> = providers::all().iter().map(|provider| provider.name.as_str()).collect();
        Refusal::Unsupported {
            why: format!("there is no provider {name:.40?}; there are {}", names.join(", ")),
        }
    })
}

impl Server {
    /// The client that a person signs in with: the stock one where the server knows it. A server on this
    /// machine counts as a stand-in for a workspace.
    pub(super) fn client(&self, plan: &Plan) -> Result<Client, Refusal> {
        let Provider { title, register, secret, client_id, .. } = self.provider;
        let stock = if plan.host.is_loopback() && plan.server.entra.is_none() {
            Flavor::Databricks.stock_client()
        } else {
            client_id.as_deref()
        };
        let Some(id) = plan.client_id.clone().or(stock.map(str::to_owned)) else {
            let why = format!(
                "{} is not a Databricks host, so the OAuth client has to be named: --client-id. For {title} it comes from: {register}",
                plan.host
            );
            return Err(Refusal::Unsupported { why });
        };
        if *secret == Secret::Required && plan.client_secret.is_none() {
            let why = format!(
                "{title} wants the secret of the client too: --client-secret-stdin. It comes from: {register}"
            );
            return Err(Refusal::Unsupported { why });
        }
        Ok(Client { id, secret: plan.client_secret.clone() })
    }

    /// What a person who `asked` for this asks for.
    pub(super) fn scopes(&self, plan: &Plan) -> Vec<String> {
        match plan.server.entra {
            Some(_) => azure::scopes(&plan.host, &plan.scopes),
            None => self.provider.scopes_for(&self.metadata, &plan.scopes),
        }
    }

    /// What a program asks for: at Databricks everything, elsewhere what the server gives it anyway.
    pub(super) fn machine_scopes(&self, plan: &Plan) -> Vec<String> {
        if !plan.scopes.is_empty() || self.resource.is_some() {
            return plan.scopes.clone();
        }
        match self.metadata.flavor {
            Flavor::Databricks => vec!["all-apis".to_owned()],
            Flavor::Generic => Vec::new(),
        }
    }

    /// The ports that may be redirected to; any if it is none.
    pub(super) fn ports(&self, client: &Client, plan: &Plan) -> Option<std::ops::RangeInclusive<u16>> {
        let stock = Flavor::Databricks.stock_ports();
        if plan.server.entra.is_some() {
            // What the SDKs have people register for their own applications.
            return stock;
        }
        if let Some(port) = self.provider.port {
            return Some(port..=port);
        }
        stock.filter(|_| self.metadata.flavor.stock_client() == Some(client.id.as_str()))
    }
}

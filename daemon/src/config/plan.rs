//! What to sign in to: what a request says, what a profile says, and what neither says.

use std::collections::BTreeMap;

use secrecy::SecretString;
use sso_agent_core::{
    host::{Cloud, Host},
    login::{Entra, Flow, Plan, Server},
    words::Label,
};
use sso_agent_proto::{
    fault::{Fault, Kind},
    session::{Flow as WireFlow, Login},
};

use super::profile::{Identity, Machine, Place, label_of};
use crate::{issuer::providers, rpc::translate};

/// The host and the label that a sign-in names by itself.
pub(super) fn named(login: &Login) -> Result<(Host, Label), Fault> {
    let Some(typed) = login.host.as_ref().or(login.issuer.as_ref()) else {
        return Err(Fault::new(
            Kind::UnknownHost,
            "no host was named",
            "say where to sign in: `sso login HOST`",
        ));
    };
    let host = translate::host(typed, login.account_id.as_deref())?;
    let label = match (&login.label, &login.profile) {
        (Some(label), _) => translate::label(label)?,
        (None, Some(name)) => label_of(name),
        (None, None) => Label::default(),
    };
    Ok((host, label))
}

/// A host of which nobody said anything.
pub(super) fn bare(host: Host, label: Label) -> Place {
    Place {
        host,
        label,
        server: Server::default(),
        client_id: None,
        scopes: Vec::new(),
        redirect_port: None,
        identity: Identity::Person,
    }
}

/// What the request says beats what the profile says.
pub(super) fn planned(login: Login, place: Place) -> Result<Plan, Fault> {
    let mut plan = match (&place.identity, login.flow) {
        (Identity::Token(_), _) => {
            let hint = "nobody signs in to it: `sso token --profile` gives that token";
            return Err(Fault::new(Kind::Unsupported, "the profile holds a personal access token", hint));
        }
        (_, WireFlow::Device | WireFlow::Paste) => {
            return Err(Fault::new(
                Kind::Unsupported,
                "this version signs in by browser, and by client credentials",
                "leave `flow` out, or use `sso login --no-browser` on a machine without a browser",
            ));
        }
        (Identity::Machine(_), WireFlow::Browser | WireFlow::ClientCredentials)
            if login.client_id.is_none() =>
        {
            machine_plan(&place, place.digest(), &login.variables)?
        }
        (_, flow) => {
            let port = login.redirect_port.or(place.redirect_port).filter(|port| *port != 0);
            let alone = flow == WireFlow::ClientCredentials && !wants_a_person_too(&login, &place);
            person_plan(&place, if alone { Flow::ClientCredentials } else { Flow::Browser { port } })
        }
    };
    if let Some(label) = &login.label {
        plan.label = translate::label(label)?;
    }
    if let Some(issuer) = &login.issuer {
        plan.server.issuer = Some(translate::host(issuer, None)?);
    }
    let azure = plan.host.cloud() == Some(Cloud::Azure) || plan.host.is_loopback();
    if login.provider.as_deref() == Some("entra") && azure {
        plan.server.entra = Some(Entra::Person);
    } else {
        plan.server.provider = login.provider.or(plan.server.provider);
    }
    plan.server.account_id = login.account_id.or(plan.server.account_id);
    plan.server.discovery_url = login.discovery_url.or(plan.server.discovery_url);
    plan.client_id = login.client_id.or(plan.client_id);
    plan.client_secret = login.client_secret.or(plan.client_secret);
    if !login.scopes.is_empty() {
        plan.scopes = login.scopes;
    }
    if let Some(seconds) = login.timeout_s {
        plan.timeout = translate::seconds(seconds);
    }
    Ok(plan)
}

/// Some providers give even a program on somebody's machine a secret, which then says nothing about who
/// is there.
fn wants_a_person_too(login: &Login, place: &Place) -> bool {
    let said = login.provider.as_deref().or(place.server.provider.as_deref());
    let at = place.server.issuer.as_ref().unwrap_or(&place.host);
    let provider = said.map_or_else(|| providers::of(at), providers::named);
    provider.is_some_and(|provider| provider.secret == providers::Secret::Required)
}

fn person_plan(place: &Place, flow: Flow) -> Plan {
    Plan {
        host: place.host.clone(),
        label: place.label.clone(),
        server: place.server.clone(),
        client_id: place.client_id.clone(),
        client_secret: None,
        scopes: place.scopes.clone(),
        flow,
        timeout: translate::seconds(translate::LOGIN_TIMEOUT_S),
        made_from: None,
    }
}

/// How a program signs in; `variables` are of whoever asks for it.
pub(super) fn machine_plan(
    place: &Place,
    made_from: String,
    variables: &BTreeMap<String, SecretString>,
) -> Result<Plan, Fault> {
    let own = |name: &str| {
        std::env::var_os(name).and_then(|value| value.into_string().ok()).map(SecretString::from)
    };
    let variable = |name: &str| variables.get(name).cloned().or_else(|| own(name));
    let (flow, client_secret) = match &place.identity {
        Identity::Machine(Machine::Secret(secret)) => (Flow::ClientCredentials, Some(secret.reveal())),
        Identity::Machine(Machine::Subject(at)) => {
            let subject = at.find(variable).map_err(|why| {
                let hint = "sign in from where it is: `sso login --profile NAME`";
                Fault::new(Kind::LoginRequired, why, hint)
            })?;
            (Flow::TokenExchange(subject), None)
        }
        Identity::Person | Identity::Token(_) => (Flow::Browser { port: None }, None),
    };
    Ok(Plan { client_secret, made_from: Some(made_from), ..person_plan(place, flow) })
}

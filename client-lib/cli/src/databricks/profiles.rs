//! `databricks auth profiles`: what is in the file, and what of it works.

use serde::Serialize;
use sso_agent_client::{
    blocking::Agent,
    proto::{
        databrickscfg::{AuthType, Section},
        profile::Profiles,
        session::Session,
    },
};

use crate::{
    args::{Format, Said},
    file::Loaded,
    host, resolve,
    say::{self, Fail},
};

#[derive(Serialize)]
struct Shown {
    profiles: Vec<One>,
}

#[derive(Serialize)]
struct One {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<String>,
    cloud: &'static str,
    auth_type: String,
    valid: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
}

/// What the agent knows.
#[derive(Default)]
struct Known {
    sessions: Vec<Session>,
    profiles: Option<Profiles>,
}

pub(crate) fn run(said: &Said) -> Result<(), Fail> {
    let file = Loaded::here()?;
    let known = if said.skip_validate { None } else { Some(ask()) };
    let default = file.config.settings().default_profile;
    let listed = |section: &&Section| section.get("host").or(section.get("account_id")).is_some();
    let profiles = file.config.profiles().filter(listed).map(|section| {
        let valid = known.as_ref().is_some_and(|known| known.serves(section));
        one(section, valid, default == Some(section.name()))
    });
    let shown = Shown { profiles: profiles.collect() };
    match said.format() {
        Format::Json => say::text(say::json(&shown)? + "\n"),
        Format::Text => say::text(table(&shown)),
    }
}

/// Nobody is signed in where no agent is.
fn ask() -> Known {
    let Ok(mut agent) = Agent::connect() else { return Known::default() };
    Known { sessions: agent.sessions().unwrap_or_default(), profiles: agent.profiles().ok() }
}

impl Known {
    fn serves(&self, section: &Section) -> bool {
        let Some(host) = section.get("host") else { return false };
        match section.auth_type() {
            Err(_) => false,
            // Whether the server takes it, only the server knows; the agent passes it on as it is.
            Ok(AuthType::Pat) => section.has("token"),
            Ok(auth_type) if auth_type.is_person() => {
                resolve::session_of(&self.sessions, host, section.get("account_id"), Some(section.name()))
                    .is_some_and(resolve::is_live)
            }
            Ok(_) => self.profiles.iter().flat_map(|known| &known.profiles).any(|known| {
                let there = known.host.as_deref().is_some_and(|own| host::same(own, host));
                known.name == section.name() && there && known.problem.is_none()
            }),
        }
    }
}

fn one(section: &Section, valid: bool, default: bool) -> One {
    let own = |key: &str| section.get(key).map(str::to_owned);
    One {
        name: section.name().to_owned(),
        host: own("host"),
        account_id: own("account_id"),
        workspace_id: own("workspace_id"),
        cloud: host::cloud(section.get("host").unwrap_or_default()),
        auth_type: section.auth_type().map(|auth_type| auth_type.to_string()).unwrap_or_default(),
        valid,
        default,
    }
}

fn table(shown: &Shown) -> String {
    let mut rows = vec![["Name".to_owned(), "Host".to_owned(), "Valid".to_owned()]];
    rows.extend(shown.profiles.iter().map(|profile| {
        let name = profile.name.clone() + if profile.default { " (Default)" } else { "" };
        let valid = if profile.valid { "YES" } else { "NO" };
        [name, profile.host.clone().unwrap_or_default(), valid.to_owned()]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (names, hosts) = (width(0), width(1));
    rows.iter().map(|[name, host, valid]| format!("{name:names$}  {host:hosts$}  {valid}\n")).collect()
}

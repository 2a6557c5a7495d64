//! `databricks auth login`: signs in through the agent, and then saves the profile as the CLI does.

use std::time::Duration;

use sso_agent_client::{
    blocking::Agent,
    proto::{
        databrickscfg::{SETTINGS, Section, credentials, edit, scopes},
        session::{Login, Session, Step},
    },
};

use crate::{
    args::Said,
    browser,
    file::Loaded,
    host::{self, Ids},
    resolve::{self, variable},
    say::{self, Fail},
};

/// As long as the CLI waits for a person.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// Without it there would be no refresh token.
const OFFLINE: &str = "offline_access";

/// What to sign in to, and the name to save it under.
#[derive(Debug)]
struct Plan {
    name: String,
    host: String,
    account_id: Option<String>,
    workspace_id: Option<String>,
    client_id: Option<String>,
    discovery_url: Option<String>,
    scopes: Vec<String>,
}

pub(crate) fn run(said: &Said) -> Result<(), Fail> {
    if said.configure_cluster {
        return Err(Fail::new(
            "--configure-cluster needs the Databricks CLI itself; set cluster_id in the profile instead",
        ));
    }
    let file = Loaded::here()?;
    let plan = plan(said, &file)?;
    // What cannot be saved is told before anybody signs in.
    edit::set("", &plan.name, &[]).map_err(|error| Fail::new(error.to_string()))?;
    file.can_be_changed()?;
    let mut agent = Agent::connect()?;
    let session = agent.login(plan.request(said), |step| show(&step))?;
    save(file, &plan, &session, said)?;
    resolve::tell(agent);
    say::note(&format!("Profile {} was successfully saved", plan.name));
    Ok(())
}

fn plan(said: &Said, file: &Loaded) -> Result<Plan, Fail> {
    resolve::check(said, &file.config)?;
    let (word_profile, word_host) = match said.words.first() {
        Some(word) if file.config.profile(word).is_none() && resolve::looks_like_host(word) => {
            (None, Some(word))
        }
        word => (word, None),
    };
    let named = said.profile.as_ref().or(word_profile).cloned();
    let named = named.or_else(|| variable("DATABRICKS_CONFIG_PROFILE"));
    if named.as_deref() == Some(SETTINGS) {
        return Err(resolve::reserved());
    }
    let section = named.as_deref().and_then(|name| file.config.profile(name));
    let typed = said.host.as_ref().or(word_host).cloned();
    if let (Some(name), Some(host)) = (&named, &typed) {
        resolve::no_conflict(&file.config, name, host)?;
    }
    let typed =
        typed.or_else(|| section?.get("host").map(str::to_owned)).or_else(|| variable("DATABRICKS_HOST"));
    let typed = typed.or_else(|| {
        say::ask("Databricks host (e.g. https://<databricks-instance>.cloud.databricks.com)", "")
    });
    let typed = typed.filter(|host| !host.trim().is_empty()).ok_or_else(|| missing("a host using --host"))?;
    let Ids { workspace, account } = host::ids(&typed);
    let account_id =
        said.account_id.clone().or(account).or_else(|| section?.get("account_id").map(str::to_owned));
    let account_id = account_id.or_else(|| variable("DATABRICKS_ACCOUNT_ID"));
    if account_id.is_none() && host::is_account_console(&typed) {
        return Err(missing("an account ID using --account-id"));
    }
    let workspace_id =
        said.workspace_id.clone().or(workspace).or_else(|| section?.get("workspace_id").map(str::to_owned));
    let name = match named {
        Some(name) => name,
        None => name(file, &typed, account_id.as_deref()),
    };
    let section = file.config.profile(&name);
    let asked = said.scopes.as_deref().or_else(|| section?.get("scopes")).map(scopes).unwrap_or_default();
    Ok(Plan {
        host: host::bare(&typed).to_owned(),
        account_id,
        workspace_id,
        client_id: section.and_then(app).map(str::to_owned),
        discovery_url: section.and_then(|own| own.get("discovery_url").map(str::to_owned)),
        scopes: asked.into_iter().filter(|scope| scope != OFFLINE).collect(),
        name,
    })
}

fn missing(what: &str) -> Fail {
    Fail::new(format!("the command is being run in a non-interactive environment, please specify {what}"))
}

/// The only profile with this host, or a new name, which a person may change.
fn name(file: &Loaded, host: &str, account_id: Option<&str>) -> String {
    let mut there = resolve::at_host(&file.config, host);
    if let (Some(only), None) = (there.next(), there.next()) {
        return only.name().to_owned();
    }
    let proposed = resolve::proposed_name(host, account_id);
    say::ask(&format!("Databricks profile name [{proposed}]"), &proposed).unwrap_or(proposed)
}

/// The custom app that a person signs in with; that of a service principal is another matter.
fn app(section: &Section) -> Option<&str> {
    section.get("client_id").filter(|_| !section.has("client_secret"))
}

impl Plan {
    fn request(&self, said: &Said) -> Login {
        let mut asked = self.scopes.clone();
        if !asked.is_empty() {
            asked.push(OFFLINE.to_owned());
        }
        Login {
            host: Some(self.host.clone()),
            // The label decides; only of a name that can be none the agent makes one.
            label: Some(self.name.clone()).filter(|name| resolve::is_label(name)),
            profile: Some(self.name.clone()).filter(|name| !resolve::is_label(name)),
            account_id: self.account_id.clone(),
            client_id: self.client_id.clone(),
            scopes: asked,
            timeout_s: Some(said.timeout.unwrap_or(PATIENCE).as_secs()),
            discovery_url: variable("DATABRICKS_DISCOVERY_URL").or_else(|| self.discovery_url.clone()),
            ..Login::default()
        }
    }
}

fn show(step: &Step) {
    match step {
        Step::Authorize { url } => {
            let wanted = variable("BROWSER").as_deref() != Some("none");
            let what = if wanted && browser::open(url) {
                "Your browser opens to sign in. If it does not, visit this address on this machine:"
            } else {
                "Please complete authentication by opening this link in your browser:"
            };
            say::note(&format!("{what}\n{}", say::clean(url)));
        }
        Step::Waiting | Step::Exchanging => {}
    }
}

fn save(file: Loaded, plan: &Plan, session: &Session, said: &Said) -> Result<(), Fail> {
    let first = file.config.profiles().next().is_none() && file.config.settings().default_profile.is_none();
    let scopes = (!plan.scopes.is_empty()).then(|| plan.scopes.join(","));
    let mut changes = vec![
        ("host", Some(session.host.as_str())),
        ("account_id", plan.account_id.as_deref()),
        ("workspace_id", plan.workspace_id.as_deref()),
        ("auth_type", Some("databricks-cli")),
        ("scopes", scopes.as_deref()),
    ];
    if said.configure_serverless {
        changes.extend([("cluster_id", None), ("serverless_compute_id", Some("auto"))]);
    }
    let kept = |key: &str| key == "client_id" && plan.client_id.is_some();
    changes.extend(credentials().filter(|(key, _)| !kept(key)).map(|(key, _)| (key, None)));
    file.change(|text| {
        let changed = edit::set(text, &plan.name, &changes)?;
        if first { edit::set_default(&changed, Some(&plan.name)) } else { Ok(changed) }
    })
}

//! `sso app published`: apps that others have published, and the account has enabled.

use serde_json::Value;
use sso_agent_client::{
    blocking::Agent,
    proto::app::{AppCall, AppWhich, PublishedAdd, PublishedUpdate},
};

use super::{
    super::table,
    account, ask,
    list::{self, cell},
    policy,
};
use crate::{
    args::app::Published,
    exit::Failure,
    output::{Output, clean},
};

pub(super) fn run(command: Published, output: &Output) -> Result<(), Failure> {
    match command {
        Published::List(args) => {
            let apps = list::all(args, false, AppCall::PublishedList, output)?;
            output.result(&apps, || match apps.apps.as_slice() {
                [] => "No published app is enabled. `sso app published catalogue` lists those that there are"
                    .to_owned(),
                apps => table::lines(
                    ["APP ID", "NAME", "INTEGRATION ID"],
                    apps.iter().map(|app| ["app_id", "name", "integration_id"].map(|name| cell(app, name))),
                ),
            })
        }
        Published::Catalogue(args) => {
            let apps = list::all(args, false, AppCall::PublishedCatalogue, output)?;
            output.result(&apps, || {
                table::lines(
                    ["APP ID", "NAME", "CLIENT ID", "DESCRIPTION"],
                    apps.apps.iter().map(|app| {
                        ["app_id", "name", "client_id", "description"].map(|name| cell(app, name))
                    }),
                )
            })
        }
        Published::Add { app, policy: said, at } => {
            let name = clean(&app);
            let add =
                PublishedAdd { app_id: app, token_access_policy: policy(said)?, ..PublishedAdd::default() };
            let add = add.at(account(at, output)?);
            let answer: Value = ask(&mut Agent::connect()?, AppCall::PublishedAdd(add))?;
            let id = clean(answer["integration_id"].as_str().unwrap_or_default());
            output.result(&answer, || format!("Enabled {name}\nintegration id: {id}"))
        }
        Published::Update { id, policy: said, at } => {
            let Some(policy) = policy(said)? else {
                let hint = "say what: `sso app published update --help`";
                return Err(Failure::usage("nothing is to change", hint));
            };
            let shown = clean(&id);
            let update = PublishedUpdate {
                integration_id: id,
                token_access_policy: Some(policy),
                ..PublishedUpdate::default()
            };
            let update = update.at(account(at, output)?);
            let answer: Value = ask(&mut Agent::connect()?, AppCall::PublishedUpdate(update))?;
            output.result(&answer, || format!("Changed {shown}"))
        }
        Published::Remove { id, at } => {
            let shown = clean(&id);
            let which = AppWhich { integration_id: id, ..AppWhich::default() }.at(account(at, output)?);
            let answer: Value = ask(&mut Agent::connect()?, AppCall::PublishedRemove(which))?;
            output.result(&answer, || format!("Disabled {shown}"))
        }
    }
}

//! `sso app list`, and what else goes through a list of apps.

use comfy_table::Cell;
use serde::Serialize;
use serde_json::Value;
use sso_agent_client::{
    blocking::Agent,
    proto::app::{Account, AppCall, AppList},
};

use super::{super::table, account, ask};
use crate::{
    args::app::{List, Pages},
    exit::Failure,
    output::{Output, clean},
};

/// An account that always has one more page is not believed.
const MOST_PAGES: usize = 10_000;

/// What is shown of a list.
#[derive(Debug, Serialize)]
pub(super) struct Apps {
    pub(super) apps: Vec<Value>,
}

pub(super) fn run(args: List, output: &Output) -> Result<(), Failure> {
    let apps = all(args.pages, args.creators, AppCall::List, output)?;
    output.result(&apps, || match (apps.apps.as_slice(), args.creators) {
        ([], _) => "The account has no custom apps. `sso app create` registers one".to_owned(),
        (apps, false) => {
            table::lines(["NAME", "INTEGRATION ID", "CLIENT ID", "KIND", "CREATED"], apps.iter().map(row))
        }
        (apps, true) => table::lines(
            ["NAME", "INTEGRATION ID", "CLIENT ID", "KIND", "CREATED", "CREATOR"],
            apps.iter().map(|app| {
                let [name, id, client, kind, created] = row(app);
                [name, id, client, kind, created, cell(app, "creator_username")]
            }),
        ),
    })
}

/// All that there is, page after page.
pub(super) fn all(
    said: Pages,
    creators: bool,
    call: fn(AppList) -> AppCall,
    output: &Output,
) -> Result<Apps, Failure> {
    let first = AppList {
        include_creator_username: if creators { Some(true) } else { None },
        page_size: said.page_size,
        ..AppList::default()
    };
    let first = first.at(account(said.at, output)?);
    pages(&mut Agent::connect()?, &first, call)
}

fn pages(agent: &mut Agent, first: &AppList, call: fn(AppList) -> AppCall) -> Result<Apps, Failure> {
    let (mut apps, mut page) = (Vec::new(), first.clone());
    for _ in 0..MOST_PAGES {
        let mut answer: Value = ask(agent, call(page.clone()))?;
        if let Value::Array(more) = answer["apps"].take() {
            apps.extend(more);
        }
        match answer["next_page_token"].as_str() {
            Some(next) if !next.is_empty() => page.page_token = Some(next.to_owned()),
            Some(_) | None => break,
        }
    }
    Ok(Apps { apps })
}

/// The id of the one app that is called so, if there is one.
pub(super) fn named(agent: &mut Agent, account: &Account, name: &str) -> Result<Option<String>, Failure> {
    let all = pages(agent, &AppList::default().at(account.clone()), AppCall::List)?;
    let called = all.apps.iter().filter(|app| app["name"] == name);
    let ids: Vec<&str> = called.filter_map(|app| app["integration_id"].as_str()).collect();
    match ids[..] {
        [] => Ok(None),
        [id] => Ok(Some(id.to_owned())),
        _ => Err(Failure::usage(
            format!("several apps are called {:?}: {}", clean(name), clean(&ids.join(", "))),
            "name one by its integration id",
        )),
    }
}

fn row(app: &Value) -> [Cell; 5] {
    let created = app["create_time"].as_str().and_then(|time| time.get(..10)).unwrap_or(table::NONE);
    [
        cell(app, "name"),
        cell(app, "integration_id"),
        cell(app, "client_id"),
        Cell::new(kind(app["confidential"] == true)),
        Cell::new(clean(created)),
    ]
}

/// Whether it has a secret, in a word.
pub(super) fn kind(confidential: bool) -> &'static str {
    if confidential { "confidential" } else { "public" }
}

/// One field, as far as it is there.
pub(super) fn cell(app: &Value, field: &str) -> Cell {
    Cell::new(match plain(&app[field]).as_str() {
        "" => table::NONE,
        text => text,
    })
}

/// One line for each field.
pub(super) fn details(app: &Value) -> String {
    let mut lines = Vec::new();
    for (name, value) in app.as_object().into_iter().flatten() {
        match value {
            Value::Object(inner) => lines.extend(
                inner
                    .iter()
                    .map(|(inner, value)| format!("{}.{}: {}", clean(name), clean(inner), plain(value))),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                lines.push(format!("{}: {}", clean(name), plain(value)));
            }
        }
    }
    lines.join("\n")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => clean(text),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => clean(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_app_is_told_field_by_field() {
        let app = json!({
            "name": "a\u{1b}[2J", "confidential": true, "redirect_urls": ["https://a/", "https://b/"],
            "token_access_policy": {"access_token_ttl_in_minutes": 60}, "created_by": 7, "gone": null,
        });
        assert_eq!(
            details(&app),
            "name: a [2J\nconfidential: true\nredirect_urls: https://a/, https://b/\n\
             token_access_policy.access_token_ttl_in_minutes: 60\ncreated_by: 7\ngone: "
        );
        assert_eq!(cell(&app, "gone").content(), "-");
    }
}

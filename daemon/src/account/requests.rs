//! What is asked of an account, request by request: the same that Databricks' own SDKs send.
//!
//! Source: `https://docs.databricks.com/api/account/customappintegration`. Enrolment is in no current SDK;
//! 0.1.6 of the one for Python had it.

use http::Method;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sso_agent_proto::{
    app::{
        AppCreate, AppEnroll, AppList, AppUpdate, AppWhich, PublishedAdd, PublishedUpdate, TokenAccessPolicy,
    },
    fault::{Fault, Kind},
};

const CUSTOM: &str = "custom-app-integrations";
const PUBLISHED: &str = "published-app-integrations";
const CATALOGUE: &str = "published-apps";
const ENROLLMENT: &str = "enrollment";

/// Nothing that an account gave as an id is longer.
const LONGEST_ID: usize = 200;

/// One request, without who makes it.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Below the account's `oauth2/`.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

impl Request {
    fn plain(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: None }
    }

    fn with(method: Method, path: impl Into<String>, body: Map<String, Value>) -> Self {
        Self { body: Some(body.into()), ..Self::plain(method, path) }
    }
}

/// Registers an app.
pub(super) fn create(create: &AppCreate) -> Result<Request, Fault> {
    let mut body = Map::new();
    body.insert("name".to_owned(), json!(create.name));
    body.insert("redirect_urls".to_owned(), json!(create.redirect_urls));
    put(&mut body, "confidential", create.confidential.as_ref());
    put(&mut body, "scopes", Some(&create.scopes).filter(|scopes| !scopes.is_empty()));
    let authorized = Some(&create.user_authorized_scopes).filter(|scopes| !scopes.is_empty());
    put(&mut body, "user_authorized_scopes", authorized);
    put(&mut body, "token_access_policy", policy(create.token_access_policy.as_ref())?);
    Ok(Request::with(Method::POST, CUSTOM, body))
}

/// One page of the account's apps.
pub(super) fn list(list: &AppList) -> Request {
    let creator = list.include_creator_username.map(|yes| ("include_creator_username", yes.to_string()));
    Request {
        query: creator.into_iter().chain(paging(list)).collect(),
        ..Request::plain(Method::GET, CUSTOM)
    }
}

/// One app.
pub(super) fn get(which: &AppWhich) -> Result<Request, Fault> {
    Ok(Request::plain(Method::GET, one(CUSTOM, &which.integration_id)?))
}

/// Changes an app.
pub(super) fn update(update: &AppUpdate) -> Result<Request, Fault> {
    let mut body = Map::new();
    put(&mut body, "redirect_urls", update.redirect_urls.as_ref());
    put(&mut body, "scopes", update.scopes.as_ref());
    put(&mut body, "user_authorized_scopes", update.user_authorized_scopes.as_ref());
    put(&mut body, "token_access_policy", policy(update.token_access_policy.as_ref())?);
    Ok(Request::with(Method::PATCH, one(CUSTOM, &update.integration_id)?, body))
}

/// Deletes an app.
pub(super) fn delete(which: &AppWhich) -> Result<Request, Fault> {
    Ok(Request::plain(Method::DELETE, one(CUSTOM, &which.integration_id)?))
}

/// Enrols the account.
pub(super) fn enroll(enroll: &AppEnroll) -> Request {
    let all = enroll.enable_all_published_apps.unwrap_or(true);
    let body = Map::from_iter([("enable_all_published_apps".to_owned(), json!(all))]);
    Request::with(Method::POST, ENROLLMENT, body)
}

/// Asks whether the account is enrolled.
pub(super) fn enrollment() -> Request {
    Request::plain(Method::GET, ENROLLMENT)
}

/// One page of the published apps that the account has enabled.
pub(super) fn published(list: &AppList) -> Request {
    Request { query: paging(list).collect(), ..Request::plain(Method::GET, PUBLISHED) }
}

/// One page of all published apps.
pub(super) fn catalogue(list: &AppList) -> Request {
    Request { query: paging(list).collect(), ..Request::plain(Method::GET, CATALOGUE) }
}

/// Enables a published app.
pub(super) fn publish(add: &PublishedAdd) -> Result<Request, Fault> {
    let mut body = Map::new();
    put(&mut body, "app_id", Some(&add.app_id));
    put(&mut body, "token_access_policy", policy(add.token_access_policy.as_ref())?);
    Ok(Request::with(Method::POST, PUBLISHED, body))
}

/// Changes a published app.
pub(super) fn republish(update: &PublishedUpdate) -> Result<Request, Fault> {
    let mut body = Map::new();
    put(&mut body, "token_access_policy", policy(update.token_access_policy.as_ref())?);
    Ok(Request::with(Method::PATCH, one(PUBLISHED, &update.integration_id)?, body))
}

/// Disables a published app.
pub(super) fn unpublish(which: &AppWhich) -> Result<Request, Fault> {
    Ok(Request::plain(Method::DELETE, one(PUBLISHED, &which.integration_id)?))
}

fn put(body: &mut Map<String, Value>, name: &str, value: Option<&(impl Serialize + ?Sized)>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), json!(value));
    }
}

fn policy(policy: Option<&TokenAccessPolicy>) -> Result<Option<&TokenAccessPolicy>, Fault> {
    match policy.and_then(TokenAccessPolicy::problem) {
        Some(problem) => Err(Fault::new(Kind::Unsupported, problem, "choose another lifetime")),
        None => Ok(policy),
    }
}

fn paging(list: &AppList) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let size = list.page_size.map(|size| ("page_size", size.to_string()));
    size.into_iter().chain(list.page_token.clone().map(|token| ("page_token", token)))
}

/// The path of one thing; an id that would lead elsewhere is none.
fn one(kind: &str, id: &str) -> Result<String, Fault> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(fits) || id.starts_with('.') {
        let hint = "`sso app list` shows the ids";
        return Err(Fault::new(Kind::Unsupported, format!("{id:.80?} is no integration id"), hint));
    }
    Ok(format!("{kind}/{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn which(id: &str) -> AppWhich {
        AppWhich { integration_id: id.into(), ..AppWhich::default() }
    }

    #[test]
    fn a_body_has_what_was_said_and_nothing_else() {
        let plain = AppCreate {
            name: "a".into(),
            redirect_urls: vec!["https://a/cb".into()],
            keep: true,
            ..AppCreate::default()
        };
        let body = create(&plain).unwrap().body;
        assert_eq!(body, Some(json!({"name": "a", "redirect_urls": ["https://a/cb"]})));
        let policy =
            TokenAccessPolicy { access_token_ttl_in_minutes: Some(60), ..TokenAccessPolicy::default() };
        let more = AppCreate {
            confidential: Some(false),
            scopes: vec!["sql".into()],
            user_authorized_scopes: vec!["sql".into()],
            token_access_policy: Some(policy),
            ..plain
        };
        let body = create(&more).unwrap().body.unwrap();
        assert_eq!(body["confidential"], false);
        assert_eq!(body["token_access_policy"], json!({"access_token_ttl_in_minutes": 60}));
        assert_eq!(body["user_authorized_scopes"], json!(["sql"]));

        let emptied = AppUpdate {
            integration_id: "i".into(),
            user_authorized_scopes: Some(vec![]),
            ..AppUpdate::default()
        };
        let request = update(&emptied).unwrap();
        assert_eq!(
            (request.path.as_str(), request.body),
            ("custom-app-integrations/i", Some(json!({"user_authorized_scopes": []})))
        );
        assert_eq!(enroll(&AppEnroll::default()).body, Some(json!({"enable_all_published_apps": true})));
    }

    #[test]
    fn a_lifetime_that_no_account_takes_is_not_sent() {
        let policy =
            TokenAccessPolicy { refresh_token_ttl_in_minutes: Some(1), ..TokenAccessPolicy::default() };
        let wish = AppCreate { token_access_policy: Some(policy), ..AppCreate::default() };
        assert_eq!(create(&wish).unwrap_err().kind(), Kind::Unsupported);
    }

    #[test]
    fn an_id_leads_to_one_thing_and_nowhere_else() {
        assert_eq!(get(&which("1b2-c_3.d")).unwrap().path, "custom-app-integrations/1b2-c_3.d");
        for id in ["", ".", "..", "../x", "a/b", "a?b", "a#b", "a%2fb", "a b", "ä"] {
            assert!(get(&which(id)).is_err(), "{id}");
            assert!(unpublish(&which(id)).is_err(), "{id}");
        }
    }
}

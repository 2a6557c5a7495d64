//! `sso app`: custom OAuth apps of a Databricks account.

mod create;
mod list;
mod published;

use serde_json::Value;
use sso_agent_client::{
    blocking::Agent,
    proto::{
        app::{
            Account, AppAccount, AppCall, AppEnroll, AppName, AppUpdate, AppWhich, KeptApp, KeptApps,
            TokenAccessPolicy,
        },
        fault::Kind,
        method::Call,
    },
};

use super::{secrets, table};
use crate::{
    args::app::{App, At, Enroll, Policy, Update, Which},
    exit::Failure,
    output::{Output, clean},
};

/// When accounts stopped to need it.
const NOT_NEEDED: &str = "Enrolment is not needed any more: OAuth is on for all accounts since 2023.";

pub(super) fn run(command: App, output: &Output) -> Result<(), Failure> {
    match command {
        App::Create(args) => create::run(args, output),
        App::List(args) => list::run(args, output),
        App::Show(args) => show(args, output),
        App::Update(args) => update(args, output),
        App::Delete(args) => delete(args, output),
        App::Enroll(args) => enroll(args, output),
        App::Enrollment(at) => enrollment(at, output),
        App::Published(command) => published::run(command, output),
        App::Kept => kept(output),
        App::Forget { name } => forget(name, output),
    }
}

fn show(args: Which, output: &Output) -> Result<(), Failure> {
    let app = on_one(&args.app, args.at, output, AppCall::Get)?;
    output.result(&app, || list::details(&app))
}

fn update(args: Update, output: &Output) -> Result<(), Failure> {
    let given = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    let change = AppUpdate {
        redirect_urls: given(args.redirect_urls),
        scopes: given(args.scopes),
        user_authorized_scopes: given(args.user_authorized_scopes),
        token_access_policy: policy(args.policy)?,
        ..AppUpdate::default()
    };
    let nothing = change.redirect_urls.is_none()
        && change.scopes.is_none()
        && change.user_authorized_scopes.is_none()
        && change.token_access_policy.is_none();
    if nothing {
        return Err(Failure::usage("nothing is to change", "say what: `sso app update --help`"));
    }
    let changed = |which: AppWhich| {
        let integration_id = which.integration_id.clone();
        AppCall::Update(AppUpdate { integration_id, ..change.clone().at(which.account()) })
    };
    let answer = on_one(&args.app, args.at, output, changed)?;
    output.result(&answer, || format!("Changed {}", clean(&args.app)))
}

fn delete(args: Which, output: &Output) -> Result<(), Failure> {
    let answer = on_one(&args.app, args.at, output, AppCall::Delete)?;
    output.result(&answer, || format!("Deleted {}", clean(&args.app)))
}

fn enroll(args: Enroll, output: &Output) -> Result<(), Failure> {
    let all = if args.without_published_apps { Some(false) } else { None };
    let wish = AppEnroll { enable_all_published_apps: all, ..AppEnroll::default() };
    let wish = wish.at(account(args.at, output)?);
    output.progress("Enrolling the account …");
    let answer: Value = ask(&mut Agent::connect()?, AppCall::Enroll(wish))?;
    output.result(&answer, || {
        not_needed(&answer)
            .unwrap_or_else(|| "The account is being enrolled, which takes some minutes".to_owned())
    })
}

fn enrollment(at: At, output: &Output) -> Result<(), Failure> {
    let wish = AppAccount::default().at(account(at, output)?);
    let answer: Value = ask(&mut Agent::connect()?, AppCall::Enrollment(wish))?;
    output.result(&answer, || {
        not_needed(&answer).unwrap_or_else(|| match answer["is_enabled"].as_bool() {
            Some(true) => "The account is enrolled".to_owned(),
            Some(false) => "The account is not enrolled: `sso app enroll` does it".to_owned(),
            None => format!("The account says: {}", clean(&answer.to_string())),
        })
    })
}

fn not_needed(answer: &Value) -> Option<String> {
    let said = answer["answer"].as_str().unwrap_or_default();
    (answer["needed"] == false).then(|| format!("{NOT_NEEDED} The account says: {}", clean(said)))
}

fn kept(output: &Output) -> Result<(), Failure> {
    let kept: KeptApps = ask(&mut Agent::connect()?, AppCall::Kept)?;
    let row = |app: &KeptApp| {
        [&app.name, &app.client_id, list::kind(app.confidential), &app.integration_id, &app.host]
            .map(|text| clean(text).into())
    };
    output.result(&kept, || match kept.apps.as_slice() {
        [] => "The agent keeps no apps. `sso app create --keep` leaves one with it".to_owned(),
        apps => {
            let header = ["NAME", "CLIENT ID", "KIND", "INTEGRATION ID", "HOST"];
            table::lines(header, apps.iter().map(row))
        }
    })
}

fn forget(name: String, output: &Output) -> Result<(), Failure> {
    let shown = clean(&name);
    let answer: Value = ask(&mut Agent::connect()?, AppCall::Forget(AppName { app: name }))?;
    output.result(&answer, || format!("Forgot {shown}; it stays registered with its account"))
}

fn ask<T: serde::de::DeserializeOwned>(agent: &mut Agent, call: AppCall) -> Result<T, Failure> {
    Ok(agent.call(&Call::App(call))?)
}

/// Which account is meant; reads the secret if there is one to bring.
fn account(at: At, output: &Output) -> Result<Account, Failure> {
    let at = at.or_environment(|name| std::env::var_os(name));
    let client_secret = match at.client_secret_stdin {
        true => Some(secrets::from_stdin("client secret", output)?),
        false => None,
    };
    let password = match &at.username {
        Some(_) if at.password_stdin => Some(secrets::from_stdin("password", output)?),
        Some(name) => Some(secrets::typed("password", &format!("Password of {}: ", clean(name)), output)?),
        None => None,
    };
    Ok(Account {
        host: at.host,
        account_id: at.account_id,
        profile: at.profile,
        label: at.label,
        client_id: at.client_id,
        client_secret,
        username: at.username,
        password,
    })
}

/// How long tokens live; nothing if nothing was said of it.
fn policy(said: Policy) -> Result<Option<TokenAccessPolicy>, Failure> {
    let policy = TokenAccessPolicy {
        access_token_ttl_in_minutes: said.access_token_ttl,
        refresh_token_ttl_in_minutes: said.refresh_token_ttl,
        absolute_session_lifetime_in_minutes: said.session_lifetime,
        enable_single_use_refresh_tokens: said.single_use_refresh_tokens,
    };
    match policy.problem() {
        Some(problem) => Err(Failure::usage(problem, "choose another lifetime")),
        None => Ok(Some(policy).filter(|policy| *policy != TokenAccessPolicy::default())),
    }
}

/// Does something to the app that is named: by its id, or by its name where the account knows no such id.
fn on_one(app: &str, at: At, output: &Output, call: impl Fn(AppWhich) -> AppCall) -> Result<Value, Failure> {
    let account = account(at, output)?;
    let mut agent = Agent::connect()?;
    let on = |id: &str| {
        let which = AppWhich { integration_id: id.to_owned(), ..AppWhich::default() };
        Call::App(call(which.at(account.clone())))
    };
    let mut unknown = Failure::failed(
        format!("no app of the account is called {:?}", clean(app)),
        "`sso app list` shows those that there are",
    );
    if may_be_id(app) {
        match agent.call(&on(app)) {
            Err(error) if error.kind() == Some(Kind::IssuerRejected) && !is_uuid(app) => {
                unknown = error.into();
            }
            outcome => return Ok(outcome?),
        }
    }
    match list::named(&mut agent, &account, app)? {
        Some(id) => Ok(agent.call(&on(&id))?),
        None => Err(unknown),
    }
}

/// An id is one word; names may be more.
fn may_be_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

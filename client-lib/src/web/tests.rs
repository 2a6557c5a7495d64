//! A web app with either agent, against one that answers what it is told to.

use std::collections::HashMap;

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;
use crate::{
    Advice, Error, Result, TokenSource,
    fake::{Asked, Fake},
};

const ADDRESS: &str = "https://i.example/authorize?state=s";

/// Knows one user by a handle.
fn fake() -> Fake {
    Fake::answering(|asked| match asked.method.as_str() {
        "consent.start" => asked.result(started()),
        "consent.finish" => asked.result(finished()),
        "session.list" => asked.result(page(&asked.params)),
        _ if asked.params != json!({"handle": "HANDLE"}) => refusal(asked, "login_required", "over"),
        "token.get" => asked.result(Fake::token("t", 3600)),
        _ => asked.result(r#"{"revoked":true}"#.into()),
    })
}

fn started() -> String {
    json!({"authorization_url": ADDRESS, "consent": "SEALED", "expires_at": "2026-01-01T00:10:00Z"})
        .to_string()
}

fn finished() -> String {
    json!({
        "handle": "HANDLE", "session": "web-1", "expires_at": "2026-01-01T01:00:00Z",
        "refreshable": true, "user": "ann", "scopes": ["all-apis"],
    })
    .to_string()
}

fn page(params: &serde_json::Value) -> String {
    let first = params.get("after").is_none();
    let (id, next) = if first { ("web-1", r#","next":"web-1""#) } else { ("web-2", "") };
    format!(r#"{{"sessions":[{}]{next}}}"#, Fake::session(id))
}

fn refusal(asked: &Asked, kind: &str, message: &str) -> String {
    let error = json!({"code": -32000, "message": message, "data": {"kind": kind, "hint": "h"}});
    asked.error(&error.to_string())
}

fn app() -> WebApp {
    WebApp::new("h")
        .account_id("a")
        .client_id("c")
        .client_secret("CANARY")
        .redirect_url("https://app.example/callback")
        .scopes(["clusters"])
        .provider("entra")
}

fn consent() -> Consent {
    serde_json::from_value(json!("CANARY")).unwrap()
}

fn session(handle: &str) -> WebSession {
    serde_json::from_value(json!({"handle": handle, "session": "web-1", "user": "ann"})).unwrap()
}

#[test]
fn a_user_signs_in_asks_and_signs_out() {
    let fake = fake();
    let mut agent = fake.agent();
    let (address, consent) = app().start(&mut agent).unwrap();
    assert_eq!(address, ADDRESS);
    let session = consent.finish(&mut agent, [("code", "c"), ("state", "s")]).unwrap();
    assert_eq!((session.id(), session.user()), ("web-1", Some("ann")));
    assert_eq!(session.token(&mut agent).unwrap().token_id, "id-of-t");
    assert_eq!(session.header(&mut agent).unwrap().1.expose_secret(), "Bearer t");
    assert!(session.end(&mut agent).unwrap());

    let asked = fake.asked();
    let methods: Vec<_> = asked.iter().map(|asked| asked.method.as_str()).collect();
    assert_eq!(methods, ["consent.start", "consent.finish", "token.get", "token.get", "consent.end"]);
    let start = json!({
        "host": "h", "account_id": "a", "client_id": "c", "client_secret": "CANARY",
        "redirect_url": "https://app.example/callback", "scopes": ["clusters"], "provider": "entra",
    });
    assert_eq!(asked[0].params, start);
    assert_eq!(asked[1].params, json!({"consent": "SEALED", "params": {"code": "c", "state": "s"}}));
}

#[cfg(feature = "tokio")]
#[::tokio::test]
async fn it_is_the_same_over_tokio() {
    fn sent<T: Send>(future: T) -> T {
        future
    }
    let fake = fake();
    let agent = crate::tokio::Agent::connect_to(fake.socket()).await.unwrap();
    let (address, consent) = sent(app().start(&agent)).await.unwrap();
    assert_eq!(address, ADDRESS);
    let session = sent(consent.finish_url(&agent, "https://app.example/callback?code=c")).await.unwrap();
    assert_eq!(session.token(&agent).await.unwrap().token_id, "id-of-t");
    assert_eq!(sent(session.header(&agent)).await.unwrap().1.expose_secret(), "Bearer t");
    assert!(sent(session.end(&agent)).await.unwrap());
    assert_eq!(agent.web_sessions(None).await.unwrap().len(), 2);
    assert_eq!(
        fake.asked()[1].params,
        json!({"consent": "SEALED", "callback_url": "https://app.example/callback?code=c"})
    );
}

#[test]
fn a_callback_is_taken_as_any_framework_parsed_it() {
    let fake = fake();
    let mut agent = fake.agent();
    let map = HashMap::from([("code".to_owned(), "c".to_owned())]);
    let pairs = vec![("code".to_owned(), "c".to_owned()), ("code".to_owned(), "d".to_owned())];
    consent().finish(&mut agent, &map).unwrap();
    consent().finish(&mut agent, map).unwrap();
    consent().finish(&mut agent, pairs).unwrap();
    let asked: Vec<_> =
        fake.asked().into_iter().map(|asked| asked.params["params"]["code"].clone()).collect();
    assert_eq!(asked, [json!("c"), json!("c"), json!(["c", "d"])]);
}

#[test]
fn a_wrong_callback_leaves_the_consent_for_the_honest_one() {
    let fake = Fake::answering(|asked| match asked.params["params"]["state"].as_str() {
        Some("s") => asked.result(finished()),
        _ => refusal(asked, "denied", "that is no callback of this browser"),
    });
    let (mut agent, consent) = (fake.agent(), consent());
    let error = consent.finish(&mut agent, [("state", "x")]).unwrap_err();
    assert_eq!(error.advice(), Advice::StartOver);
    consent.finish(&mut agent, [("state", "s")]).unwrap();
}

#[test]
fn a_consent_that_is_too_old_is_started_over_and_a_slow_token_asked_for_again() {
    let fake = Fake::answering(|asked| refusal(asked, "timeout", "it took too long"));
    let mut agent = fake.agent();
    let late = consent().finish(&mut agent, [("state", "s")]).unwrap_err();
    assert!(matches!(late, Error::Expired(_)));
    assert_eq!((late.advice(), late.hint()), (Advice::StartOver, "h"));
    let slow = session("HANDLE").token(&mut agent).unwrap_err();
    assert!(matches!(slow.advice(), Advice::Retry { .. }));
}

#[test]
fn a_session_that_is_over_is_started_over() {
    let error = session("another").token(&mut fake().agent()).unwrap_err();
    assert_eq!(error.advice(), Advice::StartOver);
}

#[test]
fn a_token_of_a_user_is_asked_for_again_when_the_agent_is_replaced_and_a_sign_out_is_not() {
    let fake = Fake::answering({
        let mut lost = false;
        move |asked| {
            if std::mem::replace(&mut lost, true) {
                asked.result(Fake::token("t", 3600))
            } else {
                String::new()
            }
        }
    });
    let mut agent = fake.agent();
    session("HANDLE").token(&mut agent).unwrap();
    assert_eq!(fake.asked().len(), 2);

    let fake = Fake::answering(|_| String::new());
    assert!(matches!(session("HANDLE").end(&mut fake.agent()), Err(Error::Unreachable { .. })));
    assert!(matches!(consent().finish_url(&mut fake.agent(), "u"), Err(Error::Unreachable { .. })));
    assert_eq!(fake.asked().len(), 2);
}

#[test]
fn a_token_source_answers_for_a_user() {
    let fake = fake();
    let tokens = TokenSource::at(fake.socket(), session("HANDLE").request());
    tokens.token().unwrap();
    tokens.token().unwrap();
    assert_eq!(fake.asked().len(), 1);
}

#[test]
fn the_users_of_web_apps_are_listed_in_parts() -> Result<()> {
    let fake = fake();
    let sessions = fake.agent().web_sessions(Some("h".into()))?;
    assert_eq!(sessions.iter().map(|session| session.id.as_str()).collect::<Vec<_>>(), ["web-1", "web-2"]);
    assert_eq!(fake.asked()[1].params, json!({"web": true, "host": "h", "after": "web-1"}));
    Ok(())
}

#[test]
fn what_a_web_session_keeps_is_read_back() {
    let text = r#""SEALED""#;
    let consent: Consent = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&consent).unwrap(), text);
    let text = r#"{"handle":"HANDLE","session":"web-1","user":"ann"}"#;
    let session: WebSession = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&session).unwrap(), text);
    let bare = r#"{"handle":"HANDLE","session":"web-1"}"#;
    let session: WebSession = serde_json::from_str(bare).unwrap();
    assert_eq!(serde_json::to_string(&session).unwrap(), bare);
}

#[test]
fn a_session_without_a_refresh_token_says_so_from_the_start() {
    let read = |finished: &str| WebSession::from(serde_json::from_str::<ConsentFinished>(finished).unwrap());
    assert!(read(&finished()).is_refreshable());
    let ends = read(&finished().replace("true", "false"));
    let kept: WebSession = serde_json::from_str(&serde_json::to_string(&ends).unwrap()).unwrap();
    assert!(!kept.is_refreshable());
}

#[test]
fn debug_shows_nothing() {
    let session = session("CANARY");
    let shown = format!("{:?} {:?} {:?} {:?}", app(), consent(), session, session.request());
    assert!(!shown.contains("CANARY"), "{shown}");
    assert_eq!(format!("{:?} {session:?}", consent()), "Consent { .. } WebSession { .. }");
}

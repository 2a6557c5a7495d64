//! The async client against an agent that answers what it is told to.

use secrecy::ExposeSecret as _;
use sso_agent_proto::fault::Kind;

use super::*;
use crate::{Error, TokenRequest, fake::Fake};

#[::tokio::test]
async fn many_calls_share_a_connection_and_answers_may_come_out_of_order() {
    let mut held: Option<String> = None;
    let fake = Fake::answering(move |asked| {
        let answer = asked.result(Fake::token(asked.params["host"].as_str().unwrap(), 3600));
        match held.take() {
            Some(earlier) => answer + &earlier,
            None => {
                held = Some(answer);
                " ".into()
            }
        }
    });
    let agent = Agent::connect_to(fake.socket()).await.unwrap();
    let (one, two) =
        ::tokio::join!(agent.token(TokenRequest::host("one")), agent.token(TokenRequest::host("two")));
    assert_eq!(one.unwrap().access_token.expose_secret(), "one");
    assert_eq!(two.unwrap().access_token.expose_secret(), "two");
}

#[::tokio::test]
async fn a_call_is_made_again_when_the_agent_is_replaced() {
    let mut lost = false;
    let fake = Fake::answering(move |asked| {
        let first = !std::mem::replace(&mut lost, true);
        if first { String::new() } else { asked.result(Fake::session("h")) }
    });
    let agent = Agent::connect_to(fake.socket()).await.unwrap();
    assert_eq!(agent.session(Target::default()).await.unwrap().id, "h");
}

#[::tokio::test]
async fn a_refusal_keeps_its_kind() {
    let fake = Fake::answering(|asked| {
        asked.error(r#"{"code":-32000,"message":"no","data":{"kind":"locked","hint":"unlock"}}"#)
    });
    let agent = Agent::connect_to(fake.socket()).await.unwrap();
    assert_eq!(agent.info().await.unwrap_err().kind(), Some(Kind::Locked));
}

#[::tokio::test]
async fn a_sign_in_has_a_connection_of_its_own() {
    let fake = Fake::answering(|asked| {
        let url = r#"{"jsonrpc":"2.0","method":"session.login.progress","params":{"request_id":1,"step":"waiting"}}"#;
        format!("{url}\n{}", asked.result(Fake::session("h")))
    });
    let agent = Agent { route: Route::Given(fake.socket()), pipeline: Mutex::new(closed(&fake).await) };
    let mut steps = Vec::new();
    let session = agent.login(Login::default(), |step| steps.push(step)).await.unwrap();
    assert_eq!((session.id.as_str(), steps), ("h", vec![Step::Waiting]));
}

#[::tokio::test]
async fn events_come_until_the_agent_is_gone() {
    let fake = Fake::answering(|asked| {
        let event = r#"{"jsonrpc":"2.0","method":"event","params":{"kind":"session.removed","session":"h","at":"2026-01-01T00:00:00Z"}}"#;
        format!("{}{event}\n{}", asked.result("{}".into()), Fake::HANG_UP)
    });
    let agent = Agent { route: Route::Given(fake.socket()), pipeline: Mutex::new(closed(&fake).await) };
    let mut events = agent.subscribe([]).await.unwrap();
    assert_eq!(events.next().await.unwrap().kind, EventKind::SessionRemoved);
    assert!(matches!(events.next().await, Err(Error::Unreachable { .. })));
}

#[::tokio::test]
async fn the_agent_is_asked_once_for_many() {
    let fake = Fake::answering(|asked| asked.result(Fake::token("t", 3600)));
    let tokens = TokenSource::at(fake.socket(), TokenRequest::host("h"));
    let (one, two) = ::tokio::join!(tokens.token(), tokens.header());
    assert_eq!(one.unwrap().token_id, "id-of-t");
    assert_eq!(two.unwrap().1.expose_secret(), "Bearer t");
    assert_eq!(fake.asked().len(), 1);
}

/// The fake serves one connection after the other, so that the main one must not stay open.
async fn closed(fake: &Fake) -> Pipeline {
    Pipeline::new(Connection::open(&Route::Given(fake.socket())).await.unwrap()).hung_up()
}

//! What is sent, and what is made of the answers.

use super::*;
use crate::issuer::{
    http::Sent,
    testing::{Fake, fields, form, json, metadata, reply},
};
use std::time::Duration;

const GRANT: &str =
    r#"{"access_token":"at","token_type":"Bearer","expires_in":60,"refresh_token":"r2","scope":"a b"}"#;

fn public() -> Client {
    Client { id: "id".into(), secret: None }
}

fn confidential() -> Client {
    Client { id: "id".into(), secret: Some("s:&c".into()) }
}

async fn refreshed(fake: &Fake, client: &Client, methods: Option<&[&str]>) -> Outcome {
    let methods = methods.map(|methods| methods.iter().map(|m| (*m).to_owned()).collect());
    let server = Metadata { token_endpoint_auth_methods: methods, ..metadata(&fake.url("")) };
    refresh(&Http::new(), &server, client, &"r1".into(), &[], None).await
}

#[tokio::test]
async fn a_code_is_exchanged_with_its_verifier() {
    let fake = Fake::new(|_| json(200, GRANT)).await;
    let server = metadata(&fake.url(""));
    let (code, verifier) = ("c".into(), "v".into());
    let outcome =
        exchange_code(&Http::new(), &server, &public(), "http://localhost:8020", &code, &verifier).await;
    let Outcome::Granted(grant) = outcome else { panic!("{outcome:?}") };
    assert_eq!(grant.access_token.expose_secret(), "at");
    assert_eq!(grant.refresh_token.unwrap().expose_secret(), "r2");
    assert_eq!(grant.expires_in, Some(Duration::from_secs(60)));
    assert_eq!(grant.scopes, Some(vec!["a".into(), "b".into()]));
    let heard = fake.heard();
    assert_eq!(
        form(&heard[0]),
        fields(&[
            ("grant_type", "authorization_code"),
            ("code", "c"),
            ("code_verifier", "v"),
            ("redirect_uri", "http://localhost:8020"),
            ("client_id", "id"),
        ])
    );
    assert!(!heard[0].to_lowercase().contains("authorization:"));
}

#[tokio::test]
async fn a_refresh_asks_for_no_scope() {
    let fake = Fake::new(|_| json(200, GRANT)).await;
    assert!(matches!(refreshed(&fake, &public(), None).await, Outcome::Granted(_)));
    assert_eq!(
        form(&fake.heard()[0]),
        fields(&[("grant_type", "refresh_token"), ("refresh_token", "r1"), ("client_id", "id")])
    );
}

#[tokio::test]
async fn a_refresh_may_ask_for_less() {
    let fake = Fake::new(|_| json(200, GRANT)).await;
    let server = metadata(&fake.url(""));
    let scopes = ["sql".to_owned(), "files".to_owned()];
    let outcome = refresh(&Http::new(), &server, &public(), &"r1".into(), &scopes, None).await;
    assert!(matches!(outcome, Outcome::Granted(_)));
    assert_eq!(form(&fake.heard()[0])["scope"], "sql files");

    let fake = Fake::new(|_| json(400, r#"{"error":"invalid_scope"}"#)).await;
    let server = metadata(&fake.url(""));
    let outcome = refresh(&Http::new(), &server, &public(), &"r1".into(), &scopes, None).await;
    assert!(matches!(outcome, Outcome::Refused(_)), "the refresh token is as good as before");
}

fn complaint(number: &str) -> String {
    json(
        400,
        &format!(
            r#"{{"error":"invalid_request","error_description":"AADSTS{number}: the 'Single-Page Application' client-type"}}"#
        ),
    )
}

fn origins(fake: &Fake) -> Vec<Option<String>> {
    let origin =
        |request: &String| request.lines().find_map(|line| line.strip_prefix("origin: ")).map(str::to_owned);
    fake.heard().iter().map(origin).collect()
}

#[tokio::test]
async fn entra_hears_where_the_page_is_when_it_misses_that() {
    for number in ["9002327", "9002326"] {
        let fake = Fake::new(
            move |request| {
                if request.contains("origin: ") { json(200, GRANT) } else { complaint(number) }
            },
        )
        .await;
        let server = metadata(&fake.url(""));
        for redirect in ["http://localhost:8020", "http://localhost:8020/callback"] {
            let outcome =
                exchange_code(&Http::new(), &server, &public(), redirect, &"c".into(), &"v".into()).await;
            assert!(matches!(outcome, Outcome::Granted(_)), "{outcome:?}");
        }
        let page = Some("http://localhost:8020".to_owned());
        assert_eq!(origins(&fake), [None, page.clone(), None, page]);
        assert_eq!(form(&fake.heard()[0]), form(&fake.heard()[1]));
    }
}

#[tokio::test]
async fn a_complaint_that_stays_is_heard_twice_and_no_more() {
    let fake = Fake::new(|_| complaint("9002327")).await;
    let server = metadata(&fake.url(""));
    let redirect = "http://localhost:8020";
    let outcome = exchange_code(&Http::new(), &server, &public(), redirect, &"c".into(), &"v".into()).await;
    assert!(matches!(outcome, Outcome::Refused(_)));
    assert_eq!(fake.heard().len(), 2);
    refresh(&Http::new(), &server, &public(), &"r1".into(), &[], Some(redirect)).await;
    assert_eq!(fake.heard().len(), 4);
    refresh(&Http::new(), &server, &public(), &"r1".into(), &[], None).await;
    assert_eq!(fake.heard().len(), 5, "nothing could be done about it");
}

#[tokio::test]
async fn a_refresh_at_microsoft_says_where_the_page_is_from_the_start() {
    let fake = Fake::new(|_| json(200, GRANT)).await;
    let server = metadata(&fake.url("/login.microsoftonline.com"));
    let page = "http://localhost:8020";
    refresh(&Http::new(), &server, &public(), &"r1".into(), &[], Some(page)).await;
    refresh(&Http::new(), &server, &public(), &"r1".into(), &[], None).await;
    refresh(&Http::new(), &metadata(&fake.url("")), &public(), &"r1".into(), &[], Some(page)).await;
    assert_eq!(origins(&fake), [Some(page.to_owned()), None, None]);
}

#[tokio::test]
async fn a_client_that_is_no_page_refreshes_at_microsoft_all_the_same() {
    let fake = Fake::new(
        |request| {
            if request.contains("origin: ") { complaint("9002326") } else { json(200, GRANT) }
        },
    )
    .await;
    let server = metadata(&fake.url("/login.microsoftonline.com"));
    let outcome =
        refresh(&Http::new(), &server, &public(), &"r1".into(), &[], Some("http://localhost:8020")).await;
    assert!(matches!(outcome, Outcome::Granted(_)));
    assert_eq!(fake.heard().len(), 2);
}

#[tokio::test]
async fn github_says_no_with_200() {
    let fake = Fake::new(|request| {
        assert!(request.contains("accept: application/json"), "else it answers as a form");
        json(200, r#"{"error":"bad_verification_code","error_description":"The code passed is incorrect or expired.","error_uri":"https://docs.github.com"}"#)
    })
    .await;
    let server = metadata(&fake.url(""));
    let redirect = "http://127.0.0.1:1/callback";
    let outcome =
        exchange_code(&Http::new(), &server, &public(), redirect, &"code-1".into(), &"verifier-1".into())
            .await;
    let Outcome::Rejected(said) = outcome else { panic!("{outcome:?}") };
    assert_eq!(said.error, "bad_verification_code");
}

#[tokio::test]
async fn a_secret_goes_where_the_server_takes_it() {
    let fake = Fake::new(|_| json(200, GRANT)).await;
    refreshed(&fake, &confidential(), None).await;
    refreshed(&fake, &confidential(), Some(&["client_secret_basic", "client_secret_post"])).await;
    refreshed(&fake, &confidential(), Some(&["client_secret_basic"])).await;
    let heard = fake.heard();
    for request in &heard[..2] {
        assert_eq!(form(request)["client_secret"], "s:&c");
        assert!(!request.contains("authorization: Basic"), "{request}");
    }
    assert!(!form(&heard[2]).contains_key("client_secret"));
    assert!(heard[2].contains("authorization: Basic aWQ6cyUzQSUyNmM=\r\n"), "{}", heard[2]);
}

#[tokio::test]
async fn what_oauth2_cannot_say_is_judged_all_the_same() {
    let fake =
        Fake::new(|_| reply(502, "Content-Type: text/html\r\nRetry-After: 4\r\n", "<html>canary")).await;
    let Outcome::Unreachable(found) = refreshed(&fake, &public(), None).await else { panic!() };
    assert_eq!((found.retry_after, found.sent), (Some(Duration::from_secs(4)), Sent::Answered));

    let fake = Fake::new(|_| json(400, r#"{"error":"invalid_grant"}"#)).await;
    assert!(matches!(refreshed(&fake, &public(), None).await, Outcome::Rejected(_)));

    let fake = Fake::new(|_| json(200, r#"{"refresh_token":"r2","expires_in":"#)).await;
    let Outcome::Unreachable(found) = refreshed(&fake, &public(), None).await else { panic!() };
    assert_eq!(found.salvaged.unwrap().expose_secret(), "r2");
}

#[tokio::test]
async fn an_exchange_can_be_a_task_of_its_own() {
    let fake = Fake::new(|_| String::new()).await;
    let server = metadata(&fake.url(""));
    let task =
        tokio::spawn(async move { refresh(&Http::new(), &server, &public(), &"r1".into(), &[], None).await });
    let Outcome::Unreachable(found) = task.await.unwrap() else { panic!() };
    assert_eq!(found.sent, Sent::Maybe);
    assert!(!found.why.contains("r1"), "{}", found.why);
}

#[tokio::test]
async fn an_issuer_that_repeats_the_request_puts_no_secret_on_a_screen() {
    for status in [400, 503] {
        let fake = Fake::new(move |request| {
            let sent = request.split("\r\n\r\n").nth(1).unwrap_or_default().replace('"', "");
            json(status, &format!(r#"{{"error":"invalid_grant","error_description":"bad request: {sent}"}}"#))
        })
        .await;
        let server = metadata(&fake.url(""));
        let found = refresh(&Http::new(), &server, &public(), &"a+b/CANARY".into(), &[], None).await;
        assert!(!format!("{found:?}").contains("CANARY"), "{found:?}");
    }
}

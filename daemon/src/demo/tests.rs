//! The issuer from outside, over plain sockets.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Consent, Counters, Fault, Issuer, Options, Shape};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const AUTHORIZE: &str = "/oidc/v1/authorize?response_type=code&client_id=me&state=s1\
    &redirect_uri=http%3A%2F%2Flocalhost%3A8020&scope=all-apis+offline_access\
    &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

#[tokio::test]
async fn a_workspace_leads_from_its_config_to_its_endpoints() {
    let issuer = start(Options::default());
    let config = get(&issuer, "/.well-known/databricks-config").await.json();
    let root = config["oidc_endpoint"].as_str().unwrap().strip_prefix(&issuer.url()).unwrap().to_owned();
    let document = get(&issuer, &format!("{root}/.well-known/oauth-authorization-server")).await.json();
    assert_eq!(document["issuer"], issuer.issuer());
    assert_eq!(document["token_endpoint"], format!("{}/oidc/v1/token", issuer.url()));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(issuer.counters().discoveries, 2);
}

#[tokio::test]
async fn other_issuers_have_their_document_in_one_place_only() {
    let oidc = "/.well-known/openid-configuration";
    let oauth = "/.well-known/oauth-authorization-server";
    for (shape, there, elsewhere) in [(Shape::Oidc, oidc, oauth), (Shape::OAuth, oauth, oidc)] {
        let issuer = start(Options { shape, iss_parameter: false, ..Options::default() });
        let document = get(&issuer, there).await.json();
        assert_eq!(document["issuer"], issuer.url());
        assert_eq!(document["authorization_endpoint"], format!("{}/authorize", issuer.url()));
        assert!(document.get("authorization_response_iss_parameter_supported").is_none());
        assert_eq!(get(&issuer, elsewhere).await.status, 404);
    }
}

#[tokio::test]
async fn a_person_signs_in_on_the_page_and_the_page_is_good_once() {
    let issuer = start(Options { consent: Consent::Page, ..Options::default() });
    let page = get(&issuer, AUTHORIZE).await;
    assert!(page.status == 200 && page.body().contains("Sign in as ada@example.com"));
    assert!(page.head.contains("frame-ancestors 'none'"));
    let form = format!("ticket={}&answer=sign-in", ticket(&page));
    let back = post(&issuer, "/oidc/v1/authorize", &form).await;
    assert_eq!(back.status, 303);
    assert_eq!(back.param("state"), Some("s1".into()));
    assert_eq!(back.param("iss"), Some(issuer.issuer()));
    assert!(back.param("code").unwrap().starts_with("demo-code-"));
    assert_eq!(post(&issuer, "/oidc/v1/authorize", &form).await.status, 400);
    assert_eq!((issuer.counters().authorizations, issuer.counters().sign_ins), (1, 1));
}

#[tokio::test]
async fn a_person_may_decline_and_so_may_the_issuer() {
    let issuer = start(Options { consent: Consent::Page, ..Options::default() });
    let page = get(&issuer, AUTHORIZE).await;
    let back = post(&issuer, "/oidc/v1/authorize", &format!("ticket={}&answer=cancel", ticket(&page))).await;
    assert_eq!(back.param("error"), Some("access_denied".into()));

    let issuer = start(Options { consent: Consent::Deny, ..Options::default() });
    let back = get(&issuer, AUTHORIZE).await;
    assert_eq!((back.status, back.param("error")), (302, Some("access_denied".into())));
    assert_eq!((back.param("state"), back.param("code")), (Some("s1".into()), None));
}

#[tokio::test]
async fn a_bad_request_is_answered_on_the_spot_or_by_redirect() {
    let issuer = start(Options::default());
    let here = get(&issuer, &AUTHORIZE.replace("http%3A%2F%2Flocalhost", "http%3A%2F%2Fevil.example")).await;
    assert_eq!((here.status, here.location()), (400, None));
    let there = get(&issuer, &AUTHORIZE.replace("S256", "plain")).await;
    assert_eq!(there.param("error"), Some("invalid_request".into()));
    assert_eq!(issuer.counters().authorizations, 0);
}

#[tokio::test]
async fn a_token_opens_the_workspace_until_it_expires() {
    let issuer = start(Options::default());
    let tokens = sign_in(&issuer).await;
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let access_token = tokens["access_token"].as_str().unwrap();
    assert_eq!(
        call(&issuer, "/api/2.0/preview/scim/v2/Me", access_token).await.json()["userName"],
        "ada@example.com"
    );
    let clusters = call(&issuer, "/api/2.1/clusters/list", access_token).await.json();
    assert_eq!(clusters["clusters"].as_array().unwrap().len(), 2);
    issuer.advance(Duration::from_secs(3600));
    assert!(!issuer.accepts(access_token));
    assert_eq!(call(&issuer, "/api/2.0/clusters/list", access_token).await.status, 401);
    assert_eq!((issuer.counters().api_calls, issuer.counters().rejected_api_calls), (3, 1));
}

#[tokio::test]
async fn a_replayed_refresh_token_takes_the_whole_sign_in_with_it() {
    let issuer = start(Options::default());
    let first = sign_in(&issuer).await;
    let second = refresh(&issuer, &first).await.json();
    assert!(issuer.accepts(second["access_token"].as_str().unwrap()));
    let replayed = refresh(&issuer, &first).await;
    assert_eq!((replayed.status, &replayed.json()["error"]), (400, &json!("invalid_grant")));
    assert!(!issuer.accepts(second["access_token"].as_str().unwrap()));
    assert_eq!(refresh(&issuer, &second).await.status, 400);
    let Counters { refreshes, granted_refreshes, replays, .. } = issuer.counters();
    assert_eq!((refreshes, granted_refreshes, replays), (3, 1, 1));
}

#[tokio::test]
async fn an_administrator_can_end_every_sign_in() {
    let issuer = start(Options::default());
    let tokens = sign_in(&issuer).await;
    issuer.revoke_all();
    assert_eq!(refresh(&issuer, &tokens).await.json()["error"], "invalid_grant");
    assert_eq!(issuer.counters().replays, 0);
}

#[tokio::test]
async fn a_revoked_refresh_token_is_of_no_use() {
    let issuer = start(Options::default());
    let tokens = sign_in(&issuer).await;
    let form = format!("client_id=me&token={}", tokens["refresh_token"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(post(&issuer, "/oidc/v1/revoke", &form).await.status, 200);
    }
    assert_eq!(refresh(&issuer, &tokens).await.json()["error"], "invalid_grant");
    assert_eq!(issuer.counters().revocations, 1);
}

#[tokio::test]
async fn a_confidential_client_must_prove_itself() {
    let issuer = start(Options {
        client_id: Some("me".into()),
        client_secret: Some("hush".into()),
        consent: Consent::Auto,
        ..Options::default()
    });
    let refused =
        post(&issuer, "/oidc/v1/token", "grant_type=refresh_token&refresh_token=x&client_id=me").await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")));
    let form = "grant_type=refresh_token&refresh_token=x&client_id=me&client_secret=hush";
    assert_eq!(post(&issuer, "/oidc/v1/token", form).await.json()["error"], "invalid_grant");
    assert!(issuer.secrets().contains(&"hush".to_owned()));
    assert_eq!(get(&issuer, &AUTHORIZE.replace("client_id=me", "client_id=you")).await.status, 400);
}

#[tokio::test]
async fn a_malformed_post_gets_a_well_formed_refusal() {
    let issuer = start(Options::default());
    for (form, error) in [
        ("grant_type=password&client_id=me", "unsupported_grant_type"),
        ("grant_type=refresh_token&client_id=me", "invalid_request"),
        ("grant_type=refresh_token&client_id=me&refresh_token=a&refresh_token=b", "invalid_request"),
        ("grant_type=refresh_token&refresh_token=a", "invalid_client"),
    ] {
        assert_eq!(post(&issuer, "/oidc/v1/token", form).await.json()["error"], error);
    }
}

#[tokio::test]
async fn a_form_that_is_too_long_is_not_read() {
    let issuer = start(Options::default());
    let form = format!("grant_type=refresh_token&client_id=me&refresh_token={}", "a".repeat(100_000));
    // What was not read may turn the end of the connection into a reset, which takes the answer with it.
    let reply = exchange(&issuer, &posted("/oidc/v1/token", &form)).await;
    assert!(reply.is_err() || reply.is_ok_and(|reply| reply.json()["error"] == "invalid_client"));
    assert_eq!(issuer.counters().refreshes, 0);
}

#[tokio::test]
async fn everything_secret_is_known_to_those_who_look_for_leaks() {
    let issuer = start(Options::default());
    let first = sign_in(&issuer).await;
    let second = refresh(&issuer, &first).await.json();
    let secrets = issuer.secrets();
    assert!(secrets.contains(&VERIFIER.to_owned()) && secrets.iter().any(|s| s.starts_with("demo-code-")));
    for tokens in [&first, &second] {
        assert!(secrets.iter().any(|secret| tokens["refresh_token"] == secret.as_str()));
        assert!(issuer.access_tokens().iter().any(|token| tokens["access_token"] == token.as_str()));
    }
    assert!(!format!("{issuer:?}").contains("demo-"));
}

#[tokio::test]
async fn a_fault_before_the_grant_spends_nothing() {
    let issuer = start(Options::default());
    let mut tokens = sign_in(&issuer).await;
    let status = Fault::Status {
        code: 503,
        retry_after: Some("7".into()),
        content_type: "text/plain".into(),
        body: "busy".into(),
    };
    let odd = Fault::OAuthError { status: 400, error: "invalid_grant".into(), description: None };
    type Shows = fn(&Reply) -> bool;
    let faults: [(Fault, Shows); 11] = [
        (status, |r| r.status == 503 && r.header("retry-after") == Some("7") && r.body() == "busy"),
        (odd, |r| r.status == 400 && r.json() == json!({"error": "invalid_grant"})),
        (Fault::HtmlOk, |r| r.status == 200 && r.header("content-type").unwrap().starts_with("text/html")),
        (Fault::Truncated, |r| r.status == 200 && serde_json::from_slice::<Value>(&r.body).is_err()),
        (Fault::EmptyOk, |r| r.status == 200 && r.body.is_empty()),
        (Fault::InvalidUtf8, |r| r.status == 200 && std::str::from_utf8(&r.body).is_err()),
        (Fault::HugeBody(3_000_001), |r| r.status == 200 && r.body.len() == 3_000_001),
        (Fault::GzipBomb(100), |r| r.header("content-encoding") == Some("gzip") && r.body.len() == 100),
        (Fault::Deep(200_000), |r| r.body.starts_with(b"[[[") && r.body.len() == 200_000),
        (Fault::Redirect("http://127.0.0.1:1/x".into()), |r| {
            r.status == 307 && r.location().unwrap().as_str() == "http://127.0.0.1:1/x"
        }),
        (Fault::Slow(Duration::from_millis(1)), |r| r.status == 200 && r.json()["access_token"].is_string()),
    ];
    for (fault, shows) in faults {
        issuer.inject_times(fault.clone(), 1);
        let reply = refresh(&issuer, &tokens).await;
        assert!(shows(&reply), "{fault:?}: {}", reply.head);
        if !matches!(fault, Fault::Slow(_)) {
            tokens = refresh(&issuer, &tokens).await.json();
        }
        assert_eq!(issuer.counters().replays, 0, "{fault:?}");
    }
    assert_eq!(issuer.counters().faults, 11);
}

#[tokio::test]
async fn a_connection_can_end_before_the_grant_or_after_it() {
    let issuer = start(Options::default());
    let tokens = sign_in(&issuer).await;
    issuer.inject_times(Fault::DropBeforeCommit, 1);
    assert!(try_refresh(&issuer, &tokens).await.is_err());
    assert_eq!(issuer.counters().granted_refreshes, 0);
    let tokens = refresh(&issuer, &tokens).await.json();
    issuer.inject_times(Fault::LoseAnswer, 1);
    assert!(try_refresh(&issuer, &tokens).await.is_err());
    assert_eq!(issuer.counters().granted_refreshes, 2);
    assert_eq!(refresh(&issuer, &tokens).await.status, 400);
    assert_eq!(issuer.counters().replays, 1);
}

#[tokio::test]
async fn within_the_grace_a_lost_answer_costs_nothing() {
    let issuer = start(Options { grace: Duration::from_secs(10), ..Options::default() });
    let tokens = sign_in(&issuer).await;
    issuer.inject_times(Fault::LoseAnswer, 1);
    assert!(try_refresh(&issuer, &tokens).await.is_err());
    assert_eq!(refresh(&issuer, &tokens).await.status, 200);
    issuer.advance(Duration::from_secs(10));
    assert_eq!(refresh(&issuer, &tokens).await.status, 400);
}

#[tokio::test]
async fn a_fault_after_the_grant_spoils_the_answer_only() {
    let issuer = start(Options::default());
    let mut tokens = sign_in(&issuer).await;
    type Shows = fn(&Value) -> bool;
    let faults: [(Fault, Shows); 7] = [
        (Fault::ExpiresIn(json!("soon")), |body| body["expires_in"] == "soon"),
        (Fault::NoExpiresIn, |body| body.get("expires_in").is_none()),
        (Fault::WrongTokenType, |body| body["token_type"] == "mac"),
        (Fault::DuplicateKeys, |body| body["refresh_token"] != "stale"),
        (Fault::Drip(Duration::ZERO), |body| body["token_type"] == "Bearer"),
        (Fault::SlowAnswer(Duration::from_millis(1)), |body| body["token_type"] == "Bearer"),
        (Fault::NoRefreshToken, |body| body.get("refresh_token").is_none()),
    ];
    for (fault, shows) in faults {
        issuer.inject_times(fault.clone(), 1);
        let body = refresh(&issuer, &tokens).await.json();
        assert!(shows(&body) && issuer.accepts(body["access_token"].as_str().unwrap()), "{fault:?}");
        if body.get("refresh_token").is_some() {
            tokens = body;
        }
    }
    issuer.inject_times(Fault::LineBreakInToken, 1);
    tokens = refresh(&issuer, &tokens).await.json();
    assert!(tokens["access_token"].as_str().unwrap().contains("\r\n"));
    issuer.inject_times(Fault::CutOff, 1);
    let cut = refresh(&issuer, &tokens).await;
    let announced: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert!(cut.status == 200 && !cut.body.is_empty() && cut.body.len() < announced);
    assert_eq!(refresh(&issuer, &tokens).await.status, 400, "the answer was lost, and the token spent");
}

#[tokio::test]
async fn a_request_that_hangs_is_in_flight_until_the_client_gives_up() {
    let issuer = start(Options::default());
    let tokens = sign_in(&issuer).await;
    issuer.inject(Fault::Hang);
    tokio::select! {
        reply = try_refresh(&issuer, &tokens) => panic!("answered: {}", reply.is_ok()),
        counters = issuer.until(|counters| counters.in_flight == 1) => assert_eq!(counters.refreshes, 1),
    }
    issuer.until(|counters| counters.in_flight == 0).await;
    issuer.clear_faults();
    assert_eq!(refresh(&issuer, &tokens).await.status, 200);
    assert_eq!(issuer.counters().max_in_flight, 1);
}

#[tokio::test]
async fn the_documents_and_the_redirect_can_lie_as_well() {
    let issuer = start(Options { consent: Consent::Auto, ..Options::default() });
    let config = "/.well-known/databricks-config";
    issuer.inject_times(Fault::HtmlDiscovery, 1);
    assert!(get(&issuer, config).await.body().starts_with("<!doctype html>"));
    issuer.inject_times(Fault::DiscoveryStatus(404), 1);
    assert_eq!(get(&issuer, config).await.status, 404);
    issuer.inject_times(Fault::WrongIssuer, 1);
    let document = get(&issuer, "/oidc/.well-known/oauth-authorization-server").await.json();
    assert_eq!(document["issuer"], "https://issuer.invalid/oidc");
    issuer.inject_times(Fault::WrongIss, 1);
    assert_eq!(get(&issuer, AUTHORIZE).await.param("iss"), Some("https://issuer.invalid/oidc".into()));
    issuer.inject_times(Fault::NoIss, 1);
    assert_eq!(get(&issuer, AUTHORIZE).await.param("iss"), None);
    assert_eq!(get(&issuer, AUTHORIZE).await.param("iss"), Some(issuer.issuer()));
}

#[tokio::test]
async fn off_the_network_it_drops_everybody_and_then_goes_on_as_before() {
    let issuer = start(Options::default());
    let tokens = sign_in(&issuer).await;
    issuer.go_offline();
    assert!(try_refresh(&issuer, &tokens).await.is_err());
    issuer.go_online();
    assert_eq!(refresh(&issuer, &tokens).await.status, 200);
    issuer.stop();
    issuer.go_online();
    assert!(try_refresh(&issuer, &tokens).await.is_err());
}

#[test]
fn it_runs_on_a_thread_of_its_own_until_the_last_handle_is_dropped() {
    let issuer = Issuer::start_in_thread(Options::default()).unwrap();
    let address = issuer.url().trim_start_matches("http://").to_owned();
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    io::Write::write_all(&mut stream, b"GET /.well-known/databricks-config HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let counted = issuer.wait_until(Duration::from_secs(60), |counters| counters.discoveries == 1);
    assert_eq!(counted.map(|counters| counters.discoveries), Some(1));
    drop(issuer);
    let mut rest = Vec::new();
    io::Read::read_to_end(&mut stream, &mut rest).unwrap();
}

/// An answer, read to the end of the connection.
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }

    fn body(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn location(&self) -> Option<url::Url> {
        self.header("location").map(|location| location.parse().unwrap())
    }

    fn param(&self, name: &str) -> Option<String> {
        let location = self.location().unwrap();
        location.query_pairs().find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }
}

/// On this runtime, so that the test's own turns are all that happens.
fn start(options: Options) -> Issuer {
    Issuer::start(options).unwrap()
}

async fn sign_in(issuer: &Issuer) -> Value {
    let arrived = get(issuer, AUTHORIZE).await;
    let code = match arrived.status {
        302 => arrived.param("code").unwrap(),
        _ => {
            let form = format!("ticket={}&answer=sign-in", ticket(&arrived));
            post(issuer, "/oidc/v1/authorize", &form).await.param("code").unwrap()
        }
    };
    let redirect_uri = "http%3A%2F%2Flocalhost%3A8020";
    let form = format!(
        "grant_type=authorization_code&client_id=me&code={code}&redirect_uri={redirect_uri}&code_verifier={VERIFIER}"
    );
    post(issuer, "/oidc/v1/token", &form).await.json()
}

async fn refresh(issuer: &Issuer, tokens: &Value) -> Reply {
    try_refresh(issuer, tokens).await.unwrap()
}

async fn try_refresh(issuer: &Issuer, tokens: &Value) -> io::Result<Reply> {
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let form = format!("grant_type=refresh_token&client_id=me&refresh_token={refresh_token}");
    exchange(issuer, &posted("/oidc/v1/token", &form)).await
}

fn ticket(page: &Reply) -> String {
    let (_, rest) = page.body().split_once("name=\"ticket\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

async fn get(issuer: &Issuer, path: &str) -> Reply {
    exchange(issuer, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await.unwrap()
}

async fn call(issuer: &Issuer, path: &str, token: &str) -> Reply {
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    exchange(issuer, &head).await.unwrap()
}

async fn post(issuer: &Issuer, path: &str, form: &str) -> Reply {
    exchange(issuer, &posted(path, form)).await.unwrap()
}

fn posted(path: &str, form: &str) -> String {
    let length = form.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n{form}"
    )
}

async fn exchange(issuer: &Issuer, request: &str) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(issuer.url().trim_start_matches("http://")).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await?;
    let end = read.windows(4).position(|four| four == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let body = read.split_off(end + 4);
    let head = String::from_utf8(read).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Reply { status, head, body })
}

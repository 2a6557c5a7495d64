//! Web apps' users at every shape of Databricks host, with the certified provider behind it: AWS, Azure, GCP,
//! accounts, and Entra.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

use serde_json::{Value, json};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::{Agent, Provider, Sandbox, need, parts, token};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

const NO_PROVIDER: &str = "the OpenID provider is missing";
const ACCOUNT: &str = "00000000-0000-0000-0000-000000000042";
/// An application that is registered at the stand-in's Entra.
const ENTRA_APP: &str = "6128a518-99a9-425b-8333-4cc94f04cacd";

#[test]
fn users_sign_in_at_hosts_of_every_cloud_and_are_refreshed_with_single_use_tokens() {
    let shapes = [
        ("workspace", json!({})),
        ("azure", json!({})),
        ("gcp", json!({})),
        ("account", json!({ "account_id": ACCOUNT })),
        ("unified", json!({ "account_id": ACCOUNT })),
        ("azure", json!({ "provider": "entra", "client_id": ENTRA_APP })),
    ];
    std::thread::scope(|scope| {
        for (shape, more) in &shapes {
            scope.spawn(move || lives_on(shape, more));
        }
    });
}

fn lives_on(shape: &str, more: &Value) {
    let provider = need!("web apps", Provider::shaped(shape, 4), NO_PROVIDER);
    let sandbox = Sandbox::new();
    let _agent = Agent::start(&sandbox);
    let mut socket = Connection::open(&sandbox.socket()).unwrap();
    let users = ["ada@example.com", "grace@example.com"];
    let signed_in = users.map(|user| sign_in(&mut socket, &sandbox, &provider, more, user));
    for _ in 0..2 {
        let mut last = String::new();
        for (user, finished) in users.iter().zip(&signed_in) {
            assert_eq!(finished["refreshable"], true, "{shape}");
            let got = socket.call("token.get", &json!({ "handle": finished["handle"] })).unwrap().unwrap();
            got["access_token"].as_str().unwrap().clone_into(&mut last);
            assert_eq!(token::user(&last).as_deref(), Some(*user), "{shape} {more}");
            if !matches!(shape, "account" | "unified") {
                assert_eq!(provider.judge(&last), 200, "{shape} {more}");
            }
        }
        token::outlive(&last);
    }
    assert_eq!(provider.count("replays"), 0);
    let end = json!({ "handle": signed_in[0]["handle"] });
    // Entra has nothing to revoke a token by.
    let revoked = more["provider"] != "entra";
    assert_eq!(socket.call("consent.end", &end).unwrap().unwrap(), json!({ "revoked": revoked }), "{shape}");
    let other = json!({ "handle": signed_in[1]["handle"] });
    assert!(socket.call("token.get", &other).unwrap().is_ok(), "the other user stays");
}

/// A user follows the address, and the app finishes with what comes back to it.
fn sign_in(
    socket: &mut Connection,
    sandbox: &Sandbox,
    provider: &Provider,
    more: &Value,
    user: &str,
) -> Value {
    let (listener, port) = (8020..=8040)
        .find_map(|port| Some((TcpListener::bind(("127.0.0.1", port)).ok()?, port)))
        .expect("one of the addresses that the stock client has registered");
    let mut params = json!({ "host": provider.url, "redirect_url": format!("http://localhost:{port}") });
    for (name, value) in more.as_object().unwrap() {
        params[name] = value.clone();
    }
    let begun = socket.call("consent.start", &params).unwrap().unwrap();
    let mut browser = sandbox.command(parts::program("follow"));
    browser.arg(begun["authorization_url"].as_str().unwrap()).env("SSO_TEST_USER", user);
    let mut browser = browser.spawn().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = String::new();
    BufReader::new(stream.try_clone().unwrap()).read_line(&mut request).unwrap();
    stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    drop(stream);
    assert!(browser.wait().unwrap().success());
    let came_to = request.split(' ').nth(1).unwrap();
    let finish = json!({ "consent": begun["consent"], "callback_url": came_to });
    socket.call("consent.finish", &finish).unwrap().unwrap()
}

use std::sync::Arc;

use proptest::prelude::*;
use sso_agent_core::{time::Now, words::Lease};
use sso_agent_proto::lines::MAX_LINE;
use tokio::io::{AsyncReadExt as _, DuplexStream};

use super::*;
use crate::{
    account::Apps,
    clock,
    config::Config,
    handle::Handle,
    http::metadata::Metadata,
    rpc::service::{About, Service},
    snapshot::Snapshot,
    spender::Spender,
    store::{Memory, Store},
    web::Web,
};

/// A service whose driver is gone: what is at hand is answered, all else refused.
fn service() -> Shared {
    let snapshot = Arc::new(Snapshot::default());
    let now = clock::now();
    snapshot.offer(sso_agent_core::words::SessionId::named("a.example"), Arc::new(lease(now)));
    let (handle, _) = Handle::new(snapshot);
    let nowhere = std::path::PathBuf::from("/nonexistent/sso-agent");
    let config = Arc::new(Config::of_files(nowhere.clone(), Some(nowhere)));
    let about = About::new(now, Arc::new(Memory::default()));
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let spender = Arc::new(Spender::here(store.clone(), crate::issuer::Settings::default()));
    let apps = Apps::new(store.clone(), spender.clone(), None);
    let web = Arc::new(Web::new(Arc::default(), store, spender));
    let padlock = Arc::new(crate::padlock::Padlock::read(None));
    Arc::new(Service::new(handle, config, Metadata::load(None).0, apps, web, padlock, about))
}

fn lease(now: Now) -> Lease {
    let lifetime = Duration::from_secs(3600);
    Lease {
        access_token: "the-token".into(),
        token_type: "Bearer".into(),
        token_id: "id".into(),
        scopes: vec!["all".into()],
        obtained: now,
        lifetime,
        expires: now.after(lifetime),
    }
}

/// Sends all of it, closes, and reads what comes back.
async fn say(bytes: &[u8]) -> String {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let serving = tokio::spawn(serve(server, service(), Pulse::default()));
    // The agent may close in the middle of it.
    let _ = client.write_all(bytes).await;
    let _ = client.shutdown().await;
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    serving.await.unwrap();
    String::from_utf8(heard).unwrap()
}

fn ask(id: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"token.get\",\"params\":{{\"host\":\"A.example/\"}}}}\n"
    )
}

#[tokio::test]
async fn a_token_at_hand_is_answered_on_the_spot_even_to_a_client_that_has_closed_its_side() {
    let reply: serde_json::Value = serde_json::from_str(&say(ask("\"x\"").as_bytes()).await).unwrap();
    assert_eq!(reply["id"], "x");
    let token = &reply["result"];
    assert_eq!(token["access_token"], "the-token");
    assert_eq!(token["session"], "a.example");
    assert!(token["expires_at"].as_str().unwrap().ends_with('Z'));
    assert!((3590..=3600).contains(&token["expires_in_s"].as_u64().unwrap()));
}

#[tokio::test]
async fn f44_ten_thousand_pipelined_requests_are_all_answered() {
    let (mut client, server) = tokio::io::duplex(4096);
    tokio::spawn(serve(server, service(), Pulse::default()));
    let asks: String = (0..10_000).map(|id| ask(&id.to_string())).collect();
    let (mut reader, mut writer) = tokio::io::split(&mut client);
    let writing = async {
        writer.write_all(asks.as_bytes()).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut heard = String::new();
    let (_, read) = tokio::join!(writing, reader.read_to_string(&mut heard));
    read.unwrap();
    assert_eq!(heard.lines().count(), 10_000);
}

#[tokio::test]
async fn f43_nonsense_gets_the_standard_error_and_the_connection_goes_on() {
    let said = format!("hello\n\n{{}}\n{}", ask("3"));
    let heard = say(said.as_bytes()).await;
    let codes: Vec<_> = heard
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["error"]["code"].as_i64())
        .collect();
    assert_eq!(codes, [Some(-32700), Some(-32700), Some(-32600), None]);
}

#[tokio::test]
async fn f43_a_message_without_end_is_refused_before_it_is_held() {
    let heard = say(&vec![b'x'; MAX_LINE + 5000]).await;
    assert!(heard.contains("-32600") && heard.contains("1048576"), "{heard}");
}

#[tokio::test]
async fn what_the_driver_does_not_answer_is_refused_and_a_notification_gets_no_reply() {
    let heard = say(b"{\"jsonrpc\":\"2.0\",\"method\":\"agent.info\"}\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"agent.info\"}\n").await;
    assert_eq!(heard.lines().count(), 1);
    assert!(heard.contains("issuer_unavailable"), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn f42_half_a_message_is_waited_for_ten_seconds_and_a_silent_client_for_ever() {
    let half = |bytes: &'static [u8]| async move {
        let (mut client, server): (DuplexStream, _) = tokio::io::duplex(4096);
        let serving = tokio::spawn(serve(server, service(), Pulse::default()));
        client.write_all(bytes).await.unwrap();
        let ended = tokio::time::timeout(FINISHES_WITHIN * 2, serving).await.is_ok();
        drop(client);
        ended
    };
    assert!(half(b"{\"jsonrpc\":").await);
    assert!(!half(b"").await);
}

#[tokio::test(start_paused = true)]
async fn f41_who_asks_and_does_not_read_is_hung_up_on() {
    let (mut client, server) = tokio::io::duplex(4096);
    let serving = tokio::spawn(serve(server, service(), Pulse::default()));
    let asks: String = (0..1000).map(|id| ask(&id.to_string())).collect();
    let start = Instant::now();
    // It takes what it has room for, and then no more.
    assert!(
        tokio::time::timeout(READS_WITHIN * 2, client.write_all(asks.as_bytes())).await.unwrap().is_err()
    );
    serving.await.unwrap();
    assert!(start.elapsed() >= READS_WITHIN && start.elapsed() < READS_WITHIN * 2);
}

#[tokio::test(start_paused = true)]
async fn f42_a_message_that_comes_a_byte_at_a_time_is_not_waited_for_longer() {
    let (mut client, server) = tokio::io::duplex(4096);
    let serving = tokio::spawn(serve(server, service(), Pulse::default()));
    let start = Instant::now();
    while client.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    serving.await.unwrap();
    assert!(start.elapsed() <= FINISHES_WITHIN + Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn f43_long_messages_of_many_at_once_are_not_all_held() {
    let mut senders = Vec::new();
    for _ in 0..12 {
        let (mut client, server) = tokio::io::duplex(4096);
        tokio::spawn(serve(server, service(), Pulse::default()));
        // Whoever is refused has nobody who reads.
        let sent = client.write_all(&vec![b'x'; 2 * USUAL]).await.is_ok();
        senders.push((sent, client));
    }
    assert_eq!(senders.iter().filter(|(sent, _)| *sent).count(), 8);
    senders.clear();
    // Its room is there again as soon as it has gone.
    while LONG.available_permits() < 8 {
        tokio::task::yield_now().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_are_answered_or_the_connection_is_closed(bytes in proptest::collection::vec(
        prop_oneof![8 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(b'{')], 0..600,
    )) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let heard = runtime.block_on(say(&bytes));
        for line in heard.lines() {
            let reply: serde_json::Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(&reply["jsonrpc"], "2.0");
        }
    }
}

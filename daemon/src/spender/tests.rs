use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use secrecy::ExposeSecret as _;
use sso_agent_core::words::Need;
use sso_agent_proto::agent::Key;
use zeroize::Zeroizing;

use super::*;
use crate::{
    clock,
    issuer::testing::{Fake, json, reply},
    store::{Kept, Loaded, Memory, Renewal, Slot, StoreError, example},
};

mod lost;

const ID: &str = "adb-1.azuredatabricks.net";

/// A store in memory that refuses as often as it is told to.
#[derive(Clone, Default)]
struct Full {
    records: Memory,
    no_room: Arc<AtomicU32>,
    no_commit: Arc<AtomicU32>,
}

impl Full {
    fn refuses(count: &AtomicU32) -> Result<(), StoreError> {
        match count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Err(StoreError::Broken),
            Err(_) => Ok(()),
        }
    }

    fn record(&self) -> Record {
        self.records.load(ID).unwrap().unwrap()
    }

    fn refresh_token(&self) -> String {
        self.record().refresh_token.unwrap().expose_secret().to_owned()
    }
}

struct Room(Full, Box<dyn Slot>);

impl Store for Full {
    fn load_all(&self) -> Result<Loaded, StoreError> {
        self.records.load_all()
    }

    fn load(&self, id: &str) -> Result<Option<Record>, StoreError> {
        self.records.load(id)
    }

    fn reserve(&self, id: &str) -> Result<Box<dyn Slot>, StoreError> {
        Self::refuses(&self.no_room)?;
        Ok(Box::new(Room(self.clone(), self.records.reserve(id)?)))
    }

    fn remove(&self, id: &str) -> Result<(), StoreError> {
        self.records.remove(id)
    }

    fn seal(&self, what: &str, content: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, StoreError> {
        self.records.seal(what, content)
    }

    fn unseal(&self, what: &str, note: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.records.unseal(what, note)
    }

    fn key(&self) -> Key {
        Key::None
    }
}

impl Slot for Room {
    fn commit(self: Box<Self>, record: &Record) -> Result<Kept, StoreError> {
        Full::refuses(&self.0.no_commit)?;
        self.1.commit(record)
    }
}

/// A spender with one session, whose refresh token is "rt-0".
fn spender(issuer: &Fake) -> (Spender, Full) {
    let store = Full::default();
    let record = Record {
        token_endpoint: issuer.url("/token"),
        revocation_endpoint: Some(issuer.url("/revoke")),
        refresh_token: Some("rt-0".into()),
        login_required: None,
        ..example(ID)
    };
    store.put(&record).unwrap();
    (spending(&store, Ledger::in_memory()), store)
}

fn spending(store: &Full, ledger: Ledger) -> Spender {
    let http = Arc::new(Http::new());
    let purse = Purse::new(Arc::new(store.clone()), http.clone(), ledger);
    Spender::by(Way::Here(Arc::new(purse)), http)
}

/// Renews for an agent that knows of the newest lease.
async fn renew(spender: &Spender, store: &Full) -> Result<Arc<Lease>, RenewError> {
    let has = store.record().lease.map(|lease| Arc::new(restored(&lease, clock::now())));
    renew_for(spender, has).await
}

async fn renew_for(spender: &Spender, has: Option<Arc<Lease>>) -> Result<Arc<Lease>, RenewError> {
    let (told, outcome) = oneshot::channel();
    spender.renew(&SessionId::named(ID), has, false, |outcome| told.send(outcome).unwrap()).await;
    outcome.await.unwrap()
}

/// Answers the nth request with the nth pair of tokens.
async fn rotating() -> Fake {
    let count = AtomicU32::new(0);
    Fake::new(move |_| {
        let n = count.fetch_add(1, Ordering::Relaxed) + 1;
        let body = format!(
            r#"{{"access_token":"at-{n}","token_type":"Bearer","expires_in":3600,"refresh_token":"rt-{n}"}}"#
        );
        json(200, &body)
    })
    .await
}

#[tokio::test]
async fn the_new_refresh_token_is_banked_before_anybody_hears_of_it() {
    let issuer = rotating().await;
    let (spender, store) = spender(&issuer);
    let (told, banked) = oneshot::channel();
    let kept = store.clone();
    let report = move |outcome: Result<_, _>| told.send(outcome.ok().map(|_| kept.refresh_token())).unwrap();
    let has = store.record().lease.map(|lease| Arc::new(restored(&lease, clock::now())));
    spender.renew(&SessionId::named(ID), has, false, report).await;
    assert_eq!(banked.await.unwrap().as_deref(), Some("rt-1"));
    assert!(issuer.heard()[0].contains("refresh_token=rt-0"));
}

#[tokio::test]
async fn nothing_is_spent_that_could_not_be_banked() {
    let issuer = rotating().await;
    let (spender, store) = spender(&issuer);
    store.no_room.store(1, Ordering::Relaxed);
    assert!(matches!(renew(&spender, &store).await, Err(RenewError::Store(_))));
    assert!(issuer.heard().is_empty());
    assert!(renew(&spender, &store).await.is_ok());
}

#[tokio::test]
async fn what_the_store_would_not_take_is_held_and_banked_before_anything_else_is_spent() {
    let issuer = rotating().await;
    let (spender, store) = spender(&issuer);
    store.no_commit.store(2, Ordering::Relaxed);
    assert!(matches!(renew(&spender, &store).await, Err(RenewError::Store(_))));
    assert!(matches!(renew(&spender, &store).await, Err(RenewError::Store(_))));
    assert_eq!(store.refresh_token(), "rt-0");
    let lease = renew(&spender, &store).await.unwrap();
    assert_eq!(lease.access_token.expose_secret(), "at-1");
    assert_eq!(store.refresh_token(), "rt-1");
    assert_eq!(issuer.heard().len(), 1, "it was spent once");
}

#[tokio::test]
async fn an_answer_without_a_refresh_token_leaves_the_old_one() {
    let issuer =
        Fake::new(|_| json(200, r#"{"access_token":"at","token_type":"Bearer","expires_in":60}"#)).await;
    let (spender, store) = spender(&issuer);
    assert!(renew(&spender, &store).await.is_ok());
    assert_eq!(store.refresh_token(), "rt-0");
}

#[tokio::test]
async fn a_refresh_token_in_an_answer_that_cannot_be_used_is_banked_all_the_same() {
    let odd = r#"{"access_token":"at","token_type":"Bearer","expires_in":-5,"refresh_token":"rt-1"}"#;
    let issuer = Fake::new(move |_| json(200, odd)).await;
    let (spender, store) = spender(&issuer);
    assert!(matches!(renew(&spender, &store).await, Err(RenewError::Unwell { .. })));
    assert_eq!(store.refresh_token(), "rt-1");
}

#[tokio::test]
async fn a_rejected_refresh_token_is_parked_and_a_captive_portal_rejects_nothing() {
    let issuer = Fake::new(|_| json(400, r#"{"error":"invalid_grant"}"#)).await;
    let (spender_, store) = spender(&issuer);
    assert!(matches!(renew(&spender_, &store).await, Err(RenewError::Rejected(_))));
    assert_eq!(store.refresh_token(), "rt-0");
    assert!(store.record().login_required.unwrap().contains("invalid_grant"));

    let portal = Fake::new(|_| reply(200, "Content-Type: text/html\r\n", "<html>Please pay</html>")).await;
    let (spender, store) = spender(&portal);
    assert!(matches!(renew(&spender, &store).await, Err(RenewError::Unwell { .. })));
    assert_eq!(store.record().login_required, None);
}

#[tokio::test]
async fn signing_out_forgets_first_and_then_tells_the_issuer() {
    let issuer = Fake::new(|_| reply(200, "", "")).await;
    let (spender, store) = spender(&issuer);
    assert_eq!(spender.forget(&SessionId::named(ID)).await, Ok(true));
    assert!(store.load(ID).unwrap().is_none());
    assert!(issuer.heard()[0].contains("token=rt-0"));
    assert_eq!(spender.forget(&SessionId::named(ID)).await, Ok(false));
}

#[tokio::test]
async fn an_issuer_that_cannot_be_told_keeps_nobody_signed_in() {
    let issuer = Fake::new(|_| reply(503, "", "")).await;
    let (spender, store) = spender(&issuer);
    assert_eq!(spender.forget(&SessionId::named(ID)).await, Ok(false));
    assert!(store.load(ID).unwrap().is_none());
}

#[tokio::test]
async fn who_waited_for_a_turn_takes_what_the_one_before_brought() {
    let issuer = rotating().await;
    let (spender, store) = spender(&issuer);
    let now = clock::now();
    let mut record = store.record();
    if let Some(lease) = &mut record.lease {
        lease.issued_at = now.wall.as_secs();
        lease.expires_at = now.wall.as_secs() + 3600;
    }
    store.put(&record).unwrap();
    let lease = renew_for(&spender, None).await.unwrap();
    assert_eq!(lease.access_token.expose_secret(), "canary-access-token");
    assert!(issuer.heard().is_empty());
    assert!(renew_for(&spender, Some(lease)).await.is_ok());
    assert_eq!(issuer.heard().len(), 1);
}

#[tokio::test]
async fn what_is_held_is_banked_when_the_agent_stops_and_nothing_more_is_spent() {
    let issuer = rotating().await;
    let (spender, store) = spender(&issuer);
    store.no_commit.store(1, Ordering::Relaxed);
    assert!(renew(&spender, &store).await.is_err());
    spender.stop();
    spender.bank_all().await;
    assert_eq!(store.refresh_token(), "rt-1");
    assert!(matches!(renew(&spender, &store).await, Err(RenewError::Unreachable { .. })));
    assert_eq!(issuer.heard().len(), 1);
}

fn need(min_valid: u64) -> Need {
    Need { min_valid: Duration::from_secs(min_valid), ..Need::default() }
}

async fn narrowed(spender: &Spender, scopes: &[&str]) -> Result<String, Refusal> {
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let lease = spender.narrow(&SessionId::named(ID), &scopes, &need(60), Duration::from_secs(9)).await?;
    Ok(lease.access_token.expose_secret().to_owned())
}

#[tokio::test]
async fn a_token_with_fewer_scopes_is_bought_once_and_its_refresh_token_banked() {
    let issuer = rotating().await;
    let (spender, store) = spender(&issuer);
    assert_eq!(narrowed(&spender, &["sql"]).await.as_deref(), Ok("at-1"));
    assert_eq!(store.refresh_token(), "rt-1");
    assert!(issuer.heard()[0].contains("scope=sql"), "{:?}", issuer.heard());
    assert_eq!(narrowed(&spender, &["sql"]).await.as_deref(), Ok("at-1"), "it is kept");
    assert_eq!(narrowed(&spender, &["clusters", "sql"]).await.as_deref(), Ok("at-2"));
    let kept = store.record().lease.unwrap();
    assert_eq!(kept.access_token.expose_secret(), "canary-access-token", "the session's own is left alone");
    assert_eq!(renew(&spender, &store).await.unwrap().access_token.expose_secret(), "at-3");
    assert!(issuer.heard()[2].contains("refresh_token=rt-2"));
}

#[tokio::test]
async fn many_who_want_the_same_fewer_scopes_cost_one_request() {
    let issuer = rotating().await;
    let (spender, _) = spender(&issuer);
    let (a, b, c) = tokio::join!(
        narrowed(&spender, &["sql"]),
        narrowed(&spender, &["sql"]),
        narrowed(&spender, &["sql"])
    );
    assert!([a, b, c].iter().all(|token| token.as_deref() == Ok("at-1")));
    assert_eq!(issuer.heard().len(), 1);
}

#[tokio::test]
async fn a_scope_that_is_not_given_takes_a_sign_in_and_ends_nothing() {
    let issuer = Fake::new(|_| json(400, r#"{"error":"invalid_scope"}"#)).await;
    let (spender_, store) = spender(&issuer);
    assert!(matches!(narrowed(&spender_, &["x"]).await, Err(Refusal::LoginRequired { .. })));
    assert_eq!(store.record().login_required, None);
    let other = Fake::new(|_| {
        json(200, r#"{"access_token":"at","expires_in":60,"scope":"all","refresh_token":"rt-9"}"#)
    })
    .await;
    let (spender, store) = spender(&other);
    assert!(matches!(narrowed(&spender, &["x"]).await, Err(Refusal::LoginRequired { .. })));
    assert_eq!(store.refresh_token(), "rt-9", "banked, whatever else the answer is");
}

#[tokio::test]
async fn an_issuer_that_fails_is_not_asked_again_by_everybody_who_wants_fewer_scopes() {
    let issuer = Fake::new(|_| reply(503, "Retry-After: 30\r\n", "")).await;
    let (spender, _) = spender(&issuer);
    for _ in 0..3 {
        assert!(matches!(narrowed(&spender, &["sql"]).await, Err(Refusal::Unavailable { .. })));
    }
    assert_eq!(issuer.heard().len(), 1);
}

#[tokio::test]
async fn a_refresh_token_that_was_turned_down_is_not_sent_for_fewer_scopes() {
    let issuer = rotating().await;
    let (spender, store) = spender(&issuer);
    store.put(&Record { login_required: Some("invalid_grant".into()), ..store.record() }).unwrap();
    assert!(matches!(narrowed(&spender, &["sql"]).await, Err(Refusal::LoginRequired { .. })));
    assert!(issuer.heard().is_empty());
}

#[tokio::test]
async fn an_issuer_that_does_not_narrow_gives_nobody_more_than_was_asked_for() {
    let all = r#"{"access_token":"at","expires_in":60,"scope":"all sql","refresh_token":"rt-9"}"#;
    let issuer = Fake::new(move |_| json(200, all)).await;
    let (spender, store) = spender(&issuer);
    for _ in 0..2 {
        assert!(matches!(narrowed(&spender, &["sql"]).await, Err(Refusal::LoginRequired { .. })));
    }
    assert_eq!((store.refresh_token().as_str(), issuer.heard().len()), ("rt-9", 1));
}

#[tokio::test]
async fn what_is_held_outlives_a_sign_in_that_cannot_be_kept_either() {
    let issuer = rotating().await;
    let (spender, store) = spender(&issuer);
    store.no_commit.store(2, Ordering::Relaxed);
    assert!(renew(&spender, &store).await.is_err());
    assert!(signed_in(&spender, &store).await.is_err());
    assert_eq!(renew(&spender, &store).await.unwrap().access_token.expose_secret(), "at-1");
    assert_eq!(store.refresh_token(), "rt-1");
}

#[tokio::test]
async fn what_was_banked_beside_the_lease_is_not_taken_for_a_renewal() {
    let issuer = rotating().await;
    let (spender, store) = spender(&issuer);
    store.no_commit.store(1, Ordering::Relaxed);
    assert!(matches!(narrowed(&spender, &["sql"]).await, Err(Refusal::StoreFailed { .. })));
    assert_eq!(renew(&spender, &store).await.unwrap().access_token.expose_secret(), "at-2");
    assert_eq!(store.refresh_token(), "rt-2");
}

async fn signed_in(spender: &Spender, store: &Full) -> Result<Signed, Refusal> {
    let by = By::Code { code: "code".into(), verifier: "verifier".into() };
    spender.sign_in(store.record(), by, |_| ()).await
}

async fn taken(spender: &Spender, store: &Full, token: &str) -> Result<Signed, Refusal> {
    let record = Record { refresh_token: Some(token.into()), ..store.record() };
    spender.sign_in(record, By::Refresh, |_| ()).await
}

#[tokio::test]
async fn a_refresh_token_of_another_tool_is_spent_once_and_never_lost() {
    let issuer = rotating().await;
    let (spender, store) = spender(&issuer);
    store.no_room.store(1, Ordering::Relaxed);
    assert!(matches!(taken(&spender, &store, "theirs").await, Err(Refusal::StoreFailed { .. })));
    assert!(issuer.heard().is_empty(), "not before there is room for what it brings");
    store.no_commit.store(1, Ordering::Relaxed);
    assert!(matches!(taken(&spender, &store, "theirs").await, Err(Refusal::StoreFailed { .. })));
    assert!(renew(&spender, &store).await.is_ok(), "what it brought is held");
    assert_eq!(store.refresh_token(), "rt-1");
    assert!(matches!(taken(&spender, &store, "theirs").await, Err(Refusal::Cancelled { .. })));
    taken(&spender, &store, "another").await.unwrap();
    assert_eq!(issuer.heard().len(), 2);

    let odd = r#"{"access_token":"at","expires_in":-5,"refresh_token":"salvaged"}"#;
    let issuer = Fake::new(move |_| json(200, odd)).await;
    let (spender_, store) = self::spender(&issuer);
    assert!(taken(&spender_, &store, "theirs").await.is_err());
    assert_eq!(store.refresh_token(), "salvaged");
}

#[tokio::test]
async fn whoever_signs_in_again_gets_no_token_of_the_one_before() {
    let issuer = rotating().await;
    let (spender, store) = spender(&issuer);
    narrowed(&spender, &["sql"]).await.unwrap();
    signed_in(&spender, &store).await.unwrap();
    assert_eq!(narrowed(&spender, &["sql"]).await.as_deref(), Ok("at-3"));
}

/// The same with other means than a refresh token.
async fn renewed_by(renewal: Renewal, issuer: &Fake) -> Result<Arc<Lease>, RenewError> {
    let (spender, store) = spender(issuer);
    let record = Record {
        renewal,
        refresh_token: None,
        auth_methods: None,
        scopes: vec!["all-apis".into()],
        ..store.record()
    };
    store.put(&record).unwrap();
    renew(&spender, &store).await
}

#[tokio::test]
async fn a_program_shows_its_secret_again() {
    let issuer = rotating().await;
    renewed_by(Renewal::ClientCredentials { resource: None }, &issuer).await.unwrap();
    let heard = issuer.heard().concat();
    assert!(heard.contains("grant_type=client_credentials") && heard.contains("scope=all-apis"), "{heard}");
    assert!(heard.contains("authorization: Basic ") && !heard.contains("canary-client-secret"), "{heard}");
    renewed_by(Renewal::ClientCredentials { resource: Some("app".into()) }, &issuer).await.unwrap();
    assert!(issuer.heard()[1].contains("resource=app"));
}

#[tokio::test]
async fn a_token_of_the_platform_is_read_anew_from_its_file() {
    let issuer = rotating().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let file = || Renewal::File { path: path.to_str().unwrap().to_owned() };
    assert!(matches!(renewed_by(file(), &issuer).await, Err(RenewError::Unreachable { .. })));
    for token in ["first", "second"] {
        std::io::Write::write_all(
            &mut std::fs::File::create(&path).unwrap(),
            format!("{token}\n").as_bytes(),
        )
        .unwrap();
        renewed_by(file(), &issuer).await.unwrap();
        let heard = issuer.heard().pop().unwrap();
        assert!(
            heard.contains(&format!("subject_token={token}&"))
                || heard.ends_with(&format!("subject_token={token}")),
            "{heard}"
        );
        assert!(!heard.contains("authorization:"), "{heard}");
    }
}

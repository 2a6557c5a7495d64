//! What happens when nobody knows whether a refresh token is spent.

use tempfile::{TempDir, tempdir};

use super::*;
use crate::spender::ledger::{Intent, fingerprint};

/// An issuer that does not answer the first requests, and says then what it is told to.
async fn forgetful(lost: u32, then: &'static str) -> Fake {
    let left = AtomicU32::new(lost);
    Fake::new(move |_| {
        match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => String::new(),
            Err(_) if then.contains("error") => json(400, then),
            Err(_) => json(200, then),
        }
    })
    .await
}

const GRANT: &str =
    r#"{"access_token":"at-1","token_type":"Bearer","expires_in":3600,"refresh_token":"rt-1"}"#;
const GONE: &str = r#"{"error":"invalid_grant"}"#;

/// A session at a server that is not known to end whole families of tokens, with a ledger on disk.
fn elsewhere(issuer: &Fake, good_for: u64) -> (Spender, Full, TempDir) {
    let (_, store) = spender(issuer);
    let now = clock::now().wall.as_secs();
    let mut record = Record { host: "https://issuer.example".to_owned(), ..store.record() };
    if let Some(lease) = &mut record.lease {
        (lease.issued_at, lease.expires_at) = (now, now + good_for);
    }
    store.put(&record).unwrap();
    let state = tempdir().unwrap();
    (spending(&store, Ledger::at(state.path(), None).unwrap()), store, state)
}

fn is_open(state: &TempDir) -> bool {
    !Ledger::open_at(state.path(), None).is_empty()
}

// Fault 16: the issuer committed, and its answer was lost; it forgives a second use.
#[tokio::test]
async fn f16_a_lost_answer_is_asked_for_once_more_at_once() {
    let issuer = forgetful(1, GRANT).await;
    let (spender, store, state) = elsewhere(&issuer, 3600);
    assert_eq!(renew(&spender, &store).await.unwrap().access_token.expose_secret(), "at-1");
    assert_eq!((store.refresh_token().as_str(), issuer.heard().len()), ("rt-1", 2));
    assert!(!is_open(&state));
}

// Fault 16, at an issuer that does not: the loss is told for what it is.
#[tokio::test]
async fn f16_a_loss_is_told_with_its_reason_and_the_token_is_parked() {
    let issuer = forgetful(1, GONE).await;
    let (spender, store, state) = elsewhere(&issuer, 3600);
    let Err(RenewError::Gone(why)) = renew(&spender, &store).await else { panic!() };
    assert!(why.contains("interrupted refresh at 20") && why.contains("invalid_grant"), "{why}");
    assert_eq!(store.record().login_required, Some(why.clone()));
    assert_eq!((store.refresh_token().as_str(), issuer.heard().len()), ("rt-0", 2));
    assert!(!is_open(&state));
    assert!(matches!(renew(&spender, &store).await, Err(RenewError::Gone(again)) if again == why));
    assert_eq!(issuer.heard().len(), 2, "it is not sent again");
}

// Fault 3: nobody ever answers. The session is kept, and the token rests while the access token is good.
#[tokio::test]
async fn f03_after_two_losses_the_token_rests() {
    let issuer = forgetful(9, GRANT).await;
    let (spender, store, state) = elsewhere(&issuer, 3600);
    assert!(matches!(renew(&spender, &store).await, Err(RenewError::Unwell { .. })));
    assert_eq!(issuer.heard().len(), 2);
    assert!(is_open(&state));
    let Err(RenewError::Unreachable { retry_after: Some(wait), .. }) = renew(&spender, &store).await else {
        panic!()
    };
    assert_eq!(wait, Duration::from_secs(60), "by then somebody may have come who cannot wait");
    assert_eq!(issuer.heard().len(), 2);
    assert_eq!(store.record().login_required, None);
    let (told, outcome) = oneshot::channel();
    let has = store.record().lease.map(|lease| Arc::new(restored(&lease, clock::now())));
    spender.renew(&SessionId::named(ID), has, true, |outcome| told.send(outcome.is_ok()).unwrap()).await;
    assert!(!outcome.await.unwrap());
    assert_eq!(issuer.heard().len(), 4, "and then it is sent as if for the first time");
}

#[tokio::test]
async fn an_access_token_is_not_risked_where_a_second_use_would_end_it() {
    let issuer = forgetful(1, GRANT).await;
    let (spender, store, _state) = elsewhere(&issuer, 3600);
    store.put(&Record { host: "adb-1.azuredatabricks.net".to_owned(), ..store.record() }).unwrap();
    assert!(matches!(renew(&spender, &store).await, Err(RenewError::Unwell { .. })));
    let Err(RenewError::Unreachable { retry_after: Some(wait), .. }) = renew(&spender, &store).await else {
        panic!()
    };
    assert_eq!(wait, Duration::from_secs(60));
    assert_eq!(issuer.heard().len(), 1);
}

/// What a process leaves that was killed after it had sent the token.
fn killed_while_spending(state: &TempDir, token: &str) {
    let ledger = Ledger::at(state.path(), None).unwrap();
    let mut entry = ledger.take(ID).unwrap();
    entry.begin(Intent::new(ID, &fingerprint(&token.into()), clock::now())).unwrap();
}

async fn settle(spender: &Spender) -> Option<String> {
    let (told, lease) = oneshot::channel();
    spender.settle(ID.to_owned(), |lease| told.send(lease).unwrap()).await;
    lease.await.ok().map(|lease| lease.access_token.expose_secret().to_owned())
}

// Fault 22: killed between send and bank, at an issuer that forgives.
#[tokio::test]
async fn f22_what_was_interrupted_is_settled_at_the_next_start() {
    let issuer = forgetful(0, GRANT).await;
    let (spender, store, state) = elsewhere(&issuer, 3600);
    killed_while_spending(&state, "rt-0");
    assert_eq!(settle(&spender).await.as_deref(), Some("at-1"));
    assert_eq!((store.refresh_token().as_str(), issuer.heard().len()), ("rt-1", 1));
    assert!(!is_open(&state));
}

// Fault 22, at an issuer that does not forgive: once more, and not again.
#[tokio::test]
async fn f22_what_was_lost_when_it_was_interrupted_is_sent_once_more_at_most() {
    let issuer = forgetful(0, GONE).await;
    let (spender, store, state) = elsewhere(&issuer, 3600);
    killed_while_spending(&state, "rt-0");
    assert_eq!(settle(&spender).await, None);
    assert!(
        matches!(renew(&spender, &store).await, Err(RenewError::Gone(why)) if why.contains("interrupted"))
    );
    assert_eq!(issuer.heard().len(), 1);
    assert!(!is_open(&state));
}

// Fault 23: killed between bank and publish.
#[tokio::test]
async fn f23_what_was_banked_before_the_kill_is_handed_out_and_nothing_is_spent() {
    let issuer = forgetful(0, GRANT).await;
    let (spender, _, state) = elsewhere(&issuer, 3600);
    killed_while_spending(&state, "the one before");
    assert_eq!(settle(&spender).await.as_deref(), Some("canary-access-token"));
    assert!(issuer.heard().is_empty() && !is_open(&state));
}

// Fault 32: a backup brings back a token that has a successor.
#[tokio::test]
async fn f32_a_token_that_has_a_successor_is_never_sent_again() {
    let issuer = rotating().await;
    let (spender, store, state) = elsewhere(&issuer, 3600);
    let yesterday = store.record();
    renew(&spender, &store).await.unwrap();
    store.put(&yesterday).unwrap();
    for ledger in [None, Some(Ledger::at(state.path(), None).unwrap())] {
        let next = ledger.map(|ledger| spending(&store, ledger));
        let spender = next.as_ref().unwrap_or(&spender);
        let Err(RenewError::Gone(why)) = renew(spender, &store).await else { panic!() };
        assert!(why.contains("spent before"), "{why}");
    }
    assert_eq!(issuer.heard().len(), 1);
}

// Fault 4: an answer that says that nothing was done leaves nothing open.
#[tokio::test]
async fn f04_an_issuer_that_is_unwell_is_not_an_answer_that_was_lost() {
    let issuer = Fake::new(|_| reply(503, "", "")).await;
    let (spender, store, state) = elsewhere(&issuer, 3600);
    for _ in 0..3 {
        assert!(matches!(renew(&spender, &store).await, Err(RenewError::Unwell { .. })));
    }
    assert_eq!(issuer.heard().len(), 3);
    assert!(!is_open(&state));
}

use std::sync::atomic::{AtomicUsize, Ordering};

use secrecy::SecretString;
use tempfile::{TempDir, tempdir};
use zeroize::Zeroizing;

use super::*;
use crate::store::{
    KeySetup, Keyring, KeyringError, Source, Store as _, Trouble,
    keys::testing::{Silent, Unlocked},
    record::example,
    seal::KeyBytes,
};

const IDS: [&str; 3] = ["a", "b#c", "d"];

fn open(dir: &Path) -> SealedFiles {
    SealedFiles::open(dir, Unlocked(1), setup(dir)).unwrap()
}

/// With a credential beside the store.
fn setup(dir: &Path) -> KeySetup {
    let credentials = dir.with_extension("credentials");
    files::private_dir(&credentials).unwrap();
    files::write(&credentials.join("sso-agent.key"), "5a".repeat(32).as_bytes()).unwrap();
    KeySetup { choice: None, credentials: Some(credentials) }
}

fn with_three() -> (TempDir, SealedFiles) {
    let dir = tempdir().unwrap();
    let store = SealedFiles::open(&dir.path().join("s"), Silent, KeySetup::default()).unwrap();
    for id in IDS {
        store.put(&example(id)).unwrap();
    }
    (dir, store)
}

fn all_are_there(store: &SealedFiles) {
    let loaded = store.load_all().unwrap();
    assert_eq!((loaded.records.len(), loaded.unreadable.len()), (3, 0), "{:?}", loaded.unreadable);
}

fn rekey(store: &SealedFiles, to: Source) {
    let passphrase = (to == Source::Passphrase).then(|| SecretString::from("correct horse"));
    store.switch_key(to, passphrase.as_ref()).unwrap();
    let resealed = store.reseal().unwrap();
    assert_eq!((resealed.sessions, resealed.left.len()), (3, 0));
    store.retire_keys().unwrap();
}

#[test]
fn the_key_moves_between_all_places_and_every_record_with_it() {
    let (dir, _) = with_three();
    let state = dir.path().join("s");
    use Source::{Credential, File, Keyring, Passphrase};
    for to in [Keyring, Passphrase, Credential, File, Passphrase, Keyring, File, Credential, Keyring] {
        let store = open(&state);
        if store.needs_passphrase() {
            assert_eq!(store.load_all().unwrap().unreadable[0].trouble, Trouble::Sealed);
            assert!(store.unlock(&"wrong".into()).is_err());
            store.unlock(&"correct horse".into()).unwrap();
        }
        all_are_there(&store);
        let note = store.seal("note", Zeroizing::new(b"n".to_vec())).unwrap();
        rekey(&store, to);
        assert_eq!(store.key(), to.into());
        all_are_there(&store);
        assert!(store.unseal("note", &note).is_some(), "what others keep is good until the agent stops");
        assert_eq!(state.join("key").exists(), to == File);
        assert_eq!(state.join("key.passphrase").exists(), to == Passphrase);
        assert_eq!(open(&state).key(), to.into(), "as it is after a restart");
    }
}

#[test]
fn a_rekey_that_is_broken_off_anywhere_loses_nothing_and_can_be_done_again() {
    for broken_off_after in 0..=IDS.len() {
        let (dir, _) = with_three();
        let state = dir.path().join("s");
        let store = open(&state);
        store.switch_key(Source::Keyring, None).unwrap();
        let key = store.keys.current().unwrap();
        for name in store.names().unwrap().iter().take(broken_off_after) {
            store.reseal_one(&key, name).unwrap();
        }
        drop(store);
        let again = open(&state);
        all_are_there(&again);
        again.put(&example("a")).unwrap();
        rekey(&again, Source::Keyring);
        all_are_there(&open(&state));
        assert!(!state.join("key").exists());
    }
}

#[test]
fn a_key_that_something_still_needs_is_kept() {
    let (dir, store) = with_three();
    let state = dir.path().join("s");
    let apps = state.join("apps");
    files::private_dir(&apps).unwrap();
    let note = store.seal("app", Zeroizing::new(b"n".to_vec())).unwrap();
    files::write(&apps.join("a.app"), &note).unwrap();
    let again = open(&state);
    rekey(&again, Source::Keyring);
    assert!(state.join("key").exists(), "the app is still sealed with it");
    assert!(open(&state).unseal("app", &note).is_some());
}

#[test]
fn a_record_that_came_in_the_meantime_is_not_put_back() {
    let (dir, _) = with_three();
    let store = open(&dir.path().join("s"));
    let slot = store.reserve("a").unwrap();
    store.switch_key(Source::Keyring, None).unwrap();
    store.reseal().unwrap();
    slot.commit(&example("a")).unwrap();
    store.retire_keys().unwrap();
    let again = open(&dir.path().join("s"));
    assert_eq!(again.load("a").unwrap().unwrap().generation, 2);
    assert!(!dir.path().join("s/key").exists(), "room that was made before is sealed with the new key, too");
}

#[test]
fn a_new_passphrase_needs_the_present_one() {
    let (dir, _) = with_three();
    let state = dir.path().join("s");
    rekey(&open(&state), Source::Passphrase);
    let locked = open(&state);
    assert!(locked.switch_key(Source::Passphrase, Some(&"new".into())).is_err());
    locked.unlock(&"correct horse".into()).unwrap();
    locked.switch_key(Source::Passphrase, Some(&"new".into())).unwrap();
    let again = open(&state);
    assert!(again.unlock(&"correct horse".into()).is_err());
    again.unlock(&"new".into()).unwrap();
    all_are_there(&again);
}

#[test]
fn f34_an_explicit_choice_that_cannot_be_had_seals_nothing_and_makes_no_other_key() {
    for choice in [Source::Keyring, Source::Credential, Source::Passphrase] {
        let dir = tempdir().unwrap();
        let setup = KeySetup { choice: Some(choice), credentials: None };
        let store = SealedFiles::open(dir.path(), Silent, setup).unwrap();
        assert!(store.key_problem().is_some(), "{choice:?}");
        assert!(matches!(store.reserve("a"), Err(StoreError::NoKey { .. })));
        assert!(matches!(store.put(&example("a")), Err(StoreError::NoKey { .. })));
        assert_eq!(store.key(), choice.into());
        assert!(!dir.path().join("key").exists());
    }
}

#[test]
fn f34_without_a_choice_the_fallback_is_told() {
    let dir = tempdir().unwrap();
    let store = SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap();
    store.put(&example("a")).unwrap();
    assert!(store.key_problem().unwrap().contains("it is locked"));
}

/// Locked until somebody unlocks it; counts how often it was asked.
struct Desktop(std::sync::Arc<(AtomicUsize, std::sync::atomic::AtomicBool)>);

impl Keyring for Desktop {
    fn read_or_create(&self) -> Result<KeyBytes, KeyringError> {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        if self.0.1.load(Ordering::Relaxed) {
            Ok(Zeroizing::new([1; 32]))
        } else {
            Err(KeyringError("it is locked".to_owned()))
        }
    }
}

#[test]
fn f34_a_locked_keyring_is_asked_once_for_all_sessions_and_left_alone_for_a_while() {
    let (dir, _) = with_three();
    let state = dir.path().join("s");
    rekey(&open(&state), Source::Keyring);
    let desktop = std::sync::Arc::new((AtomicUsize::new(0), false.into()));
    let store = SealedFiles::open(&state, Desktop(desktop.clone()), KeySetup::default()).unwrap();
    for _ in 0..100 {
        let loaded = store.load_all().unwrap();
        assert_eq!((loaded.unreadable.len(), loaded.unreadable[0].trouble), (3, Trouble::Sealed));
    }
    assert_eq!(desktop.0.load(Ordering::Relaxed), 1);
    desktop.1.store(true, Ordering::Relaxed);
    store.keys.forget_pause();
    all_are_there(&store);
    assert_eq!(desktop.0.load(Ordering::Relaxed), 2);
}

//! What every store must do, as a test that runs over all of them.

use sso_agent_proto::agent::Key;
use tempfile::tempdir;
use zeroize::Zeroizing;

use super::{
    Kept, KeySetup, Memory, SealedFiles, Store,
    keys::testing::{Silent, Unlocked},
    record::{Record, example},
};

#[test]
fn memory_is_a_store() {
    keeps_the_contract(&Memory::default());
    assert_eq!(Memory::default().key(), Key::None);
}

#[test]
fn sealed_files_are_a_store_whichever_key_they_have() {
    let (dir, other) = (tempdir().unwrap(), tempdir().unwrap());
    let by_file = SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap();
    let by_keyring = SealedFiles::open(other.path(), Unlocked(1), KeySetup::default()).unwrap();
    keeps_the_contract(&by_file);
    keeps_the_contract(&by_keyring);

    let (dir, spare) = (tempdir().unwrap(), tempdir().unwrap());
    let beside = SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap().beside(spare.path());
    keeps_the_contract(&beside);

    let (dir, spare) = (tempdir().unwrap(), tempdir().unwrap());
    let given = by_keyring.export_keys().unwrap();
    keeps_the_contract(&SealedFiles::with_keys(dir.path(), Some(spare.path()), given.clone()).unwrap());
    let dir = tempdir().unwrap();
    keeps_the_contract(&SealedFiles::with_keys(dir.path(), None, given).unwrap());
    assert_eq!((by_file.key(), by_keyring.key()), (Key::File, Key::Keyring));
}

#[test]
fn sealed_files_outlive_the_process() {
    let dir = tempdir().unwrap();
    SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap().put(&example("a")).unwrap();
    let again = SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap();
    assert!(holds(&again, &example("a"), 1));
}

#[test]
fn two_processes_with_the_same_keys_read_what_either_keeps() {
    let (dir, spare) = (tempdir().unwrap(), tempdir().unwrap());
    let first = SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap().beside(spare.path());
    let given = first.export_keys().unwrap();
    let second = SealedFiles::with_keys(dir.path(), Some(spare.path()), given).unwrap();
    for generation in [1, 3, 5] {
        first.put(&example("a")).unwrap();
        assert!(holds(&second, &example("a"), generation));
        second.put(&example("a")).unwrap();
        assert!(holds(&first, &example("a"), generation + 1));
    }
}

fn keeps_the_contract(store: &dyn Store) {
    starts_empty(store);
    keeps_what_is_put(store);
    replaces_only_on_commit(store);
    has_room_for_several_at_once(store);
    forgets_what_is_removed(store);
    seals_notes(store);
}

fn starts_empty(store: &dyn Store) {
    assert_eq!(ids(store), Vec::<String>::new());
    assert!(store.load("a").unwrap().is_none());
    store.remove("a").unwrap();
}

fn keeps_what_is_put(store: &dyn Store) {
    for id in ["a", "a#b", "https://idp.example:8443/a b", "é/../\n"] {
        store.put(&example(id)).unwrap();
        assert!(holds(store, &example(id), 1));
    }
    assert_eq!(ids(store).len(), 4);
}

fn replaces_only_on_commit(store: &dyn Store) {
    let next = Record { refresh_token: Some("next".repeat(10_000).into()), ..example("a") };
    let slot = store.reserve("a").unwrap();
    assert!(holds(store, &example("a"), 1));
    assert_eq!(slot.commit(&next).unwrap(), Kept::Disk);
    assert!(holds(store, &next, 2));
    drop(store.reserve("a").unwrap());
    drop(store.reserve_anywhere("a").unwrap());
    assert!(holds(store, &next, 2));
    store.reserve_anywhere("a").unwrap().commit(&example("a")).unwrap();
    assert!(holds(store, &example("a"), 3));
    // What is behind, as a sign-in anew is, still is the next one.
    store.put(&Record { generation: 7, ..example("a") }).unwrap();
    assert!(holds(store, &example("a"), 8));
    assert_eq!(ids(store).len(), 4);
}

fn has_room_for_several_at_once(store: &dyn Store) {
    let (one, other) = (store.reserve("x").unwrap(), store.reserve("y").unwrap());
    other.commit(&example("y")).unwrap();
    one.commit(&example("x")).unwrap();
    assert_eq!(ids(store).len(), 6);
}

fn forgets_what_is_removed(store: &dyn Store) {
    store.remove("a").unwrap();
    store.remove("a").unwrap();
    assert!(store.load("a").unwrap().is_none());
    assert!(store.load("a#b").unwrap().is_some());
    assert_eq!(ids(store).len(), 5);
}

/// Whether this is what the store holds of its session, as this generation.
fn holds(store: &dyn Store, record: &Record, generation: u64) -> bool {
    let expected = Record { generation, ..record.clone() };
    store.load(&record.id).unwrap().is_some_and(|found| found.to_json() == expected.to_json())
}

fn ids(store: &dyn Store) -> Vec<String> {
    let loaded = store.load_all().unwrap();
    assert_eq!(loaded.unreadable, []);
    let mut ids: Vec<_> = loaded.records.into_iter().map(|record| record.id).collect();
    ids.sort();
    ids
}

fn seals_notes(store: &dyn Store) {
    let note = store.seal("consent", Zeroizing::new(b"canary".to_vec())).unwrap();
    assert!(!note.windows(6).any(|six| six == b"canary"));
    assert_eq!(store.unseal("consent", &note).unwrap().as_slice(), b"canary");
    assert!(store.unseal("app", &note).is_none());
    assert!(store.unseal("consent", b"nonsense").is_none());
}

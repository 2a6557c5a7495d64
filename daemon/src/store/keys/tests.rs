use super::{
    testing::{Silent, Unasked, Unlocked},
    *,
};
use std::{fs, io};
use tempfile::{TempDir, tempdir};
use zeroize::Zeroizing;

fn open(dir: &Path, keyring: impl Keyring) -> Result<Keys, StoreError> {
    Keys::open(dir, keyring, KeySetup::default())
}

fn with_key_file() -> TempDir {
    let dir = tempdir().unwrap();
    file::create(dir.path()).unwrap();
    dir
}

#[test]
fn a_keyring_that_answers_keeps_the_key_and_no_file_does() {
    let dir = tempdir().unwrap();
    let keys = open(dir.path(), Unlocked(1)).unwrap();
    let key = keys.current().unwrap();
    assert_eq!(keys.source(), Source::Keyring);
    assert!(keys.find(Source::Keyring, key.id()).is_ok());
    assert!(!dir.path().join(file::NAME).exists());
}

#[test]
fn without_a_keyring_the_key_file_is_made_when_it_is_needed() {
    let dir = tempdir().unwrap();
    let keys = open(dir.path(), Silent).unwrap();
    assert_eq!(keys.source(), Source::File);
    assert!(!dir.path().join(file::NAME).exists());
    let made = keys.current().unwrap().id().to_owned();
    assert_eq!(keys.current().unwrap().id(), made);
    assert_eq!(open(dir.path(), Silent).unwrap().current().unwrap().id(), made);
}

#[test]
fn a_key_file_stays_the_current_key_and_the_keyring_is_not_even_asked() {
    let dir = with_key_file();
    let keys = open(dir.path(), Unasked).unwrap();
    let key = keys.current().unwrap();
    assert_eq!(keys.source(), Source::File);
    assert!(keys.find(Source::File, key.id()).is_ok());
}

#[test]
fn beside_a_key_file_the_keyring_still_opens_what_it_sealed() {
    let dir = with_key_file();
    let keys = open(dir.path(), Unlocked(1)).unwrap();
    let sealed_with = SealingKey::new(Source::Keyring, Zeroizing::new([1; 32]));
    assert_eq!(keys.find(Source::Keyring, sealed_with.id()).unwrap().id(), sealed_with.id());
    assert_eq!(keys.find(Source::Keyring, "other").err(), Some(KeyMissing::NotInKeyring));
    assert_eq!(keys.find(Source::File, "other").err(), Some(KeyMissing::NotInFile));
}

#[test]
fn a_keyring_that_was_locked_once_is_used_again_if_nothing_was_sealed_meanwhile() {
    let dir = tempdir().unwrap();
    assert_eq!(open(dir.path(), Silent).unwrap().source(), Source::File);
    assert_eq!(open(dir.path(), Unlocked(1)).unwrap().source(), Source::Keyring);
}

#[test]
fn a_damaged_key_file_is_not_replaced() {
    let dir = tempdir().unwrap();
    let path = dir.path().join(file::NAME);
    for damaged in ["", "# only a comment\n", "0123\n", "no digits"] {
        fs::File::create(&path)
            .and_then(|mut file| io::Write::write_all(&mut file, damaged.as_bytes()))
            .unwrap();
        let keys = open(dir.path(), Unlocked(1)).unwrap();
        assert!(matches!(keys.current(), Err(StoreError::NoKey { .. })));
        assert!(keys.find(Source::File, "0123").is_err_and(|missing| missing.may_come()));
        assert!(keys.blocked().is_some() && keys.problem().is_some());
        assert!(keys.switch(Source::File, None).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
}

#[test]
fn keys_that_are_handed_on_open_and_seal_as_before() {
    let dir = with_key_file();
    let keys = open(dir.path(), Unlocked(1)).unwrap();
    let keyring = SealingKey::new(Source::Keyring, Zeroizing::new([1; 32]));
    keys.find(Source::Keyring, keyring.id()).unwrap();
    let bytes = keys.export().unwrap().to_bytes();
    let given = Keys::Given(GivenKeys::from_bytes(&bytes).unwrap());
    assert_eq!(given.current().unwrap().id(), keys.current().unwrap().id());
    assert_eq!(given.source(), Source::File);
    assert!(given.find(Source::Keyring, keyring.id()).is_ok());
    assert_eq!(given.find(Source::File, keyring.id()).err(), Some(KeyMissing::NotGiven));
    assert_eq!(given.export().unwrap().to_bytes(), bytes);

    let none = GivenKeys::from_bytes(&GivenKeys::default().to_bytes()).unwrap();
    assert!(Keys::Given(none).current().is_err());
    for bad in [&bytes[1..], &bytes[..bytes.len() - 1], b"", &[9; 33]] {
        assert!(GivenKeys::from_bytes(bad).is_none());
    }
}

#[cfg(unix)]
#[test]
fn the_key_file_is_private_and_made_so_if_it_is_not() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = with_key_file();
    let path = dir.path().join(file::NAME);
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    open(dir.path(), Unasked).unwrap();
    assert_eq!(mode(), 0o600);
}

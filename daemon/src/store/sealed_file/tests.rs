use std::{collections::BTreeMap, io::Write as _};

use tempfile::{TempDir, tempdir};
use zeroize::Zeroizing;

use super::{aside::asides, *};
use crate::store::{
    keys::testing::{Silent, Unlocked},
    record::example,
};

const ID: &str = "adb-1.azuredatabricks.net#work";

/// A store with one record in it.
fn with_one() -> (TempDir, SealedFiles, PathBuf) {
    let dir = tempdir().unwrap();
    let store = SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap();
    store.put(&example(ID)).unwrap();
    let path = store.path(ID);
    (dir, store, path)
}

fn write(path: &Path, content: &[u8]) {
    fs::File::create(path).unwrap().write_all(content).unwrap();
}

fn why(store: &SealedFiles) -> String {
    let loaded = store.load_all().unwrap();
    assert_eq!((loaded.records.len(), loaded.unreadable.len()), (0, 1));
    loaded.unreadable[0].why.clone()
}

fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn a_file_has_a_name_that_people_recognize_and_that_no_other_session_has() {
    let name = file_name("https://idp.example:8443/a#b", ENDING);
    assert!(name.starts_with("https___idp.example_8443_a_b-"), "{name}");
    assert_ne!(file_name("a#b", ENDING), file_name("a/b", ENDING));
    assert_eq!(file_name("../../etc", ENDING).matches('/').count(), 0);
    assert!(file_name(&"é".repeat(3000), ENDING).len() < 200);
    assert!(!file_name(".tmp", ENDING).starts_with('.'));
}

#[test]
fn a_file_that_was_renamed_to_another_session_is_refused() {
    let (_dir, store, path) = with_one();
    fs::rename(&path, store.path("other")).unwrap();
    assert!(why(&store).contains("its name"), "{}", why(&store));
    assert!(store.load("other").unwrap().is_none());
    assert_eq!(store.trouble("other").unwrap().trouble, Trouble::Damaged);
}

#[test]
fn the_content_of_one_file_under_the_header_of_another_is_refused() {
    let (_dir, store, path) = with_one();
    store.put(&example("other")).unwrap();
    let parts = |path: &Path| {
        let file = fs::read(path).unwrap();
        let end = file.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        (file[..end].to_vec(), file[end..].to_vec())
    };
    let (header, _) = parts(&path);
    let (_, content) = parts(&store.path("other"));
    write(&path, &[header, content].concat());
    assert!(store.load(ID).is_err());
    assert_eq!(store.load_all().unwrap().records.len(), 1);
}

#[test]
fn a_record_sealed_under_the_name_of_another_session_is_refused() {
    let (_dir, store, path) = with_one();
    write(&path, &store.keys.current().unwrap().seal(ID, example("other").to_json()).unwrap());
    assert_eq!(why(&store), "it holds another session than it says");
}

#[test]
fn a_truncated_file_is_never_read_as_anything() {
    let (_dir, store, path) = with_one();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        assert!(store.unseal_file(&path, &whole[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_file_with_any_bit_flipped_is_never_read_as_anything() {
    let (_dir, store, path) = with_one();
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() * 8 {
        let mut file = whole.clone();
        file[at / 8] ^= 1 << (at % 8);
        assert!(store.unseal_file(&path, &file).is_err(), "bit {at}");
    }
}

#[test]
fn bytes_that_were_never_ours_are_never_read_as_anything() {
    let (_dir, store, path) = with_one();
    let whole = fs::read(&path).unwrap();
    let mut seed = 1_u64;
    for _ in 0..3000 {
        let mut file = whole.clone();
        for _ in 0..4 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(seed >> 33).unwrap() % file.len();
            file[at] = file[at].wrapping_add(1 + u8::try_from(seed >> 57).unwrap());
        }
        if file != whole {
            assert!(store.unseal_file(&path, &file).is_err());
        }
    }
}

#[test]
fn a_damaged_file_takes_no_other_with_it_and_stays_as_it_is() {
    let (_dir, store, path) = with_one();
    store.put(&example("other")).unwrap();
    write(&path, b"damaged");
    let loaded = store.load_all().unwrap();
    assert_eq!(loaded.records[0].id, "other");
    let aside = asides(&path).next().unwrap();
    assert_eq!((&loaded.unreadable[0].path, loaded.unreadable[0].trouble), (&aside, Trouble::Damaged));
    assert_eq!(fs::read(&aside).unwrap(), b"damaged");
    assert!(!path.exists());
}

#[test]
fn what_a_newer_version_wrote_is_left_alone() {
    let (_dir, store, path) = with_one();
    let newer = br#"{"version":2,"record":{"id":"a","refresh_tokens":[]}}"#;
    let record = store.keys.current().unwrap().seal(ID, Zeroizing::new(newer.to_vec())).unwrap();
    for file in [&record[..], b"{\"sso_agent_session\":2,\"body\":\"elsewhere\"}\nbody"] {
        write(&path, file);
        assert!(why(&store).contains("newer version"), "{}", why(&store));
        assert_eq!(fs::read(&path).unwrap(), file);
    }
}

#[test]
fn a_new_sign_in_sets_aside_what_cannot_be_read() {
    let (_dir, store, path) = with_one();
    for damage in ["first", "second"] {
        write(&path, damage.as_bytes());
        store.put(&example(ID)).unwrap();
        assert!(store.load(ID).unwrap().is_some());
    }
    let kept: Vec<_> = asides(&path).take(2).map(|aside| fs::read(aside).unwrap()).collect();
    assert_eq!(kept, [b"first".to_vec(), b"second".to_vec()]);
    assert_eq!(store.load_all().unwrap().unreadable, []);
}

#[test]
fn signing_out_removes_what_was_set_aside() {
    let (dir, store, path) = with_one();
    write(&path, b"damaged");
    store.put(&example(ID)).unwrap();
    store.remove(ID).unwrap();
    assert_eq!(tree(&dir.path().join(SESSIONS)).len(), 0);
}

#[test]
fn an_oversized_file_is_not_read() {
    let (_dir, store, path) = with_one();
    write(&path, &vec![b'{'; (1 << 20) + 1]);
    assert_eq!(why(&store), "it is larger than 1 MiB");
}

#[test]
fn unfinished_files_are_swept_away_at_the_next_start() {
    let (dir, store, path) = with_one();
    for dir in [dir.path(), &store.sessions] {
        write(&dir.join(".tmpAbCdEf"), b"half");
    }
    SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap();
    let is_lock = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "lock");
    let left: Vec<_> = tree(dir.path()).into_keys().filter(|path| !is_lock(path)).collect();
    assert_eq!(left, [dir.path().join("key"), path]);
}

#[test]
fn room_that_is_not_used_leaves_nothing_behind() {
    let (_dir, store, path) = with_one();
    let before = fs::read(&path).unwrap();
    drop(store.reserve(ID).unwrap());
    assert_eq!(tree(&store.sessions).into_iter().collect::<Vec<_>>(), [(path, before)]);
}

#[test]
fn no_secret_can_be_read_in_the_state_folder() {
    let (dir, _store, _path) = with_one();
    for (path, content) in tree(dir.path()) {
        assert!(!content.windows(6).any(|six| six == b"canary"), "{}", path.display());
    }
}

#[test]
fn sessions_of_a_keyring_that_is_locked_wait_for_it() {
    let dir = tempdir().unwrap();
    SealedFiles::open(dir.path(), Unlocked(1), KeySetup::default()).unwrap().put(&example(ID)).unwrap();

    let locked = SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap();
    let before = tree(dir.path());
    assert!(why(&locked).contains("does not answer (it is locked); unlock it"), "{}", why(&locked));
    assert_eq!(tree(dir.path()), before);
    locked.put(&example("other")).unwrap();
    assert_eq!(locked.key(), Key::File);

    let unlocked = SealedFiles::open(dir.path(), Unlocked(1), KeySetup::default()).unwrap();
    assert_eq!(unlocked.load_all().unwrap().records.len(), 2);
    assert_eq!(unlocked.key(), Key::File);
}

#[test]
fn a_session_that_waits_for_the_keyring_is_set_aside_not_written_over() {
    let dir = tempdir().unwrap();
    let store = SealedFiles::open(dir.path(), Unlocked(1), KeySetup::default()).unwrap();
    store.put(&example(ID)).unwrap();
    let sealed = fs::read(store.path(ID)).unwrap();
    SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap().put(&example(ID)).unwrap();
    assert_eq!(fs::read(asides(&store.path(ID)).next().unwrap()).unwrap(), sealed);
}

#[test]
fn many_sessions_are_read_by_several_threads_and_all_come_back() {
    let dir = tempdir().unwrap();
    let store = SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap();
    let key = store.keys.current().unwrap();
    for number in 0..1000 {
        let id = format!("host-{number}");
        write(&store.path(&id), &key.seal(&id, example(&id).to_json()).unwrap());
    }
    let loaded = store.load_all().unwrap();
    assert_eq!((loaded.records.len(), loaded.unreadable.len()), (1000, 0));
}

#[cfg(target_os = "linux")]
mod private {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn folders_and_files_are_born_private() {
        let dir = tempdir().unwrap();
        let state = dir.path().join("deep/state");
        let store = SealedFiles::open(&state, Silent, KeySetup::default()).unwrap();
        store.put(&example(ID)).unwrap();
        assert_eq!((mode(&state), mode(&store.sessions)), (0o700, 0o700));
        assert_eq!(mode(&store.path(ID)), 0o600);
    }

    #[test]
    fn what_was_opened_to_others_is_closed_again() {
        let (dir, store, path) = with_one();
        set_mode(dir.path(), 0o777);
        set_mode(&store.sessions, 0o755);
        set_mode(&path, 0o644);
        let again = SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap();
        assert!(again.load(ID).unwrap().is_some());
        assert_eq!((mode(dir.path()), mode(&store.sessions), mode(&path)), (0o700, 0o700, 0o600));
    }

    #[test]
    fn a_linked_folder_of_sessions_is_refused() {
        let (dir, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
        set_mode(elsewhere.path(), 0o755);
        symlink(elsewhere.path(), dir.path().join(SESSIONS)).unwrap();
        let refused = SealedFiles::open(dir.path(), Silent, KeySetup::default());
        assert!(matches!(refused, Err(StoreError::NotPrivate { .. })));
        assert_eq!(mode(elsewhere.path()), 0o755);
    }

    #[test]
    fn a_state_folder_of_somebody_else_is_refused() {
        let dir = tempdir().unwrap();
        if std::os::unix::fs::chown(dir.path(), Some(65_534), None).is_err() {
            return; // only root can give things away
        }
        let refused = SealedFiles::open(dir.path(), Silent, KeySetup::default());
        assert!(matches!(refused, Err(StoreError::NotPrivate { why: "it belongs to somebody else", .. })));
    }

    #[test]
    fn what_is_not_a_file_of_ours_is_neither_read_nor_touched() {
        let (dir, store, path) = with_one();
        let elsewhere = dir.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        set_mode(&elsewhere, 0o644);

        symlink(&elsewhere, &path).unwrap();
        assert_eq!(why(&store), "it is a symbolic link");
        fs::remove_file(&path).unwrap();

        fs::hard_link(&elsewhere, &path).unwrap();
        assert_eq!(why(&store), "it has another name elsewhere");
        fs::remove_file(&path).unwrap();

        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert_eq!(why(&store), "it is not a file");
        fs::remove_file(&path).unwrap();

        fs::create_dir(&path).unwrap();
        assert_eq!(why(&store), "it is not a file");
        assert_eq!(mode(&elsewhere), 0o644);
    }

    #[test]
    fn a_new_record_takes_the_place_of_a_link_without_following_it() {
        let (dir, store, path) = with_one();
        let elsewhere = dir.path().join("elsewhere");
        write(&elsewhere, b"mine");
        fs::remove_file(&path).unwrap();
        symlink(&elsewhere, &path).unwrap();
        store.put(&example(ID)).unwrap();
        assert_eq!(fs::read(&elsewhere).unwrap(), b"mine");
        assert!(path.symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn a_folder_that_vanished_is_noticed_before_anything_is_spent() {
        let (_dir, store, _path) = with_one();
        fs::remove_dir_all(&store.sessions).unwrap();
        assert!(matches!(store.reserve(ID), Err(StoreError::Unusable { .. })));
    }
}

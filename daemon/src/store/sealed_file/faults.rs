//! The store under everything that disks, people and other programs do to it.

use std::{collections::BTreeMap, io::Write as _, process::Command};

use tempfile::{TempDir, tempdir};

use super::{aside::asides, *};
use crate::store::{keys::testing::Silent, record::example};

const ID: &str = "adb-1.azuredatabricks.net#work";
const OTHER: &str = "other";

fn open(dir: &Path) -> SealedFiles {
    SealedFiles::open(dir, Silent, KeySetup::default()).unwrap()
}

/// A store with two records: one for the fault, one that must live.
fn with_two() -> (TempDir, SealedFiles, PathBuf) {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    store.put(&example(ID)).unwrap();
    store.put(&example(OTHER)).unwrap();
    let path = store.path(ID);
    (dir, store, path)
}

fn write(path: &Path, content: &[u8]) {
    fs::File::create(path).unwrap().write_all(content).unwrap();
}

fn sessions(store: &SealedFiles) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(&store.sessions).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// The damaged file is evidence under another name, and the other record is there.
fn is_quarantined(store: &SealedFiles, path: &Path, damaged: &[u8]) {
    let intact = fs::read(store.path(OTHER)).unwrap();
    let loaded = store.load_all().unwrap();
    assert_eq!(loaded.records.iter().map(|record| &*record.id).collect::<Vec<_>>(), [OTHER]);
    let [unreadable] = &*loaded.unreadable else { panic!("{:?}", loaded.unreadable) };
    assert_eq!(fs::read(&unreadable.path).unwrap(), damaged);
    assert!(!path.exists());
    assert_eq!(fs::read(store.path(OTHER)).unwrap(), intact);
    assert_eq!(store.trouble(ID).as_ref(), Some(unreadable), "its session is told why");
    fs::remove_file(&unreadable.path).unwrap();
}

/// What a test that failed has printed goes here, to see it fail again.
const SEED: Option<u64> = None;

/// A seed of its own for each run, told if the test fails.
fn random() -> impl FnMut(usize) -> usize {
    let mut state = SEED.unwrap_or_else(|| getrandom::u64().unwrap());
    println!("SEED: Some({state})");
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    }
}

#[test]
fn f31_every_truncation_is_quarantined_and_takes_nothing_with_it() {
    let (_dir, store, path) = with_two();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        write(&path, &whole[..length]);
        is_quarantined(&store, &path, &whole[..length]);
    }
}

#[test]
fn f31_a_hundred_thousand_random_bit_flips_are_each_noticed() {
    let (_dir, store, path) = with_two();
    let whole = fs::read(&path).unwrap();
    let mut random = random();
    for round in 0..100_000 {
        let mut file = whole.clone();
        for _ in 0..=random(3) {
            let bit = random(file.len() * 8);
            file[bit / 8] ^= 1 << (bit % 8);
        }
        if file == whole {
            continue;
        }
        assert!(store.unseal_file(&path, &file).is_err(), "round {round}");
        // The whole way costs the disk: every hundredth one goes it.
        if round % 100 == 0 {
            write(&path, &file);
            let before = sessions(&store);
            let loaded = store.load_all().unwrap();
            assert_eq!((loaded.records.len(), loaded.unreadable.len()), (1, 1), "round {round}");
            assert_eq!(
                before.into_values().collect::<BTreeSet<_>>(),
                sessions(&store).into_values().collect()
            );
            for aside in asides(&path).take_while(|aside| aside.exists()) {
                fs::remove_file(aside).unwrap();
            }
        }
    }
    write(&path, &whole);
    assert!(store.load(ID).unwrap().is_some());
}

#[test]
fn f31_what_was_set_aside_is_told_at_every_start_until_somebody_signs_in() {
    let (dir, store, path) = with_two();
    write(&path, b"damaged");
    for _ in 0..2 {
        let loaded = open(dir.path()).load_all().unwrap();
        assert_eq!(loaded.unreadable[0].path, asides(&path).next().unwrap());
    }
    store.put(&example(ID)).unwrap();
    let loaded = open(dir.path()).load_all().unwrap();
    assert_eq!((loaded.records.len(), loaded.unreadable.len()), (2, 0));
    assert_eq!(fs::read(asides(&path).next().unwrap()).unwrap(), b"damaged");
}

#[test]
fn f31_records_of_another_machine_are_left_for_their_key() {
    let (dir, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
    let store = open(dir.path());
    store.put(&example(OTHER)).unwrap();
    open(elsewhere.path()).put(&example(ID)).unwrap();
    let path = store.path(ID);
    fs::copy(elsewhere.path().join(SESSIONS).join(path.file_name().unwrap()), &path).unwrap();
    let before = sessions(&store);
    let loaded = store.load_all().unwrap();
    assert_eq!((loaded.records.len(), loaded.unreadable[0].trouble), (1, Trouble::Foreign));
    assert_eq!(sessions(&store), before);
}

#[test]
fn f28_what_a_newer_version_wrote_is_refused_and_stays_byte_for_byte() {
    let (_dir, store, path) = with_two();
    let newer = br#"{"version":2,"record":{"id":"a","refresh_tokens":[]}}"#;
    let record = store.keys.current().unwrap().seal(ID, Zeroizing::new(newer.to_vec())).unwrap();
    for file in [&record[..], b"{\"sso_agent_session\":2,\"body\":\"elsewhere\"}\nbody"] {
        write(&path, file);
        let before = sessions(&store);
        assert_eq!(store.load_all().unwrap().unreadable[0].trouble, Trouble::Newer);
        assert!(matches!(store.reserve(ID), Err(StoreError::Unreadable(_))));
        assert!(store.put(&example(ID)).unwrap_err().to_string().contains("newer version"));
        assert_eq!(sessions(&store), before);
    }
}

#[test]
fn f30_a_draft_whose_write_failed_is_never_used_again() {
    let (_dir, store, path) = with_two();
    let before = fs::read(&path).unwrap();
    let mut draft = Draft::begin(&store.sessions).unwrap();
    draft.write(b"half").unwrap();
    drop(draft);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(sessions(&store).len(), 2, "it is gone, and the next record is a new file");
}

/// Runs one of the tests below as a process of its own, with the system calls of a sick disk.
fn under_strace(inject: &str, test: &str) -> Option<bool> {
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", inject])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    status.ok().map(|status| status.success())
}

const SICK: &str = "store::sealed_file::faults::on_a_sick_disk";

#[test]
fn f30_io_errors_of_fsync_and_rename_lose_nothing() {
    for inject in
        ["inject=fsync:error=EIO", "inject=fsync:error=ENOSPC", "inject=rename,renameat,renameat2:error=EIO"]
    {
        match under_strace(inject, SICK) {
            None => return eprintln!("there is no strace here"),
            Some(passed) => assert!(passed, "{inject}"),
        }
    }
}

#[test]
#[ignore = "run by the test above, under strace"]
fn on_a_sick_disk() {
    let (dir, spare) = (tempdir().unwrap(), tempdir().unwrap());
    let given = GivenKeys::from_bytes(&[&[1][..], &[7; 32]].concat()).unwrap();
    let alone = SealedFiles::with_keys(dir.path(), None, given.clone()).unwrap();
    assert!(alone.put(&example(ID)).is_err(), "without a spare place it is an error");
    // Nothing half written is taken for a record.
    assert!(alone.load(ID).is_ok_and(|record| record.is_none_or(|record| record.generation == 1)));
    let store = SealedFiles::with_keys(dir.path(), Some(spare.path()), given).unwrap();
    match store.put(&example(ID)) {
        Ok(kept) => {
            assert_eq!(kept, Kept::Spare);
            assert!(store.load(ID).unwrap().is_some());
        }
        // Where nothing can be renamed, the spare place does not take it either: told, not hidden.
        Err(error) => assert!(store.load(ID).unwrap().is_none(), "{error}"),
    }
}

#[cfg(target_os = "linux")]
mod mounted {
    use super::*;

    struct Mount(TempDir);

    impl Mount {
        fn tmpfs() -> Option<Self> {
            let dir = tempdir().unwrap();
            let mount = Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs"])
                .arg(dir.path())
                .status();
            mount.is_ok_and(|status| status.success()).then_some(Self(dir))
        }

        fn remount(&self, how: &str) {
            let how = format!("remount,{how}");
            assert!(Command::new("mount").args(["-o", &how]).arg(self.0.path()).status().unwrap().success());
        }
    }

    impl Drop for Mount {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
        }
    }

    #[test]
    fn f30_a_disk_that_became_read_only_is_noticed_at_reserve_and_what_was_spent_is_kept() {
        let Some(disk) = Mount::tmpfs() else { return };
        let spare = tempdir().unwrap();
        let store = open(disk.0.path()).beside(spare.path());
        store.put(&example(ID)).unwrap();
        disk.remount("ro");
        assert!(matches!(store.reserve(ID), Err(StoreError::Unusable { .. })));
        assert_eq!(store.put(&example(ID)).unwrap(), Kept::Spare);
        assert_eq!(store.load(ID).unwrap().unwrap().generation, 2);
        disk.remount("rw");
        assert_eq!(open(disk.0.path()).beside(spare.path()).load(ID).unwrap().unwrap().generation, 2);
        assert_eq!(fs::read_dir(spare.path()).unwrap().count(), 0);
    }

    #[test]
    fn f30_sessions_on_a_file_system_of_their_own_need_no_rename_across_it() {
        let Some(disk) = Mount::tmpfs() else { return };
        let dir = tempdir().unwrap();
        fs::create_dir(dir.path().join(SESSIONS)).unwrap();
        let bound =
            Command::new("mount").arg("--bind").arg(disk.0.path()).arg(dir.path().join(SESSIONS)).status();
        if !bound.is_ok_and(|status| status.success()) {
            return;
        }
        let store = open(dir.path());
        let kept = store.put(&example(ID)).and_then(|_| store.put(&example(ID)));
        let _ = Command::new("umount").arg("-l").arg(dir.path().join(SESSIONS)).status();
        assert_eq!(kept.unwrap(), Kept::Disk);
    }
}

#[cfg(target_os = "linux")]
mod planted {
    use super::*;
    use crate::store::keys::testing::Unlocked;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    /// Puts each thing that is no file of ours in the place of `path`; what is told, and the target, after.
    fn each(path: &Path, target: &Path, open: impl Fn() -> String) {
        let (content, mode) = (fs::read(target).unwrap(), fs::metadata(target).unwrap().mode());
        let told = |plant: &dyn Fn()| {
            let _ = fs::remove_file(path);
            plant();
            let told = open();
            if path.is_dir() && !path.is_symlink() {
                fs::remove_dir(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
            assert_eq!(
                (fs::read(target).unwrap(), fs::metadata(target).unwrap().mode()),
                (content.clone(), mode)
            );
            told
        };
        let special = |kind, device| mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), device);
        assert!(told(&|| symlink(target, path).unwrap()).contains("it is a symbolic link"));
        assert!(told(&|| fs::hard_link(target, path).unwrap()).contains("it has another name elsewhere"));
        assert!(told(&|| special(FileType::Fifo, 0).unwrap()).contains("it is not a file"));
        let directory = told(&|| fs::create_dir(path).unwrap());
        assert!(directory.contains("it is not a file") || directory.contains("directory"), "{directory}");
        // /dev/zero would be read for ever. Only root makes devices and gives things away.
        if special(FileType::CharacterDevice, rustix::fs::makedev(1, 5)).is_ok() {
            fs::remove_file(path).unwrap();
            let device = told(&|| special(FileType::CharacterDevice, rustix::fs::makedev(1, 5)).unwrap());
            assert!(device.contains("it is not a file"), "{device}");
            let foreign = told(&|| {
                write(path, b"theirs");
                chown(path, Some(65_534), None).unwrap();
            });
            assert!(foreign.contains("it belongs to somebody else"), "{foreign}");
        }
    }

    fn target(dir: &Path) -> PathBuf {
        let path = dir.join("elsewhere");
        write(&path, b"mine");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        path
    }

    #[test]
    fn f33_in_place_of_a_session() {
        let (dir, store, path) = with_two();
        each(&path, &target(dir.path()), || {
            let loaded = store.load_all().unwrap();
            assert_eq!((loaded.records.len(), loaded.unreadable[0].trouble), (1, Trouble::Refused));
            assert!(path.symlink_metadata().is_ok(), "it stays where it is");
            loaded.unreadable[0].why.clone()
        });
    }

    #[test]
    fn f33_in_place_of_the_key_file_its_source_and_the_wrapped_key() {
        let dir = tempdir().unwrap();
        for name in ["key", "key.source"] {
            each(&dir.path().join(name), &target(dir.path()), || {
                let store = SealedFiles::open(dir.path(), Unlocked(1), KeySetup::default()).unwrap();
                assert!(store.reserve("a").is_err() && store.blocked().is_some(), "nothing new is kept");
                store.key_problem().unwrap()
            });
        }
        let store = open(dir.path());
        each(&dir.path().join("key.passphrase"), &target(dir.path()), || {
            store.unlock(&"a".into()).unwrap_err().to_string()
        });
    }

    #[test]
    fn f33_in_place_of_the_lock() {
        let dir = tempdir().unwrap();
        each(&dir.path().join("lock"), &target(dir.path()), || {
            crate::store::StoreLock::take(dir.path(), "lock").unwrap_err().to_string()
        });
    }

    #[test]
    fn f35_widened_permissions_are_repaired() {
        let (dir, store, path) = with_two();
        let key = dir.path().join("key");
        for (path, mode) in [(dir.path(), 0o755), (&*store.sessions, 0o777), (&*path, 0o644), (&*key, 0o666)]
        {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(open(dir.path()).load_all().unwrap().records.len(), 2);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(
            [mode(dir.path()), mode(&store.sessions), mode(&path), mode(&key)],
            [0o700, 0o700, 0o600, 0o600]
        );
    }
}

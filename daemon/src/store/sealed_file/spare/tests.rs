use std::{io::Write as _, process::Command};

use tempfile::{TempDir, tempdir};

use super::*;
use crate::store::{
    Kept, KeySetup, Store as _, keys::testing::Silent, record::example, sealed_file::file_name,
};

const ID: &str = "adb-1.azuredatabricks.net#work";

/// A store with a spare place.
struct Place {
    state: TempDir,
    spare: TempDir,
    store: SealedFiles,
}

impl Place {
    fn new() -> Self {
        let (state, spare) = (tempdir().unwrap(), tempdir().unwrap());
        let store = open(state.path(), spare.path());
        Self { state, spare, store }
    }

    /// As after a restart.
    fn again(&self) -> SealedFiles {
        open(self.state.path(), self.spare.path())
    }

    fn disk(&self) -> PathBuf {
        self.store.path(ID)
    }

    fn spared(&self) -> PathBuf {
        self.spare.path().join(file_name(ID, ENDING))
    }

    fn sealed(&self, generation: u64) -> Vec<u8> {
        let record = Record { generation, ..example(ID) };
        self.store.keys.current().unwrap().seal(ID, record.to_json()).unwrap()
    }
}

fn open(state: &Path, spare: &Path) -> SealedFiles {
    SealedFiles::open(state, Silent, KeySetup::default()).unwrap().beside(spare)
}

fn generation(store: &SealedFiles) -> u64 {
    store.load(ID).unwrap().unwrap().generation
}

fn files_in(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    try_write(path, content).unwrap();
}

fn try_write(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    File::create(path)?.write_all(content.as_ref())
}

/// A disk of 64 KiB, full after `fill`; `None` where nobody may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs"])
            .arg(dir.path())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(dir))
    }

    fn fill(&self) {
        let _ = try_write(&self.0.path().join("filler"), vec![0; 1 << 20]);
    }

    fn make_room(&self) {
        fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn what_reaches_the_disk_leaves_nothing_in_the_spare_place() {
    let place = Place::new();
    assert_eq!(place.store.put(&example(ID)).unwrap(), Kept::Disk);
    assert_eq!(files_in(place.spare.path()), 0);
    drop(place.store.reserve(ID).unwrap());
    assert_eq!(files_in(place.spare.path()), 0);
}

#[test]
fn f29_a_full_disk_is_noticed_before_anything_is_spent_and_the_spare_place_takes_what_was() {
    let Some(disk) = SmallDisk::mount() else { return };
    let spare = tempdir().unwrap();
    let store = open(disk.0.path(), spare.path());
    store.put(&example(ID)).unwrap();
    disk.fill();
    assert!(matches!(store.reserve(ID), Err(StoreError::NoSpace { .. })));
    assert_eq!(store.reserve_anywhere(ID).unwrap().commit(&example(ID)).unwrap(), Kept::Spare);
    assert_eq!(generation(&store), 2);

    // Nothing more is needed of the process that wrote it.
    let again = open(disk.0.path(), spare.path());
    assert_eq!(again.load_all().unwrap().records[0].generation, 2);
    assert_eq!(files_in(spare.path()), 1);

    disk.make_room();
    assert_eq!(generation(&again), 2);
    assert_eq!(files_in(spare.path()), 0, "it moved to the disk");
    assert_eq!(generation(&SealedFiles::open(disk.0.path(), Silent, KeySetup::default()).unwrap()), 2);
}

#[test]
fn f29_room_that_was_there_once_may_be_gone_and_the_next_record_moves_to_the_disk() {
    let Some(disk) = SmallDisk::mount() else { return };
    let spare = tempdir().unwrap();
    let store = open(disk.0.path(), spare.path());
    store.put(&example(ID)).unwrap();
    disk.fill();
    assert_eq!(store.put(&example(ID)).unwrap(), Kept::Spare);
    assert_eq!(store.put(&example(ID)).unwrap(), Kept::Spare);
    disk.make_room();
    assert_eq!(store.put(&example(ID)).unwrap(), Kept::Disk);
    assert_eq!((generation(&store), files_in(spare.path())), (4, 0));
}

// What is open cannot be removed on Windows.
#[cfg(unix)]
#[test]
fn f30_a_disk_that_fails_at_the_last_moment_loses_nothing() {
    let place = Place::new();
    place.store.put(&example(ID)).unwrap();
    let slot = place.store.reserve(ID).unwrap();
    fs::remove_dir_all(&place.store.sessions).unwrap();
    assert_eq!(slot.commit(&example(ID)).unwrap(), Kept::Spare);
    assert_eq!(generation(&place.again()), 1);
    assert_eq!(files_in(place.spare.path()), 0);
    assert!(place.disk().exists());
}

#[cfg(unix)]
#[test]
fn without_a_spare_place_a_failing_disk_is_an_error() {
    let dir = tempdir().unwrap();
    let store = SealedFiles::open(dir.path(), Silent, KeySetup::default()).unwrap();
    let slot = store.reserve_anywhere(ID).unwrap();
    fs::remove_dir_all(&store.sessions).unwrap();
    assert!(slot.commit(&example(ID)).is_err());
    assert!(store.reserve_anywhere(ID).is_err());
}

#[test]
fn a_spare_place_that_fails_holds_up_nobody_whose_disk_is_well() {
    let place = Place::new();
    fs::remove_dir_all(place.spare.path()).unwrap();
    place.store.remove(ID).unwrap();
    write(place.spare.path(), b"in its place");
    assert_eq!(place.store.put(&example(ID)).unwrap(), Kept::Disk);
    assert_eq!(generation(&place.store), 1);
    fs::remove_file(place.spare.path()).unwrap();
    assert_eq!(place.store.put(&example(ID)).unwrap(), Kept::Disk);
    assert!(place.spare.path().is_dir(), "it is made anew");
}

#[test]
fn f22_a_record_that_only_reached_the_spare_place_is_found_at_the_next_start() {
    let place = Place::new();
    place.store.put(&example(ID)).unwrap();
    write(&place.spared(), place.sealed(2));
    let loaded = place.again().load_all().unwrap();
    assert_eq!((loaded.records.len(), loaded.records[0].generation), (1, 2));
    assert_eq!(files_in(place.spare.path()), 0);
}

#[test]
fn f32_a_file_from_a_backup_loses_to_a_newer_copy() {
    let place = Place::new();
    write(&place.spared(), place.sealed(9));
    write(&place.disk(), place.sealed(3));
    assert_eq!(generation(&place.store), 9);
    assert_eq!((generation(&place.store), files_in(place.spare.path())), (9, 0));
}

#[test]
fn an_older_copy_in_the_spare_place_is_dropped() {
    let place = Place::new();
    for older in [3, 4] {
        write(&place.spared(), place.sealed(older));
        write(&place.disk(), place.sealed(4));
        assert_eq!((generation(&place.store), files_in(place.spare.path())), (4, 0));
    }
}

#[test]
fn f31_a_damaged_file_on_the_disk_is_set_aside_for_the_copy_that_is_well() {
    let place = Place::new();
    write(&place.disk(), b"damaged");
    write(&place.spared(), place.sealed(2));
    assert_eq!(generation(&place.store), 2);
    assert_eq!(generation(&place.again()), 2);
    let aside = super::super::aside::asides(&place.disk()).next().unwrap();
    assert_eq!(fs::read(aside).unwrap(), b"damaged");
}

#[test]
fn f31_a_damaged_copy_in_the_spare_place_does_not_hide_the_file_on_the_disk() {
    let place = Place::new();
    place.store.put(&example(ID)).unwrap();
    write(&place.spared(), b"damaged");
    assert_eq!(generation(&place.store), 1);
    fs::remove_file(place.disk()).unwrap();
    assert!(place.store.load(ID).is_err());
}

#[test]
fn signing_out_takes_the_copy_in_the_spare_place_too() {
    let place = Place::new();
    write(&place.spared(), place.sealed(2));
    place.store.remove(ID).unwrap();
    assert!(place.store.load(ID).unwrap().is_none());
    assert_eq!(files_in(place.spare.path()), 0);
}

#[test]
fn what_another_process_is_writing_is_not_swept_away() {
    let place = Place::new();
    place.store.put(&example(ID)).unwrap();
    let given = place.store.export_keys().unwrap();
    let other = SealedFiles::with_keys(place.state.path(), Some(place.spare.path()), given).unwrap();
    let slot = other.reserve(ID).unwrap();
    let again = place.again();
    assert_eq!(slot.commit(&example(ID)).unwrap(), Kept::Disk);
    assert_eq!(generation(&again), 2);
    assert_eq!(files_in(&again.sessions), 1);
}

#[cfg(unix)]
#[test]
fn f33_a_link_in_place_of_the_spare_place_is_not_followed() {
    let (state, elsewhere, dir) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let link = dir.path().join("banked");
    std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
    let store = open(state.path(), &link);
    assert!(store.spare.is_none());
    assert_eq!(store.put(&example(ID)).unwrap(), Kept::Disk);
    assert_eq!(files_in(elsewhere.path()), 0);
}

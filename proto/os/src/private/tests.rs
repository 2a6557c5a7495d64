//! The same on every system.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::PathBuf,
};

use super::*;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        make_private(home.path()).unwrap();
        Self(home)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str) -> File {
        let mut options = OpenOptions::new();
        open(&self.at(name), options.read(true).write(true).create(true)).unwrap()
    }
}

#[test]
fn a_folder_is_ours_alone_from_the_start_and_so_are_those_above_it() {
    let home = Home::new();
    let folder = home.at("a/b/c");
    create_dir(&folder).unwrap();
    create_dir(&folder).unwrap();
    for made in [home.at("a"), home.at("a/b"), folder] {
        assert_eq!(make_private(&made).unwrap(), Was::Private);
    }
}

#[test]
fn a_file_in_a_folder_of_ours_is_ours_alone() {
    let home = Home::new();
    create_dir(&home.at("a")).unwrap();
    let mut file = home.file("a/f");
    assert_eq!(check(&home.at("a/f"), &file).unwrap(), Was::Private);
    file.write_all(b"x").unwrap();
    assert_eq!(writable_by_others(&home.at("a/f"), &file).unwrap(), None);
}

#[test]
fn what_is_no_folder_or_no_file_is_told() {
    let home = Home::new();
    home.file("f");
    assert_eq!(make_private(&home.at("f")).unwrap_err().to_string(), "it is not a folder");
    assert_eq!(create_dir(&home.at("f")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert!(
        matches!(make_private(&home.at("none")), Err(NotPrivate::Io(error)) if error.kind() == io::ErrorKind::NotFound)
    );
}

#[test]
fn a_file_that_is_locked_is_locked_for_others_until_it_is_closed() {
    let home = Home::new();
    let file = home.file("f");
    assert!(locked(&home.at("f"), &file).unwrap());
    let other = home.file("f");
    assert!(matches!(try_lock(&other), Err(TryLockError::WouldBlock)));
    drop(file);
    lock_shared(&other).unwrap();
    lock_shared(&home.file("f")).unwrap();
    assert!(matches!(try_lock(&home.file("f")), Err(TryLockError::WouldBlock)));
}

#[test]
fn what_is_locked_can_be_read_and_written_by_all() {
    let home = Home::new();
    let mut file = home.file("f");
    assert!(locked(&home.at("f"), &file).unwrap());
    file.write_all(b"within").unwrap();
    let mut text = String::new();
    home.file("f").read_to_string(&mut text).unwrap();
    assert_eq!(text, "within");
}

#[test]
fn a_path_leads_to_what_was_opened_until_something_else_is_there() {
    let home = Home::new();
    let file = home.file("f");
    assert!(is_at(&file, &home.at("f")));
    fs::rename(home.at("f"), home.at("g")).unwrap();
    assert!(!is_at(&file, &home.at("f")));
    home.file("f");
    assert!(!is_at(&file, &home.at("f")));
}

#[test]
fn a_folder_that_is_held_is_held_until_it_is_let_go() {
    let home = Home::new();
    create_dir(&home.at("a")).unwrap();
    let held = hold(&home.at("a")).unwrap().unwrap();
    let second = system::to_hold(&home.at("a")).unwrap();
    assert!(matches!(try_lock(&second), Err(TryLockError::WouldBlock)));
    drop(held);
    try_lock(&second).unwrap();
    sync_dir(&home.at("a")).unwrap();
}

#[test]
fn a_name_that_is_not_there_is_not_in_use_and_does_not_pass() {
    let home = Home::new();
    let error = fs::remove_file(home.at("none")).unwrap_err();
    assert!(!is_in_use(&error) && !passes(&error));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_could_use_they_cannot_any_more() {
        let home = Home::new();
        create_dir(&home.at("a")).unwrap();
        let file = home.file("a/f");
        mode(&home.at("a"), 0o755);
        mode(&home.at("a/f"), 0o644);
        assert_eq!(make_private(&home.at("a")).unwrap(), Was::Mended);
        assert_eq!(make_private(&home.at("a")).unwrap(), Was::Private);
        assert_eq!(check(&home.at("a/f"), &file).unwrap(), Was::Mended);
        assert_eq!(check(&home.at("a/f"), &file).unwrap(), Was::Private);
        mode(&home.at("a"), 0o1777);
        assert!(make_private(&home.at("a")).unwrap_err().to_string().contains("everybody shares"));
    }

    #[test]
    fn what_others_can_write_may_be_theirs() {
        let home = Home::new();
        let file = home.file("f");
        mode(&home.at("f"), 0o646);
        assert!(writable_by_others(&home.at("f"), &file).unwrap().unwrap().contains("others can write it"));
    }

    #[test]
    fn a_link_is_not_followed_and_a_second_name_is_refused() {
        let home = Home::new();
        let file = home.file("f");
        symlink(home.at("f"), home.at("link")).unwrap();
        let error = open(&home.at("link"), OpenOptions::new().read(true)).unwrap_err();
        assert_eq!(error.to_string(), "it is a symbolic link");
        fs::hard_link(home.at("f"), home.at("twin")).unwrap();
        assert!(check(&home.at("f"), &file).unwrap_err().to_string().contains("another name"));
    }
}

#[cfg(windows)]
mod windows {
    use std::os::windows::io::AsHandle as _;

    use super::*;
    use crate::{user::User, windows::descriptor};

    const EVERYBODY: &str = "D:P(A;OICI;FA;;;WD)";

    #[test]
    fn what_others_could_use_they_cannot_any_more() {
        let home = Home::new();
        create_dir(&home.at("a")).unwrap();
        let file = home.file("a/f");
        for path in [home.at("a"), home.at("a/f")] {
            descriptor::set_access(&path, EVERYBODY).unwrap();
        }
        let told = writable_by_others(&home.at("a/f"), &file).unwrap();
        assert!(told.unwrap().contains("others can write it"));
        assert_eq!(make_private(&home.at("a")).unwrap(), Was::Mended);
        assert_eq!(make_private(&home.at("a")).unwrap(), Was::Private);
        assert_eq!(check(&home.at("a/f"), &file).unwrap(), Was::Mended);
        assert_eq!(check(&home.at("a/f"), &file).unwrap(), Was::Private);
        let list = descriptor::of_file(file.as_handle()).unwrap();
        assert!(list.contains(&User::me().unwrap().to_string()) && !list.contains("WD"), "{list}");
    }
}

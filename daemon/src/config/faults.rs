//! Config files that are half written, hostile or gone: what was good stays in force, and nothing waits.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::*;

const OWN: &str = "force_refresh_within = \"45s\"\n[profile.git]\nhost = \"https://gitlab.example.com\"\nclient_id = \"abc\"\n";
const THEIRS: &str = "[DEFAULT]\nhost = https://adb-1.7.azuredatabricks.net\n[ci]\nhost = https://adb-1.7.azuredatabricks.net\nclient_id = sp\nclient_secret = CANARY\n";

/// More than any refusal takes, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

struct Files {
    folder: TempDir,
    config: Config,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [own, theirs] = ["config.toml", "databrickscfg"].map(|name| folder.path().join(name));
        put(&own, OWN.as_bytes());
        put(&theirs, THEIRS.as_bytes());
        let config = Config::of_files(own, Some(theirs));
        assert!(config.known().problems.is_empty(), "{:?}", config.known().problems);
        Self { folder, config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reads both again, and says how that went; what was in force must still be.
    fn still_in_force(&self, what: &str) -> Reading {
        let start = crate::clock::now();
        let reading = self.config.read_again();
        assert!(crate::clock::now().since(start) < AT_ONCE, "{what} held us up");
        let known = self.config.known();
        assert_eq!(known.settings.force_refresh_within, Duration::from_secs(45), "{what}");
        for name in ["git", "DEFAULT", "ci"] {
            assert!(known.profiles.contains_key(name), "{what}: {name} is gone");
        }
        assert_eq!(known.default.as_deref(), Some("DEFAULT"), "{what}");
        assert!(!known.problems.concat().contains("CANARY"), "{:?}", known.problems);
        reading
    }
}

/// As an editor does that writes into the file that is there.
fn put(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    fs::File::create(path).unwrap().write_all(bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn remove(path: &Path) {
    if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) }.unwrap();
}

#[test]
fn f52_what_was_good_stays_in_force_while_a_file_is_no_good_and_the_error_is_seen_until_it_is_mended() {
    let files = Files::new();
    for (name, bad) in [
        ("config.toml", &b"force_refresh_within = \"45s"[..]),
        ("config.toml", b"[profile.git"),
        ("config.toml", b"nobody_knows = 1"),
        ("databrickscfg", b"[a]\nhost = \xff\n"),
    ] {
        let good = fs::read(files.path(name)).unwrap();
        put(&files.path(name), bad);
        assert_eq!(files.still_in_force(name), Reading::Invalid);
        assert_eq!(files.still_in_force(name), Reading::Same, "it is told and logged once");
        assert_eq!(files.config.known().problems.len(), 1);
        assert!(files.config.known().machines().is_none(), "nobody is signed out by half a file");
        put(&files.path(name), &good);
        assert_eq!(files.still_in_force(name), Reading::New);
        assert!(files.config.known().problems.is_empty());
    }
}

#[test]
fn f52_a_file_that_is_cut_anywhere_signs_no_program_out() {
    let files = Files::new();
    let mut random = sso_agent_core::schedule::Spread::seeded(52);
    for (name, whole) in [("config.toml", OWN), ("databrickscfg", THEIRS)] {
        for _ in 0..250 {
            let cut = random.draw() as usize * (whole.len() - 1) / 1000;
            put(&files.path(name), &whole.as_bytes()[..cut]);
            let before = files.config.known().machines();
            files.config.read_again();
            let known = files.config.known();
            // What is cut between two lines is a good file, and says less; the watcher waits for what comes next.
            assert!(known.problems.is_empty() || known.machines().is_none(), "{cut}");
            assert!(known.machines().is_none() || before.is_none() || known.problems.is_empty());
            put(&files.path(name), whole.as_bytes());
            files.config.read_again();
            files.still_in_force("mended");
        }
    }
}

#[test]
fn f52_every_way_in_which_editors_save_is_read() {
    let files = Files::new();
    let own = files.path("config.toml");
    let text = |s: u32| format!("force_refresh_within = \"{s}s\"\n");
    let within = |files: &Files| {
        assert_eq!(files.config.read_again(), Reading::New);
        files.config.known().settings.force_refresh_within.as_secs()
    };
    put(&own, text(1).as_bytes());
    assert_eq!(within(&files), 1, "written over");
    put(&files.path("new"), text(2).as_bytes());
    fs::rename(files.path("new"), &own).unwrap();
    assert_eq!(within(&files), 2, "renamed into place");
    for s in [3, 4] {
        put(&files.path(&format!("data{s}")), text(s).as_bytes());
        symlink(files.path(&format!("data{s}")), files.path("link")).unwrap();
        fs::rename(files.path("link"), &own).unwrap();
        assert_eq!(within(&files), u64::from(s), "a link was swapped");
    }
}

#[test]
fn f53_what_is_no_file_of_settings_is_refused_at_once() {
    let files = Files::new();
    let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = [OWN.as_bytes(), &vec![b'#'; 100 << 20]].concat();
    for name in ["config.toml", "databrickscfg"] {
        let path = files.path(name);
        let good = fs::read(&path).unwrap();
        let make: [(&str, &dyn Fn()); 9] = [
            ("100 MB", &|| put(&path, &huge)),
            ("a FIFO", &|| assert!(Command::new("mkfifo").arg(&path).status().unwrap().success())),
            ("/dev/zero", &|| symlink("/dev/zero", &path).unwrap()),
            ("a link to itself", &|| symlink(&path, &path).unwrap()),
            ("a folder", &|| fs::create_dir(&path).unwrap()),
            ("deep nesting", &|| put(&path, deep.as_bytes())),
            ("no UTF-8", &|| put(&path, b"[profile.\xff\xfe]\n")),
            ("a NUL", &|| put(&path, b"[a]\nb = \"\0\"\n")),
            ("for others to write", &|| {
                put(&path, &good);
                fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
            }),
        ];
        for (what, make) in make {
            remove(&path);
            make();
            files.still_in_force(what);
            let problems = files.config.known().problems.clone();
            assert_eq!(problems.len(), 1, "{what} in place of {name}: {problems:?}");
            remove(&path);
            put(&path, &good);
            files.config.read_again();
            assert!(files.config.known().problems.is_empty(), "{what}");
        }
        put(&path, &[b"\xef\xbb\xbf", &good[..]].concat());
        files.still_in_force("a byte order mark is none of our business");
        assert!(files.config.known().problems.is_empty());
        put(&path, &good);
    }
}

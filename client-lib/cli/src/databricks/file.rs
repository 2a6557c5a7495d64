//! The file of profiles on disk: read whole or not at all, and replaced in one step.
//!
//! What is no plain file, is too large or cannot be read is an error before anything is done, and is left
//! as it is. A symlink stays: what it leads to is replaced.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use secrecy::zeroize::Zeroizing;
use sso_agent_client::proto::databrickscfg::{self, Config, LIMIT};

use crate::say::Fail;

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// A file of profiles that was read, or one that is not there yet.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    pub(crate) config: Config,
    /// Whether it is there.
    pub(crate) exists: bool,
    text: Zeroizing<String>,
}

impl Loaded {
    /// The file of this environment.
    pub(crate) fn here() -> Result<Self, Fail> {
        Self::read(path()?)
    }

    fn read(path: PathBuf) -> Result<Self, Fail> {
        let unreadable = |why: &dyn std::fmt::Display| {
            Fail::new(format!("cannot parse config file: {}: {why}", path.display()))
        };
        let Some(bytes) = bytes(&path).map_err(|error| unreadable(&error))? else {
            let (config, text) = (Config::default(), Zeroizing::default());
            return Ok(Self { path, config, exists: false, text });
        };
        let text = databrickscfg::text(&bytes).map_err(|error| unreadable(&error))?;
        let config = Config::parse(text).map_err(|error| unreadable(&error))?;
        let text = Zeroizing::new(text.to_owned());
        Ok(Self { path, config, exists: true, text })
    }

    /// Changes the file as it is now, which may be another than was read: a sign-in takes minutes.
    pub(crate) fn change(
        self,
        edit: impl FnOnce(&str) -> Result<String, databrickscfg::edit::BadEdit>,
    ) -> Result<(), Fail> {
        let now = Self::read(self.path)?;
        let changed = edit(&now.text).map(Zeroizing::new).map_err(|error| Fail::new(error.to_string()))?;
        if *changed == *now.text {
            return Ok(());
        }
        let unwritten = |path: &Path, error: io::Error| {
            Fail::new(format!("cannot write config file: {}: {error}", path.display()))
        };
        let target = followed(&now.path).map_err(|error| unwritten(&now.path, error))?;
        if now.exists {
            let backup = with_suffix(&now.path, ".bak");
            replace(&backup, &now.text).map_err(|error| unwritten(&backup, error))?;
        }
        replace(&target, &changed).map_err(|error| unwritten(&target, error))
    }
}

/// `DATABRICKS_CONFIG_FILE`, or `.databrickscfg` in the home folder.
fn path() -> Result<PathBuf, Fail> {
    let home = || directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
    let chosen = env::var_os("DATABRICKS_CONFIG_FILE").filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = match chosen {
        None => home().map(|home| home.join(".databrickscfg")),
        Some(path) => match path.strip_prefix("~") {
            Ok(rest) => home().map(|home| home.join(rest)),
            Err(_) => Some(path),
        },
    };
    path.ok_or_else(|| Fail::new("cannot find homedir; set DATABRICKS_CONFIG_FILE"))
}

/// `None` when nothing is there.
fn bytes(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    // Looked at before it is opened, which would wait for ever at a pipe.
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(io::Error::other("it is not a regular file")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    File::open(path)?.take(LIMIT as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Where a path leads to, whether or not something is there.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(to) => path = path.parent().unwrap_or(Path::new("")).join(to),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// Whole or not at all, and for its owner only.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = with_suffix(path, &format!(".tmp-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let done = written.and_then(|()| fs::rename(&beside, path));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done.and_then(|()| sync_folder(path))
}

/// The new name lasts only when the folder is on disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => {
            File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()
        }
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

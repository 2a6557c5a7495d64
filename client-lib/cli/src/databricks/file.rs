//! The file of profiles on disk: read whole or not at all, and replaced in one step.
//!
//! What is no plain file, is too large or cannot be read is an error before anything is done, and is left
//! as it is. A symlink stays: what it leads to is replaced.

use std::{
    io,
    path::{Path, PathBuf},
};

use secrecy::zeroize::Zeroizing;
use sso_agent_client::proto::{
    databrickscfg::{self, Config},
    places,
};

use crate::{private, say::Fail};

/// A file of profiles that was read, or one that is not there yet.
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
        let Some(bytes) = private::read(&path).map_err(|why| unreadable(&why))? else {
            let (config, text) = (Config::default(), Zeroizing::default());
            return Ok(Self { path, config, exists: false, text });
        };
        let text = databrickscfg::text(&bytes).map_err(|error| unreadable(&error))?;
        let config = Config::parse(text).map_err(|error| unreadable(&error))?;
        let text = Zeroizing::new(text.to_owned());
        Ok(Self { path, config, exists: true, text })
    }

    /// Finds out whether the file could be changed, while nothing is lost yet.
    pub(crate) fn can_be_changed(&self) -> Result<(), Fail> {
        private::can_put(&self.path).map_err(|error| unwritten(&self.path, &error))
    }

    /// Changes the file as it is now, which may be another than was read: a sign-in takes minutes.
    pub(crate) fn change(
        self,
        edit: impl FnOnce(&str) -> Result<String, databrickscfg::edit::BadEdit>,
    ) -> Result<(), Fail> {
        // Several sign-ins at once write one after the other.
        let _turn = private::turn_at(&self.path);
        let now = Self::read(self.path)?;
        let changed = edit(&now.text).map(Zeroizing::new).map_err(|error| Fail::new(error.to_string()))?;
        if *changed == *now.text {
            return Ok(());
        }
        if now.exists {
            let backup = backup_of(&now.path);
            private::put(&backup, now.text.as_bytes()).map_err(|error| unwritten(&backup, &error))?;
        }
        private::put(&now.path, changed.as_bytes()).map_err(|error| unwritten(&now.path, &error))
    }
}

fn path() -> Result<PathBuf, Fail> {
    places::databricks_config().ok_or_else(|| Fail::new("cannot find homedir; set DATABRICKS_CONFIG_FILE"))
}

fn backup_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".bak");
    name.into()
}

fn unwritten(path: &Path, error: &io::Error) -> Fail {
    Fail::new(format!("cannot write config file: {}: {error}", path.display()))
}

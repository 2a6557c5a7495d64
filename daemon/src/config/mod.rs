//! What the person has written down: the agent's own config file, and the profiles of the Databricks
//! tools. Both are read at the start and whenever they change; neither is ever written.
//!
//! What cannot be read leaves everything as it was, and is said.

mod databricks;
mod file;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod known;
mod plan;
mod profile;
mod watch;

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use sso_agent_os::private;
use sso_agent_proto::{
    databrickscfg::{self, BadConfig},
    events::{Event, EventKind},
    places::{self, Places},
};
use zeroize::Zeroizing;

use crate::{clock, issuer};

pub(crate) use self::{
    known::{Known, Meant},
    watch::watch,
};

/// The files, and what they said when they last could be read.
#[derive(Debug)]
pub(crate) struct Config {
    files: Files,
    known: RwLock<Arc<Known>>,
}

/// Where the files are.
#[derive(Debug, Clone)]
struct Files {
    own: PathBuf,
    databricks: Option<PathBuf>,
    home: Option<String>,
}

/// How a reading went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It says what it said before.
    Same,
    /// New settings are in force.
    New,
    /// One of the files cannot be used; what it said before stays in force.
    Invalid,
}

impl Config {
    /// Reads the files for the first time. What is wrong with them is in [`Known::problems`].
    pub(crate) fn read(places: &Places) -> Self {
        let home = places::home().and_then(|home| home.into_os_string().into_string().ok());
        let databricks = places::databricks_config();
        Self::of(Files { own: places.config.clone(), databricks, home })
    }

    /// The same for these files.
    #[cfg(test)]
    pub(crate) fn of_files(own: PathBuf, databricks: Option<PathBuf>) -> Self {
        Self::of(Files { own, databricks, home: Some("/home/u".to_owned()) })
    }

    fn of(files: Files) -> Self {
        let config = Self { files, known: RwLock::default() };
        config.read_again();
        config
    }

    /// What is in force.
    pub(crate) fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How issuers are reached; the environment is that of whoever started this agent.
    pub(crate) fn reach(&self) -> issuer::Settings {
        issuer::Settings::of(self.known().settings.reach(), |name| std::env::var_os(name))
    }

    /// Reads the files again. Blocks as files do.
    pub(crate) fn read_again(&self) -> Reading {
        let before = self.known();
        let next = self.files.read(&before);
        for problem in next.problems.iter().filter(|problem| !before.problems.contains(problem)) {
            tracing::warn!(problem, "a config file cannot be used");
        }
        let reading = match (next.is_like(&before), next.problems.is_empty()) {
            (true, _) => Reading::Same,
            (false, true) => Reading::New,
            (false, false) => Reading::Invalid,
        };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        reading
    }

    /// The files, whether they are there or not.
    fn paths(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.files.own.as_path()).chain(self.files.databricks.as_deref())
    }
}

/// What is told of a reading that changed something.
pub(crate) fn event(reading: Reading) -> Event {
    let kind = match reading {
        Reading::New | Reading::Same => EventKind::ConfigReloaded,
        Reading::Invalid => EventKind::ConfigInvalid,
    };
    Event { kind, session: None, at: clock::timestamp(clock::now().wall) }
}

impl Files {
    fn read(&self, before: &Known) -> Known {
        let mut known = Known::default();
        match self.own_settings() {
            Ok(settings) => known.settings = settings,
            Err(why) => {
                known.problems.push(format!("{}: {why}", self.own.display()));
                known.settings = before.settings.clone();
            }
        }
        if let Some(path) = &self.databricks {
            match read_databricks(path) {
                Ok(None) => known.incomplete = before.has_databricks(),
                Ok(Some(config)) => known.add_databricks(&config, self.home.as_deref()),
                Err(why) => {
                    known.problems.push(format!("{}: {why}", path.display()));
                    known.keep_databricks_of(before);
                }
            }
        }
        known.add_own();
        known
    }

    fn own_settings(&self) -> Result<file::Settings, String> {
        match contents(&self.own) {
            Ok(bytes) => file::read(databrickscfg::text(&bytes).map_err(|error| error.to_string())?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(file::Settings::default()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// `None` where there is no file.
fn read_databricks(path: &Path) -> Result<Option<databrickscfg::Config>, String> {
    match contents(path) {
        Ok(bytes) => match databrickscfg::Config::parse_bytes(&bytes) {
            Ok(config) => Ok(Some(config)),
            Err(error) => Err(BadConfig::to_string(&error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// The whole of a regular file, and a little more than it may have: who reads it says that it is too much.
/// A pipe in its place would hold us up for ever.
fn contents(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = private::open_where_it_leads(path, std::fs::OpenOptions::new().read(true))?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if let Some(why) = private::writable_by_others(path, &file)? {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(found.len().min(databrickscfg::LIMIT as u64) as usize + 1));
    file.take(databrickscfg::LIMIT as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[cfg(unix)]
mod faults;
#[cfg(test)]
mod tests;

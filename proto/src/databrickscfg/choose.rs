//! Which profile counts.

use std::path::Path;

use super::{Config, DEFAULT, SETTINGS, Section};

/// Names the profile where the caller does not.
pub const PROFILE_VARIABLE: &str = "DATABRICKS_CONFIG_PROFILE";

/// Which profile counts.
#[derive(Debug, Clone, Copy)]
pub enum Choice<'a> {
    /// The one that was named: by the caller, by the environment or by the settings.
    Named(&'a Section),
    /// `[DEFAULT]`, which nobody named: the SDKs use its values and do not call it by its name.
    Silent(&'a Section),
    /// None: whatever is known comes from elsewhere.
    Nothing,
}

impl<'a> Choice<'a> {
    /// The profile, if there is one.
    pub fn section(self) -> Option<&'a Section> {
        match self {
            Self::Named(section) | Self::Silent(section) => Some(section),
            Self::Nothing => None,
        }
    }
}

/// A profile was named that cannot count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoProfile {
    /// The section of the settings is no profile.
    Reserved,
    /// The file has none of this name.
    Missing(String),
}

impl NoProfile {
    /// In the words of the SDKs.
    pub fn message(&self, file: &Path) -> String {
        match self {
            Self::Reserved => {
                format!("{SETTINGS} is a reserved section name and cannot be used as a profile")
            }
            Self::Missing(name) => format!("resolve: {} has no {name} profile configured", file.display()),
        }
    }
}

/// Says which profile counts: the one that is wished for, the one that the environment names, the
/// default of the settings, `[DEFAULT]`, none; in this order. An empty name names nothing.
///
/// # Errors
/// [`NoProfile`] for one that was named and is not there.
pub fn choose<'a>(
    config: &'a Config,
    wish: Option<&str>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Choice<'a>, NoProfile> {
    let set = |name: &String| !name.is_empty();
    let named = wish.map(str::to_owned).filter(set).or_else(|| env(PROFILE_VARIABLE).filter(set));
    match named.as_deref().or(config.settings().default_profile) {
        Some(SETTINGS) => Err(NoProfile::Reserved),
        Some(name) => match config.profile(name) {
            Some(section) => Ok(Choice::Named(section)),
            None => Err(NoProfile::Missing(name.to_owned())),
        },
        None => Ok(config.profile(DEFAULT).map_or(Choice::Nothing, Choice::Silent)),
    }
}

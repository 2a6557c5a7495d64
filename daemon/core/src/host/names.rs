//! What the name of a Databricks host tells.

/// Where a Databricks host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cloud {
    /// Amazon Web Services.
    Aws,
    /// Microsoft Azure.
    Azure,
    /// Google Cloud.
    Gcp,
}

impl Cloud {
    /// As it stands on the wire and on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
        }
    }

    /// Reads what a server or a person calls it, in any case.
    pub fn named(text: &str) -> Option<Self> {
        [Self::Aws, Self::Azure, Self::Gcp].into_iter().find(|cloud| cloud.name().eq_ignore_ascii_case(text))
    }
}

/// Whom a Databricks host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Everybody.
    Production,
    /// Databricks' own developers, before a release.
    Staging,
    /// Databricks' own developers.
    Development,
}

/// The suffixes of Databricks hosts, the more specific ones first (as in the SDKs' own table).
const SUFFIXES: [(&str, Cloud, Stage); 12] = [
    (".dev.gcp.databricks.com", Cloud::Gcp, Stage::Development),
    (".staging.gcp.databricks.com", Cloud::Gcp, Stage::Staging),
    (".gcp.databricks.com", Cloud::Gcp, Stage::Production),
    (".dev.databricks.com", Cloud::Aws, Stage::Development),
    (".staging.cloud.databricks.com", Cloud::Aws, Stage::Staging),
    (".cloud.databricks.us", Cloud::Aws, Stage::Production),
    (".cloud.databricks.com", Cloud::Aws, Stage::Production),
    (".dev.azuredatabricks.net", Cloud::Azure, Stage::Development),
    (".staging.azuredatabricks.net", Cloud::Azure, Stage::Staging),
    (".azuredatabricks.net", Cloud::Azure, Stage::Production),
    (".databricks.azure.us", Cloud::Azure, Stage::Production),
    (".databricks.azure.cn", Cloud::Azure, Stage::Production),
];

/// Where names are Databricks' to give.
const DOMAINS: [&str; 5] = [
    ".databricks.com",
    ".databricks.us",
    ".azuredatabricks.net",
    ".databricks.azure.us",
    ".databricks.azure.cn",
];

/// Which cloud a name is in, and whom it is for, if it is a workspace's or an account console's.
pub(super) fn ran_by(name: &str) -> Option<(Cloud, Stage)> {
    let found = SUFFIXES.iter().find(|(suffix, ..)| name.ends_with(suffix));
    found.map(|(_, cloud, stage)| (*cloud, *stage))
}

/// Whether nobody else can have this name: unified hosts and the sign-in's own are at no known suffix.
pub(crate) fn is_databricks(name: &str) -> bool {
    DOMAINS.iter().any(|domain| name.ends_with(domain))
}

//! Hosts as the CLI compares them: by scheme, name and port.

use url::Url;

/// What a host's address says besides the host (`?o=…&a=…`).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) workspace: Option<String>,
    pub(crate) account: Option<String>,
}

/// The spelling by which two hosts are compared; `None` for what is none.
pub(crate) fn canonical(host: &str) -> Option<String> {
    let url = parse(host)?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{}{port}", url.scheme(), url.host_str()?.trim_end_matches('.')))
}

/// Whether both mean the same host.
pub(crate) fn same(one: &str, other: &str) -> bool {
    canonical(one).is_some_and(|one| Some(one) == canonical(other))
}

/// Without query and fragment, in which ids may stand.
pub(crate) fn bare(host: &str) -> &str {
    let host = host.trim();
    host.find(['?', '#']).map_or(host, |end| &host[..end]).trim_end_matches('/')
}

/// What stands in the query.
pub(crate) fn ids(host: &str) -> Ids {
    let mut ids = Ids::default();
    for (name, value) in parse(host).iter().flat_map(|url| url.query_pairs()) {
        let place = match &*name {
            "o" | "w" | "workspace_id" => &mut ids.workspace,
            "a" | "account_id" => &mut ids.account,
            _ => continue,
        };
        *place = Some(value.into_owned()).filter(|id| !id.is_empty());
    }
    ids
}

/// Whether it is the console of accounts, at which an account has to be named.
pub(crate) fn is_account_console(host: &str) -> bool {
    let name = parse(host).and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    (name.starts_with("accounts.") || name.starts_with("accounts-dod.")) && cloud_suffix(&name).is_some()
}

/// The cloud that a host runs in, as far as its name tells; the CLI takes every other for `aws`.
pub(crate) fn cloud(host: &str) -> &'static str {
    let name = parse(host).and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    cloud_suffix(&name).unwrap_or("aws")
}

fn cloud_suffix(name: &str) -> Option<&'static str> {
    const SUFFIXES: [(&str, &str); 7] = [
        (".azuredatabricks.net", "azure"),
        (".databricks.azure.us", "azure"),
        (".databricks.azure.cn", "azure"),
        (".gcp.databricks.com", "gcp"),
        (".cloud.databricks.com", "aws"),
        (".cloud.databricks.us", "aws"),
        (".dev.databricks.com", "aws"),
    ];
    SUFFIXES.iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, cloud)| *cloud)
}

fn parse(host: &str) -> Option<Url> {
    let host = host.trim();
    let url = if host.contains("://") { Url::parse(host) } else { Url::parse(&format!("https://{host}")) };
    url.ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.host_str().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_host_is_the_same_host() {
        for host in [
            "x.cloud.databricks.com",
            "https://X.cloud.databricks.com/",
            "https://x.cloud.databricks.com:443/a/b?o=1",
            "HTTPS://x.cloud.databricks.com.",
        ] {
            assert!(same(host, "https://x.cloud.databricks.com"), "{host}");
        }
        assert!(!same("x.example", "y.example") && !same("http://localhost:1", "http://localhost:2"));
        assert!(!same("", "") && !same("mailto:x", "mailto:x"));
    }

    #[test]
    fn ids_stand_in_the_query() {
        let ids = ids("x.example/?o=12&account_id=a");
        assert_eq!((ids.workspace.as_deref(), ids.account.as_deref()), (Some("12"), Some("a")));
        assert_eq!(bare(" https://x.example/?o=12#f "), "https://x.example");
    }

    #[test]
    fn the_cloud_is_told_by_the_name() {
        assert_eq!(
            ["adb-1.7.azuredatabricks.net", "1.gcp.databricks.com", "x.example"].map(cloud),
            ["azure", "gcp", "aws"]
        );
        assert!(is_account_console("https://accounts.azuredatabricks.net"));
        assert!(!is_account_console("accounts.example.com"));
    }
}

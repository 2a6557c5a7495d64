//! How hosts are written: by people, by other tools, by the agent.

use url::Url;

/// Where Databricks' workspaces are. An account says nothing more about one.
const WORKSPACES: [&str; 7] = [
    ".azuredatabricks.net",
    ".cloud.databricks.com",
    ".cloud.databricks.us",
    ".databricks.azure.cn",
    ".databricks.azure.us",
    ".dev.databricks.com",
    ".gcp.databricks.com",
];

/// The plain form: scheme, name in lower case, port if it is not the usual one. `None` for what is no host.
pub(super) fn plain(typed: &str) -> Option<String> {
    let typed = typed.trim();
    let url = if typed.contains("://") { Url::parse(typed) } else { Url::parse(&format!("https://{typed}")) };
    let url = url.ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())?;
    Some(url.origin().ascii_serialization())
}

/// Every form in which the Python SDK may have put a host that was typed like this into a hash: in its
/// present one, which keeps case and path, in that of old versions, and in the plain one.
pub(super) fn spellings(typed: &str) -> Vec<String> {
    let (scheme, rest) = typed.split_once("://").unwrap_or(("https", typed));
    let (netloc, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (path, query) = tail.split_at(tail.find(['?', '#']).unwrap_or(tail.len()));
    let scheme = scheme.to_ascii_lowercase();
    let short = netloc.strip_suffix(":443").unwrap_or(netloc);
    let forms = [
        Some(format!("{scheme}://{short}{}{query}", path.trim_end_matches('/'))),
        Some(format!("{scheme}://{netloc}")),
        plain(typed),
    ];
    let mut forms: Vec<String> = forms.into_iter().flatten().collect();
    forms.sort();
    forms.dedup();
    forms
}

/// What the agent will call the session. For showing, and for seeing which ones it has.
pub(super) fn session(plain: &str, account_id: Option<&str>, label: Option<&str>) -> String {
    let bare = plain.split_once("://").map_or(plain, |(_, bare)| bare);
    let account = account_id.filter(|_| is_of_an_account(bare));
    let account = account.map(|id| format!("/accounts/{}", id.to_ascii_lowercase())).unwrap_or_default();
    let label = label.map(|label| format!("#{label}")).unwrap_or_default();
    format!("{bare}{account}{label}")
}

fn is_of_an_account(bare: &str) -> bool {
    let name = bare.split(':').next().unwrap_or(bare);
    name.starts_with("accounts.")
        || name.starts_with("accounts-dod.")
        || !WORKSPACES.iter().any(|suffix| name.ends_with(suffix))
}

/// Whether the agent takes a name as a label.
pub(super) fn is_label(name: &str) -> bool {
    name.chars().count() <= 64 && name.chars().all(|c| c.is_alphanumeric() || "._@+-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_looked_for_as_each_version_wrote_it() {
        assert_eq!(
            spellings("HTTPS://Adb-1.AzureDatabricks.net:443/a/?o=1"),
            [
                "https://Adb-1.AzureDatabricks.net/a?o=1",
                "https://Adb-1.AzureDatabricks.net:443",
                "https://adb-1.azuredatabricks.net"
            ]
        );
        assert_eq!(spellings("adb-1.azuredatabricks.net"), ["https://adb-1.azuredatabricks.net"]);
        assert_eq!(plain("http://127.0.0.1:8080/x").as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(plain("ftp://x").or(plain("")).or(plain("a b")), None);
    }

    #[test]
    fn a_session_is_called_as_the_agent_calls_it() {
        let account = Some("0D26-a");
        assert_eq!(session("https://adb-1.azuredatabricks.net", account, None), "adb-1.azuredatabricks.net");
        assert_eq!(
            session("https://accounts.cloud.databricks.com", account, Some("work")),
            "accounts.cloud.databricks.com/accounts/0d26-a#work"
        );
        assert_eq!(
            session("https://acme.databricks.com", account, None),
            "acme.databricks.com/accounts/0d26-a"
        );
    }
}

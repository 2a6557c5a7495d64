//! What is Microsoft's about an Azure workspace: which of its clouds it is in, and its sign-in (Entra).
//!
//! The workspace says where that is, and is believed only if it names one of Microsoft's own servers,
//! since codes and client secrets go there.

use url::Url;

use crate::{
    callback::clean,
    discovery::{Flavor, Metadata, Unacceptable, safe},
    host::{Host, Stage, is_loopback},
};

/// Microsoft's clouds, each with servers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// For everybody.
    Public,
    /// For the government of the United States.
    UsGovernment,
    /// In China.
    China,
}

impl Environment {
    /// The one that `host` is in.
    pub fn of(host: &Host) -> Self {
        match host.name() {
            name if name.ends_with(".databricks.azure.us") => Self::UsGovernment,
            name if name.ends_with(".databricks.azure.cn") => Self::China,
            _ => Self::Public,
        }
    }

    /// As Databricks' settings have it (`azure_environment`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "PUBLIC",
            Self::UsGovernment => "USGOVERNMENT",
            Self::China => "CHINA",
        }
    }

    /// Reads the name that settings have, in any case.
    pub fn named(text: &str) -> Option<Self> {
        let all = [Self::Public, Self::UsGovernment, Self::China];
        all.into_iter().find(|environment| environment.name().eq_ignore_ascii_case(text))
    }

    /// Where people and programs sign in.
    pub fn active_directory(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::UsGovernment => "https://login.microsoftonline.us",
            Self::China => "https://login.chinacloudapi.cn",
        }
    }

    /// Where Azure itself is managed.
    pub fn resource_manager(self) -> &'static str {
        match self {
            Self::Public => "https://management.azure.com/",
            Self::UsGovernment => "https://management.usgovcloudapi.net/",
            Self::China => "https://management.chinacloudapi.cn/",
        }
    }

    /// For whom a token to manage Azure is.
    pub fn service_management(self) -> &'static str {
        match self {
            Self::Public => "https://management.core.windows.net/",
            Self::UsGovernment => "https://management.core.usgovcloudapi.net/",
            Self::China => "https://management.core.chinacloudapi.cn/",
        }
    }
}

/// Microsoft's servers for signing in.
const ENTRA: [&str; 4] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
];

/// Where a workspace says where its Entra sign-in is: in the `Location` of a redirect.
pub fn entra_at(host: &Host) -> String {
    format!("{}/oidc/oauth2/v2.0/authorize", host.url())
}

/// Where a workspace says which tenant it belongs to: in the `Location` of a redirect.
pub fn tenant_at(host: &Host) -> String {
    format!("{}/aad/auth", host.url())
}

/// The id by which Entra knows Databricks: whom tokens are for.
pub fn resource(host: &Host) -> &'static str {
    match host.stage() {
        Stage::Production => "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d",
        Stage::Staging => "4a67d088-db5c-48f1-9ff2-0aace800ae68",
        Stage::Development => "62a912ac-b58e-4c1d-89ea-b2dbfc7358fc",
    }
}

/// What to ask Entra for when the person `asked` for this.
pub fn scopes(host: &Host, asked: &[String]) -> Vec<String> {
    const OFFLINE: &str = "offline_access";
    let mut scopes = asked.to_vec();
    if asked.is_empty() {
        scopes.push(format!("{}/user_impersonation", resource(host)));
    }
    if !scopes.iter().any(|scope| scope == OFFLINE) {
        scopes.push(OFFLINE.to_owned());
    }
    scopes
}

/// The Entra sign-in that `location` leads to.
///
/// # Errors
/// [`Unacceptable::NotEntra`], if that is not Microsoft's.
pub fn entra(host: &Host, location: &str) -> Result<Metadata, Unacceptable> {
    let refused = || Unacceptable::NotEntra(clean(location));
    let address = microsofts(host, location)?;
    let origin = address.origin().ascii_serialization();
    let root = address.path().strip_suffix("/authorize").ok_or_else(refused)?;
    let tenant = root.strip_suffix("/oauth2/v2.0").unwrap_or(root);
    Ok(Metadata::at(
        format!("{origin}{tenant}/v2.0"),
        format!("{origin}{root}/authorize"),
        format!("{origin}{root}/token"),
        Flavor::Generic,
    ))
}

/// Where a service principal signs in, in the tenant that `location` leads to.
///
/// # Errors
/// [`Unacceptable::NotEntra`], if that is not Microsoft's or names no tenant.
pub fn principal(host: &Host, location: &str) -> Result<Metadata, Unacceptable> {
    let address = microsofts(host, location)?;
    let tenant = address.path_segments().and_then(|mut segments| segments.next()).unwrap_or_default();
    let active_directory = if is_loopback(&address) {
        address.origin().ascii_serialization()
    } else {
        Environment::of(host).active_directory().to_owned()
    };
    in_tenant(&active_directory, tenant)
}

/// Where a service principal of a known tenant signs in.
///
/// # Errors
/// [`Unacceptable::NotEntra`], if it is no tenant.
pub fn principal_of(environment: Environment, tenant: &str) -> Result<Metadata, Unacceptable> {
    in_tenant(environment.active_directory(), tenant)
}

fn in_tenant(active_directory: &str, tenant: &str) -> Result<Metadata, Unacceptable> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if tenant.is_empty() || tenant.len() > 255 || tenant.starts_with('.') || !tenant.chars().all(fits) {
        return Err(Unacceptable::NotEntra(clean(tenant)));
    }
    let root = format!("{active_directory}/{tenant}");
    let (authorize, token) = (format!("{root}/oauth2/authorize"), format!("{root}/oauth2/token"));
    Ok(Metadata::at(root, authorize, token, Flavor::Generic))
}

/// Reads an address of Microsoft's, or of this machine if the host is.
fn microsofts(host: &Host, location: &str) -> Result<Url, Unacceptable> {
    let refused = || Unacceptable::NotEntra(clean(location));
    let address = safe(host.is_loopback(), "", location).map_err(|_| refused())?;
    let theirs = address.host_str().is_some_and(|name| ENTRA.contains(&name)) && address.port().is_none();
    if theirs || is_loopback(&address) { Ok(address) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "0a1b-2c";

    fn host(typed: &str) -> Host {
        Host::parse(typed, None).unwrap()
    }

    fn workspace() -> Host {
        host("adb-1.7.azuredatabricks.net")
    }

    #[test]
    fn each_of_microsofts_clouds_has_its_own_servers() {
        for (typed, environment, login) in [
            ("adb-1.7.azuredatabricks.net", "PUBLIC", "https://login.microsoftonline.com"),
            ("adb-1.7.databricks.azure.us", "USGOVERNMENT", "https://login.microsoftonline.us"),
            ("adb-1.7.databricks.azure.cn", "CHINA", "https://login.chinacloudapi.cn"),
        ] {
            let found = Environment::of(&host(typed));
            assert_eq!((found.name(), found.active_directory()), (environment, login));
            assert_eq!(Environment::named(&environment.to_lowercase()), Some(found));
            for address in [found.active_directory(), found.resource_manager(), found.service_management()] {
                assert!(Url::parse(address).is_ok_and(|url| url.scheme() == "https"));
            }
        }
        assert_eq!(Environment::named("MARS"), None);
    }

    #[test]
    fn entra_knows_each_stage_by_another_id() {
        let begins = |typed| resource(&host(typed)).split('-').next().unwrap();
        assert_eq!(begins("adb-1.7.azuredatabricks.net"), "2ff814a6");
        assert_eq!(begins("adb-1.7.databricks.azure.cn"), "2ff814a6");
        assert_eq!(begins("adb-1.7.staging.azuredatabricks.net"), "4a67d088");
        assert_eq!(begins("adb-1.7.dev.azuredatabricks.net"), "62a912ac");
    }

    #[test]
    fn entra_is_asked_for_databricks_and_for_a_refresh_token() {
        let impersonation = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/user_impersonation";
        assert_eq!(scopes(&workspace(), &[]), [impersonation, "offline_access"]);
        assert_eq!(scopes(&workspace(), &["a".into()]), ["a", "offline_access"]);
        assert_eq!(scopes(&workspace(), &["offline_access".into()]), ["offline_access"]);
    }

    #[test]
    fn a_workspace_leads_to_its_entra_sign_in() {
        let root = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0");
        let found = entra(&workspace(), &format!("{root}/authorize?client_id=x&scope=y")).unwrap();
        assert_eq!(found.authorization_endpoint, format!("{root}/authorize"));
        assert_eq!(found.token_endpoint, format!("{root}/token"));
        assert_eq!(found.issuer, format!("https://login.microsoftonline.com/{TENANT}/v2.0"));
        for name in &ENTRA[1..] {
            assert!(
                entra(&workspace(), &format!("https://{name}/t/oauth2/v2.0/authorize")).is_ok(),
                "{name}"
            );
        }
        let here = host("http://127.0.0.1:8");
        assert!(entra(&here, "http://127.0.0.1:9/t/oauth2/v2.0/authorize").is_ok());
    }

    #[test]
    fn nobody_but_microsoft_is_taken_for_entra() {
        for location in [
            "https://evil.example/t/oauth2/v2.0/authorize",
            "https://login.microsoftonline.com.evil.example/t/authorize",
            "https://login.microsoftonline.com:8443/t/authorize",
            "https://u@login.microsoftonline.com/t/authorize",
            "http://login.microsoftonline.com/t/authorize",
            "http://127.0.0.1:9/t/authorize",
            "https://login.microsoftonline.com/t/other",
            "/login.html",
            "",
        ] {
            let refused = entra(&workspace(), location);
            assert!(matches!(refused, Err(Unacceptable::NotEntra(_))), "{location}: {refused:?}");
        }
    }

    #[test]
    fn a_service_principal_signs_in_at_the_tenant_of_its_workspace() {
        let location = format!("https://login.microsoftonline.com/{TENANT}/oauth2/authorize?a=b");
        let token = |host: &Host, location: &str| principal(host, location).map(|found| found.token_endpoint);
        let expected = format!("https://login.microsoftonline.com/{TENANT}/oauth2/token");
        assert_eq!(token(&workspace(), &location), Ok(expected.clone()));
        assert_eq!(principal_of(Environment::Public, TENANT).unwrap().token_endpoint, expected);
        let here = host("http://127.0.0.1:8");
        assert_eq!(
            token(&here, "http://127.0.0.1:9/t/x"),
            Ok("http://127.0.0.1:9/t/oauth2/token".to_owned())
        );
        for location in [
            "https://login.microsoftonline.com/",
            "https://evil.example/t",
            "https://login.microsoftonline.com/a%2fb/x",
        ] {
            assert!(matches!(token(&workspace(), location), Err(Unacceptable::NotEntra(_))), "{location}");
        }
        assert!(principal_of(Environment::Public, "../x").is_err());
    }
}

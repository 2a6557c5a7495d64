//! What `~/.databrickscfg` says, as far as it can be served: every way to authenticate that the
//! Databricks SDKs know is recognised, and what we cannot serve is said.

use sso_agent_core::{
    host::{Cloud, Host, Kind},
    login::{Entra, Server},
};
use sso_agent_proto::{
    databrickscfg::{self, AuthType, Section},
    profile::Source,
};

use super::profile::{Identity, Machine, Place, Profile, SubjectAt, label_of};

/// The variable that `env-oidc` reads if the profile names no other.
const OIDC_TOKEN: &str = "DATABRICKS_OIDC_TOKEN";

/// Reads one profile.
pub(super) fn profile(section: &Section, home: Option<&str>) -> Profile {
    let text = databrickscfg::Profile::from(section);
    let auth_type = match &text.auth_type {
        Ok(auth_type) => auth_type.name().to_owned(),
        Err(_) => "ambiguous".to_owned(),
    };
    Profile {
        source: Source::Databrickscfg,
        auth_type,
        place: place(section, &text, home),
        host: text.host,
        account_id: text.account_id,
        name: text.name,
    }
}

fn place(section: &Section, text: &databrickscfg::Profile, home: Option<&str>) -> Result<Place, String> {
    let auth_type = text.auth_type.as_ref().map_err(ToString::to_string)?;
    let typed = text.host.as_deref().ok_or("it names no host")?;
    let host = Host::parse(typed, text.account_id.as_deref()).map_err(|error| error.to_string())?;
    let mut server = Server {
        discovery_url: text.discovery_url.clone(),
        account_id: text.account_id.clone(),
        ..Server::default()
    };
    let mut client_id = text.client_id.clone();
    let needs =
        |what: &str, there: bool| if there { Ok(()) } else { Err(format!("{auth_type} needs {what}")) };
    let identity = match auth_type {
        AuthType::DatabricksCli => {
            client_id = None;
            Identity::Person
        }
        AuthType::ExternalBrowser => {
            if client_id.is_none() && text.azure_client_id.is_some() && is_azure(&host) {
                client_id.clone_from(&text.azure_client_id);
                server.entra = Some(Entra::Person);
            }
            Identity::Person
        }
        AuthType::Pat => Identity::Token(section.secret("token").ok_or("pat needs a token")?.into()),
        AuthType::OauthM2m => {
            needs("client_id", client_id.is_some())?;
            let secret = section.secret("client_secret").ok_or("oauth-m2m needs client_secret")?;
            Identity::Machine(Machine::Secret(secret.into()))
        }
        AuthType::AzureClientSecret => {
            client_id.clone_from(&text.azure_client_id);
            needs("azure_client_id", client_id.is_some())?;
            let secret = section.secret("azure_client_secret");
            server.entra = Some(Entra::Principal { tenant: text.azure_tenant_id.clone() });
            let secret = secret.ok_or("azure-client-secret needs azure_client_secret")?;
            Identity::Machine(Machine::Secret(secret.into()))
        }
        AuthType::FileOidc => {
            let path = text.oidc_token_filepath.as_deref().ok_or("file-oidc needs oidc_token_filepath")?;
            Identity::Machine(Machine::Subject(SubjectAt::File(absolute(path, home)?)))
        }
        AuthType::EnvOidc => {
            let name = text.oidc_token_env.clone().unwrap_or_else(|| OIDC_TOKEN.to_owned());
            Identity::Machine(Machine::Subject(SubjectAt::Variable(name)))
        }
        AuthType::GithubOidc => {
            let audience = text.token_audience.clone();
            Identity::Machine(Machine::Subject(SubjectAt::GitHub { audience }))
        }
        AuthType::MetadataService => {
            return Err("it asks a metadata service itself and needs no agent".to_owned());
        }
        AuthType::Basic => {
            return Err(
                "user names and passwords are not served: Databricks ended them on 2024-07-10".to_owned()
            );
        }
        AuthType::AzureCli
        | AuthType::AzureMsi
        | AuthType::AzureDevopsOidc
        | AuthType::GoogleCredentials
        | AuthType::GoogleId
        | AuthType::Runtime
        | AuthType::ModelServing
        | AuthType::Other(_) => return Err(format!("the auth type {auth_type} is not served")),
    };
    Ok(Place {
        host,
        label: label_of(&text.name),
        server,
        client_id,
        scopes: text.scopes.clone(),
        redirect_port: None,
        identity,
    })
}

/// By its name, or a stand-in on this machine.
fn is_azure(host: &Host) -> bool {
    matches!(host.kind(), Kind::Workspace(Cloud::Azure) | Kind::Account(Cloud::Azure, _))
        || host.is_loopback()
}

/// The agent has a working folder of its own, so that a relative path would mean another file.
fn absolute(path: &str, home: Option<&str>) -> Result<String, String> {
    let path = match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => path.to_owned(),
    };
    if std::path::Path::new(&path).is_absolute() {
        Ok(path)
    } else {
        Err(format!("{path} is not an absolute path"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use databrickscfg::Config;

    const HOME: &str = if cfg!(windows) { "C:/u" } else { "/home/u" };

    fn read(body: &str) -> Profile {
        let config = Config::parse(&format!("[p]\n{body}")).unwrap();
        profile(config.profile("p").unwrap(), Some(HOME))
    }

    fn problem(body: &str) -> String {
        read(&format!("host = https://a.cloud.databricks.com\n{body}")).place.unwrap_err()
    }

    fn identity(body: &str) -> Identity {
        read(&format!("host = https://a.cloud.databricks.com\n{body}")).place.unwrap().identity
    }

    #[test]
    fn what_can_be_served_is() {
        assert!(matches!(identity(""), Identity::Person));
        assert!(matches!(identity("auth_type = external-browser"), Identity::Person));
        assert!(matches!(identity("token = dapi1"), Identity::Token(_)));
        assert!(matches!(
            identity("client_id = c\nclient_secret = s"),
            Identity::Machine(Machine::Secret(_))
        ));
        let file = identity("auth_type = file-oidc\noidc_token_filepath = ~/t");
        let Identity::Machine(Machine::Subject(SubjectAt::File(path))) = file else { panic!("{file:?}") };
        assert_eq!(path, format!("{HOME}/t"));
        let named = identity("auth_type = env-oidc\noidc_token_env = MY_TOKEN");
        let Identity::Machine(Machine::Subject(SubjectAt::Variable(name))) = named else {
            panic!("{named:?}")
        };
        assert_eq!(name, "MY_TOKEN");
        assert!(matches!(
            identity("auth_type = github-oidc\ntoken_audience = a"),
            Identity::Machine(Machine::Subject(SubjectAt::GitHub { audience: Some(_) }))
        ));
    }

    #[test]
    fn what_cannot_be_served_is_said() {
        for auth_type in ["azure-cli", "azure-msi", "google-id", "runtime", "from-the-future"] {
            assert_eq!(
                problem(&format!("auth_type = {auth_type}")),
                format!("the auth type {auth_type} is not served")
            );
        }
        assert!(problem("username = u\npassword = p").contains("2024-07-10"));
        assert!(problem("token = t\nusername = u").starts_with("validate: more than one"));
        assert_eq!(problem("auth_type = oauth-m2m\nclient_id = c"), "oauth-m2m needs client_secret");
        assert_eq!(read("token = dapi1").place.unwrap_err(), "it names no host");
        assert!(problem("auth_type = file-oidc\noidc_token_filepath = t").contains("absolute"));
    }

    #[test]
    fn an_entra_application_signs_in_at_entra() {
        let azure = |more: &str| {
            let body =
                format!("host = https://adb-1.7.azuredatabricks.net\nauth_type = external-browser\n{more}");
            read(&body).place.unwrap()
        };
        let entra = azure("azure_client_id = app");
        assert_eq!((entra.client_id.as_deref(), entra.server.entra), (Some("app"), Some(Entra::Person)));
        assert_eq!(azure("client_id = own\nazure_client_id = app").server.entra, None);
    }
}

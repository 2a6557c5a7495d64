//! A profile: a name for a host and how to sign in there, checked.

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use sso_agent_core::{
    host::Host,
    login::{Server, Subject},
    words::{Label, SessionId},
};
use sso_agent_proto::profile::Source;

use crate::shielded::Shielded;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) source: Source,
    /// In the words of the Databricks SDKs.
    pub(crate) auth_type: String,
    /// What it names, or why no token can be had for it.
    pub(crate) place: Result<Place, String>,
    /// As it is written, for people.
    pub(crate) host: Option<String>,
    pub(crate) account_id: Option<String>,
}

/// What a profile names.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) host: Host,
    /// Of its session.
    pub(crate) label: Label,
    pub(crate) server: Server,
    pub(crate) client_id: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) redirect_port: Option<u16>,
    pub(crate) identity: Identity,
}

/// Who signs in, and with what.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// A person.
    Person,
    /// A program, which the agent signs in when it is asked for a token.
    Machine(Machine),
    /// Nobody: this token is all there is (a personal access token).
    Token(Shielded),
}

/// What a program shows for itself.
#[derive(Debug, Clone)]
pub(crate) enum Machine {
    /// Its secret.
    Secret(Shielded),
    /// A token of its platform, which is where this says.
    Subject(SubjectAt),
}

/// Where the token of a platform is.
#[derive(Debug, Clone)]
pub(crate) enum SubjectAt {
    File(String),
    /// In a variable of the environment.
    Variable(String),
    /// GitHub Actions tells by two variables.
    GitHub {
        audience: Option<String>,
    },
}

impl Profile {
    /// Whether it says the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let place = |profile: &Self| profile.place.as_ref().map(Place::digest).map_err(Clone::clone);
        self.source == other.source
            && self.auth_type == other.auth_type
            && self.host == other.host
            && place(self) == place(other)
    }
}

impl Place {
    /// The session that it is for.
    pub(crate) fn session(&self) -> SessionId {
        SessionId::of(&self.host, &self.label)
    }

    /// Whether no person signs in to it.
    pub(crate) fn is_no_person(&self) -> bool {
        match self.identity {
            Identity::Person => false,
            Identity::Machine(_) | Identity::Token(_) => true,
        }
    }

    /// Tells these settings from any others, without telling them.
    pub(crate) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        let server = &self.server;
        add(&self.host.id());
        add(server.issuer.as_ref().map_or("", Host::url));
        add(&format!("{:?} {:?} {:?}", server.entra, server.account_id, self.redirect_port));
        add(&self.scopes.len().to_string());
        [&server.provider, &server.discovery_url, &self.client_id]
            .into_iter()
            .for_each(|text| add(text.as_deref().unwrap_or_default()));
        self.scopes.iter().for_each(|scope| add(scope));
        add(self.label.as_str());
        match &self.identity {
            Identity::Person => add("person"),
            Identity::Token(token) => token.open(&mut add),
            Identity::Machine(Machine::Secret(secret)) => secret.open(&mut add),
            Identity::Machine(Machine::Subject(at)) => add(&format!("{at:?}")),
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl SubjectAt {
    /// Finds it; says what is missing.
    pub(crate) fn find(&self, variable: impl Fn(&str) -> Option<SecretString>) -> Result<Subject, String> {
        let wanted = |name: &str| {
            variable(name)
                .ok_or_else(|| format!("the variable {name} is in neither your environment nor the agent's"))
        };
        match self {
            Self::File(path) => Ok(Subject::File(path.clone())),
            Self::Variable(name) => wanted(name).map(Subject::Token),
            Self::GitHub { audience } => Ok(Subject::GitHub {
                url: wanted("ACTIONS_ID_TOKEN_REQUEST_URL")?.expose_secret().to_owned(),
                token: wanted("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?,
                audience: audience.clone(),
            }),
        }
    }
}

/// The label of the session of a profile: its name, as far as a label can have it.
pub(crate) fn label_of(name: &str) -> Label {
    if let Ok(label) = Label::parse(name) {
        return label;
    }
    let fits = |c: char| if c.is_alphanumeric() || "._@+-".contains(c) { c } else { '-' };
    let hash: String = Sha256::digest(name).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let text: String = name.chars().take(40).map(fits).chain(['.']).chain(hash.chars()).collect();
    Label::parse(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_label_of_its_own() {
        assert_eq!(label_of("work").as_str(), "work");
        let odd = [label_of("a b"), label_of("a/b"), label_of("a#b"), label_of(&"x".repeat(500))];
        for (n, one) in odd.iter().enumerate() {
            assert!(!one.as_str().is_empty());
            assert!(odd.iter().skip(n + 1).all(|other| other != one));
        }
    }

    #[test]
    fn a_changed_secret_is_another_digest_and_does_not_show() {
        let place = |secret: &str| Place {
            host: Host::parse("a.example", None).unwrap(),
            label: Label::default(),
            server: Server::default(),
            client_id: Some("c".into()),
            scopes: vec![],
            redirect_port: None,
            identity: Identity::Machine(Machine::Secret(SecretString::from(secret).into())),
        };
        assert_eq!(place("one").digest(), place("one").digest());
        assert_ne!(place("one").digest(), place("two").digest());
        assert!(!format!("{:?}", place("CANARY")).contains("CANARY"));
    }

    #[test]
    fn what_a_platform_did_not_say_is_named() {
        let error = SubjectAt::GitHub { audience: None }.find(|_| None).unwrap_err();
        assert!(error.contains("ACTIONS_ID_TOKEN_REQUEST_URL"), "{error}");
        let found = SubjectAt::Variable("V".into()).find(|name| (name == "V").then(|| "t".into()));
        assert!(matches!(found, Ok(Subject::Token(_))));
    }
}

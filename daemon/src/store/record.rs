//! What is kept of a session, and its JSON.
//!
//! `Record` itself is not serializable: only [`Record::to_json`] makes text of its secrets, in memory
//! that is wiped, and only what seals them asks for it.

use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};
use sso_agent_proto::secret;
use zeroize::Zeroizing;

/// The version of the JSON below.
const VERSION: u32 = 1;

/// Longer than nearly all records, so that the text does not move while it grows: what it leaves
/// behind when it moves is not wiped.
const ROOMY: usize = 16 * 1024;

/// All that must survive a restart.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The session's id.
    pub(crate) id: String,
    /// Which of its records this is: grows by one with each that is kept, so that of two copies the newer
    /// one is known. Whoever makes a record need not know it.
    pub(crate) generation: u64,
    /// The host's id.
    pub(crate) host: String,
    /// Empty by default.
    pub(crate) label: String,
    /// For hosts that serve several accounts.
    pub(crate) account_id: Option<String>,
    /// The OAuth client that signed in.
    pub(crate) client_id: String,
    /// For confidential clients.
    pub(crate) client_secret: Option<SecretString>,
    /// The authorization server; what follows was pinned at sign-in.
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    pub(crate) revocation_endpoint: Option<String>,
    pub(crate) userinfo_endpoint: Option<String>,
    /// How the token endpoint lets clients say who they are, if the issuer says so.
    pub(crate) auth_methods: Option<Vec<String>>,
    /// What was granted.
    pub(crate) scopes: Vec<String>,
    /// Who signed in, as far as the issuer says.
    pub(crate) user: Option<String>,
    /// Stays when the issuer rejects it: the verdict may be wrong.
    pub(crate) refresh_token: Option<SecretString>,
    /// Why only a sign-in helps.
    pub(crate) login_required: Option<String>,
    /// The last access token.
    pub(crate) lease: Option<StoredLease>,
    /// When somebody signed in; seconds since 1970, as all times here.
    pub(crate) created_at: u64,
    /// What buys the next access token.
    pub(crate) renewal: Renewal,
    /// Where the browser was sent back to: some servers want to see its origin again.
    pub(crate) redirect_uri: Option<String>,
    /// A digest of the settings that it was made from, if a program signed in by a profile.
    pub(crate) made_from: Option<String>,
    /// Of a web app's user.
    pub(crate) web: Option<WebUser>,
}

/// What belongs to the session of a web app's user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WebUser {
    /// SHA-256 of the handle, in Base64url. The handle itself is kept by nobody but the app.
    pub(crate) handle: String,
    /// The name of the app, if the agent keeps its client.
    pub(crate) app: Option<String>,
}

/// What buys the next access token of a session.
#[derive(Debug, Clone, Default)]
pub(crate) enum Renewal {
    /// The refresh token in the record, if there is one.
    #[default]
    RefreshToken,
    /// The client's secret (RFC 6749, 4.4).
    ClientCredentials {
        /// What the token is for, where a server wants that said (Entra's first version).
        resource: Option<String>,
    },
    /// A token of the client's platform (RFC 8693): this one.
    Token { token: SecretString },
    /// The one in this file.
    File { path: String },
    /// The one that GitHub Actions gives for this.
    GitHub { url: String, token: SecretString, audience: Option<String> },
}

/// An access token across restarts.
#[derive(Debug, Clone)]
pub(crate) struct StoredLease {
    pub(crate) access_token: SecretString,
    pub(crate) token_type: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
    /// The steady clock when it was issued, where that is known.
    pub(crate) steady: Option<SteadyAt>,
}

/// A moment on the steady clock, which counts from the start of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SteadyAt {
    /// Which start that was.
    pub(crate) boot: String,
    /// Whole seconds since then.
    pub(crate) at: u64,
}

/// Why JSON is not a record; says nothing of what the JSON holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotARecord {
    #[error("it was written by a newer version of this program (records of version {0})")]
    Newer(u32),
    #[error("what is in it is not a session")]
    Malformed,
}

impl Record {
    /// The same as the generation after its own and this one.
    pub(super) fn next_after(&self, generation: u64) -> Self {
        Self { generation: self.generation.max(generation).saturating_add(1), ..self.clone() }
    }

    /// As JSON, in memory that is wiped.
    pub(crate) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let mut json = Zeroizing::new(Vec::with_capacity(ROOMY));
        serde_json::to_writer(&mut *json, &Written { version: VERSION, record: self })
            .expect("strings and numbers always have a JSON form");
        json
    }

    /// The record that JSON says.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, NotARecord> {
        let Probe { version } = serde_json::from_slice(json).map_err(|_| NotARecord::Malformed)?;
        if version > VERSION {
            return Err(NotARecord::Newer(version));
        }
        let read: Read = serde_json::from_slice(json).map_err(|_| NotARecord::Malformed)?;
        Ok(read.record)
    }
}

#[derive(Deserialize)]
struct Probe {
    version: u32,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    #[serde(serialize_with = "mirrored")]
    record: &'a Record,
}

#[derive(Deserialize)]
struct Read {
    #[serde(with = "RecordJson")]
    record: Record,
}

fn mirrored<S: Serializer>(record: &&Record, to: S) -> Result<S::Ok, S::Error> {
    RecordJson::serialize(record, to)
}

/// A record within something else.
pub(crate) mod record_json {
    use super::{Record, RecordJson, Serializer};

    pub(crate) fn serialize<S: Serializer>(record: &Record, to: S) -> Result<S::Ok, S::Error> {
        RecordJson::serialize(record, to)
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Record, D::Error> {
        RecordJson::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Record")]
struct RecordJson {
    id: String,
    #[serde(default)]
    generation: u64,
    host: String,
    label: String,
    account_id: Option<String>,
    client_id: String,
    #[serde(with = "secret::on_wire_option")]
    client_secret: Option<SecretString>,
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    auth_methods: Option<Vec<String>>,
    scopes: Vec<String>,
    user: Option<String>,
    #[serde(with = "secret::on_wire_option")]
    refresh_token: Option<SecretString>,
    login_required: Option<String>,
    #[serde(with = "lease_json")]
    lease: Option<StoredLease>,
    created_at: u64,
    #[serde(default, with = "RenewalJson")]
    renewal: Renewal,
    #[serde(default)]
    redirect_uri: Option<String>,
    #[serde(default)]
    made_from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    web: Option<WebUser>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Renewal", tag = "by", rename_all = "snake_case")]
enum RenewalJson {
    RefreshToken,
    ClientCredentials {
        resource: Option<String>,
    },
    Token {
        #[serde(with = "secret::on_wire")]
        token: SecretString,
    },
    File {
        path: String,
    },
    GitHub {
        url: String,
        #[serde(with = "secret::on_wire")]
        token: SecretString,
        audience: Option<String>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StoredLease")]
struct LeaseJson {
    #[serde(with = "secret::on_wire")]
    access_token: SecretString,
    token_type: String,
    scopes: Vec<String>,
    issued_at: u64,
    expires_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steady: Option<SteadyAt>,
}

/// `remote` does not reach into an `Option`.
mod lease_json {
    use super::{Deserialize, LeaseJson, Serialize, Serializer, StoredLease};
    use serde::Deserializer;

    #[derive(Serialize)]
    struct Written<'a>(#[serde(serialize_with = "mirrored")] &'a StoredLease);

    #[derive(Deserialize)]
    struct Read(#[serde(with = "LeaseJson")] StoredLease);

    fn mirrored<S: Serializer>(lease: &&StoredLease, to: S) -> Result<S::Ok, S::Error> {
        LeaseJson::serialize(lease, to)
    }

    pub(super) fn serialize<S: Serializer>(lease: &Option<StoredLease>, to: S) -> Result<S::Ok, S::Error> {
        lease.as_ref().map(Written).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<StoredLease>, D::Error> {
        Ok(Option::<Read>::deserialize(from)?.map(|Read(lease)| lease))
    }
}

/// A record with something in every field.
#[cfg(test)]
pub(crate) fn example(id: &str) -> Record {
    Record {
        id: id.to_owned(),
        generation: 0,
        host: "adb-1.azuredatabricks.net".to_owned(),
        label: "work".to_owned(),
        account_id: Some("account".to_owned()),
        client_id: "databricks-cli".to_owned(),
        client_secret: Some("canary-client-secret".into()),
        issuer: "https://adb-1.azuredatabricks.net/oidc".to_owned(),
        authorization_endpoint: "https://adb-1.azuredatabricks.net/oidc/v1/authorize".to_owned(),
        token_endpoint: "https://adb-1.azuredatabricks.net/oidc/v1/token".to_owned(),
        revocation_endpoint: Some("https://adb-1.azuredatabricks.net/oidc/v1/revoke".to_owned()),
        userinfo_endpoint: Some("https://adb-1.azuredatabricks.net/oidc/v1/userinfo".to_owned()),
        auth_methods: Some(vec!["none".to_owned()]),
        scopes: vec!["all-apis".to_owned(), "offline_access".to_owned()],
        user: Some("somebody@example.com".to_owned()),
        refresh_token: Some("canary-refresh-token".into()),
        login_required: Some("a reason".to_owned()),
        lease: Some(StoredLease {
            access_token: "canary-access-token".into(),
            token_type: "Bearer".to_owned(),
            scopes: vec!["all-apis".to_owned()],
            issued_at: 1_800_000_000,
            expires_at: 1_800_003_600,
            steady: Some(SteadyAt { boot: "boot".to_owned(), at: 77 }),
        }),
        created_at: 1_700_000_000,
        renewal: Renewal::RefreshToken,
        redirect_uri: Some("http://localhost:8020".to_owned()),
        made_from: None,
        web: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let json = example("a").to_json();
        assert_eq!(Record::from_json(&json).unwrap().to_json(), json);
    }

    #[test]
    fn a_record_of_which_little_is_known_comes_back_as_it_was() {
        let record = Record {
            account_id: None,
            client_secret: None,
            revocation_endpoint: None,
            userinfo_endpoint: None,
            auth_methods: None,
            user: None,
            refresh_token: None,
            login_required: None,
            lease: None,
            ..example("a")
        };
        let json = record.to_json();
        assert_eq!(Record::from_json(&json).unwrap().to_json(), json);
    }

    #[test]
    fn every_way_to_renew_comes_back_as_it_was() {
        let token = || SecretString::from("canary-platform-token");
        let audience = Some("a".to_owned());
        for renewal in [
            Renewal::RefreshToken,
            Renewal::ClientCredentials { resource: audience.clone() },
            Renewal::Token { token: token() },
            Renewal::File { path: "/run/token".into() },
            Renewal::GitHub { url: "https://a.example/".into(), token: token(), audience: audience.clone() },
        ] {
            let record = Record { renewal, ..example("a") };
            assert!(!format!("{record:?}").contains("canary"));
            let json = record.to_json();
            assert_eq!(Record::from_json(&json).unwrap().to_json(), json);
        }
    }

    #[test]
    fn a_record_of_before_there_was_a_choice_renews_by_its_refresh_token() {
        let mut json: serde_json::Value = serde_json::from_slice(&example("a").to_json()).unwrap();
        let record = json["record"].as_object_mut().unwrap();
        for newer in ["renewal", "redirect_uri", "made_from", "generation"] {
            record.shift_remove(newer).unwrap();
        }
        let read = Record::from_json(json.to_string().as_bytes()).unwrap();
        assert!(matches!(read.renewal, Renewal::RefreshToken));
        assert_eq!(read.generation, 0);
    }

    #[test]
    fn fields_of_the_same_version_that_are_not_known_are_passed_over() {
        let mut json: serde_json::Value = serde_json::from_slice(&example("a").to_json()).unwrap();
        json["record"]["mood"] = "good".into();
        assert_eq!(Record::from_json(json.to_string().as_bytes()).unwrap().id, "a");
    }

    #[test]
    fn a_newer_version_is_told_from_nonsense() {
        let newer = Record::from_json(br#"{"version":2,"all":"different"}"#);
        assert_eq!(newer.unwrap_err(), NotARecord::Newer(2));
        for nonsense in
            [&b""[..], b"{}", b"[]", b"\xff", br#"{"version":1}"#, br#"{"version":1,"record":{}}"#]
        {
            assert_eq!(Record::from_json(nonsense).unwrap_err(), NotARecord::Malformed);
        }
    }

    #[test]
    fn no_secret_shows_in_debug_text() {
        assert!(!format!("{:?}", example("a")).contains("canary"));
    }
}

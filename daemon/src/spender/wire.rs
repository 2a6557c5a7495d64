//! Jobs, and what is told of them, as JSON.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sso_agent_core::{
    refusal::{OAuthError, Refusal},
    session::RenewError,
    time::{Deadline, Now},
    words::{Lease, Renewable},
};
use sso_agent_proto::secret;

use super::{By, Job, Signed, Told};
use crate::{
    issuer::Waits,
    store::{Record, record_json},
};

/// A job, with the number by which its answer is known.
#[derive(Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) number: u64,
    #[serde(with = "JobJson")]
    pub(super) job: Job,
}

/// What came of the job with this number.
#[derive(Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) number: u64,
    pub(super) told: ToldJson,
    /// Who does not want to be asked before when: for the next process to know.
    pub(super) waits: Waits,
    /// By how many seconds our clock is behind theirs.
    pub(super) behind: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Job")]
enum JobJson {
    Renew {
        session: String,
        has: Option<String>,
        urgent: bool,
    },
    Narrow {
        session: String,
        scopes: Vec<String>,
    },
    SignIn {
        #[serde(with = "boxed_record")]
        record: Box<Record>,
        #[serde(with = "ByJson")]
        by: By,
    },
    Once {
        #[serde(with = "boxed_record")]
        record: Box<Record>,
    },
    Forget {
        session: String,
    },
    Settle {
        session: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "By")]
enum ByJson {
    Code {
        #[serde(with = "secret::on_wire")]
        code: SecretString,
        #[serde(with = "secret::on_wire")]
        verifier: SecretString,
    },
    Means,
    Refresh,
}

mod boxed_record {
    use super::{Deserializer, Record, Serializer, record_json};

    pub(super) fn serialize<S: Serializer>(record: &Record, to: S) -> Result<S::Ok, S::Error> {
        record_json::serialize(record, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Box<Record>, D::Error> {
        record_json::deserialize(from).map(Box::new)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) enum ToldJson {
    Renewed(Result<LeaseJson, RenewErrorJson>),
    Bought(Result<LeaseJson, RefusalJson>),
    SignedIn(Result<SignedJson, RefusalJson>),
    Forgotten(Result<bool, RefusalJson>),
    Settled(Option<LeaseJson>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct SignedJson {
    scopes: Vec<String>,
    user: Option<String>,
    #[serde(with = "RenewableJson")]
    renewable: Renewable,
    lease: LeaseJson,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Renewable")]
enum RenewableJson {
    ByRefreshToken,
    ByCredentials,
    Never,
}

/// The steady clock is the machine's: both processes read the same one.
#[derive(Serialize, Deserialize)]
pub(super) struct LeaseJson {
    #[serde(with = "secret::on_wire")]
    access_token: SecretString,
    token_type: String,
    token_id: String,
    scopes: Vec<String>,
    obtained: (Duration, Duration),
    lifetime: Duration,
    expires: (Duration, Duration),
}

#[derive(Serialize, Deserialize)]
pub(super) struct OAuthErrorJson {
    error: String,
    description: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum RenewErrorJson {
    Unreachable { why: String, retry_after: Option<Duration> },
    Unwell { why: String, retry_after: Option<Duration> },
    Rejected(OAuthErrorJson),
    Refused(OAuthErrorJson),
    Store(String),
    Gone(String),
}

/// Those that spending can end in; what else there is becomes words.
#[derive(Serialize, Deserialize)]
pub(super) enum RefusalJson {
    LoginRequired { at: String, why: String, said: Option<OAuthErrorJson> },
    Unavailable { why: String, retry_after: Duration },
    Rejected(OAuthErrorJson),
    Timeout,
    Cancelled { why: String },
    StoreFailed { why: String },
    Unsupported { why: String },
}

impl From<Told> for ToldJson {
    fn from(told: Told) -> Self {
        match told {
            Told::Renewed(outcome) => Self::Renewed(outcome.map(lease).map_err(renew_error)),
            Told::Bought(outcome) => Self::Bought(outcome.map(lease).map_err(refusal)),
            Told::SignedIn(outcome) => Self::SignedIn(outcome.map(signed).map_err(refusal)),
            Told::Forgotten(outcome) => Self::Forgotten(outcome.map_err(refusal)),
            Told::Settled(outcome) => Self::Settled(outcome.map(lease)),
        }
    }
}

impl From<ToldJson> for Told {
    fn from(told: ToldJson) -> Self {
        match told {
            ToldJson::Renewed(outcome) => {
                Self::Renewed(outcome.map(LeaseJson::read).map_err(RenewErrorJson::read))
            }
            ToldJson::Bought(outcome) => {
                Self::Bought(outcome.map(LeaseJson::read).map_err(RefusalJson::read))
            }
            ToldJson::SignedIn(outcome) => {
                Self::SignedIn(outcome.map(SignedJson::read).map_err(RefusalJson::read))
            }
            ToldJson::Forgotten(outcome) => Self::Forgotten(outcome.map_err(RefusalJson::read)),
            ToldJson::Settled(outcome) => Self::Settled(outcome.map(LeaseJson::read)),
        }
    }
}

fn lease(lease: Arc<Lease>) -> LeaseJson {
    LeaseJson {
        access_token: lease.access_token.clone(),
        token_type: lease.token_type.clone(),
        token_id: lease.token_id.clone(),
        scopes: lease.scopes.clone(),
        obtained: (lease.obtained.steady, lease.obtained.wall),
        lifetime: lease.lifetime,
        expires: (lease.expires.steady(), lease.expires.wall()),
    }
}

fn signed(signed: Signed) -> SignedJson {
    let Signed { scopes, user, renewable, lease: brought } = signed;
    SignedJson { scopes, user, renewable, lease: lease(brought) }
}

fn said(said: OAuthError) -> OAuthErrorJson {
    OAuthErrorJson { error: said.error, description: said.description }
}

fn renew_error(error: RenewError) -> RenewErrorJson {
    match error {
        RenewError::Unreachable { why, retry_after } => RenewErrorJson::Unreachable { why, retry_after },
        RenewError::Unwell { why, retry_after } => RenewErrorJson::Unwell { why, retry_after },
        RenewError::Rejected(error) => RenewErrorJson::Rejected(said(error)),
        RenewError::Refused(error) => RenewErrorJson::Refused(said(error)),
        RenewError::Store(why) => RenewErrorJson::Store(why),
        RenewError::Gone(why) => RenewErrorJson::Gone(why),
    }
}

fn refusal(refusal: Refusal) -> RefusalJson {
    match refusal {
        Refusal::LoginRequired { at, why, said: issuer } => {
            RefusalJson::LoginRequired { at, why, said: issuer.map(said) }
        }
        Refusal::ConsentRequired { why, said: issuer } => {
            RefusalJson::LoginRequired { at: String::new(), why, said: issuer.map(said) }
        }
        Refusal::Unavailable { why, retry_after } => RefusalJson::Unavailable { why, retry_after },
        Refusal::Rejected(error) => RefusalJson::Rejected(said(error)),
        Refusal::Timeout => RefusalJson::Timeout,
        Refusal::Cancelled { why } => RefusalJson::Cancelled { why },
        Refusal::StoreFailed { why } => RefusalJson::StoreFailed { why },
        Refusal::Unsupported { why } | Refusal::Denied { why, .. } | Refusal::Unknown { what: why } => {
            RefusalJson::Unsupported { why }
        }
        Refusal::Ambiguous { .. } => RefusalJson::Unsupported { why: "several sessions fit".to_owned() },
    }
}

impl LeaseJson {
    fn read(self) -> Arc<Lease> {
        let (steady, wall) = self.obtained;
        Arc::new(Lease {
            access_token: self.access_token,
            token_type: self.token_type,
            token_id: self.token_id,
            scopes: self.scopes,
            obtained: Now { steady, wall },
            lifetime: self.lifetime,
            expires: Deadline::at(self.expires.0, self.expires.1),
        })
    }
}

impl SignedJson {
    fn read(self) -> Signed {
        let Self { scopes, user, renewable, lease } = self;
        Signed { scopes, user, renewable, lease: lease.read() }
    }
}

impl OAuthErrorJson {
    fn read(self) -> OAuthError {
        OAuthError { error: self.error, description: self.description }
    }
}

impl RenewErrorJson {
    fn read(self) -> RenewError {
        match self {
            Self::Unreachable { why, retry_after } => RenewError::Unreachable { why, retry_after },
            Self::Unwell { why, retry_after } => RenewError::Unwell { why, retry_after },
            Self::Rejected(error) => RenewError::Rejected(error.read()),
            Self::Refused(error) => RenewError::Refused(error.read()),
            Self::Store(why) => RenewError::Store(why),
            Self::Gone(why) => RenewError::Gone(why),
        }
    }
}

impl RefusalJson {
    fn read(self) -> Refusal {
        match self {
            Self::LoginRequired { at, why, said } => {
                Refusal::LoginRequired { at, why, said: said.map(OAuthErrorJson::read) }
            }
            Self::Unavailable { why, retry_after } => Refusal::Unavailable { why, retry_after },
            Self::Rejected(error) => Refusal::Rejected(error.read()),
            Self::Timeout => Refusal::Timeout,
            Self::Cancelled { why } => Refusal::Cancelled { why },
            Self::StoreFailed { why } => Refusal::StoreFailed { why },
            Self::Unsupported { why } => Refusal::Unsupported { why },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, spender::frame, store::example};
    use sso_agent_core::words::Renewable;

    async fn there_and_back<T: Serialize + serde::de::DeserializeOwned>(content: &T) -> T {
        frame::read(&mut &frame::pack(content).unwrap()[..]).await.unwrap().unwrap()
    }

    fn a_lease() -> Arc<Lease> {
        let now = clock::now();
        Arc::new(Lease {
            access_token: "at".into(),
            token_type: "Bearer".into(),
            token_id: "id".into(),
            scopes: vec!["sql".into()],
            obtained: now,
            lifetime: Duration::from_secs(60),
            expires: now.after(Duration::from_secs(59)),
        })
    }

    #[tokio::test]
    async fn every_job_arrives_as_it_was_sent() {
        let record = || Box::new(example("a"));
        let code = By::Code { code: "c".into(), verifier: "v".into() };
        for job in [
            Job::Renew { session: "a".into(), has: Some("t".into()), urgent: true },
            Job::Narrow { session: "a".into(), scopes: vec!["sql".into()] },
            Job::SignIn { record: record(), by: code },
            Job::SignIn { record: record(), by: By::Means },
            Job::SignIn { record: record(), by: By::Refresh },
            Job::Once { record: record() },
            Job::Forget { session: "a".into() },
            Job::Settle { session: "a".into() },
        ] {
            let sent = serde_json::to_value(Asked { number: 7, job: job.clone() }).unwrap();
            let back: Asked = there_and_back(&Asked { number: 7, job }).await;
            assert_eq!(serde_json::to_value(back).unwrap(), sent);
        }
    }

    #[tokio::test]
    async fn whatever_is_told_arrives_as_it_was_told() {
        let said = || OAuthError { error: "invalid_grant".into(), description: Some("gone".into()) };
        let seconds = Duration::from_secs(7);
        let why = || "why".to_owned();
        let signed = Signed {
            scopes: vec!["sql".into()],
            user: Some("ada".into()),
            renewable: Renewable::ByRefreshToken,
            lease: a_lease(),
        };
        let renew_errors = [
            RenewError::Unreachable { why: why(), retry_after: Some(seconds) },
            RenewError::Unwell { why: why(), retry_after: None },
            RenewError::Rejected(said()),
            RenewError::Refused(said()),
            RenewError::Store(why()),
            RenewError::Gone(why()),
        ];
        let refusals = [
            Refusal::LoginRequired { at: "a".into(), why: why(), said: Some(said()) },
            Refusal::Unavailable { why: why(), retry_after: seconds },
            Refusal::Rejected(said()),
            Refusal::Timeout,
            Refusal::Cancelled { why: why() },
            Refusal::StoreFailed { why: why() },
            Refusal::Unsupported { why: why() },
        ];
        let all = [
            Told::Renewed(Ok(a_lease())),
            Told::SignedIn(Ok(signed)),
            Told::Forgotten(Ok(true)),
            Told::Settled(None),
            Told::Settled(Some(a_lease())),
        ];
        let failed = renew_errors.into_iter().map(|error| Told::Renewed(Err(error)));
        let refused = refusals.into_iter().map(|refusal| Told::Bought(Err(refusal)));
        for told in all.into_iter().chain(failed).chain(refused) {
            let before = format!("{told:?}").replace(char::is_whitespace, "");
            let answered = Answered { number: 1, told: told.into(), waits: Waits::new(), behind: None };
            let back: Answered = there_and_back(&answered).await;
            // Times are the same to the nanosecond, and no secret is in debug text.
            assert_eq!(format!("{:?}", Told::from(back.told)).replace(char::is_whitespace, ""), before);
        }
        let back: Answered = there_and_back(&Answered {
            number: 1,
            told: Told::Renewed(Ok(a_lease())).into(),
            waits: Waits::new(),
            behind: None,
        })
        .await;
        let Told::Renewed(Ok(lease)) = Told::from(back.told) else { panic!() };
        assert_eq!(secrecy::ExposeSecret::expose_secret(&lease.access_token), "at");
    }
}

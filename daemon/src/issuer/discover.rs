//! Finds the authorization server of a host: fetches what the core says, in its order.
//!
//! Whatever is not there, is something else, fails or stays silent sends us on to the next document;
//! what to make of a host that has none is the core's to say. All of it ends within
//! [`Patience::whole`], so that a host that is half silent keeps nobody waiting for long.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use sso_agent_core::{
    azure::Environment,
    discovery::{
        self, Absence, Facts, Fallback, Metadata, Missing, Source, Step, Unacceptable, without_document,
    },
    host::Host,
};
use tokio::time::Instant;

use super::{
    documents, entra,
    http::{Http, SendError, Sent, origin_of},
    providers::{self, Provider},
    reply::Reply,
};
use crate::clock;

/// What is looked for, and what the person said about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) host: &'a Host,
    /// The account, if a profile of a workspace says it.
    pub(crate) account_id: Option<&'a str>,
    /// The address of the document, if the person named it (`DATABRICKS_DISCOVERY_URL`).
    pub(crate) document: Option<&'a str>,
    /// What the person says that it is; otherwise its name tells.
    pub(crate) provider: Option<&'static Provider>,
    pub(crate) via: Via<'a>,
}

/// Whose sign-in is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via<'a> {
    /// The host's own.
    Host,
    /// Entra's, for a client that is registered there.
    Entra,
    /// Entra's, for a service principal. The workspace knows the tenant if nobody said.
    EntraPrincipal { tenant: Option<&'a str>, environment: Option<Environment> },
}

impl<'a> Sought<'a> {
    /// The sign-in of `host`, of which nothing else is known.
    pub(crate) fn at(host: &'a Host) -> Self {
        Self { host, account_id: None, document: None, provider: None, via: Via::Host }
    }

    /// The entry for it in the data file, if there is one.
    pub(crate) fn provider(&self) -> Option<&'static Provider> {
        self.provider.or_else(|| providers::of(self.host))
    }
}

/// An authorization server, and what is known of the host that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) metadata: Metadata,
    pub(crate) facts: Facts,
    pub(crate) by: By,
}

/// How it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum By {
    /// By the document at this address.
    Document(String),
    /// It is where such servers always are.
    Shape,
    /// By asking the workspace.
    Redirect,
}

/// Why there is no sign-in at a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DiscoverError {
    /// Worth another try.
    #[error("{cause}")]
    Unreachable { retry_after: Option<Duration>, cause: String },
    /// It answers, and is no OAuth server.
    #[error("{why}")]
    NotOAuth { why: String },
    /// It is one that must not be used.
    #[error("{0}")]
    Refused(#[from] Unacceptable),
}

/// How long a host may take to answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For what it says of itself. Many a host is slow to say that it does not know the question.
    pub(super) config: Duration,
    /// For each other document.
    pub(super) document: Duration,
    /// For all of them. What is there already gets a second more to be read.
    pub(super) whole: Duration,
}

pub(super) const PATIENCE: Patience = Patience {
    config: Duration::from_secs(4),
    document: Duration::from_secs(5),
    whole: Duration::from_secs(13),
};

/// Not worth asking for.
const TOO_SHORT: Duration = Duration::from_millis(20);

/// Finds what is sought, or knows it: an answer is good for an hour.
pub(crate) async fn find(http: &Http, sought: &Sought<'_>) -> Result<Arc<Found>, DiscoverError> {
    http.discoveries().find(http, sought, clock::now()).await
}

/// Asks the host.
pub(super) async fn look(
    http: &Http,
    sought: &Sought<'_>,
    patience: Patience,
) -> Result<Found, DiscoverError> {
    match sought.via {
        Via::Host => search(http, sought, patience).await,
        Via::Entra => entra::sign_in(http, sought.host, patience).await,
        // Microsoft does not know of a stand-in on this machine, so that one is asked in any case.
        Via::EntraPrincipal { tenant: Some(tenant), environment } if !sought.host.is_loopback() => {
            entra::known_tenant(sought.host, tenant, environment)
        }
        Via::EntraPrincipal { .. } => entra::tenant(http, sought.host, patience).await,
    }
}

async fn search(http: &Http, sought: &Sought<'_>, patience: Patience) -> Result<Found, DiscoverError> {
    let host = sought.host;
    if let (Some(metadata), None) =
        (sought.provider().and_then(|provider| provider.fixed(host)), sought.document)
    {
        return Ok(Found { metadata, facts: Facts::default().about(host), by: By::Shape });
    }
    let mut steps = steps(sought)?;
    let mut search = Search::new(http, sought, patience);
    while let Some(step) = steps.pop_front() {
        let Some(reply) = search.fetch(&step).await? else { continue };
        match &step {
            Step::Config(_) => {
                if let Some(source) = search.config(&reply)? {
                    prepend(&mut steps, source);
                }
            }
            Step::Document(source) => {
                if let Some(document) = documents::document(&reply) {
                    let metadata = discovery::accept(host, source, document)?;
                    return Ok(search.found(metadata, By::Document(source.url.clone())));
                }
                search.missed(source, absence(&reply), reply.retry_after);
            }
        }
    }
    search.without_document()
}

fn steps(sought: &Sought<'_>) -> Result<VecDeque<Step>, DiscoverError> {
    let generic = sought.provider().is_some_and(|provider| !provider.is_databricks());
    Ok(match (sought.document, generic && sought.host.account_id().is_none()) {
        (Some(url), _) => [Step::Document(discovery::appointed(sought.host, url)?)].into(),
        (None, true) => discovery::plan_generic(sought.host).into(),
        (None, false) => discovery::plan(sought.host).into(),
    })
}

/// Puts the documents of an announced server first. They are often the very ones that would come next.
fn prepend(steps: &mut VecDeque<Step>, source: Source) {
    for source in source.beside().into_iter().chain([source]) {
        steps.retain(|step| !matches!(step, Step::Document(next) if next.url == source.url));
        steps.push_front(Step::Document(source));
    }
}

/// What there is instead of a document.
fn absence(reply: &Reply) -> Absence {
    match reply.status.as_u16() {
        404 | 410 => Absence::Nothing,
        408 | 429 | 500..=599 => Absence::Unwell,
        _ if reply.cut.is_some() => Absence::Unwell,
        _ => Absence::Nonsense,
    }
}

/// A search under way.
struct Search<'a> {
    http: &'a Http,
    sought: &'a Sought<'a>,
    patience: Patience,
    end: Instant,
    facts: Facts,
    /// For people: what was asked, and what came of it.
    tried: Vec<String>,
    missing: Vec<Missing>,
    retry_after: Option<Duration>,
    /// Whether the host itself said anything.
    answers: bool,
    /// How often there was no way to it.
    closed: usize,
}

impl<'a> Search<'a> {
    fn new(http: &'a Http, sought: &'a Sought<'a>, patience: Patience) -> Self {
        Self {
            http,
            sought,
            patience,
            end: Instant::now() + patience.whole,
            facts: Facts::default(),
            tried: Vec::new(),
            missing: Vec::new(),
            retry_after: None,
            answers: false,
            closed: 0,
        }
    }

    /// Asks for one document; `None` if nobody answers.
    async fn fetch(&mut self, step: &Step) -> Result<Option<Reply>, DiscoverError> {
        let (url, patience) = match step {
            Step::Config(url) => (url, self.patience.config),
            Step::Document(source) => (&source.url, self.patience.document),
        };
        let within = patience.min(self.end.saturating_duration_since(Instant::now()));
        let answer = if within < TOO_SHORT {
            let cause = "not asked any more".to_owned();
            Err(SendError { sent: Sent::Maybe, origin: origin_of(url), cause })
        } else {
            self.http.get(url, within).await
        };
        let what = answer.as_ref().map_or_else(|error| error.cause.clone(), Reply::summary);
        tracing::debug!(host = self.sought.host.url(), answer = what, "discovery document asked for");
        self.tried.push(format!("{}: {what}", self.short(url)));
        let own = origin_of(url) == origin_of(self.sought.host.url());
        let error = match answer {
            Ok(reply) => {
                self.answers |= own;
                return Ok(Some(reply));
            }
            Err(error) => error,
        };
        if let Step::Document(source) = step {
            self.missed(source, Absence::Silence, None);
        }
        self.closed += usize::from(own && error.sent == Sent::No);
        // Its other documents are behind the same door. The second knock is for a packet that was lost.
        if self.closed == 2 {
            let cause = format!("{error}. Is the name right, and is there a way to it (VPN, proxy)?");
            return Err(DiscoverError::Unreachable { retry_after: None, cause });
        }
        Ok(None)
    }

    /// Takes in what a host says of itself: perhaps where its document is.
    fn config(&mut self, reply: &Reply) -> Result<Option<Source>, DiscoverError> {
        let Some(config) = documents::host_config(reply) else { return Ok(None) };
        let source = discovery::root(self.sought.host, self.sought.account_id, &config)?;
        self.facts = config.facts;
        Ok(source)
    }

    fn missed(&mut self, source: &Source, absence: Absence, retry_after: Option<Duration>) {
        self.missing.push(Missing { absence, decides: source.decides() });
        self.retry_after = self.retry_after.or(retry_after);
    }

    fn found(self, metadata: Metadata, by: By) -> Found {
        Found { metadata, facts: self.facts.about(self.sought.host), by }
    }

    fn without_document(self) -> Result<Found, DiscoverError> {
        let fallback = match self.sought.document {
            Some(_) => self.without_named_document(),
            None => without_document(self.sought.host, self.answers, &self.missing),
        };
        match fallback {
            Fallback::Fixed(metadata) => Ok(self.found(*metadata, By::Shape)),
            Fallback::NotOAuth => Err(DiscoverError::NotOAuth { why: self.why_not() }),
            Fallback::Later => {
                let cause = format!(
                    "{} does not say where its sign-in is ({}). If it stays so, look at the network (VPN, proxy){}",
                    self.sought.host,
                    self.tried.join("; "),
                    if self.may_be_databricks() {
                        ", or name its document: DATABRICKS_DISCOVERY_URL"
                    } else {
                        ""
                    }
                );
                Err(DiscoverError::Unreachable { retry_after: self.retry_after, cause })
            }
        }
    }

    /// The person was plain about where to look, so we look nowhere else.
    fn without_named_document(&self) -> Fallback {
        let there = |missing: &Missing| matches!(missing.absence, Absence::Nothing | Absence::Nonsense);
        if self.missing.iter().all(there) { Fallback::NotOAuth } else { Fallback::Later }
    }

    fn why_not(&self) -> String {
        let host = self.sought.host;
        let tried = self.tried.join("; ");
        if self.sought.document.is_some() {
            return format!("there is no OAuth document at the discovery URL for {host} ({tried})");
        }
        let account = if host.is_databricks() && host.cloud().is_none() {
            "; if it is for a whole account, say which with --account-id"
        } else {
            ""
        };
        if self.may_be_databricks() {
            format!(
                "{host} has no sign-in: databricks OAuth is not supported for this host, and there is no other OAuth or OIDC document ({tried}){account}"
            )
        } else {
            let like = self
                .sought
                .provider()
                .map(|known| format!("; an address of {} looks like this: {}", known.title, known.issuer));
            let like = like.unwrap_or_default();
            format!("{host} has no sign-in: there is no OAuth or OIDC document ({tried}){like}")
        }
    }

    /// Whether it was asked in Databricks' ways.
    fn may_be_databricks(&self) -> bool {
        self.missing.iter().any(|missing| missing.decides)
    }

    fn short(&self, url: &str) -> String {
        url.strip_prefix(self.sought.host.url())
            .filter(|path| path.starts_with('/'))
            .unwrap_or(url)
            .to_owned()
    }
}

#[cfg(test)]
mod tests;

//! What each method does: at once where that is possible, else by asking the driver.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde::Serialize;
use sso_agent_core::{
    agent::Answer,
    time::Now,
    words::{Lease, SessionId},
};
use sso_agent_proto::{
    PROTOCOL,
    agent::{Done, Info, Key},
    fault::{Fault, Kind},
    method::{self, Call},
    rpc::{Code, Id, RpcError, result_line},
    secret::Wiped,
    session::{LoggedOut, Session, Sessions, Target},
    token::TokenGet,
};

use super::translate;
use crate::{
    clock,
    handle::{Handle, Message},
    snapshot::Offered,
};

/// A reply, wiped when it has been sent: it may hold a token.
pub(crate) type Line = Wiped;

/// See the module.
pub(crate) struct Service {
    pub(crate) handle: Handle,
    pub(crate) started: Now,
    pub(crate) key: Key,
    pub(crate) unreadable: Vec<String>,
}

/// `token.get`'s result, borrowed: the token is not copied on its way out.
#[derive(Serialize)]
struct TokenReply<'a> {
    access_token: &'a str,
    token_type: &'a str,
    token_id: &'a str,
    expires_at: jiff::Timestamp,
    expires_in_s: u64,
    scopes: &'a [String],
    session: &'a str,
}

impl Service {
    /// Answers what needs nobody else: a token that is at hand.
    ///
    /// Only the plainest way of asking is tried. Whatever else it may be, the driver knows.
    pub(crate) fn at_once(&self, id: &Id, call: &Call) -> Option<Line> {
        let Call::TokenGet(ask) = call else { return None };
        let session = match translate::target(&ask.target()).ok()? {
            sso_agent_core::agent::Target::Session(session) => session,
            sso_agent_core::agent::Target::Host(host, label) => {
                SessionId::of(&host, &label.unwrap_or_default())
            }
            sso_agent_core::agent::Target::Only => return None,
        };
        let now = clock::now();
        let offered = self.handle.snapshot().get(&session, &translate::need(ask), now)?;
        has_scopes(ask, &offered.lease).ok()?;
        Some(token_line(id, &session, &offered, now))
    }

    /// Answers everything that ends with one reply and needs no progress.
    pub(crate) async fn answer(&self, id: &Id, call: Call) -> Result<Line, RpcError> {
        match call {
            Call::TokenGet(ask) => self.token(id, &ask).await,
            Call::AgentInfo => Ok(line(id, &self.info().await?)),
            Call::AgentShutdown => {
                self.handle.send(Message::Stop);
                Ok(line(id, &Done {}))
            }
            Call::SessionList(target) => Ok(line(id, &self.list(target).await?)),
            Call::SessionShow(target) => Ok(line(id, &self.show(&target).await?)),
            Call::SessionLogout(target) => {
                let revoked = self.handle.logout(translate::target(&target)?).await;
                let revoked = revoked.map_err(|refusal| translate::fault(&refusal))?;
                Ok(line(id, &LoggedOut { revoked }))
            }
            Call::AgentReload | Call::ProfileList | Call::MetadataUrl(_) => {
                Err(RpcError::new(Code::MethodNotFound, "not in this version"))
            }
            Call::SessionLogin(_) | Call::SessionImport(_) | Call::EventsSubscribe(_) => {
                Err(RpcError::new(Code::Internal, "this method is answered elsewhere"))
            }
        }
    }

    async fn token(&self, id: &Id, ask: &TokenGet) -> Result<Line, RpcError> {
        if !ask.scopes.is_empty() {
            let hint = "leave `scopes` out: the token has all that were granted at the sign-in";
            return Err(
                Fault::new(Kind::Unsupported, "tokens with fewer scopes are not served yet", hint).into()
            );
        }
        let target = translate::target(&ask.target())?;
        match self.handle.token(target, translate::need(ask), translate::wait(ask)).await {
            Answer::Token(session, lease) => {
                has_scopes(ask, &lease)?;
                Ok(token_line(id, &session, &Offered::from(lease), clock::now()))
            }
            Answer::Refused(refusal) => Err(translate::fault(&refusal).into()),
            Answer::SignedIn(_) => Err(RpcError::new(Code::Internal, "asked for a token, told of a sign-in")),
        }
    }

    async fn info(&self) -> Result<Info, RpcError> {
        let sessions = self.handle.look(|agent, _| agent.sessions().len()).await.ok_or_else(stopped)?;
        Ok(Info {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            pid: std::process::id(),
            started_at: clock::timestamp(self.started.wall),
            sessions,
            locked: false,
            methods: method::NAMES.iter().map(|name| (*name).to_owned()).collect(),
            key: self.key,
            unreadable: self.unreadable.clone(),
        })
    }

    async fn list(&self, target: Target) -> Result<Sessions, RpcError> {
        if target != Target::default() {
            return Ok(Sessions { sessions: vec![self.show(&target).await?] });
        }
        let list = |agent: &sso_agent_core::agent::Agent, now| {
            agent.sessions().map(|session| translate::session(session, now)).collect()
        };
        Ok(Sessions { sessions: self.handle.look(list).await.ok_or_else(stopped)? })
    }

    async fn show(&self, target: &Target) -> Result<Session, RpcError> {
        let target = translate::target(target)?;
        let shown = self.handle.look(move |agent, now| {
            let found = agent.find(&target)?;
            Ok(agent.session(&found).map(|session| translate::session(session, now)))
        });
        match shown.await.ok_or_else(stopped)? {
            Ok(Some(session)) => Ok(session),
            Ok(None) => Err(stopped()),
            Err(refusal) => Err(translate::fault(&refusal).into()),
        }
    }

    /// One session, by its id.
    pub(crate) async fn session(&self, id: SessionId) -> Result<Session, RpcError> {
        self.show(&Target { session: Some(id.to_string()), ..Target::default() }).await
    }
}

/// A token has all scopes of its session; one that must have others takes another sign-in.
fn has_scopes(ask: &TokenGet, lease: &Lease) -> Result<(), RpcError> {
    let Some(missing) = ask.scopes.iter().find(|scope| !lease.scopes.contains(scope)) else { return Ok(()) };
    let message = format!("the session does not have the scope {missing:.80?}");
    let hint = "sign in with it: sso login HOST --scope SCOPE";
    Err(Fault::new(Kind::LoginRequired, message, hint).into())
}

/// One line with the answer to a request.
pub(crate) fn line<R: Serialize>(id: &Id, result: &R) -> Line {
    result_line(id, result).into()
}

fn token_line(id: &Id, session: &SessionId, offered: &Offered, now: Now) -> Line {
    let lease = &offered.lease;
    line(
        id,
        &TokenReply {
            access_token: lease.access_token.expose_secret(),
            token_type: &lease.token_type,
            token_id: &lease.token_id,
            expires_at: offered.expires_at,
            expires_in_s: lease.expires.left(now).as_secs(),
            scopes: &lease.scopes,
            session: session.as_str(),
        },
    )
}

fn stopped() -> RpcError {
    Fault::new(Kind::IssuerUnavailable, "the agent is stopping", "try again in a moment").into()
}

/// What one connection needs of all this.
pub(crate) type Shared = Arc<Service>;

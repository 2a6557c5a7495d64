//! `token.get`: from memory where that is possible, else by asking the driver; for a profile whose token
//! stands in a file, from there.

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sso_agent_core::{
    agent::{Agent, Answer, Target},
    refusal::{OAuthError, Refusal},
    time::Now,
    words::{Lease, Need, SessionId},
};
use sso_agent_proto::{
    fault::{Fault, Kind},
    method::Call,
    rpc::{Code, Id, RpcError, written_result_line},
    secret::Wiped,
    token::TokenGet,
};

use super::{
    scopes::{self, Wish},
    sealed::sealed,
    service::{Line, Service, stopped},
    translate,
};
use crate::{
    clock,
    config::{Known, Meant},
    snapshot::{Offered, Written},
    spender::passed_through,
};

/// The first fields of `token.get`'s result, borrowed: the token is not copied on its way out.
#[derive(Serialize)]
struct First<'a> {
    access_token: &'a str,
    token_type: &'a str,
    token_id: &'a str,
    expires_at: jiff::Timestamp,
}

/// Its last fields; between them is `expires_in_s`.
#[derive(Serialize)]
struct Last<'a> {
    scopes: &'a [String],
    session: &'a str,
}

impl Service {
    /// Answers what needs nobody else: a token that is at hand.
    ///
    /// Only the plainest way of asking is tried. Whatever else it may be, the driver knows.
    pub(crate) fn at_once(&self, id: &Id, call: &Call) -> Option<Line> {
        let Call::TokenGet(ask) = call else { return None };
        if !ask.scopes.is_empty() {
            return None;
        }
        let known = self.config.known();
        let now = clock::now();
        let session = match &ask.handle {
            Some(handle) if !ask.names_a_place() => {
                self.web.handles.find(handle, known.settings.web_session_idle, now)?
            }
            Some(_) => return None,
            None => known.plainly(ask)?,
        };
        let need = translate::need(ask, known.settings.force_refresh_within);
        let offered = self.handle.snapshot().get(&session, &need, now)?;
        Some(token_line(id, &session, &offered, now))
    }

    /// Answers `token.get`, however long it takes.
    pub(super) async fn token(&self, id: &Id, ask: &TokenGet) -> Result<Line, RpcError> {
        let (known, meant) = match &ask.handle {
            Some(handle) => (self.config.known(), self.meant_by(handle, ask).await?),
            None => self.meant(&ask.target()).await?,
        };
        let need = translate::need(ask, known.settings.force_refresh_within);
        let (session, lease) = told(self.token_meant(&known, meant, ask, need).await?)?;
        Ok(token_line(id, &session, &Offered::from(lease), clock::now()))
    }

    /// A token of what is meant, for a call that the agent makes itself.
    pub(crate) async fn own_lease(
        &self,
        known: &Known,
        meant: Meant,
        wait: Duration,
    ) -> Result<Arc<Lease>, RpcError> {
        let ask = TokenGet { wait_s: Some(wait.as_secs()), ..TokenGet::default() };
        let need = translate::need(&ask, known.settings.force_refresh_within);
        Ok(told(self.token_meant(known, meant, &ask, need).await?)?.1)
    }

    async fn meant_by(&self, handle: &SecretString, ask: &TokenGet) -> Result<Meant, RpcError> {
        if ask.names_a_place() {
            let why = "a handle names its session: leave host, profile, session, label and account_id out";
            return Err(RpcError::new(Code::InvalidParams, why));
        }
        if self.web_session(handle).is_none() && self.about.has_sealed() {
            self.load_late().await?;
        }
        match self.web_session(handle) {
            Some(session) => Ok(Meant::Session(Target::Web(session))),
            None if self.about.has_sealed() => {
                Err(sealed("no session that can be read has this handle, and some wait for their key").into())
            }
            None => Err(translate::fault(&Refusal::no_such_handle()).into()),
        }
    }

    async fn token_meant(
        &self,
        known: &Known,
        meant: Meant,
        ask: &TokenGet,
        need: Need,
    ) -> Result<Answer, RpcError> {
        match meant {
            Meant::Token { session, token, .. } => {
                Ok(Answer::Token(session, Arc::new(passed_through(token, clock::now()))))
            }
            Meant::Session(Target::Only) => {
                let answer = self.lease(Target::Only, ask, need.clone()).await?;
                match (is_undecided(&answer), known.default_meant()) {
                    // As in the SDKs, the default profile counts where nothing is named.
                    (true, Some(meant)) => Box::pin(self.token_meant(known, meant, ask, need)).await,
                    (true, None) | (false, _) => Ok(answer),
                }
            }
            Meant::Session(target) => self.lease(target, ask, need).await,
            Meant::Machine(target, plan) => {
                let answer = self.lease(target.clone(), ask, need.clone()).await?;
                if !matches!(answer, Answer::Refused(Refusal::LoginRequired { .. })) {
                    return Ok(answer);
                }
                self.machines.sign_in(&self.handle, *plan?, translate::wait(ask)).await?;
                self.lease(target, ask, need).await
            }
        }
    }

    /// A lease of a session: its own, or one with fewer scopes.
    async fn lease(&self, target: Target, ask: &TokenGet, need: Need) -> Result<Answer, RpcError> {
        let wait = translate::wait(ask);
        if ask.scopes.is_empty() {
            let answer = self.handle.token(target.clone(), need.clone(), wait).await;
            let again = self.appears(&target, &answer).await?;
            return Ok(if again { self.handle.token(target, need, wait).await } else { answer });
        }
        let look = move |agent: &Agent, _| {
            let id = agent.find(&target)?;
            let granted = agent.session(&id).map(|session| session.about().scopes.clone());
            Ok((id, granted.unwrap_or_default()))
        };
        let (session, granted) = match self.handle.look(look).await.ok_or_else(stopped)? {
            Ok(found) => found,
            Err(refusal) => return Ok(Answer::Refused(refusal)),
        };
        let web = session.is_web();
        let all = if web { Target::Web(session.clone()) } else { Target::Session(session.clone()) };
        Ok(match scopes::compare(&ask.scopes, &granted) {
            Wish::All => self.handle.token(all, need, wait).await,
            Wish::Fewer(scopes) => match self.handle.narrow(session, scopes, need, wait).await {
                Answer::Refused(Refusal::LoginRequired { why, said, .. }) if web => {
                    Answer::Refused(Refusal::ConsentRequired { why, said })
                }
                Answer::Refused(Refusal::LoginRequired { why, said, .. }) => {
                    return Err(without_scopes(&why, said.as_ref()));
                }
                answer @ (Answer::Refused(_) | Answer::Token(..) | Answer::SignedIn(_)) => answer,
            },
            Wish::Missing(scope) if web => return Err(not_consented_to(&scope)),
            Wish::Missing(scope) => return Err(not_granted(&scope)),
        })
    }
}

fn told(answer: Answer) -> Result<(SessionId, Arc<Lease>), RpcError> {
    match answer {
        Answer::Token(session, lease) => Ok((session, lease)),
        Answer::Refused(refusal) => Err(translate::fault(&refusal).into()),
        Answer::SignedIn(_) => Err(RpcError::new(Code::Internal, "asked for a token, told of a sign-in")),
    }
}

fn not_granted(scope: &str) -> RpcError {
    without_scopes(&format!("the session does not have the scope {scope:.80?}"), None)
}

/// Another sign-in for the same scopes would bring as little.
fn not_consented_to(scope: &str) -> RpcError {
    let why = format!("the user was not asked for the scope {scope:.80?}");
    Fault::new(Kind::Unsupported, why, "name it when the sign-in begins: consent.start with `scopes`").into()
}

/// A sign-in may bring what the session has not; another label keeps the session as it is.
fn without_scopes(why: &str, said: Option<&OAuthError>) -> RpcError {
    let hint = "sign in for them: sso login HOST --scope SCOPE --as LABEL";
    translate::said_by(Fault::new(Kind::LoginRequired, why, hint), said).into()
}

/// Whether it was not clear which session is meant: there are several, or none at all. One that has ended
/// is clear, and the next host is another one.
fn is_undecided(answer: &Answer) -> bool {
    match answer {
        Answer::Refused(Refusal::Ambiguous { .. }) => true,
        Answer::Refused(Refusal::LoginRequired { at, .. }) => at.is_empty(),
        Answer::Refused(_) | Answer::Token(..) | Answer::SignedIn(_) => false,
    }
}

/// Escaping a token takes longer than all else that an answer needs, so it is done once for each.
fn token_line(id: &Id, session: &SessionId, offered: &Offered, now: Now) -> Line {
    let Written { before, behind } = offered.written.get_or_init(|| write(session, offered));
    let seconds = offered.lease.expires.left(now).as_secs().to_string();
    written_result_line(id, &[before, seconds.as_bytes(), behind]).into()
}

fn write(session: &SessionId, offered: &Offered) -> Written {
    let lease = &offered.lease;
    let token = lease.access_token.expose_secret();
    let first = First {
        access_token: token,
        token_type: &lease.token_type,
        token_id: &lease.token_id,
        expires_at: offered.expires_at,
    };
    let last = Last { scopes: &lease.scopes, session: session.as_str() };
    // Room enough, so that the token is not left behind while this grows: none has bytes to be escaped.
    let mut before = Wiped::from(Vec::with_capacity(token.len() + 512));
    let mut behind = Wiped::default();
    serde_json::to_writer(&mut *before, &first).expect("text has no failing field");
    serde_json::to_writer(&mut *behind, &last).expect("text has no failing field");
    // One object out of two.
    before.pop();
    before.extend_from_slice(b",\"expires_in_s\":");
    behind[0] = b',';
    Written { before, behind }
}

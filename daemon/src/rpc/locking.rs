//! `agent.lock`, `agent.unlock`, and what a locked agent still does.
//!
//! What would hand out a token, or change who is signed in, is refused at the door. What is under way when
//! the lock comes goes on, so that no refresh token is lost, and its token stays in.

use std::time::Duration;

use sso_agent_core::{
    agent::{Agent, Event},
    session::Session,
};
use sso_agent_proto::{
    agent::{Done, Passphrase},
    events::{self, EventKind},
    fault::{Fault, Kind},
    method::Call,
    rpc::{Code, RpcError},
};

use super::service::{Service, stopped};
use crate::{clock, handle::Message, padlock::Stuck};

/// Nobody types more.
const LONGEST: usize = 4096;

impl Service {
    /// Whether a call is answered: all are, unless the agent is locked.
    ///
    /// # Errors
    /// `locked`.
    pub(crate) fn admit(&self, call: &Call) -> Result<(), RpcError> {
        if !self.padlock.is_locked() {
            return self.admit_to_store(call);
        }
        match call {
            Call::AgentInfo
            | Call::AgentReload
            | Call::AgentShutdown
            | Call::AgentLock(_)
            | Call::AgentUnlock(_)
            | Call::SessionList(_)
            | Call::SessionShow(_)
            | Call::ProfileList
            | Call::EventsSubscribe(_) => Ok(()),
            Call::TokenGet(ask) => {
                // A web app that goes on asking has not given its users up.
                if let Some(handle) = &ask.handle {
                    self.web_session(handle);
                }
                Err(locked())
            }
            Call::SessionLogin(_)
            | Call::SessionImport(_)
            | Call::SessionLogout(_)
            | Call::ConsentStart(_)
            | Call::ConsentFinish(_)
            | Call::ConsentEnd(_)
            | Call::MetadataUrl(_)
            | Call::AgentRekey(_)
            | Call::App(_) => Err(locked()),
        }
    }

    /// Nobody is sent to a browser for a session that could not be kept.
    fn admit_to_store(&self, call: &Call) -> Result<(), RpcError> {
        let keeps = matches!(call, Call::SessionLogin(_) | Call::SessionImport(_) | Call::ConsentStart(_));
        match self.about.store.blocked().filter(|_| keeps) {
            Some(why) => Err(super::sealed::sealed(&why).into()),
            None => Ok(()),
        }
    }

    /// Locks the agent.
    pub(super) async fn lock(&self, Passphrase { passphrase }: Passphrase) -> Result<Done, RpcError> {
        let length = secrecy::ExposeSecret::expose_secret(&passphrase).len();
        if length == 0 || length > LONGEST {
            let why = format!("a passphrase has 1 to {LONGEST} bytes");
            return Err(RpcError::new(Code::InvalidParams, why));
        }
        let (padlock, handle) = (self.padlock.clone(), self.handle.clone());
        let pause = !self.config.known().settings.refresh_while_locked;
        // As a task of its own, which a client that hangs up does not take with it.
        let closing = tokio::spawn(async move {
            let closed = || {
                handle.snapshot().close();
                handle.send(Message::Happened(Event::Paused(pause)));
                handle.tell(told(EventKind::AgentLocked));
                tracing::warn!("locked");
            };
            padlock.close(passphrase, closed).await
        });
        closing.await.map_err(|_| stopped())?.map_err(refused)?;
        Ok(Done {})
    }

    /// Unlocks the agent: the key of what is stored, if that waits for a passphrase, then the padlock.
    pub(super) async fn unlock(&self, Passphrase { passphrase }: Passphrase) -> Result<Done, RpcError> {
        if self.about.store.needs_passphrase() {
            let opened = self.unlock_stored(passphrase.clone()).await;
            if !self.padlock.is_locked() {
                opened?;
                self.handle.tell(told(EventKind::AgentUnlocked));
                return Ok(Done {});
            }
            // The padlock may have a passphrase of its own.
        }
        let (padlock, handle) = (self.padlock.clone(), self.handle.clone());
        let opening = tokio::spawn(async move {
            padlock.clone().open(passphrase).await?;
            let snapshot = handle.clone();
            let still = padlock.clone();
            let refill = move |agent: &Agent, _| {
                if still.is_locked() {
                    return;
                }
                let all = agent.sessions().chain(agent.web_sessions());
                let leased = |session: &Session| Some((session.about().id.clone(), session.lease()?.clone()));
                snapshot.snapshot().open(all.filter_map(leased));
            };
            // An agent that stops meanwhile hands out nothing any more.
            let _ = handle.look(refill).await;
            handle.send(Message::Happened(Event::Paused(false)));
            handle.tell(told(EventKind::AgentUnlocked));
            tracing::warn!("unlocked");
            Ok(())
        });
        opening.await.map_err(|_| stopped())?.map_err(refused)?;
        Ok(Done {})
    }

    /// For what was under way when the lock came.
    pub(super) fn still_open(&self) -> Result<(), RpcError> {
        if self.padlock.is_locked() { Err(locked()) } else { Ok(()) }
    }
}

fn told(kind: EventKind) -> events::Event {
    events::Event { kind, session: None, at: clock::timestamp(clock::now().wall) }
}

fn locked() -> RpcError {
    Fault::new(Kind::Locked, "the agent is locked", "unlock it: sso unlock").into()
}

pub(super) fn refused(stuck: Stuck) -> RpcError {
    let fault = match stuck {
        Stuck::Locked => {
            Fault::new(Kind::Locked, "the agent is locked already", "to lock it anew, unlock it first")
        }
        Stuck::Open => Fault::new(Kind::Unsupported, "the agent is not locked", "there is nothing to unlock"),
        Stuck::Wrong => {
            Fault::new(Kind::Denied, "that is not the passphrase", "try again; each wrong one takes longer")
        }
        Stuck::Damaged(file) => Fault::new(
            Kind::Locked,
            "the agent is locked, and no passphrase can be checked: what was noted of it is damaged",
            format!("stop the agent, remove {}, and start it again", file.display()),
        ),
        Stuck::Crowded { retry_after } => {
            let seconds = retry_after.max(Duration::from_secs(1)).as_secs();
            let mut fault = Fault::new(
                Kind::Locked,
                "too many passphrases are waiting to be looked at",
                format!("it is worth another try in {seconds} s"),
            );
            fault.data.retry_after_s = Some(seconds);
            fault
        }
        Stuck::Failed => {
            return RpcError::new(
                Code::Internal,
                "the passphrase cannot be hashed: there is no memory for it",
            );
        }
    };
    fault.into()
}

//! The agent over tokio: many calls at once on one connection.
//!
//! ```no_run
//! use sso_agent_client::{TokenRequest, tokio::Agent};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sso_agent_client::Error> {
//! let agent = Agent::connect().await?;
//! let token = agent.token(TokenRequest::host("https://adb-1.azuredatabricks.net")).await?;
//! # Ok(())
//! # }
//! ```

mod connection;
mod pipeline;
mod source;

use std::path::Path;

use ::tokio::sync::Mutex;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use sso_agent_proto::{
    agent::{Done, Info, Passphrase},
    consent::{ConsentEnd, ConsentFinish, ConsentFinished, ConsentStart, ConsentStarted},
    events::{Event, EventKind, Subscribe},
    method::Call,
    places::Places,
    session::{List, LoggedOut, Login, Session, Sessions, Step, Target},
    token::{Token, TokenGet},
};

use self::{connection::Connection, pipeline::Pipeline};
use crate::{
    Result,
    autostart::{self, Route},
    deadline::Deadline,
    wire::{self, Trouble},
};

pub use source::TokenSource;

/// How often a call is repeated when the agent stops under it, as it does when it is replaced.
const REPEATS: usize = 3;

/// A connection to the agent, for any number of calls at once.
///
/// A sign-in and a subscription have a connection each of their own, so that dropping them hangs up
/// on nothing else.
#[derive(Debug)]
pub struct Agent {
    route: Route,
    pipeline: Mutex<Pipeline>,
}

impl Agent {
    /// Connects to this user's agent, and starts it when none is running (unless
    /// `SSO_AGENT_AUTOSTART=0`).
    ///
    /// # Errors
    /// [`crate::Error::Unreachable`].
    pub async fn connect() -> Result<Self> {
        Self::by(Route::Own { places: Places::from_env()?, start: autostart::is_wanted() }).await
    }

    /// Connects to the agent at a socket of one's own choice, which must be running.
    ///
    /// # Errors
    /// [`crate::Error::Unreachable`].
    pub async fn connect_to(socket: impl AsRef<Path>) -> Result<Self> {
        Self::by(Route::Given(socket.as_ref().to_owned())).await
    }

    async fn by(route: Route) -> Result<Self> {
        let pipeline = Mutex::new(Pipeline::new(Connection::open(&route).await?));
        Ok(Self { route, pipeline })
    }

    /// Makes any call of the protocol but a sign-in or a subscription, and waits for its answer.
    ///
    /// A call that changes nothing is made again when the agent stops under it.
    ///
    /// # Errors
    /// Each of [`crate::Error`].
    pub async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        let mut tries = if wire::repeatable(call) { REPEATS } else { 0 };
        loop {
            match self.current().await?.ask(call).await {
                Err(Trouble::HungUp) if tries > 0 => tries -= 1,
                outcome => return outcome.map_err(|trouble| trouble.with(call)),
            }
        }
    }

    /// The connection, a new one if the agent hung up on the last.
    async fn current(&self) -> Result<Pipeline> {
        let mut pipeline = self.pipeline.lock().await;
        if pipeline.is_closed() {
            *pipeline = Pipeline::new(Connection::open(&self.route).await?);
        }
        Ok(pipeline.clone())
    }

    /// Says who is answering.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn info(&self) -> Result<Info> {
        self.call(&Call::AgentInfo).await
    }

    /// Gives an access token, fresh as asked for. Takes a [`crate::TokenRequest`].
    ///
    /// # Errors
    /// As of [`Self::call`]; [`crate::Error::Refused`] with `login_required` when a person has to sign in.
    pub async fn token(&self, request: impl Into<TokenGet>) -> Result<Token> {
        self.call(&Call::TokenGet(request.into())).await
    }

    /// Signs in and leaves the session with the agent; dropping the future takes it back. `on_step`
    /// opens or shows the URL of [`Step::Authorize`].
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn login(&self, login: Login, mut on_step: impl FnMut(Step)) -> Result<Session> {
        let mut connection = Connection::open(&self.route).await?;
        Ok(connection.ask(&Call::SessionLogin(login), &mut on_step).await?)
    }

    /// Lists all sessions of this user, in the order of their ids.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn sessions(&self) -> Result<Vec<Session>> {
        self.all(List::default()).await
    }

    /// Lists the sessions of web apps' users, at this host or anywhere, in the order of their ids.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn web_sessions(&self, host: Option<String>) -> Result<Vec<Session>> {
        self.all(List { web: true, host, ..List::default() }).await
    }

    /// Lists one part of what there is; [`Sessions::next`] says where the rest begins.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn list(&self, wish: List) -> Result<Sessions> {
        self.call(&Call::SessionList(wish)).await
    }

    async fn all(&self, mut wish: List) -> Result<Vec<Session>> {
        let mut all = Vec::new();
        loop {
            let part = self.list(wish.clone()).await?;
            all.extend(part.sessions);
            wish.after = part.next;
            if wish.after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Shows one session.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn session(&self, target: Target) -> Result<Session> {
        self.call(&Call::SessionShow(target)).await
    }

    /// Revokes a session at its issuer, where that can be done, and forgets it.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn logout(&self, target: Target) -> Result<LoggedOut> {
        self.call(&Call::SessionLogout(target)).await
    }

    /// Begins the sign-in of a web app's user; see [`crate::WebApp::start`].
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn consent_start(&self, start: ConsentStart) -> Result<ConsentStarted> {
        self.call(&Call::ConsentStart(start)).await
    }

    /// Takes the callback of that sign-in; see [`crate::Consent::finish`].
    ///
    /// # Errors
    /// As of [`Self::call`]; [`crate::Error::Expired`] when it came too late.
    pub async fn consent_finish(&self, finish: ConsentFinish) -> Result<ConsentFinished> {
        self.call(&Call::ConsentFinish(finish)).await
    }

    /// Revokes what it brought, where that can be done, and forgets it; see [`crate::WebSession::end`].
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn consent_end(&self, end: ConsentEnd) -> Result<LoggedOut> {
        self.call(&Call::ConsentEnd(end)).await
    }

    /// Is told what happens from now on; all kinds when `kinds` is empty.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn subscribe(&self, kinds: impl Into<Vec<EventKind>>) -> Result<Events> {
        let mut connection = Connection::open(&self.route).await?;
        let call = Call::EventsSubscribe(Subscribe { kinds: kinds.into() });
        let Done {} = connection.ask(&call, &mut |_| {}).await?;
        Ok(Events { connection })
    }

    /// Locks the agent: no token leaves it until it is unlocked with the same passphrase.
    ///
    /// # Errors
    /// As of [`Self::call`]; [`crate::Error::Refused`] with `locked` when it is locked already.
    pub async fn lock(&self, passphrase: SecretString) -> Result<()> {
        self.call(&Call::AgentLock(Passphrase { passphrase })).await.and_then(wire::done)
    }

    /// Unlocks the agent. A wrong passphrase is told after a delay that grows.
    ///
    /// # Errors
    /// As of [`Self::call`]; [`crate::Error::Refused`] with `denied` when the passphrase is wrong.
    pub async fn unlock(&self, passphrase: SecretString) -> Result<()> {
        self.call(&Call::AgentUnlock(Passphrase { passphrase })).await.and_then(wire::done)
    }

    /// Tells the agent to finish what is under way and stop.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn shutdown(&self) -> Result<()> {
        match self.current().await?.ask::<Done>(&Call::AgentShutdown).await {
            // Gone is what it was asked to be.
            Ok(_) | Err(Trouble::HungUp) => Ok(()),
            Err(trouble) => Err(trouble.into()),
        }
    }
}

/// What happens at the agent, as it happens.
///
/// ```no_run
/// # async fn example() -> Result<(), sso_agent_client::Error> {
/// let agent = sso_agent_client::tokio::Agent::connect().await?;
/// let mut events = agent.subscribe([]).await?;
/// loop {
///     println!("{:?}", events.next().await?.kind);
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Events {
    connection: Connection,
}

impl Events {
    /// Waits for the next event.
    ///
    /// # Errors
    /// [`crate::Error::Unreachable`] when the agent is gone.
    pub async fn next(&mut self) -> Result<Event> {
        loop {
            let line = self.connection.next(Deadline::NEVER).await?;
            if let Some(event) = wire::event(&line) {
                return Ok(event);
            }
        }
    }
}

#[cfg(test)]
mod tests;

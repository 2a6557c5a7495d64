//! The agent without an async runtime: one connection, one call at a time.

use std::{io, path::Path};

use interprocess::local_socket::Stream;
use secrecy::{SecretString, zeroize::Zeroizing};
use serde::de::DeserializeOwned;
use sso_agent_proto::{
    agent::{Done, Info, Passphrase, Rekey, Rekeyed},
    consent::{ConsentEnd, ConsentFinish, ConsentFinished, ConsentStart, ConsentStarted},
    events::{Event, EventKind, Subscribe},
    lines::Lines,
    metadata::{MetadataGet, MetadataUrl},
    method::Call,
    places::Places,
    profile::Profiles,
    session::{Import, List, LoggedOut, Login, Session, Sessions, Step, Target},
    token::{Token, TokenGet},
};

use crate::{
    Result, autostart,
    deadline::{Deadline, Over},
    patient::Patient,
    wire::{self, Line, Trouble},
};

/// How often a call is repeated when the agent stops under it, as it does when it is replaced.
const REPEATS: usize = 3;

/// A connection to the agent.
///
/// Dropping it hangs up, which takes back a sign-in that waits on it and nothing else.
///
/// ```no_run
/// use sso_agent_client::{TokenRequest, blocking::Agent};
///
/// # fn main() -> Result<(), sso_agent_client::Error> {
/// let mut agent = Agent::connect()?;
/// let token = agent.token(TokenRequest::host("https://adb-1.azuredatabricks.net"))?;
/// println!("{} until {}", token.session, token.expires_at);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Agent {
    route: autostart::Route,
    connection: Connection,
    last_id: u64,
}

impl Agent {
    /// Connects to this user's agent, and starts it when none is running (unless
    /// `SSO_AGENT_AUTOSTART=0`).
    ///
    /// # Errors
    /// [`crate::Error::Unreachable`].
    pub fn connect() -> Result<Self> {
        Self::by(autostart::Route::Own { places: Places::from_env()?, start: autostart::is_wanted() })
    }

    /// Connects to this user's agent if it is running.
    ///
    /// # Errors
    /// [`crate::Error::Unreachable`].
    pub fn connect_running() -> Result<Self> {
        Self::by(autostart::Route::Own { places: Places::from_env()?, start: false })
    }

    /// Connects to the agent at a socket of one's own choice, which must be running.
    ///
    /// # Errors
    /// [`crate::Error::Unreachable`].
    pub fn connect_to(socket: impl AsRef<Path>) -> Result<Self> {
        Self::by(autostart::Route::Given(socket.as_ref().to_owned()))
    }

    fn by(route: autostart::Route) -> Result<Self> {
        let connection = Connection::new(route.open()?);
        Ok(Self { route, connection, last_id: 0 })
    }

    /// Makes any call of the protocol and waits for its answer.
    ///
    /// A call that changes nothing is made again when the agent stops under it.
    ///
    /// # Errors
    /// Each of [`crate::Error`].
    pub fn call<T: DeserializeOwned>(&mut self, call: &Call) -> Result<T> {
        let mut tries = if wire::repeatable(call) { REPEATS } else { 0 };
        loop {
            match self.ask(call, &mut |_| {}) {
                Err(Trouble::HungUp) if tries > 0 => {
                    tries -= 1;
                    self.connection = Connection::new(self.route.open()?);
                }
                outcome => return outcome.map_err(|trouble| trouble.with(call)),
            }
        }
    }

    /// Says who is answering.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn info(&mut self) -> Result<Info> {
        self.call(&Call::AgentInfo)
    }

    /// Gives an access token, fresh as asked for. Takes a [`crate::TokenRequest`].
    ///
    /// # Errors
    /// As of [`Self::call`]; [`crate::Error::Refused`] with `login_required` when a person has to sign in.
    pub fn token(&mut self, request: impl Into<TokenGet>) -> Result<Token> {
        self.call(&Call::TokenGet(request.into()))
    }

    /// Signs in and leaves the session with the agent. `on_step` opens or shows the URL of
    /// [`Step::Authorize`].
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn login(&mut self, login: Login, mut on_step: impl FnMut(Step)) -> Result<Session> {
        Ok(self.ask(&Call::SessionLogin(login), &mut on_step)?)
    }

    /// Lists all sessions of this user, in the order of their ids.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn sessions(&mut self) -> Result<Vec<Session>> {
        self.all(List::default())
    }

    /// Lists the sessions of web apps' users, at this host or anywhere, in the order of their ids.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn web_sessions(&mut self, host: Option<String>) -> Result<Vec<Session>> {
        self.all(List { web: true, host, ..List::default() })
    }

    /// Lists one part of what there is; [`Sessions::next`] says where the rest begins.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn list(&mut self, wish: List) -> Result<Sessions> {
        self.call(&Call::SessionList(wish))
    }

    fn all(&mut self, mut wish: List) -> Result<Vec<Session>> {
        let mut all = Vec::new();
        loop {
            let part = self.list(wish.clone())?;
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
    pub fn session(&mut self, target: Target) -> Result<Session> {
        self.call(&Call::SessionShow(target))
    }

    /// Revokes a session at its issuer, where that can be done, and forgets it.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn logout(&mut self, target: Target) -> Result<LoggedOut> {
        self.call(&Call::SessionLogout(target))
    }

    /// Begins the sign-in of a web app's user; see [`crate::WebApp::start`].
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn consent_start(&mut self, start: ConsentStart) -> Result<ConsentStarted> {
        self.call(&Call::ConsentStart(start))
    }

    /// Takes the callback of that sign-in; see [`crate::Consent::finish`].
    ///
    /// # Errors
    /// As of [`Self::call`]; [`crate::Error::Expired`] when it came too late.
    pub fn consent_finish(&mut self, finish: ConsentFinish) -> Result<ConsentFinished> {
        self.call(&Call::ConsentFinish(finish))
    }

    /// Revokes what it brought, where that can be done, and forgets it; see [`crate::WebSession::end`].
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn consent_end(&mut self, end: ConsentEnd) -> Result<LoggedOut> {
        self.call(&Call::ConsentEnd(end))
    }

    /// Takes over a sign-in of another tool, which is tested on the way.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn import(&mut self, import: Import) -> Result<Session> {
        self.call(&Call::SessionImport(import))
    }

    /// Lists the profiles that the agent knows.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn profiles(&mut self) -> Result<Profiles> {
        self.call(&Call::ProfileList)
    }

    /// Says where SDKs find the metadata service for a session.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn metadata_url(&mut self, wish: MetadataGet) -> Result<MetadataUrl> {
        self.call(&Call::MetadataUrl(wish))
    }

    /// Has the agent read its config files again.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn reload(&mut self) -> Result<()> {
        self.call(&Call::AgentReload).and_then(wire::done)
    }

    /// Moves everything that is stored to another key.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn rekey(&mut self, rekey: Rekey) -> Result<Rekeyed> {
        self.call(&Call::AgentRekey(rekey))
    }

    /// Turns the connection into a stream of what happens; all kinds when `kinds` is empty.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn subscribe(mut self, kinds: impl Into<Vec<EventKind>>) -> Result<Events> {
        self.call(&Call::EventsSubscribe(Subscribe { kinds: kinds.into() })).and_then(wire::done)?;
        Ok(Events { connection: Some(self.connection) })
    }

    /// Locks the agent: no token leaves it until it is unlocked with the same passphrase.
    ///
    /// # Errors
    /// As of [`Self::call`]; [`crate::Error::Refused`] with `locked` when it is locked already.
    pub fn lock(&mut self, passphrase: SecretString) -> Result<()> {
        self.call(&Call::AgentLock(Passphrase { passphrase })).and_then(wire::done)
    }

    /// Unlocks the agent. A wrong passphrase is told after a delay that grows.
    ///
    /// # Errors
    /// As of [`Self::call`]; [`crate::Error::Refused`] with `denied` when the passphrase is wrong.
    pub fn unlock(&mut self, passphrase: SecretString) -> Result<()> {
        self.call(&Call::AgentUnlock(Passphrase { passphrase })).and_then(wire::done)
    }

    /// Tells the agent to finish what is under way and stop.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn shutdown(&mut self) -> Result<()> {
        match self.ask::<Done>(&Call::AgentShutdown, &mut |_| {}) {
            // Gone is what it was asked to be.
            Ok(_) | Err(Trouble::HungUp) => Ok(()),
            Err(trouble) => Err(trouble.into()),
        }
    }

    fn ask<T: DeserializeOwned>(
        &mut self,
        call: &Call,
        on_step: &mut dyn FnMut(Step),
    ) -> std::result::Result<T, Trouble> {
        self.last_id += 1;
        let deadline = Deadline::of(call);
        self.connection.send(&wire::request(self.last_id, call), deadline)?;
        loop {
            let line = self.connection.next(deadline)?;
            if let Some(answer) = wire::answer(&line, self.last_id, on_step)? {
                return Ok(answer);
            }
        }
    }
}

/// What happens at the agent, as it happens. Ends, after an error, when the agent is gone.
///
/// ```no_run
/// use sso_agent_client::{blocking::Agent, proto::events::EventKind};
///
/// # fn main() -> Result<(), sso_agent_client::Error> {
/// for event in Agent::connect()?.subscribe([EventKind::SessionLoginRequired])? {
///     println!("{} needs a sign-in", event?.session.unwrap_or_default());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Events {
    connection: Option<Connection>,
}

impl Iterator for Events {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.connection.as_mut()?.next(Deadline::NEVER) {
                Ok(line) => {
                    if let Some(event) = wire::event(&line) {
                        return Some(Ok(event));
                    }
                }
                Err(trouble) => {
                    self.connection = None;
                    return Some(Err(trouble.into()));
                }
            }
        }
    }
}

#[derive(Debug)]
struct Connection {
    stream: Patient,
    lines: Lines,
}

impl Connection {
    fn new(stream: Stream) -> Self {
        Self { stream: Patient::new(stream), lines: Lines::default() }
    }

    fn send(&mut self, line: &[u8], deadline: Deadline) -> std::result::Result<(), Trouble> {
        let left = deadline.left().map_err(|Over| Trouble::Late)?;
        Ok(self.stream.send(line, left)?)
    }

    fn next(&mut self, deadline: Deadline) -> std::result::Result<Line, Trouble> {
        loop {
            if let Some(line) = self.lines.take() {
                return Ok(Zeroizing::new(line.to_vec()));
            }
            let left = deadline.left().map_err(|Over| Trouble::Late)?;
            match self.stream.receive(left) {
                Ok(end) if end.is_empty() => return Err(Trouble::HungUp),
                Ok(chunk) => self
                    .lines
                    .push(&chunk)
                    .map_err(|_| Trouble::Nonsense("the agent sent a message that is too long"))?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, TokenRequest, fake::Fake};
    use sso_agent_proto::fault::Kind;

    #[test]
    fn a_token_comes_back_whole() {
        let fake = Fake::answering(|asked| asked.result(Fake::token("secret", 3600)));
        let token = fake.agent().token(TokenRequest::host("h")).unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(&token.access_token), "secret");
        assert!(!format!("{:?}", token.access_token).contains("secret"));
        assert_eq!(fake.asked()[0].params["host"], "h");
    }

    #[test]
    fn a_refusal_keeps_its_kind_and_hint() {
        let fake = Fake::answering(|asked| {
            asked.error(r#"{"code":-32000,"message":"no","data":{"kind":"login_required","hint":"sign in"}}"#)
        });
        let error = fake.agent().token(TokenRequest::only_session()).unwrap_err();
        assert_eq!((error.kind(), error.hint()), (Some(Kind::LoginRequired), "sign in"));
    }

    #[test]
    fn an_agent_that_does_not_know_the_method_is_of_another_version() {
        let fake = Fake::answering(|asked| asked.error(r#"{"code":-32601,"message":"no such method"}"#));
        assert!(matches!(fake.agent().info(), Err(Error::Broken { .. })));
    }

    #[test]
    fn a_token_is_asked_for_again_when_the_agent_is_replaced() {
        let mut lost = false;
        let fake = Fake::answering(move |asked| {
            let first = !std::mem::replace(&mut lost, true);
            if first { String::new() } else { asked.result(Fake::token("t", 60)) }
        });
        fake.agent().token(TokenRequest::only_session()).unwrap();
        assert_eq!(fake.asked().len(), 2);
    }

    #[test]
    fn a_logout_is_not_repeated() {
        let fake = Fake::answering(|_| String::new());
        let error = fake.agent().logout(Target::default()).unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }));
        assert_eq!(fake.asked().len(), 1);
    }

    #[test]
    fn a_silent_agent_is_waited_for_until_the_deadline_only() {
        let fake = Fake::answering(|_| " ".into());
        let mut agent = fake.agent();
        let soon = Deadline::within(std::time::Duration::from_millis(20));
        agent.connection.send(b"{}\n", soon).unwrap();
        assert!(matches!(agent.connection.next(soon), Err(Trouble::Late)));
    }

    #[test]
    fn a_sign_in_tells_its_steps_before_the_session() {
        let fake = Fake::answering(|asked| {
            let other = r#"{"jsonrpc":"2.0","method":"session.login.progress","params":{"request_id":99,"step":"waiting"}}"#;
            let url = format!(
                r#"{{"jsonrpc":"2.0","method":"session.login.progress","params":{{"request_id":{},"step":"authorize","url":"http://127.0.0.1:1/x"}}}}"#,
                asked.id
            );
            format!("{other}\n{url}\n{}", asked.result(Fake::session("h")))
        });
        let mut steps = Vec::new();
        let session = fake.agent().login(Login::default(), |step| steps.push(step)).unwrap();
        assert_eq!(session.id, "h");
        assert_eq!(steps, [Step::Authorize { url: "http://127.0.0.1:1/x".into() }]);
    }

    #[test]
    fn events_come_until_the_agent_is_gone() {
        let fake = Fake::answering(|asked| {
            let event = r#"{"jsonrpc":"2.0","method":"event","params":{"kind":"session.added","session":"h","at":"2026-01-01T00:00:00Z"}}"#;
            let unknown = r#"{"jsonrpc":"2.0","method":"event","params":{"kind":"from.the.future"}}"#;
            format!("{}{unknown}\n{event}\n{}", asked.result("{}".into()), Fake::HANG_UP)
        });
        let events: Vec<_> = fake.agent().subscribe([]).unwrap().collect();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].as_ref().unwrap().kind, EventKind::SessionAdded);
        assert!(events[1].is_err());
    }
}

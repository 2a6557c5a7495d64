//! What each method does: at once where that is possible, else by asking the driver.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use serde::Serialize;
use sso_agent_core::{
    agent::{Agent, Target, Which},
    host::Host,
    login::Plan,
    session::Session as CoreSession,
    time::Now,
    words::SessionId,
};
use sso_agent_proto::{
    PROTOCOL,
    agent::{Done, Info},
    events::Event,
    fault::{Fault, Kind},
    method::{self, Call},
    profile::Profiles,
    rpc::{Code, Id, RpcError, result_line},
    secret::Wiped,
    session::{self, LoggedOut, Session, Sessions, State},
};
use tokio::sync::broadcast;

use super::{machines::Machines, translate};
use crate::{
    account::Apps,
    clock,
    config::{self, Config, Known, Meant, Reading},
    handle::{Handle, LoginWatch, Message},
    http::metadata::{self, Metadata},
    padlock::Padlock,
    signin::Takeover,
    store::{Store, Trouble, Unreadable},
    web::Web,
};

/// As many sessions as fit into one line, unless they are long; see [`LINE`].
const MOST_LISTED: usize = 1000;

/// What a list takes of a line, which has 1 MiB: some of its letters may take two.
const LINE: usize = 480 * 1024;

/// A reply, wiped when it has been sent: it may hold a token.
pub(crate) type Line = Wiped;

/// What this agent is, as far as it does not change.
pub(crate) struct About {
    pub(crate) started: Now,
    pub(crate) store: Arc<dyn Store>,
    /// What is on disk and is none of the sessions, in words.
    pub(crate) unreadable: Mutex<Vec<String>>,
    /// Whether some of it waits for its key.
    sealed: AtomicBool,
}

impl About {
    pub(crate) fn new(started: Now, store: Arc<dyn Store>) -> Self {
        Self { started, store, unreadable: Mutex::default(), sealed: AtomicBool::default() }
    }

    /// Notes whether there is something that waits for its key.
    pub(crate) fn note_sealed(&self, unreadable: &[Unreadable]) {
        let sealed = unreadable.iter().any(|found| found.trouble == Trouble::Sealed);
        self.sealed.store(sealed, Ordering::Relaxed);
    }

    pub(super) fn has_sealed(&self) -> bool {
        self.sealed.load(Ordering::Relaxed)
    }
}

/// See the module.
pub(crate) struct Service {
    pub(crate) handle: Handle,
    pub(crate) config: Arc<Config>,
    pub(super) machines: Machines,
    pub(crate) apps: Arc<Apps>,
    pub(crate) web: Arc<Web>,
    pub(crate) metadata: Arc<Metadata>,
    pub(super) padlock: Arc<Padlock>,
    pub(crate) about: About,
}

impl Service {
    /// All that methods need.
    pub(crate) fn new(
        handle: Handle,
        config: Arc<Config>,
        metadata: Arc<Metadata>,
        apps: Arc<Apps>,
        web: Arc<Web>,
        padlock: Arc<Padlock>,
        about: About,
    ) -> Self {
        Self { handle, config, machines: Machines::default(), apps, web, metadata, padlock, about }
    }

    /// Answers everything that ends with one reply and needs no progress.
    pub(crate) async fn answer(&self, id: &Id, call: Call) -> Result<Line, RpcError> {
        self.admit(&call)?;
        match call {
            Call::TokenGet(ask) => self.token(id, &ask).await,
            Call::AgentInfo => Ok(line(id, &self.info().await?)),
            Call::AgentShutdown => {
                self.handle.send(Message::Stop);
                Ok(line(id, &Done {}))
            }
            Call::SessionList(list) => Ok(line(id, &self.list(&list).await?)),
            Call::SessionShow(target) => Ok(line(id, &self.show(&target).await?)),
            Call::SessionLogout(target) => {
                let mut meant = self.session_meant(&target).await?;
                if let Target::Host(_, which) = &mut meant
                    && let Which::OfProfile(own) = which
                {
                    // Others share the one without a label.
                    *which = Which::Labelled(own.clone());
                }
                let revoked = self.handle.logout(meant).await;
                let revoked = revoked.map_err(|refusal| translate::fault(&refusal))?;
                Ok(line(id, &LoggedOut { revoked }))
            }
            Call::AgentRekey(rekey) => Ok(line(id, &self.rekey(rekey).await?)),
            Call::AgentLock(lock) => Ok(line(id, &self.lock(lock).await?)),
            Call::AgentUnlock(unlock) => Ok(line(id, &self.unlock(unlock).await?)),
            Call::AgentReload => Ok(line(id, &self.reload().await?)),
            Call::ProfileList => Ok(line(id, &self.profiles().await?)),
            Call::SessionImport(import) => Ok(line(id, &self.import(import).await?)),
            Call::ConsentStart(start) => Ok(line(id, &self.consent_start(start).await?)),
            Call::ConsentFinish(finish) => {
                let (finished, unheard) = self.consent_finish(finish).await?;
                unheard.heard();
                Ok(line(id, &finished))
            }
            Call::ConsentEnd(end) => Ok(line(id, &self.consent_end(&end).await?)),
            Call::App(call) => self.app(id, call).await,
            Call::MetadataUrl(wish) => Ok(line(id, &metadata::answer(self, wish).await?)),
            Call::SessionLogin(_) | Call::EventsSubscribe(_) => {
                Err(RpcError::new(Code::Internal, "this method is answered elsewhere"))
            }
        }
    }

    /// What a request means. A profile that is not known may have been written just now.
    pub(crate) async fn meant(&self, wanted: &session::Target) -> Result<(Arc<Known>, Meant), Fault> {
        let known = self.config.known();
        match known.meant(wanted) {
            Err(fault) if fault.kind() == Kind::UnknownHost && wanted.profile.is_some() => {
                let known = self.read_anew().await;
                known.meant(wanted).map(|meant| (known.clone(), meant))
            }
            meant => meant.map(|meant| (known.clone(), meant)),
        }
    }

    async fn read_anew(&self) -> Arc<Known> {
        let config = self.config.clone();
        if let Ok(Reading::New) = tokio::task::spawn_blocking(move || config.read_again()).await {
            self.handle.send(Message::SettingsChanged(self.config.known().machines()));
            self.handle.tell(config::event(Reading::New));
        }
        self.config.known()
    }

    /// The session that a request means; one that is none has no other business than handing out its token.
    async fn session_meant(&self, wanted: &session::Target) -> Result<Target, RpcError> {
        match self.meant(wanted).await?.1 {
            // To see it or to end it takes no handle.
            Meant::Session(Target::Session(id)) if self.web.handles.user_of(&id).is_some() => {
                Ok(Target::Web(id))
            }
            Meant::Session(Target::Session(id)) if id.is_web() => {
                let hint = "`sso status --web` shows those that there are";
                Err(Fault::new(Kind::UnknownHost, format!("session {id} is not known here"), hint).into())
            }
            Meant::Session(target) | Meant::Machine(target, _) => Ok(target),
            Meant::Token { session, .. } => Ok(Target::Session(session)),
        }
    }

    /// Reads what to sign in to.
    pub(crate) async fn plan(&self, login: session::Login) -> Result<Plan, Fault> {
        match self.config.known().plan(login.clone()) {
            Err(fault) if fault.kind() == Kind::UnknownHost && login.profile.is_some() => {
                self.read_anew().await.plan(login)
            }
            plan => plan,
        }
    }

    async fn reload(&self) -> Result<Done, RpcError> {
        let config = self.config.clone();
        let reading = tokio::task::spawn_blocking(move || config.read_again()).await;
        let reading =
            reading.map_err(|_| RpcError::new(Code::Internal, "reading the config files failed"))?;
        self.handle.send(Message::SettingsChanged(self.config.known().machines()));
        self.handle.tell(config::event(reading));
        match self.config.known().problems.as_slice() {
            [] => Ok(Done {}),
            problems => Err(Fault::new(
                Kind::Unsupported,
                format!("not all settings are in force: {}", problems.join("; ")),
                "mend the file; what it said before stays in force",
            )
            .into()),
        }
    }

    async fn profiles(&self) -> Result<Profiles, RpcError> {
        let known = self.config.known();
        let look = move |agent: &Agent, _| {
            known.list(|meant| match meant {
                Meant::Session(target) | Meant::Machine(target, _) => {
                    agent.find(target).ok().map(|id| id.to_string())
                }
                Meant::Token { .. } => None,
            })
        };
        self.handle.look(look).await.ok_or_else(stopped)
    }

    async fn import(&self, import: session::Import) -> Result<Session, RpcError> {
        let session::Import { host, label, account_id, client_id, scopes, provider, refresh_token } = import;
        let login = session::Login {
            host: Some(host),
            label,
            account_id,
            client_id,
            scopes,
            provider,
            ..session::Login::default()
        };
        let takeover = Takeover { plan: self.plan(login).await?, refresh_token };
        match self.handle.take_over(takeover).await {
            Ok(id) => self.session(id).await,
            Err(refusal) => Err(translate::fault(&refusal).into()),
        }
    }

    async fn info(&self) -> Result<Info, RpcError> {
        let count = |agent: &Agent, _| (agent.sessions().len(), agent.web_sessions().len());
        let (sessions, web_sessions) = self.handle.look(count).await.ok_or_else(stopped)?;
        Ok(Info {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            pid: std::process::id(),
            started_at: clock::timestamp(self.about.started.wall),
            sessions,
            web_sessions,
            locked: self.padlock.is_locked()
                || (self.about.store.key() == sso_agent_proto::agent::Key::Passphrase
                    && self.about.store.needs_passphrase()),
            methods: method::names().map(str::to_owned).collect(),
            key: self.about.store.key(),
            key_problem: self.about.store.key_problem(),
            unreadable: self.about.unreadable.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            proxy: self.config.reach().proxy.map(|proxy| proxy.shown()),
            config_problems: self.config.known().problems.clone(),
            clock_behind_s: clock::behind(),
        })
    }

    /// All sessions of this kind, or the one that is meant; in parts.
    pub(crate) async fn list(&self, list: &session::List) -> Result<Sessions, RpcError> {
        let target = list.target();
        if list.web && (target.profile.is_some() || target.session.is_some() || target.label.is_some()) {
            let why = "users of web apps are listed by host alone, or all of them";
            return Err(RpcError::new(Code::InvalidParams, why));
        }
        if !list.web && target != session::Target::default() {
            return Ok(Sessions { sessions: vec![self.show(&target).await?], next: None });
        }
        let host = match list.host.as_deref().filter(|_| list.web) {
            Some(typed) => Some(translate::host(typed, list.account_id.as_deref())?),
            None => None,
        };
        let limit = list.limit.unwrap_or(MOST_LISTED).clamp(1, MOST_LISTED);
        let (web, terms) = (list.web, self.web_terms());
        let after = list.after.as_deref().map(SessionId::named);
        let part = move |agent: &Agent, now| {
            let after = after.as_ref();
            let here =
                |session: &&CoreSession| host.as_ref().is_none_or(|host| session.about().host == *host);
            let own = (!web).then(|| agent.sessions_after(after));
            let theirs = web.then(|| agent.web_sessions_after(after));
            let all = own.into_iter().flatten().chain(theirs.into_iter().flatten());
            first_part(all.filter(here).map(|session| terms.shown(session, now)), limit)
        };
        self.handle.look(part).await.ok_or_else(stopped)
    }

    /// How each session is doing.
    pub(crate) async fn states(&self) -> Result<Vec<State>, RpcError> {
        let look = |agent: &Agent, now| {
            let all = agent.sessions().chain(agent.web_sessions());
            all.map(|session| translate::state(session, now)).collect()
        };
        self.handle.look(look).await.ok_or_else(stopped)
    }

    pub(crate) async fn show(&self, target: &session::Target) -> Result<Session, RpcError> {
        if let (_, Meant::Token { session, host, .. }) = self.meant(target).await? {
            return Ok(token_session(&session, &host));
        }
        let target = self.session_meant(target).await?;
        let terms = self.web_terms();
        let shown = self.handle.look(move |agent, now| {
            let found = agent.find(&target)?;
            Ok(agent.session(&found).map(|session| terms.shown(session, now)))
        });
        match shown.await.ok_or_else(stopped)? {
            Ok(Some(session)) => Ok(session),
            Ok(None) => Err(stopped()),
            Err(refusal) => Err(translate::fault(&refusal).into()),
        }
    }

    /// Begins or joins a sign-in.
    pub(crate) fn login(&self, plan: Plan) -> LoginWatch {
        self.handle.login(plan)
    }

    /// Everything that happens from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.handle.subscribe()
    }

    /// One session, by its id.
    pub(crate) async fn session(&self, id: SessionId) -> Result<Session, RpcError> {
        self.show(&session::Target { session: Some(id.to_string()), ..session::Target::default() }).await
    }
}

/// As many as were asked for, and as fit into one line.
fn first_part(sessions: impl Iterator<Item = Session>, limit: usize) -> Sessions {
    let (mut part, mut room): (Vec<Session>, _) = (Vec::new(), LINE);
    for session in sessions {
        let size = size(&session);
        if part.len() >= limit || (size > room && !part.is_empty()) {
            let next = part.last().map(|session| session.id.clone());
            return Sessions { sessions: part, next };
        }
        room = room.saturating_sub(size);
        part.push(session);
    }
    Sessions { sessions: part, next: None }
}

/// About how long a session is as JSON.
fn size(session: &Session) -> usize {
    let texts = [&session.id, &session.host, &session.label, &session.issuer, &session.client_id];
    let scopes: usize = session.scopes.iter().map(|scope| scope.len() + 3).sum();
    let more = session.user.iter().chain(&session.last_error).map(String::len).sum::<usize>();
    512 + scopes + more + texts.iter().map(|text| text.len()).sum::<usize>()
}

/// What a token that stands in a file looks like as a session.
fn token_session(id: &SessionId, host: &Host) -> Session {
    let label = id.as_str().rsplit_once('#').map(|(_, label)| label.to_owned());
    Session {
        id: id.to_string(),
        host: host.url().to_owned(),
        label: label.unwrap_or_default(),
        cloud: host.cloud().map(|cloud| cloud.name().to_owned()),
        account_id: host.account_id().map(str::to_owned),
        issuer: host.url().to_owned(),
        client_id: String::new(),
        user: None,
        scopes: Vec::new(),
        state: State::Active,
        expires_at: None,
        next_refresh_at: None,
        last_error: None,
        refreshable: false,
        web: None,
    }
}

/// One line with the answer to a request.
pub(crate) fn line<R: Serialize>(id: &Id, result: &R) -> Line {
    result_line(id, result).into()
}

/// What is said while the agent goes away.
pub(crate) fn stopped() -> RpcError {
    Fault::new(Kind::IssuerUnavailable, "the agent is stopping", "try again in a moment").into()
}

/// What one connection needs of all this.
pub(crate) type Shared = Arc<Service>;

#[cfg(test)]
mod tests {
    use sso_agent_proto::lines::MAX_LINE;

    use super::*;

    fn sessions(count: usize, scopes: usize) -> impl Iterator<Item = Session> {
        let host = Host::parse("a.example", None).unwrap();
        (0..count).map(move |n| Session {
            scopes: vec!["\"quoted\" scope".to_owned(); scopes],
            ..token_session(&SessionId::named(&format!("a.example#{n:05}")), &host)
        })
    }

    #[test]
    fn a_part_of_a_list_fits_into_a_line_however_long_sessions_are() {
        for scopes in [0, 60, 2000] {
            let part = first_part(sessions(1001, scopes), MOST_LISTED);
            assert!(result_line(&Id::Null, &part).len() < MAX_LINE, "{scopes} scopes");
            assert_eq!(part.next, part.sessions.last().map(|session| session.id.clone()));
        }
        assert_eq!(first_part(sessions(1001, 0), 7).sessions.len(), 7);
    }

    #[test]
    fn the_last_part_has_no_next_one() {
        let part = first_part(sessions(7, 0), 7);
        assert_eq!((part.sessions.len(), part.next), (7, None));
        assert_eq!(first_part(sessions(0, 0), 7).next, None);
    }
}

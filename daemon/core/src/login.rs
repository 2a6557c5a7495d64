//! Sign-ins that are under way: one per session, client and scopes; whoever comes later joins it.
//!
//! The steps themselves are the daemon's work. Here it is decided who is told what, and when a sign-in
//! that nobody waits for any longer is called off.

use std::time::Duration;

use secrecy::SecretString;

use crate::{
    host::Host,
    time::{Deadline, Now},
    words::{Label, SessionId, Ticket},
};

/// Names a sign-in that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoginId(pub u64);

/// How many may be under way at once; each holds a port.
pub const MOST: usize = 16;

/// What to sign in to.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the tokens shall be for.
    pub host: Host,
    /// What to tell this account at the host by.
    pub label: Label,
    /// Where the authorization server is.
    pub server: Server,
    /// The OAuth client; the host's stock one when absent.
    pub client_id: Option<String>,
    /// Of a confidential client.
    pub client_secret: Option<SecretString>,
    /// What to ask for; the host's usual ones when empty.
    pub scopes: Vec<String>,
    /// How it is done.
    pub flow: Flow,
    /// How long the person may take.
    pub timeout: Duration,
    /// A digest of the settings that it was made from, if they are a profile's.
    pub made_from: Option<String>,
}

/// Where the authorization server of a host is, as far as somebody said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// Its address, when it is not at the host itself.
    pub issuer: Option<Host>,
    /// What kind it is, when its address does not tell.
    pub provider: Option<String>,
    /// The whole address of its discovery document.
    pub discovery_url: Option<String>,
    /// The account that a workspace belongs to, for a server that serves several.
    pub account_id: Option<String>,
    /// For a client that is registered at Entra, which an Azure workspace believes as it does its own
    /// server.
    pub entra: Option<Entra>,
}

/// Who signs in at Entra.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entra {
    /// A person, by an application of theirs.
    Person,
    /// A service principal, by its secret.
    Principal {
        /// The workspace knows it if nobody says.
        tenant: Option<String>,
    },
}

/// How a sign-in is done.
#[derive(Debug, Clone)]
pub enum Flow {
    /// By a person in a browser (RFC 8252).
    Browser {
        /// The port of the redirect listener, when it may not be any.
        port: Option<u16>,
    },
    /// By the client itself, with its secret (RFC 6749, 4.4).
    ClientCredentials,
    /// By the client itself, with a token of its platform (RFC 8693).
    TokenExchange(Subject),
}

/// Where the token is that a workload shows for itself.
#[derive(Debug, Clone)]
pub enum Subject {
    /// Here.
    Token(SecretString),
    /// In this file, which its platform keeps fresh.
    File(String),
    /// GitHub Actions gives it for this address and this token.
    GitHub {
        /// `ACTIONS_ID_TOKEN_REQUEST_URL`
        url: String,
        /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`
        token: SecretString,
        /// Whom the token shall be for; the server's own default when absent.
        audience: Option<String>,
    },
}

impl Flow {
    /// Whether two are of one kind.
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Plan {
    /// The session that comes of it.
    pub fn session(&self) -> SessionId {
        SessionId::of(&self.host, &self.label)
    }
}

/// How far a sign-in is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The person has to open a link; every watcher gets one of its own.
    Authorize,
    /// The person is busy at the issuer.
    Waiting,
    /// The code is being exchanged for tokens.
    Exchanging,
}

/// The sign-ins that are under way.
#[derive(Debug, Default)]
pub struct Logins {
    started: u64,
    pending: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    id: LoginId,
    session: SessionId,
    client_id: Option<String>,
    scopes: Vec<String>,
    server: Server,
    made_from: Option<String>,
    flow: Flow,
    watchers: Vec<Ticket>,
    step: Option<Step>,
    give_up: Deadline,
    /// Its session was signed out meanwhile: what it brings is not wanted any more.
    void: bool,
}

/// A sign-in that is over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Who has to be told.
    pub watchers: Vec<Ticket>,
    /// Whether what it brought is not wanted any more.
    pub void: bool,
}

/// What became of the wish to sign in.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined {
    /// It is the first: begin.
    Began(LoginId),
    /// It goes with one that is under way and this far.
    Joined(LoginId, Option<Step>),
    /// There are too many.
    Full,
}

impl Logins {
    /// Somebody wants to sign in.
    pub fn join(&mut self, plan: &Plan, watcher: Ticket, now: Now) -> Joined {
        let session = plan.session();
        let same = |p: &&mut Pending| {
            p.session == session
                && p.client_id == plan.client_id
                && p.scopes == plan.scopes
                && p.server == plan.server
                && p.made_from == plan.made_from
                && p.flow.is_like(&plan.flow)
                && !p.void
        };
        if let Some(pending) = self.pending.iter_mut().find(same) {
            pending.watchers.push(watcher);
            return Joined::Joined(pending.id, pending.step);
        }
        if self.pending.len() >= MOST {
            return Joined::Full;
        }
        self.started += 1;
        let id = LoginId(self.started);
        self.pending.push(Pending {
            id,
            session,
            client_id: plan.client_id.clone(),
            scopes: plan.scopes.clone(),
            server: plan.server.clone(),
            made_from: plan.made_from.clone(),
            flow: plan.flow.clone(),
            void: false,
            watchers: vec![watcher],
            step: None,
            give_up: now.after(plan.timeout),
        });
        Joined::Began(id)
    }

    /// A sign-in is further: who has to be told.
    pub fn stepped(&mut self, id: LoginId, step: Step) -> Vec<Ticket> {
        match self.pending.iter_mut().find(|pending| pending.id == id) {
            Some(pending) => {
                pending.step = Some(step);
                pending.watchers.clone()
            }
            None => Vec::new(),
        }
    }

    /// A sign-in is over, one way or the other. `None` when it was called off.
    pub fn finish(&mut self, id: LoginId) -> Option<Finished> {
        let at = self.pending.iter().position(|pending| pending.id == id)?;
        let Pending { watchers, void, .. } = self.pending.swap_remove(at);
        Some(Finished { watchers, void })
    }

    /// The session was signed out: what is on its way to it must not bring it back.
    pub fn void(&mut self, session: &SessionId) {
        let exchanging = |pending: &&mut Pending| pending.session == *session && !pending.may_end();
        self.pending.iter_mut().filter(exchanging).for_each(|pending| pending.void = true);
    }

    /// Whoever watched is gone: the sign-in that nobody watches any longer.
    pub fn forget(&mut self, watcher: Ticket) -> Option<LoginId> {
        let pending = self.pending.iter_mut().find(|pending| pending.watchers.contains(&watcher))?;
        pending.watchers.retain(|ticket| *ticket != watcher);
        let id = pending.id;
        // One that spends its code goes on, and must be known for as long: its session may be signed out.
        if pending.watchers.is_empty() && pending.may_end() { self.finish(id).map(|_| id) } else { None }
    }

    /// The sign-ins whose time is up, and who has to be told.
    pub fn overdue(&mut self, now: Now) -> Vec<(LoginId, Vec<Ticket>)> {
        let over = |pending: &Pending| pending.may_end() && pending.give_up.is_over(now);
        let (over, on) = self.pending.drain(..).partition(over);
        self.pending = on;
        over.into_iter().map(|pending: Pending| (pending.id, pending.watchers)).collect()
    }

    /// All that can be called off: the agent stops.
    pub fn drain(&mut self) -> Vec<(LoginId, Vec<Ticket>)> {
        let (over, on) = self.pending.drain(..).partition(Pending::may_end);
        self.pending = on;
        over.into_iter().map(|pending: Pending| (pending.id, pending.watchers)).collect()
    }

    /// When the next one's time is up.
    pub fn wake_at(&self, now: Now) -> Option<Deadline> {
        let ending = self.pending.iter().filter(|pending| pending.may_end());
        ending.map(|pending| pending.give_up).min_by_key(|at| at.left(now))
    }
}

impl Pending {
    /// Once the code is spent there is no way back, and the exchange has a deadline of its own.
    fn may_end(&self) -> bool {
        self.step != Some(Step::Exchanging)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { steady: Duration::from_secs(5), wall: Duration::from_secs(5_000) };

    fn plan(client: &str) -> Plan {
        Plan {
            host: Host::parse("a.example", None).unwrap(),
            label: Label::default(),
            client_id: Some(client.to_owned()),
            client_secret: None,
            scopes: vec![],
            server: Server::default(),
            flow: Flow::Browser { port: None },
            made_from: None,
            timeout: Duration::from_secs(60),
        }
    }

    #[test]
    fn late_comers_join_and_whoever_leaves_takes_only_itself_away() {
        let mut logins = Logins::default();
        let Joined::Began(id) = logins.join(&plan("c"), Ticket(1), NOW) else { panic!() };
        assert_eq!(logins.stepped(id, Step::Waiting), [Ticket(1)]);
        assert_eq!(logins.join(&plan("c"), Ticket(2), NOW), Joined::Joined(id, Some(Step::Waiting)));
        assert_eq!(logins.forget(Ticket(1)), None);
        assert_eq!(logins.forget(Ticket(2)), Some(id));
        assert_eq!(logins.finish(id), None);
    }

    #[test]
    fn another_client_is_another_sign_in_and_there_is_an_end_to_them() {
        let mut logins = Logins::default();
        for n in 0..MOST {
            assert!(matches!(logins.join(&plan(&n.to_string()), Ticket(n as u64), NOW), Joined::Began(_)));
        }
        assert_eq!(logins.join(&plan("more"), Ticket(99), NOW), Joined::Full);
    }

    #[test]
    fn a_sign_in_ends_when_its_time_is_up() {
        let mut logins = Logins::default();
        let Joined::Began(id) = logins.join(&plan("c"), Ticket(1), NOW) else { panic!() };
        let late = Now { steady: Duration::from_secs(65), wall: NOW.wall };
        assert_eq!(logins.wake_at(NOW).map(|at| at.left(NOW)), Some(Duration::from_secs(60)));
        assert_eq!(logins.overdue(NOW), []);
        assert_eq!(logins.overdue(late), [(id, vec![Ticket(1)])]);
    }
}

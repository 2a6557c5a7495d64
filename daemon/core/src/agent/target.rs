//! Which session somebody means.

use super::Agent;
use crate::{
    host::Host,
    refusal::Refusal,
    session::{Session, place},
    words::{Label, SessionId},
};

/// Which session is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This one of the person's own.
    Session(SessionId),
    /// This one of a web app's user, whose handle was shown, or of which no token is wanted.
    Web(SessionId),
    /// One at this host.
    Host(Host, Which),
    /// The only one there is.
    Only,
}

/// Which of the sessions at one host is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one with this label.
    Labelled(Label),
    /// The one of the profile with this name, which is its label; or the one without a label, since
    /// one sign-in at a host serves all profiles that have none of their own.
    OfProfile(Label),
    /// The one that a program signed in to from just these settings.
    OfMachine {
        /// The name of its profile.
        label: Label,
        /// See [`About::made_from`](crate::session::About::made_from).
        made_from: String,
    },
    /// The one without a label, or the only one.
    Any {
        /// What the host goes by in the person's files. With more than one of these, the only session
        /// may be somebody else's.
        profiles: Vec<String>,
    },
}

impl Which {
    /// Of a host that no file names.
    pub fn any() -> Self {
        Self::Any { profiles: Vec::new() }
    }
}

impl Agent {
    /// The sessions at a host.
    pub fn sessions_at<'a>(&'a self, host: &Host) -> impl Iterator<Item = &'a Session> {
        let plain = SessionId::of(host, &Label::default());
        let between = |from: &str, to: &str| {
            SessionId::named(&format!("{plain}{from}"))..SessionId::named(&format!("{plain}{to}"))
        };
        let labelled = self.sessions.own.range(between("#", "$"));
        // A host that was named without its account may have sessions that know theirs.
        let accounts = self.sessions.own.range(between("/accounts/", "/accounts0"));
        let more = labelled.chain(accounts).map(|(_, session)| session);
        self.sessions.own.get(&plain).into_iter().chain(more)
    }

    /// Finds the session that is meant.
    ///
    /// # Errors
    /// [`Refusal::LoginRequired`] where nobody signed in, [`Refusal::Unknown`] for an id that does not
    /// exist, [`Refusal::Ambiguous`] where several fit.
    pub fn find(&self, target: &Target) -> Result<SessionId, Refusal> {
        match target {
            Target::Session(id) if id.is_web() => Err(Refusal::Denied {
                why: format!("{id} belongs to the user of a web app"),
                hint: "its tokens are for the app, which has its handle",
            }),
            Target::Web(id) if !self.sessions.contains(id) => Err(Refusal::no_such_handle()),
            Target::Session(id) | Target::Web(id) if self.sessions.contains(id) => Ok(id.clone()),
            Target::Session(id) | Target::Web(id) => {
                Err(Refusal::Unknown { what: format!("session {id} is not known here") })
            }
            Target::Host(host, Which::Labelled(label)) => {
                self.known(host, label).ok_or_else(|| nobody_at(place(host, label)))
            }
            Target::Host(host, Which::OfProfile(name)) => self
                .of_a_person(host, name)
                .or_else(|| self.of_a_person(host, &Label::default()))
                .ok_or_else(|| nobody_at(place(host, name))),
            Target::Host(host, Which::OfMachine { label, made_from }) => self
                .known(host, label)
                .filter(|id| self.is_made_from(id, made_from))
                .ok_or_else(|| nobody_at(place(host, label))),
            Target::Host(host, Which::Any { profiles }) => self
                .known(host, &Label::default())
                .map(Ok)
                .or_else(|| among(self.sessions_at(host), profiles))
                .unwrap_or_else(|| Err(nobody_at(host.url().to_owned()))),
            Target::Only => among(self.sessions.own.values(), &[]).unwrap_or_else(|| {
                Err(Refusal::LoginRequired {
                    at: String::new(),
                    why: "nobody is signed in anywhere".into(),
                    said: None,
                })
            }),
        }
    }

    fn known(&self, host: &Host, label: &Label) -> Option<SessionId> {
        Some(SessionId::of(host, label)).filter(|id| self.sessions.contains(id))
    }

    fn of_a_person(&self, host: &Host, label: &Label) -> Option<SessionId> {
        let person =
            |id: &SessionId| self.session(id).is_some_and(|session| session.about().made_from.is_none());
        self.known(host, label).filter(person)
    }

    fn is_made_from(&self, id: &SessionId, settings: &str) -> bool {
        self.session(id).is_some_and(|session| session.about().made_from.as_deref() == Some(settings))
    }
}

/// The only one of several, if there is any, and if no more than one of `profiles` can mean it.
fn among<'a>(
    sessions: impl Iterator<Item = &'a Session>,
    profiles: &[String],
) -> Option<Result<SessionId, Refusal>> {
    // What a program has is for those who name its profile.
    let persons = sessions.map(Session::about).filter(|about| about.made_from.is_none());
    let mut found: Vec<SessionId> = persons.take(10).map(|about| about.id.clone()).collect();
    if found.len() > 1 || !found.is_empty() && profiles.len() > 1 {
        return Some(Err(Refusal::Ambiguous { sessions: found, profiles: profiles.to_vec() }));
    }
    found.pop().map(Ok)
}

fn nobody_at(at: String) -> Refusal {
    Refusal::LoginRequired { at, why: "nobody is signed in there".to_owned(), said: None }
}

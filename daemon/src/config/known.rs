//! All that the files say, checked, and what a request means by it.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use sso_agent_core::{
    agent::{Target, Which},
    host::Host,
    login::{Plan, Server},
    words::{Label, SessionId},
};
use sso_agent_proto::{
    databrickscfg,
    fault::{Fault, Kind},
    profile as wire,
    session::{Login, Target as Wanted},
    token::TokenGet,
};

use super::{
    databricks,
    file::{ProfileText, Settings},
    plan::{bare, machine_plan, named, planned},
    profile::{Identity, Place, Profile, label_of},
};
use crate::rpc::translate;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) settings: Settings,
    pub(crate) profiles: BTreeMap<String, Profile>,
    /// The profile that counts where none is named.
    pub(crate) default: Option<String>,
    /// What is wrong with the files themselves.
    pub(crate) problems: Vec<String>,
    /// A file that was there has gone: an editor may be about to write it anew.
    pub(super) incomplete: bool,
    /// The sessions that no person signs in to.
    others: BTreeSet<SessionId>,
}

/// What is meant by a request.
#[derive(Debug)]
pub(crate) enum Meant {
    /// A session.
    Session(Target),
    /// The session of a program, which is signed in when it is not; or why it cannot be.
    Machine(Target, Result<Box<Plan>, Fault>),
    /// No session: a token that stands in a file.
    Token {
        /// What the session would be called.
        session: SessionId,
        host: Host,
        token: SecretString,
    },
}

impl Known {
    /// Whether there was something of the Databricks tools, or should have been.
    pub(super) fn has_databricks(&self) -> bool {
        let theirs = |profile: &Profile| profile.source == wire::Source::Databrickscfg;
        self.incomplete || self.profiles.values().any(theirs)
    }

    /// Takes in what the Databricks tools have.
    pub(super) fn add_databricks(&mut self, config: &databrickscfg::Config, home: Option<&str>) {
        let read = config.profiles().map(|section| databricks::profile(section, home));
        self.profiles.extend(read.map(|profile| (profile.name.clone(), profile)));
        let named = config.settings().default_profile.filter(|name| self.profiles.contains_key(*name));
        let silent = || self.profiles.contains_key(databrickscfg::DEFAULT).then_some(databrickscfg::DEFAULT);
        self.default = named.or_else(silent).map(str::to_owned);
    }

    /// Their file cannot be read now: what it said before stays.
    pub(super) fn keep_databricks_of(&mut self, before: &Self) {
        let theirs =
            before.profiles.iter().filter(|(_, profile)| profile.source == wire::Source::Databrickscfg);
        self.profiles.extend(theirs.map(|(name, profile)| (name.clone(), profile.clone())));
        self.default.clone_from(&before.default);
    }

    /// Takes in what the agent's own file has, which beats the other one.
    pub(super) fn add_own(&mut self) {
        let own = self.settings.profile.iter().map(|(name, text)| (name.clone(), own(name, text)));
        let own: Vec<_> = own.collect();
        self.profiles.extend(own);
        self.keep_apart();
    }

    /// Two profiles of one session would take each other's place there.
    fn keep_apart(&mut self) {
        let mut taken: BTreeMap<SessionId, (String, bool)> = BTreeMap::new();
        for (name, profile) in &mut self.profiles {
            let Ok(place) = &profile.place else { continue };
            let (id, no_person) = (place.session(), place.is_no_person());
            match taken.get(&id) {
                Some((first, theirs)) if *theirs || no_person => {
                    profile.place =
                        Err(format!("its session is that of the profile {first}: give it another label"));
                }
                Some(_) => {}
                None => {
                    taken.insert(id, (name.clone(), no_person));
                }
            }
        }
        let others = taken.into_iter().filter(|(_, (_, no_person))| *no_person);
        self.others = others.map(|(id, _)| id).collect();
    }

    /// Whether it says the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.settings == other.settings
            && self.default == other.default
            && self.problems == other.problems
            && self.profiles.len() == other.profiles.len()
            && self
                .profiles
                .iter()
                .zip(&other.profiles)
                .all(|((a, one), (b, another))| a == b && one.is_like(another))
    }

    /// All profiles, for people; `session` is the id of the session that serves a place.
    pub(crate) fn list(&self, session: impl Fn(&Meant) -> Option<String>) -> wire::Profiles {
        let shown = |profile: &Profile| wire::Profile {
            name: profile.name.clone(),
            host: profile.host.clone(),
            account_id: profile.account_id.clone(),
            auth_type: profile.auth_type.clone(),
            source: profile.source,
            session: profile
                .place
                .as_ref()
                .ok()
                .and_then(|place| self.of_profile(place, None).ok())
                .and_then(|meant| session(&meant)),
            problem: profile.place.as_ref().err().cloned(),
        };
        wire::Profiles {
            profiles: self.profiles.values().map(shown).collect(),
            default: self.default.clone(),
            problems: self.problems.clone(),
        }
    }

    /// The session whose own token will do for a request, if nothing else needs to be looked at.
    pub(crate) fn plainly(&self, ask: &TokenGet) -> Option<SessionId> {
        let label = ask.label.as_deref().map(Label::parse).transpose().ok()?;
        match (&ask.session, &ask.profile, &ask.host) {
            (Some(id), _, _) => {
                Some(SessionId::named(id)).filter(|id| !self.others.contains(id) && !id.is_web())
            }
            (None, None, Some(typed)) => {
                let host = Host::parse(typed, ask.account_id.as_deref()).ok()?;
                let id = SessionId::of(&host, &label.unwrap_or_default());
                Some(id).filter(|id| !self.others.contains(id))
            }
            (None, Some(name), None) if label.is_none() => {
                self.place(name).ok().filter(|place| !place.is_no_person()).map(Place::session)
            }
            (None, Some(_), _) | (None, None, None) => None,
        }
    }

    /// Tells the settings that programs sign in from; nothing while not all of them can be read.
    pub(crate) fn machines(&self) -> Option<BTreeSet<String>> {
        if self.incomplete || !self.problems.is_empty() {
            return None;
        }
        let machines = self.places().filter(|(_, place)| matches!(place.identity, Identity::Machine(_)));
        Some(machines.map(|(_, place)| place.digest()).collect())
    }

    /// What the default profile means, if there is one that can be served.
    pub(crate) fn default_meant(&self) -> Option<Meant> {
        self.of_profile(self.place(self.default.as_deref()?).ok()?, None).ok()
    }

    /// Says what a request means.
    ///
    /// # Errors
    /// A [`Fault`] for whoever asked.
    pub(crate) fn meant(&self, wanted: &Wanted) -> Result<Meant, Fault> {
        if let Some(id) = &wanted.session {
            let id = SessionId::named(id);
            return match self.places().find(|(_, place)| place.is_no_person() && place.session() == id) {
                Some((_, place)) => self.of_profile(place, None),
                None => Ok(Meant::Session(Target::Session(id))),
            };
        }
        let label = wanted.label.as_deref().map(translate::label).transpose()?;
        match (&wanted.host, &wanted.profile) {
            (None, None) if label.is_some() || wanted.account_id.is_some() => Err(Fault::new(
                Kind::UnknownHost,
                "a label or an account id needs a host",
                "name the host as well; `sso status` shows what is signed in",
            )),
            (None, None) => Ok(Meant::Session(Target::Only)),
            (None, Some(name)) => self.of_profile(self.place(name)?, label),
            (Some(typed), name) => {
                let host = translate::host(typed, self.account_of(wanted, typed).as_deref())?;
                self.at(host, name.as_deref(), label)
            }
        }
    }

    fn at(&self, host: Host, name: Option<&str>, label: Option<Label>) -> Result<Meant, Fault> {
        let named =
            name.and_then(|name| self.profiles.get(name)).and_then(|profile| profile.place.as_ref().ok());
        if let Some(place) = named.filter(|place| place.host == host) {
            return self.of_profile(place, label);
        }
        let which = match (label, name) {
            (Some(label), _) => Which::Labelled(label),
            (None, Some(name)) => Which::OfProfile(label_of(name)),
            (None, None) => Which::Any { profiles: self.persons_at(&host) },
        };
        Ok(Meant::Session(Target::Host(host, which)))
    }

    fn of_profile(&self, place: &Place, label: Option<Label>) -> Result<Meant, Fault> {
        let own = label.is_none();
        let label = label.unwrap_or_else(|| place.label.clone());
        let session = |which| Target::Host(place.host.clone(), which);
        match &place.identity {
            _ if !own => Ok(Meant::Session(session(Which::Labelled(label)))),
            Identity::Person => Ok(Meant::Session(session(Which::OfProfile(label)))),
            Identity::Token(token) => {
                Ok(Meant::Token { session: place.session(), host: place.host.clone(), token: token.reveal() })
            }
            Identity::Machine(_) => {
                let made_from = place.digest();
                let plan = machine_plan(place, made_from.clone(), &BTreeMap::new()).map(Box::new);
                Ok(Meant::Machine(session(Which::OfMachine { label, made_from }), plan))
            }
        }
    }

    /// The profile of that name, if it can be served.
    fn place(&self, name: &str) -> Result<&Place, Fault> {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        let Some(profile) = self.profiles.get(name) else {
            let message = format!("there is no profile {shown:?}");
            let problems = self.problems.join("; ");
            let hint = if problems.is_empty() {
                "`databricks auth profiles` shows those of the Databricks tools; the agent's own are in config.toml"
                    .to_owned()
            } else {
                format!("a file of profiles cannot be read: {problems}")
            };
            return Err(Fault::new(Kind::UnknownHost, message, hint));
        };
        profile.place.as_ref().map_err(|why| {
            let hint = "use another profile, or name the host: `sso login HOST`";
            Fault::new(Kind::Unsupported, format!("the profile {shown} cannot be served: {why}"), hint)
        })
    }

    /// The account, which an account console has to be named with: as said, or as the only profile of
    /// that console says.
    fn account_of(&self, wanted: &Wanted, typed: &str) -> Option<String> {
        if wanted.account_id.is_some() || Host::parse(typed, None).is_ok() {
            return wanted.account_id.clone();
        }
        let mut accounts: Vec<&str> = self
            .places()
            .filter_map(|(_, place)| place.host.account_id().map(|account| (place, account)))
            .filter(|(place, account)| {
                Host::parse(typed, Some(*account)).is_ok_and(|host| host == place.host)
            })
            .map(|(_, account)| account)
            .collect();
        accounts.sort_unstable();
        accounts.dedup();
        if let [only] = accounts[..] { Some(only.to_owned()) } else { None }
    }

    fn places(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.profiles.iter().filter_map(|(name, profile)| Some((name.as_str(), profile.place.as_ref().ok()?)))
    }

    fn persons_at(&self, host: &Host) -> Vec<String> {
        let here = |place: &Place| place.host == *host && matches!(place.identity, Identity::Person);
        self.places().filter(|(_, place)| here(place)).map(|(name, _)| name.to_owned()).collect()
    }

    /// Says what to sign in to.
    ///
    /// # Errors
    /// A [`Fault`] for whoever asked.
    pub(crate) fn plan(&self, login: Login) -> Result<Plan, Fault> {
        let place = match (&login.profile, &login.host) {
            (Some(name), None) => Some(self.place(name)?.clone()),
            (Some(name), Some(typed)) => {
                let place = self.profiles.get(name).and_then(|profile| profile.place.clone().ok());
                let host = translate::host(typed, login.account_id.as_deref());
                // A host that was typed counts, whatever the profile says.
                place.filter(|place| host.as_ref().is_ok_and(|host| *host == place.host))
            }
            (None, _) => None,
        };
        match place {
            Some(place) => planned(login, place),
            None => {
                let (host, label) = named(&login)?;
                let like = if login.client_id.is_none() { self.entry_for(&host) } else { None };
                let mut place = like.unwrap_or_else(|| bare(host, label.clone()));
                place.label = label;
                planned(login, place)
            }
        }
    }

    /// What the agent's own file says of a host: the client that the person registered there.
    fn entry_for(&self, host: &Host) -> Option<Place> {
        let own = |name: &str| self.profiles.get(name).is_some_and(|p| p.source == wire::Source::Config);
        let mut found = self.places().filter(|(name, place)| place.host == *host && own(name));
        let first = found.next()?.1.clone();
        if found.next().is_none() { Some(first) } else { None }
    }
}

/// Checks one entry of the agent's own file.
pub(super) fn own(name: &str, text: &ProfileText) -> Profile {
    Profile {
        name: name.to_owned(),
        source: wire::Source::Config,
        auth_type: "oauth".to_owned(),
        place: checked(name, text),
        host: text.host.clone().or_else(|| text.issuer.clone()),
        account_id: text.account_id.clone(),
    }
}

fn checked(name: &str, text: &ProfileText) -> Result<Place, String> {
    let read = |typed: &str, account| Host::parse(typed, account).map_err(|error| error.to_string());
    let typed = text.host.as_ref().or(text.issuer.as_ref()).ok_or("it names no host")?;
    let label = match &text.label {
        Some(label) => Label::parse(label).map_err(|error| error.to_string())?,
        None => label_of(name),
    };
    let issuer = text.issuer.as_deref().map(|issuer| read(issuer, None)).transpose()?;
    Ok(Place {
        server: Server {
            issuer,
            provider: text.provider.clone(),
            discovery_url: text.discovery_url.clone(),
            account_id: text.account_id.clone(),
            entra: None,
        },
        client_id: text.client_id.clone(),
        scopes: text.scopes.clone(),
        redirect_port: text.redirect_port,
        ..bare(read(typed, text.account_id.as_deref())?, label)
    })
}

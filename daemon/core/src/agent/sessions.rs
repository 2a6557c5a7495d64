//! All sessions: the person's own, and those of web apps' users, apart. There may be many thousands of the
//! latter, and nobody who looks for the only session of a person should have to pass by them.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use crate::{session::Session, words::SessionId};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    pub(super) own: BTreeMap<SessionId, Session>,
    pub(super) web: BTreeMap<SessionId, Session>,
}

impl Sessions {
    fn like(&self, id: &SessionId) -> &BTreeMap<SessionId, Session> {
        if id.is_web() { &self.web } else { &self.own }
    }

    fn like_mut(&mut self, id: &SessionId) -> &mut BTreeMap<SessionId, Session> {
        if id.is_web() { &mut self.web } else { &mut self.own }
    }

    pub(super) fn contains(&self, id: &SessionId) -> bool {
        self.like(id).contains_key(id)
    }

    pub(super) fn get(&self, id: &SessionId) -> Option<&Session> {
        self.like(id).get(id)
    }

    pub(super) fn get_mut(&mut self, id: &SessionId) -> Option<&mut Session> {
        self.like_mut(id).get_mut(id)
    }

    pub(super) fn insert(&mut self, id: SessionId, session: Session) {
        self.like_mut(&id).insert(id, session);
    }

    pub(super) fn remove(&mut self, id: &SessionId) -> Option<Session> {
        self.like_mut(id).remove(id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &SessionId> {
        self.own.keys().chain(self.web.keys())
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.own.values_mut().chain(self.web.values_mut())
    }
}

/// The sessions of one kind behind this one, in the order of their ids.
pub(super) fn behind<'a>(
    sessions: &'a BTreeMap<SessionId, Session>,
    id: Option<&SessionId>,
) -> impl Iterator<Item = &'a Session> {
    let from = id.map_or(Unbounded, Excluded);
    sessions.range((from, Unbounded)).map(|(_, session)| session)
}

//! The leases that readers may hand out without asking the driver.
//!
//! One writer, any number of readers. What is here is banked and allowed; signing out and rejection
//! change it before anybody hears of them. While the agent is locked it is empty.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockWriteGuard},
};

use jiff::Timestamp;
use sso_agent_core::{
    time::Now,
    words::{Lease, Need, SessionId},
};
use sso_agent_proto::secret::Wiped;

use crate::clock;

/// By so many seconds the end of a token may be off where a clock was set.
const UNSEEN: u64 = 1;

/// See the module.
#[derive(Debug)]
pub(crate) struct Snapshot(RwLock<Leases>);

/// What readers may have; nothing while the agent is locked.
type Leases = Option<HashMap<SessionId, Offered>>;

impl Default for Snapshot {
    fn default() -> Self {
        Self(RwLock::new(Some(HashMap::new())))
    }
}

/// A lease, its end as it goes over the wire, and all that is the same in every answer that has it.
#[derive(Debug, Clone)]
pub(crate) struct Offered {
    pub(crate) lease: Arc<Lease>,
    pub(crate) expires_at: Timestamp,
    /// Absent until somebody asks: most sessions are idle.
    pub(crate) written: Arc<OnceLock<Written>>,
}

/// JSON before and behind what changes from answer to answer.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) before: Wiped,
    pub(crate) behind: Wiped,
}

impl From<Arc<Lease>> for Offered {
    fn from(lease: Arc<Lease>) -> Self {
        let expires_at = clock::timestamp(lease.expires.wall());
        Self { lease, expires_at, written: Arc::default() }
    }
}

impl Offered {
    /// Its end as the wall clock has it now: whoever keeps a token by that must not keep it too long because
    /// the clock was set back.
    fn seen_at(self, now: Now) -> Self {
        let end = clock::timestamp(now.wall + self.lease.expires.left(now));
        let apart = end.as_second().abs_diff(self.expires_at.as_second());
        if apart <= UNSEEN { self } else { Self { expires_at: end, written: Arc::default(), ..self } }
    }
}

impl Snapshot {
    /// The lease of a session, if it is what somebody needs.
    pub(crate) fn get(&self, id: &SessionId, need: &Need, now: Now) -> Option<Offered> {
        let leases = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let offered = leases.as_ref()?.get(id).filter(|offered| need.is_met_by(&offered.lease, now))?;
        Some(offered.clone().seen_at(now))
    }

    /// From now on readers get this one.
    pub(crate) fn offer(&self, id: SessionId, lease: Arc<Lease>) {
        if let Some(leases) = self.write().as_mut() {
            leases.insert(id, Offered::from(lease));
        }
    }

    /// From now on readers get none.
    pub(crate) fn withdraw(&self, id: &SessionId) {
        if let Some(leases) = self.write().as_mut() {
            leases.remove(id);
        }
    }

    /// From now on readers get none of any session, whatever is offered. What is here is overwritten.
    pub(crate) fn close(&self) {
        *self.write() = None;
    }

    /// Readers get leases again: these, and what is offered from now on.
    pub(crate) fn open(&self, leases: impl Iterator<Item = (SessionId, Arc<Lease>)>) {
        *self.write() = Some(leases.map(|(id, lease)| (id, Offered::from(lease))).collect());
    }

    fn write(&self) -> RwLockWriteGuard<'_, Leases> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

//! One at a time per session, or per whatever else a turn is of, in the order of asking.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use sso_agent_core::words::SessionId;
use tokio::sync::OwnedMutexGuard;

type Turn = tokio::sync::Mutex<()>;

/// See the module.
pub(crate) struct Turns<K = SessionId>(Mutex<HashMap<K, Weak<Turn>>>);

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Turns<K> {
    /// Waits until it is our turn; it ends when what this gives is dropped.
    pub(crate) async fn of(&self, id: &K) -> OwnedMutexGuard<()> {
        let turn = self.queue(id);
        turn.lock_owned().await
    }

    fn queue(&self, id: &K) -> Arc<Turn> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(id).and_then(Weak::upgrade) {
            return queue;
        }
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::new(Turn::default());
        queues.insert(id.clone(), Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_waits_for_its_own_turn_only() {
        let turns = Turns::default();
        let [one, other] = ["one", "other"].map(SessionId::named);
        let first = turns.of(&one).await;
        let _other = turns.of(&other).await;
        let mut second = Box::pin(turns.of(&one));
        assert!(tokio::time::timeout(std::time::Duration::ZERO, &mut second).await.is_err());
        drop(first);
        let _second = second.await;
    }
}

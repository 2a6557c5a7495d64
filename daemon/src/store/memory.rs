//! Sessions that end with the agent: for `--ephemeral`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use sso_agent_proto::agent::Key;
use zeroize::Zeroizing;

use super::{
    Kept, Loaded, Record, Slot, Store, StoreError, note,
    seal::{SealingKey, Source, random_key},
};

/// Keeps records in memory alone.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    records: Arc<Mutex<BTreeMap<String, Record>>>,
    /// Of notes; made when the first is sealed.
    key: Arc<OnceLock<SealingKey>>,
}

impl Memory {
    fn records(&self) -> MutexGuard<'_, BTreeMap<String, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn load_all(&self) -> Result<Loaded, StoreError> {
        Ok(Loaded { records: self.records().values().cloned().collect(), unreadable: Vec::new() })
    }

    fn load(&self, id: &str) -> Result<Option<Record>, StoreError> {
        Ok(self.records().get(id).cloned())
    }

    fn reserve(&self, _: &str) -> Result<Box<dyn Slot>, StoreError> {
        Ok(Box::new(self.clone()))
    }

    fn remove(&self, id: &str) -> Result<(), StoreError> {
        self.records().remove(id);
        Ok(())
    }

    fn seal(&self, what: &str, content: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, StoreError> {
        let no_key = |error: getrandom::Error| StoreError::NoKey { why: error.to_string() };
        if self.key.get().is_none() {
            let made = SealingKey::new(Source::File, random_key().map_err(no_key)?);
            // Somebody else may have been first, which is as good.
            let _ = self.key.set(made);
        }
        let Some(key) = self.key.get() else { return Err(StoreError::Broken) };
        note::seal(key, what, content).map_err(no_key)
    }

    fn unseal(&self, what: &str, note: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        note::open(self.key.get()?, what, note)
    }

    fn key(&self) -> Key {
        Key::None
    }
}

impl Slot for Memory {
    fn commit(self: Box<Self>, record: &Record) -> Result<Kept, StoreError> {
        let mut records = self.records();
        let before = records.get(&record.id).map_or(0, |record| record.generation);
        records.insert(record.id.clone(), record.next_after(before));
        Ok(Kept::Disk)
    }
}

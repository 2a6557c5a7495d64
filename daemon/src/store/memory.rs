//! Sessions that end with the agent: for `--ephemeral`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sso_agent_proto::agent::Key;

use super::{Loaded, Record, Slot, Store, StoreError};

/// Keeps records in memory alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<BTreeMap<String, Record>>>);

impl Memory {
    fn records(&self) -> MutexGuard<'_, BTreeMap<String, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn key(&self) -> Key {
        Key::None
    }
}

impl Slot for Memory {
    fn commit(self: Box<Self>, record: &Record) -> Result<(), StoreError> {
        self.records().insert(record.id.clone(), record.clone());
        Ok(())
    }
}

//! Keys on their way from the agent to a process of its own.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use crate::store::seal::{SealingKey, Source};

/// Keys on their way from the agent to a process of its own.
#[derive(Clone, Default)]
pub(crate) struct GivenKeys {
    /// What new records are sealed with.
    pub(super) current: Option<Arc<SealingKey>>,
    /// What may have sealed older ones.
    pub(super) others: Vec<Arc<SealingKey>>,
}

impl GivenKeys {
    /// The current key first, or a zero byte where there is none; then the others. For a pipe between two
    /// processes of ours, and for nothing else.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + (1 + self.others.len()) * PACKED));
        if self.current.is_none() {
            bytes.push(0);
        }
        for key in self.all() {
            bytes.push(key.source().number());
            bytes.extend_from_slice(&**key.bytes());
        }
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) made; `None` for anything else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (none, keys) = match bytes.split_first()? {
            (0, keys) => (true, keys),
            _ => (false, bytes),
        };
        let mut others = keys.chunks(PACKED).map(unpack).collect::<Option<Vec<_>>>()?;
        let current = (!none).then(|| others.remove(0));
        Some(Self { current, others })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<SealingKey>> {
        self.current.iter().chain(&self.others)
    }
}

impl fmt::Debug for GivenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenKeys").field("keys", &self.all().count()).finish()
    }
}

/// The number of the source, then the key.
const PACKED: usize = 1 + 32;

fn unpack(packed: &[u8]) -> Option<Arc<SealingKey>> {
    let (&number, key) = packed.split_first()?;
    let mut bytes = Zeroizing::new([0; 32]);
    if key.len() != bytes.len() {
        return None;
    }
    bytes.copy_from_slice(key);
    Some(Arc::new(SealingKey::new(Source::numbered(number)?, bytes)))
}

//! That a refresh token is about to be sent: durable before it is.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sso_agent_core::time::Now;

use super::Fingerprint;
use crate::store::open_private;

/// An intent is a few hundred bytes.
const LONGEST: u64 = 4096;

/// What a disk writes as a whole.
const BLOCK: usize = 512;

/// Issuers that forgive a second use do so for some seconds, a minute at most.
const GRACE: Duration = Duration::from_secs(60);

/// See the module. Holds nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::spender) struct Intent {
    pub(in crate::spender) session: String,
    /// The fingerprint of the token.
    token: String,
    /// How often it was sent since nobody has been waiting with it, this time included.
    pub(in crate::spender) sends: u32,
    /// When it was sent first, since then: seconds since the Unix epoch.
    pub(in crate::spender) at: u64,
    /// The same in seconds since the machine started.
    steady: u64,
    /// Whether it may have been spent by something that was sent before.
    #[serde(default)]
    pub(in crate::spender) in_doubt: bool,
    /// Whether its sender lived to see that no answer came the second time either.
    #[serde(default)]
    pub(in crate::spender) rests: bool,
}

impl Intent {
    /// To send a token for the first time.
    pub(in crate::spender) fn new(session: &str, token: &Fingerprint, now: Now) -> Self {
        Self {
            session: session.to_owned(),
            token: hex(token),
            sends: 1,
            at: now.wall.as_secs(),
            steady: now.steady.as_secs(),
            in_doubt: false,
            rests: false,
        }
    }

    /// To send the same token once more.
    pub(in crate::spender) fn again(&self) -> Self {
        Self { sends: self.sends.saturating_add(1), in_doubt: true, ..self.clone() }
    }

    /// To let the token rest.
    pub(in crate::spender) fn resting(&self) -> Self {
        Self { rests: true, ..self.clone() }
    }

    /// To send it when it has rested, as if for the first time.
    pub(in crate::spender) fn after_rest(&self, now: Now) -> Self {
        let (at, steady) = (now.wall.as_secs(), now.steady.as_secs());
        Self { sends: 1, in_doubt: true, rests: false, at, steady, ..self.clone() }
    }

    /// Whether it is about this token.
    pub(in crate::spender) fn is_of(&self, token: &Fingerprint) -> bool {
        self.token == hex(token)
    }

    /// Whether an issuer that forgives a second use may still do so.
    pub(in crate::spender) fn is_young(&self, now: Now) -> bool {
        let first = Now { steady: Duration::from_secs(self.steady), wall: Duration::from_secs(self.at) };
        now.since(first) <= GRACE
    }

    /// Reads one; `None` for whatever is none.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let mut text = Vec::new();
        open_private(path, OpenOptions::new().read(true)).ok()?.take(LONGEST).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Writes it in the place of whatever is in the file; durable when this returns.
    pub(super) fn write(&self, mut file: &File) -> io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        // In one piece, over the one before: there is no moment without an intent.
        text.resize(text.len().next_multiple_of(BLOCK), b' ');
        file.rewind()?;
        file.write_all(&text)?;
        file.set_len(text.len() as u64)?;
        file.sync_all()
    }
}

fn hex(print: &Fingerprint) -> String {
    print.iter().map(|byte| format!("{byte:02x}")).collect()
}

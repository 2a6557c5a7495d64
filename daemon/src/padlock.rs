//! What `agent.lock` closes: whether it is closed, with which passphrase, and who may try to open it.
//!
//! The passphrase itself is kept nowhere. Its argon2id hash is in memory and, so that a restart opens
//! nothing, in a file of ours in the state folder. That file is not sealed: were the key out of reach, an
//! agent that cannot read it could only guess whether it is locked. One that is damaged stays locked.
//!
//! Passphrases are hashed one at a time, beside the main loop: each takes 64 MiB.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sso_agent_core::lock::Lock;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{clock, random, store};

/// Beside the sessions, while the agent is locked.
pub(crate) const FILE: &str = "locked.json";

/// So many tries may wait for each other; a guesser with more connections gains nothing.
const WAITING: usize = 8;

/// RFC 9106, 4, the second choice: for where memory is short.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;

/// What a file may ask for at most: it may be somebody else's.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct Padlock {
    /// The same as in `state`: it is asked for every token.
    locked: AtomicBool,
    state: Mutex<State>,
    /// Whose passphrase is being looked at.
    turn: Semaphore,
    /// Who may wait for that.
    queue: Semaphore,
    /// How often a passphrase was wrong that opens something else.
    elsewhere: Mutex<Lock>,
    file: Option<PathBuf>,
}

#[derive(Debug)]
struct State {
    lock: Lock,
    /// Absent while it is open, or when the file could not be read.
    hash: Option<Hash>,
}

/// A passphrase, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Hash {
    argon2id: String,
    salt: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// Why it does not close or open: one variant per thing that is done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stuck {
    /// It is locked already.
    Locked,
    /// It is not locked.
    Open,
    /// That is not the passphrase.
    Wrong,
    /// No passphrase opens it; what to remove then.
    Damaged(PathBuf),
    /// Too many are trying.
    Crowded { retry_after: Duration },
    /// There is no memory to hash it in.
    Failed,
}

impl Padlock {
    /// As the last agent left it.
    pub(crate) fn read(file: Option<PathBuf>) -> Self {
        let read = file.as_deref().map(store::read_private);
        let (lock, hash) = match read {
            None | Some(Ok(None)) => (Lock::Open, None),
            Some(Ok(Some(text))) => (Lock::LOCKED, serde_json::from_slice(&text).ok()),
            Some(Err(error)) => {
                tracing::error!(%error, "whether the agent was locked cannot be read: it is");
                (Lock::LOCKED, None)
            }
        };
        Self {
            locked: AtomicBool::new(lock.is_locked()),
            state: Mutex::new(State { lock, hash }),
            turn: Semaphore::new(1),
            queue: Semaphore::new(WAITING),
            elsewhere: Mutex::new(Lock::LOCKED),
            file,
        }
    }

    /// Whether tokens stay in.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Acquire)
    }

    /// Closes it; `closed` is called before anybody else hears of it.
    pub(crate) async fn close(
        self: Arc<Self>,
        passphrase: SecretString,
        closed: impl FnOnce() + Send,
    ) -> Result<(), Stuck> {
        let _turn = self.turn().await?;
        if self.is_locked() {
            return Err(Stuck::Locked);
        }
        let mut salt = [0; 16];
        random::fill(&mut salt);
        let new = Hash {
            argon2id: String::new(),
            salt: BASE64_STANDARD_NO_PAD.encode(salt),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
        };
        let made = new.clone().of(passphrase).await?;
        let hash = Hash { argon2id: BASE64_STANDARD_NO_PAD.encode(*made), ..new };
        // Locked now, and over a restart if that can be had: not to lock for want of a disk would help nobody.
        if let Err(error) = self.note(&hash) {
            tracing::error!(%error, "the lock cannot be noted: a restart will open it");
        }
        *self.state() = State { lock: Lock::LOCKED, hash: Some(hash) };
        self.locked.store(true, Ordering::Release);
        closed();
        Ok(())
    }

    /// Opens it, if the passphrase is right. A wrong one is told when the next may be tried.
    ///
    /// Whoever hangs up meanwhile changes nothing of that: spawn this.
    pub(crate) async fn open(self: Arc<Self>, passphrase: SecretString) -> Result<(), Stuck> {
        let _turn = self.turn().await?;
        let (lock, hash) = {
            let state = self.state();
            (state.lock, state.hash.clone())
        };
        if !lock.is_locked() {
            return Err(Stuck::Open);
        }
        let Some(hash) = hash else { return Err(Stuck::Damaged(self.file.clone().unwrap_or_default())) };
        tokio::time::sleep(lock.wait(clock::now())).await;
        if hash.is_of(passphrase).await? {
            if let Some(Err(error)) = self.file.as_ref().map(std::fs::remove_file)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::error!(%error, "the note of the lock stays: a restart will lock the agent again");
            }
            *self.state() = State { lock: Lock::Open, hash: None };
            self.locked.store(false, Ordering::Release);
            return Ok(());
        }
        let lock = lock.refused(clock::now());
        self.state().lock = lock;
        tracing::warn!("a wrong passphrase was shown to unlock the agent");
        tokio::time::sleep(lock.wait(clock::now())).await;
        Err(Stuck::Wrong)
    }

    /// Tries what else opens by a passphrase, in turn with the others, and as slowly.
    pub(crate) async fn paced(&self, opens: impl Future<Output = bool>) -> Result<(), Stuck> {
        let _turn = self.turn().await?;
        let elsewhere = || self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = elsewhere().wait(clock::now());
        tokio::time::sleep(wait).await;
        if opens.await {
            *elsewhere() = Lock::LOCKED;
            return Ok(());
        }
        let refused = elsewhere().refused(clock::now());
        *elsewhere() = refused;
        tracing::warn!("a wrong passphrase was shown for the stored sessions");
        tokio::time::sleep(refused.wait(clock::now())).await;
        Err(Stuck::Wrong)
    }

    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Stuck> {
        let crowded = |_| Stuck::Crowded { retry_after: self.state().lock.wait(clock::now()) };
        let _place = self.queue.try_acquire().map_err(crowded)?;
        self.turn.acquire().await.map_err(|_| Stuck::Failed)
    }

    fn note(&self, hash: &Hash) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        store::write_private(file, &serde_json::to_vec(hash).map_err(io::Error::other)?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hash {
    /// What a passphrase comes to with this salt and these costs.
    async fn of(self, passphrase: SecretString) -> Result<Zeroizing<[u8; 32]>, Stuck> {
        let hashed = tokio::task::spawn_blocking(move || {
            if self.memory_kib > MOST_MEMORY_KIB || self.passes > MOST_PASSES {
                return None;
            }
            let params = Params::new(self.memory_kib, self.passes, self.lanes, None).ok()?;
            let salt = BASE64_STANDARD_NO_PAD.decode(&self.salt).ok()?;
            let mut hash = Zeroizing::new([0; 32]);
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(passphrase.expose_secret().as_bytes(), &salt, &mut *hash)
                .ok()?;
            Some(hash)
        });
        hashed.await.ok().flatten().ok_or(Stuck::Failed)
    }

    async fn is_of(&self, passphrase: SecretString) -> Result<bool, Stuck> {
        let kept = BASE64_STANDARD_NO_PAD.decode(&self.argon2id).map_err(|_| Stuck::Failed)?;
        let shown = self.clone().of(passphrase).await?;
        Ok(aws_lc_rs::constant_time::verify_slices_are_equal(&*shown, &kept).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    fn words(text: &str) -> SecretString {
        text.into()
    }

    #[tokio::test]
    async fn only_the_passphrase_that_closed_it_opens_it() {
        let padlock = Arc::new(Padlock::read(None));
        assert!(!padlock.is_locked());
        assert_eq!(padlock.clone().open(words("a")).await, Err(Stuck::Open));
        let mut told = false;
        padlock.clone().close(words("a"), || told = true).await.unwrap();
        assert!(told && padlock.is_locked());
        assert_eq!(padlock.clone().close(words("b"), || {}).await, Err(Stuck::Locked));
        assert_eq!(padlock.clone().open(words("b")).await, Err(Stuck::Wrong));
        padlock.clone().open(words("a")).await.unwrap();
        assert!(!padlock.is_locked());
    }

    #[tokio::test]
    async fn a_restart_opens_nothing_and_the_file_does_not_tell() {
        let dir = tempdir().unwrap();
        let file = dir.path().join(FILE);
        let padlock = Arc::new(Padlock::read(Some(file.clone())));
        padlock.close(words("correct horse"), || {}).await.unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("correct horse") && text.contains("65536"), "{text}");

        let next = Arc::new(Padlock::read(Some(file.clone())));
        assert!(next.is_locked());
        assert_eq!(next.clone().open(words("wrong")).await, Err(Stuck::Wrong));
        next.open(words("correct horse")).await.unwrap();
        assert!(!file.exists());
        assert!(!Padlock::read(Some(file)).is_locked());
    }

    #[tokio::test]
    async fn what_cannot_be_read_stays_locked() {
        let dir = tempdir().unwrap();
        let file = dir.path().join(FILE);
        store::write_private(&file, b"{").unwrap();
        let padlock = Arc::new(Padlock::read(Some(file.clone())));
        assert!(padlock.is_locked());
        assert_eq!(padlock.open(words("a")).await, Err(Stuck::Damaged(file.clone())));
        let greedy = Hash {
            argon2id: "AAAA".into(),
            salt: "AAAAAAAAAAAAAAAAAAAAAA".into(),
            memory_kib: u32::MAX,
            passes: 1,
            lanes: 1,
        };
        store::write_private(&file, &serde_json::to_vec(&greedy).unwrap()).unwrap();
        assert_eq!(Arc::new(Padlock::read(Some(file))).open(words("a")).await, Err(Stuck::Failed));
    }

    #[tokio::test]
    async fn guesses_take_turns_and_a_crowd_is_sent_away() {
        let padlock = Arc::new(Padlock::read(None));
        padlock.clone().close(words("a"), || {}).await.unwrap();
        let turn = padlock.turn.acquire().await.unwrap();
        let waiting: Vec<_> = (0..WAITING).map(|_| tokio::spawn(padlock.clone().open(words("b")))).collect();
        tokio::task::yield_now().await;
        assert!(matches!(padlock.clone().open(words("b")).await, Err(Stuck::Crowded { .. })));
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        drop(turn);
    }
}

//! The vault of the operating system, as far as it keeps one key for us.
//!
//! The hard part is that it may hang, or want to show a window. A thread of its own takes the first; as to
//! the second, each system is asked in a way that shows none.

#[cfg(test)]
pub(super) mod contract;
#[cfg(windows)]
mod dpapi;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
mod none;
#[cfg(windows)]
mod windows;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, TryLockError, mpsc},
    thread,
    time::Duration,
};

use super::seal::KeyBytes;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
use none as system;
#[cfg(windows)]
use windows as system;

/// For everything together; whoever starts the agent waits for it.
const DEADLINE: Duration = Duration::from_millis(2500);

/// Keeps one key.
pub(crate) trait Keyring: Send + Sync + 'static {
    /// The key, made now if there is none. Never asks a person, and answers within 3 s.
    fn read_or_create(&self) -> Result<KeyBytes, KeyringError>;
}

/// No key from there, this time; in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct KeyringError(pub(crate) String);

/// What is unlocked when its user signs in: the Secret Service of a desktop, the keychain of macOS; on
/// Windows a key of the system's, which wraps ours in a file of the state folder.
#[derive(Debug)]
pub(crate) struct SystemKeyring {
    state: PathBuf,
    /// Held by whoever asks, so that nobody begins anew what still hangs.
    asking: Arc<Mutex<()>>,
}

impl SystemKeyring {
    /// For the store in this folder.
    pub(crate) fn of(state: &Path) -> Self {
        Self { state: state.to_owned(), asking: Arc::default() }
    }
}

impl Keyring for SystemKeyring {
    fn read_or_create(&self) -> Result<KeyBytes, KeyringError> {
        let state = self.state.clone();
        within(DEADLINE, &self.asking, move || system::read_or_create(&state))
    }
}

/// What `ask` gives; an error after the deadline, also if `ask` never ends.
fn within(
    deadline: Duration,
    asking: &Arc<Mutex<()>>,
    ask: impl FnOnce() -> Result<KeyBytes, KeyringError> + Send + 'static,
) -> Result<KeyBytes, KeyringError> {
    let (answer, answered) = mpsc::sync_channel(1);
    let asking = asking.clone();
    let work = move || {
        let _asking = match asking.try_lock() {
            Ok(asking) => asking,
            Err(TryLockError::Poisoned(asking)) => asking.into_inner(),
            Err(TryLockError::WouldBlock) => return drop(answer.send(Err(hangs()))),
        };
        // Whoever asked may have given up.
        let _ = answer.send(ask());
    };
    thread::Builder::new().name("keyring".to_owned()).spawn(work).map_err(unavailable)?;
    match answered.recv_timeout(deadline) {
        Ok(answer) => answer,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(KeyringError(format!("no answer within {} ms", deadline.as_millis())))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(KeyringError("asking it failed".to_owned())),
    }
}

fn hangs() -> KeyringError {
    KeyringError("it has not answered yet since it was asked last".to_owned())
}

fn unavailable(error: impl fmt::Display) -> KeyringError {
    KeyringError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn f31_one_that_hangs_holds_up_nobody_and_is_not_asked_twice_at_a_time() {
        let (asking, (let_go, held)) = (Arc::default(), mpsc::channel::<()>());
        let key = || Ok(Zeroizing::new([7; 32]));
        let hanging = move || {
            let _ = held.recv();
            key()
        };
        let late = within(Duration::ZERO, &asking, hanging);
        assert_eq!(late, Err(KeyringError("no answer within 0 ms".to_owned())));
        // Its thread may only just have begun.
        while asking.try_lock().is_ok() {
            thread::yield_now();
        }
        assert_eq!(within(DEADLINE, &asking, || panic!("it was asked")), Err(hangs()));
        drop(let_go);
        drop(asking.lock());
        assert_eq!(within(DEADLINE, &asking, key), key());
    }

    #[test]
    fn one_that_breaks_off_is_no_key() {
        let broken = within(DEADLINE, &Arc::default(), || panic!("on purpose"));
        assert_eq!(broken, Err(KeyringError("asking it failed".to_owned())));
    }
}

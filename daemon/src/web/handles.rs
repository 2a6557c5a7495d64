//! Which handle is good for which session, and when it was last shown.
//!
//! A handle is kept as its hash alone: 256 random bits need no more than that. It is looked up on the way of
//! every token, so nothing here waits for the driver or for a disk.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sso_agent_core::{
    consent::LIFETIME,
    time::{Deadline, Now},
    words::SessionId,
};

use crate::{
    random,
    store::{self, WebUser},
};

/// Beside the sessions: when each was last used.
pub(crate) const FILE: &str = "web-uses.json";

/// How often that is written. An agent that is killed forgets no more than this.
const WRITTEN_EVERY: Duration = Duration::from_secs(300);

/// As long as any consent may be good, whichever way a clock is set a little.
const ENDED_MATTERS: Duration = LIFETIME.saturating_add(Duration::from_secs(120));

/// An agent that was not run for so long is less likely than a clock that is wrong: it counts from now.
const INCREDIBLE: Duration = Duration::from_secs(366 * 24 * 3600);

type Hash = [u8; 32];

/// See the module.
#[derive(Default)]
pub(crate) struct Handles {
    users: RwLock<Users>,
    file: Option<PathBuf>,
    /// As the file had it; absent if it could not be read, which is no sign of nobody having used them.
    before: Mutex<Option<Noted>>,
    /// Sessions that have ended while the consent that they came of might still be good.
    ended: Mutex<BTreeMap<String, u64>>,
    written: Mutex<Option<Deadline>>,
}

/// What is in the file, by the keys of sessions, in seconds of the wall clock.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Noted {
    /// When each was last used.
    used: BTreeMap<String, u64>,
    /// Until when it matters that each has ended.
    ended: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Users {
    by_handle: HashMap<Hash, Arc<User>>,
    handle_of: BTreeMap<SessionId, Hash>,
}

/// The user of a web app.
#[derive(Debug)]
pub(crate) struct User {
    session: SessionId,
    /// The name of the app, if the agent keeps its client.
    pub(crate) app: Option<String>,
    /// When its handle was last shown, or the agent started: on the steady clock, in seconds, since a wall
    /// clock that is set must end nobody's session.
    shown: AtomicU64,
    /// How long it had not been shown when the agent started, in seconds; nothing once it was shown.
    before: AtomicU64,
}

impl User {
    /// How long nobody has shown its handle.
    fn idle(&self, now: Now) -> Duration {
        let since = now.steady.saturating_sub(Duration::from_secs(self.shown.load(Ordering::Relaxed)));
        since.saturating_add(Duration::from_secs(self.before.load(Ordering::Relaxed)))
    }

    /// When its handle was last shown.
    pub(crate) fn last_used(&self, now: Now) -> Duration {
        now.wall.saturating_sub(self.idle(now))
    }

    fn is_used(&self, now: Now) {
        self.shown.store(now.steady.as_secs(), Ordering::Relaxed);
        self.before.store(0, Ordering::Relaxed);
    }
}

/// A new handle, and what is kept of it.
pub(crate) fn issue(app: Option<String>) -> (SecretString, WebUser) {
    let mut bytes = Zeroizing::new([0; 32]);
    random::fill(&mut *bytes);
    let handle = SecretString::from(BASE64_URL_SAFE_NO_PAD.encode(bytes.as_slice()));
    let hash = hash(&handle);
    (handle, WebUser { handle: BASE64_URL_SAFE_NO_PAD.encode(hash), app })
}

fn hash(handle: &SecretString) -> Hash {
    Sha256::digest(handle.expose_secret()).into()
}

impl Handles {
    /// Handles that note in this file when they were used.
    pub(crate) fn open(file: Option<PathBuf>) -> Self {
        let read = file.as_deref().map(store::read_private);
        let before = match read {
            Some(Ok(Some(text))) => serde_json::from_slice(&text).map_err(|error| error.to_string()),
            Some(Ok(None)) | None => Ok(Noted::default()),
            Some(Err(error)) => Err(error.to_string()),
        };
        let unread = |error: &String| {
            tracing::warn!(error, "when web sessions were last used cannot be read: it counts from now");
        };
        let before = before.inspect_err(unread).ok();
        let ended = before.as_ref().map(|noted: &Noted| noted.ended.clone()).unwrap_or_default();
        Self { file, before: Mutex::new(before), ended: Mutex::new(ended), ..Self::default() }
    }

    /// A session from before the agent started, which was signed in to at `since`, by the wall clock.
    pub(crate) fn restore(&self, session: SessionId, user: &WebUser, since: Duration, now: Now) {
        let noted = |before: &Noted| {
            let used = session.web_key().and_then(|key| before.used.get(key));
            used.map_or(since, |used| Duration::from_secs(*used))
        };
        let used = lock(&self.before).as_ref().map_or(now.wall, noted);
        let idle = Some(now.wall.saturating_sub(used.max(since))).filter(|idle| *idle < INCREDIBLE);
        self.add(session, user, idle.unwrap_or_default(), now);
    }

    /// From now on this handle is good for that session.
    pub(crate) fn keep(&self, session: SessionId, user: &WebUser, now: Now) {
        self.add(session, user, Duration::ZERO, now);
    }

    fn add(&self, session: SessionId, user: &WebUser, idle: Duration, now: Now) {
        let Some(hash) = decode(&user.handle) else { return };
        let kept = Arc::new(User {
            session: session.clone(),
            app: user.app.clone(),
            shown: AtomicU64::new(now.steady.as_secs()),
            before: AtomicU64::new(idle.as_secs()),
        });
        let mut users = self.write();
        users.by_handle.insert(hash, kept);
        users.handle_of.insert(session, hash);
    }

    /// All sessions are known: what the file had is not needed any more.
    pub(crate) fn restored(&self) {
        *lock(&self.before) = None;
    }

    /// The session that a handle is good for, which is used now; `None` also for one that has been idle for
    /// longer than `limit`, whether or not that was noticed.
    pub(crate) fn find(&self, handle: &SecretString, limit: Duration, now: Now) -> Option<SessionId> {
        let users = self.read();
        let user = users.by_handle.get(&hash(handle)).filter(|user| user.idle(now) < limit)?;
        user.is_used(now);
        Some(user.session.clone())
    }

    /// Whose session it is.
    pub(crate) fn user_of(&self, session: &SessionId) -> Option<Arc<User>> {
        let users = self.read();
        users.by_handle.get(users.handle_of.get(session)?).cloned()
    }

    /// From now on no handle is good for that session.
    pub(crate) fn forget(&self, session: &SessionId, now: Now) {
        let mut users = self.write();
        let Some(hash) = users.handle_of.remove(session) else { return };
        users.by_handle.remove(&hash);
        drop(users);
        if let Some(key) = session.web_key() {
            lock(&self.ended).insert(key.to_owned(), (now.wall + ENDED_MATTERS).as_secs());
            // Soon, not now: whoever signs out need not wait for a disk.
            *lock(&self.written) = None;
        }
    }

    /// Whether the consent that a session comes of was used.
    pub(crate) fn was_there(&self, session: &SessionId) -> bool {
        let ended = || session.web_key().is_some_and(|key| lock(&self.ended).contains_key(key));
        self.user_of(session).is_some() || ended()
    }

    /// The sessions whose handles nobody has shown for so long.
    pub(crate) fn idle(&self, limit: Duration, now: Now) -> Vec<SessionId> {
        let users = self.read();
        let idle = users.by_handle.values().filter(|user| user.idle(now) >= limit);
        idle.map(|user| user.session.clone()).collect()
    }

    /// Whether it is time to note when each was last used; it is not again for a while.
    pub(crate) fn is_to_be_noted(&self, now: Now) -> bool {
        let mut ended = lock(&self.ended);
        ended.retain(|_, until| *until > now.wall.as_secs());
        if self.read().by_handle.is_empty() && ended.is_empty() {
            return false;
        }
        drop(ended);
        let mut written = lock(&self.written);
        let due = written.is_none_or(|until| until.is_over(now));
        if due {
            *written = Some(now.after(WRITTEN_EVERY));
        }
        due
    }

    /// Notes when each was last used, and which have ended just now.
    pub(crate) fn write_uses(&self, now: Now) {
        let Some(file) = &self.file else { return };
        let used =
            |user: &Arc<User>| Some((user.session.web_key()?.to_owned(), user.last_used(now).as_secs()));
        let noted = Noted {
            used: self.read().by_handle.values().filter_map(used).collect(),
            ended: lock(&self.ended).clone(),
        };
        if noted.used.is_empty() && noted.ended.is_empty() && !file.exists() {
            return;
        }
        let text = serde_json::to_vec(&noted).expect("text and numbers always have a JSON form");
        if let Err(error) = store::write_private(file, &text) {
            tracing::warn!(%error, "when web sessions were last used cannot be noted");
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Users> {
        self.users.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Users> {
        self.users.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a record says whose handle it is.
pub(crate) fn is_sound(user: &WebUser) -> bool {
    decode(&user.handle).is_some()
}

fn decode(hash: &str) -> Option<Hash> {
    BASE64_URL_SAFE_NO_PAD.decode(hash).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sso_agent_core::host::Host;

    const LIMIT: Duration = Duration::from_secs(600);

    fn session(key: &str) -> SessionId {
        SessionId::web(&Host::parse("a.example", None).unwrap(), key)
    }

    fn at(wall: u64) -> Now {
        Now { steady: Duration::from_secs(wall), wall: Duration::from_secs(wall) }
    }

    #[test]
    fn a_handle_is_good_for_its_session_and_nothing_tells_it() {
        let handles = Handles::default();
        let (handle, user) = issue(Some("app".into()));
        assert_eq!(handle.expose_secret().len(), 43);
        assert!(!format!("{user:?}").contains(handle.expose_secret()));
        handles.keep(session("1"), &user, at(1));
        assert_eq!(handles.find(&handle, LIMIT, at(5)), Some(session("1")));
        for wrong in ["", "x", &user.handle, issue(None).0.expose_secret()] {
            assert_eq!(handles.find(&wrong.into(), LIMIT, at(5)), None);
        }
        handles.forget(&session("1"), at(6));
        assert_eq!(handles.find(&handle, LIMIT, at(5)), None);
        assert!(handles.user_of(&session("1")).is_none() && handles.was_there(&session("1")));
        assert!(!handles.was_there(&session("2")));
    }

    #[test]
    fn who_shows_a_handle_is_not_idle() {
        let handles = Handles::default();
        let [(one, user), (_, other)] = [issue(None), issue(None)];
        handles.keep(session("1"), &user, at(100));
        handles.keep(session("2"), &other, at(100));
        handles.find(&one, LIMIT, at(150)).unwrap();
        assert_eq!(handles.idle(Duration::from_secs(60), at(159)), []);
        assert_eq!(handles.idle(Duration::from_secs(60), at(160)), [session("2")]);
        assert_eq!(handles.find(&one, Duration::from_secs(60), at(210)), None, "before anybody noticed");
    }

    #[test]
    fn uses_are_known_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        let (handle, user) = issue(None);
        let handles = Handles::open(Some(file.clone()));
        handles.keep(session("1"), &user, at(100));
        handles.find(&handle, LIMIT, at(500)).unwrap();
        assert!(handles.is_to_be_noted(at(500)) && !handles.is_to_be_noted(at(501)));
        handles.write_uses(at(510));
        handles.keep(session("2"), &issue(None).1, at(510));
        handles.forget(&session("2"), at(511));
        assert!(handles.is_to_be_noted(at(512)), "that matters soon");
        handles.write_uses(at(512));
        let again = Handles::open(Some(file));
        assert!(again.was_there(&session("2")) && again.user_of(&session("2")).is_none());
        again.restore(session("1"), &user, Duration::from_secs(100), at(600));
        assert_eq!(again.user_of(&session("1")).unwrap().last_used(at(600)), Duration::from_secs(500));
    }

    #[test]
    fn a_wall_clock_that_is_set_ends_nobodys_session() {
        let handles = Handles::default();
        let (handle, user) = issue(None);
        handles.keep(session("1"), &user, at(100));
        let years_later = Now { steady: Duration::from_secs(101), wall: Duration::from_secs(4_000_000_000) };
        assert_eq!(handles.idle(LIMIT, years_later), []);
        assert!(handles.find(&handle, LIMIT, years_later).is_some());
        let back = Now { steady: Duration::from_secs(5_000), wall: Duration::from_secs(1) };
        assert_eq!(handles.idle(LIMIT, back), [session("1")], "and keeps none for ever");
    }

    // Fault 18: 2106 when the agent starts.
    #[test]
    fn f18_a_clock_that_is_decades_off_at_the_start_ends_nobodys_session() {
        let handles = Handles::default();
        handles.restore(session("1"), &issue(None).1, Duration::from_secs(100), at(4_300_000_000));
        handles.restored();
        assert_eq!(handles.idle(LIMIT, at(4_300_000_001)), []);
    }

    #[test]
    fn a_file_that_cannot_be_read_ends_nobodys_session() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        let user = issue(None).1;
        for text in ["nonsense", "{\"used\":{\"1\":18446744073709551615},\"ended\":{}}", &"x".repeat(2 << 20)]
        {
            store::write_private(&file, text.as_bytes()).unwrap();
            let handles = Handles::open(Some(file.clone()));
            handles.restore(session("1"), &user, Duration::from_secs(100), at(90_000));
            handles.restored();
            assert_eq!(handles.idle(LIMIT, at(90_001)), []);
            assert_eq!(
                handles.user_of(&session("1")).unwrap().last_used(at(90_000)),
                Duration::from_secs(90_000)
            );
        }
    }
}

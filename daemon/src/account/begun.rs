//! Creations of apps that were begun: what is left of one whose answer was lost.
//!
//! A note is durable before the request leaves, and goes when the account has answered and somebody has
//! heard it. The next creation of that name first looks whether the one before came through: a client
//! secret is told once, so an app that nobody heard of is of no use.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sso_agent_proto::{
    app::AppList,
    fault::{Fault, Kind},
};

use super::{
    api::{self, Failed},
    kept::{files, lock},
    requests,
    whose::Whose,
};
use crate::{
    clock,
    issuer::Http,
    store::{self, StoreError},
};

const ENDING: &str = ".begun";

/// After that somebody has noticed.
const COUNTS_FOR: Duration = Duration::from_secs(24 * 3600);

/// How far the account's clock may be behind ours.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// Nobody creates so many apps of one name within the time that clocks may differ by.
const MOST_KNOWN: usize = 16;

/// Nobody has so many apps.
const MOST_PAGES: usize = 100;

/// A creation that was begun; it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    host: String,
    account_id: String,
    name: String,
    /// Seconds since 1970.
    started_at: u64,
    /// The ids of apps of that name that somebody has heard of: they are not lost.
    #[serde(default)]
    known: Vec<String>,
}

impl Note {
    /// One that is begun now.
    pub(super) fn now(whose: &Whose, name: &str) -> Self {
        Self {
            host: whose.host().to_owned(),
            account_id: whose.account_id().to_owned(),
            name: name.to_owned(),
            started_at: clock::now().wall.as_secs(),
            known: Vec::new(),
        }
    }

    /// What two attempts at the same have in common.
    fn key(&self) -> String {
        format!("{} {} {}", self.name, self.host, self.account_id)
    }

    fn counts(&self) -> bool {
        clock::now().wall.as_secs().saturating_sub(self.started_at) < COUNTS_FOR.as_secs()
    }
}

/// See the module.
pub(super) struct Begun {
    folder: Option<PathBuf>,
    notes: Mutex<BTreeMap<String, Note>>,
    /// The apps that somebody has heard of, by what was noted of their creation.
    heard: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Begun {
    /// Nothing yet.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, notes: Mutex::default(), heard: Mutex::default() }
    }

    /// Reads what an agent before this one has begun, and drops what is old.
    pub(super) fn read(&self) {
        for path in self.folder.as_deref().map(|folder| files(folder, ENDING)).unwrap_or_default() {
            // What cannot be read now may be read later, or by a newer version.
            let Ok(Some(content)) = store::read_private(&path) else { continue };
            let Ok(note) = serde_json::from_slice::<Note>(&content) else { continue };
            if note.counts() {
                self.notes().insert(note.key(), note);
            } else {
                // What stays is dropped the next time.
                let _ = fs::remove_file(path);
            }
        }
    }

    /// The attempt before this one, if nobody knows how it ended.
    pub(super) fn before(&self, note: &Note) -> Option<Note> {
        self.notes().get(&note.key()).filter(|note| note.counts()).cloned()
    }

    /// Notes that it begins; durable when this returns. Of several attempts the first one counts.
    pub(super) fn begin(&self, note: &Note) -> Result<(), StoreError> {
        let heard = || lock(&self.heard).get(&note.key()).cloned().unwrap_or_default();
        let note = self.before(note).unwrap_or_else(|| Note { known: heard(), ..note.clone() });
        if let Some(folder) = &self.folder {
            store::private_dir(folder)?;
            let path = folder.join(store::file_name(&note.key(), ENDING));
            let content = serde_json::to_vec(&note).map_err(|_| StoreError::Broken)?;
            store::write_private(&path, &content).map_err(|cause| StoreError::Unusable { path, cause })?;
        }
        self.notes().insert(note.key(), note);
        Ok(())
    }

    /// Notes that somebody knows how it ended, and of which app if there is one.
    pub(super) fn end(&self, note: &Note, app: Option<&str>) -> Result<(), StoreError> {
        if let Some(app) = app {
            let mut heard = lock(&self.heard);
            let known = heard.entry(note.key()).or_default();
            known.push(app.to_owned());
            let old = known.len().saturating_sub(MOST_KNOWN);
            known.drain(..old);
        }
        self.notes().remove(&note.key());
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.join(store::file_name(&note.key(), ENDING));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Unusable { path, cause: error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn notes(&self) -> MutexGuard<'_, BTreeMap<String, Note>> {
        lock(&self.notes)
    }
}

/// Looks for an app that came of this attempt and that nobody has the client of.
pub(super) async fn orphan(
    http: &Http,
    whose: &Whose,
    note: &Note,
    is_kept: impl Fn(&str) -> bool,
) -> Result<Option<Value>, Failed> {
    let lost = |app: &Value| came_of(note, app) && !app["integration_id"].as_str().is_some_and(&is_kept);
    let mut page = AppList::default();
    for _ in 0..MOST_PAGES {
        let answer = api::ask(http, whose, &requests::list(&page)).await?;
        let apps = answer["apps"].as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(app) = apps.iter().find(|app| lost(app)) {
            return Ok(Some(app.clone()));
        }
        match answer["next_page_token"].as_str() {
            Some(next) if !next.is_empty() => page.page_token = Some(next.to_owned()),
            Some(_) | None => break,
        }
    }
    Ok(None)
}

/// By name and time; one that does not say when it was made may have been made then.
fn came_of(note: &Note, app: &Value) -> bool {
    let earliest = note.started_at.saturating_sub(CLOCKS_DIFFER.as_secs());
    let made = app["create_time"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    let late_enough = |made: Timestamp| u64::try_from(made.as_second()).is_ok_and(|made| made >= earliest);
    let is_known = note.known.iter().any(|id| app["integration_id"] == id.as_str());
    app["name"] == note.name.as_str() && !is_known && made.is_none_or(late_enough)
}

/// Tells of the app that was found.
pub(super) fn told(app: &Value) -> Fault {
    let text = |key: &str| app[key].as_str().unwrap_or("(unknown)");
    let id = text("integration_id");
    let message = format!(
        "an app {:?} is there already, made at {}: the answer to an attempt before this one was lost (integration id {id}, client id {})",
        text("name"),
        text("create_time"),
        text("client_id"),
    );
    let hint = if app["confidential"] == false {
        format!(
            "it has no secret, so it can be used as it is; or delete it and create it again: sso app delete {id}"
        )
    } else {
        format!(
            "unless somebody else made it, nobody has its secret: delete it and create it again: sso app delete {id}"
        )
    };
    Fault::new(Kind::Ambiguous, message, hint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn note(name: &str, age: u64) -> Note {
        Note {
            host: "https://a.example".into(),
            account_id: "acc".into(),
            name: name.into(),
            started_at: clock::now().wall.as_secs() - age,
            known: vec![],
        }
    }

    #[test]
    fn what_was_begun_is_known_after_a_restart_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let apps = folder.path().join("apps");
        let begun = Begun::new(Some(apps.clone()));
        let (old, first, second) = (note("old", 100_000), note("a", 100), note("a", 0));
        begun.begin(&old).unwrap();
        begun.begin(&first).unwrap();
        begun.begin(&second).unwrap();

        let again = Begun::new(Some(apps.clone()));
        again.read();
        assert_eq!(again.before(&second), Some(first), "the first one counts");
        assert_eq!(again.before(&old), None);
        assert_eq!(again.before(&Note { account_id: "other".into(), ..second.clone() }), None);
        again.end(&second, None).unwrap();
        again.end(&second, Some("i-1")).unwrap();
        assert_eq!(again.before(&second), None);
        assert!(files(&apps, ENDING).is_empty());
        again.begin(&second).unwrap();
        assert_eq!(again.before(&second).unwrap().known, ["i-1"]);
    }

    #[test]
    fn an_app_came_of_an_attempt_by_its_name_and_not_long_before_it() {
        let note = Note { started_at: 1_767_225_600, ..note("a", 0) }; // 2026-01-01T00:00:00Z
        let came = |name: &str, time: &str| came_of(&note, &json!({"name": name, "create_time": time}));
        assert!(came("a", "2026-01-01T00:00:05Z") && came("a", "2025-12-31T23:59:10.5Z"));
        assert!(!came("a", "2025-12-31T23:58:59Z") && !came("b", "2026-01-01T00:00:05Z"));
        assert!(came_of(&note, &json!({"name": "a"})), "it does not say");
        let known = Note { known: vec!["i-1".into()], ..note };
        assert!(!came_of(&known, &json!({"name": "a", "integration_id": "i-1"})), "it is not lost");
    }
}

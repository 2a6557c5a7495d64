//! Sees the files change. The folders are watched, since editors replace files, and a link in the place
//! of a file may lead to another folder. What else happens in those folders, one of which is mostly the
//! home folder, is of no interest.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, recommended_watcher};
use sso_agent_os::private::Identity;
use tokio::sync::mpsc;

use super::{Config, Reading};

/// A save is several changes.
const SETTLED: Duration = Duration::from_millis(200);

/// The files, and every folder above them: one that comes or goes may bring or take a file.
type Interest = Arc<Mutex<BTreeSet<PathBuf>>>;

/// Reads the files whenever they change, for as long as the runtime runs; `changed` hears how it went.
///
/// Where changes cannot be seen, `agent.reload` remains.
pub(crate) async fn watch(config: Arc<Config>, changed: impl Fn(Reading)) {
    let (told, mut changes) = mpsc::channel(1);
    let interest = Interest::default();
    let mut watcher = match watcher(told, interest.clone()) {
        Ok(watcher) => watcher,
        Err(error) => return tracing::warn!(%error, "config files are not watched"),
    };
    let mut watched = BTreeMap::new();
    follow(&mut watcher, &mut watched, &interest, look(&config));
    while changes.recv().await.is_some() {
        tokio::time::sleep(SETTLED).await;
        // What came in the meantime is in what is read now.
        let _ = changes.try_recv();
        let again = config.clone();
        let reading = tokio::task::spawn_blocking(move || (again.read_again(), look(&again))).await;
        let Ok((reading, seen)) = reading else { continue };
        follow(&mut watcher, &mut watched, &interest, seen);
        if reading != Reading::Same {
            changed(reading);
        }
    }
}

fn watcher(told: mpsc::Sender<()>, interest: Interest) -> notify::Result<RecommendedWatcher> {
    recommended_watcher(move |seen: notify::Result<Event>| {
        // An error may hide any change.
        if seen.is_ok_and(|event| !is_of_interest(&event, &interest)) {
            return;
        }
        // One reading that is to come is enough for all changes before it.
        let _ = told.try_send(());
    })
}

fn is_of_interest(event: &Event, interest: &Interest) -> bool {
    let interest = interest.lock().unwrap_or_else(PoisonError::into_inner);
    let ours = event.paths.iter().any(|path| interest.contains(path));
    // Our own reading is an event as well.
    (ours || event.need_rescan()) && !matches!(event.kind, EventKind::Access(_))
}

/// What there is to watch, and for what.
#[derive(Debug, Default)]
struct Look {
    folders: BTreeMap<PathBuf, Option<Identity>>,
    interest: BTreeSet<PathBuf>,
}

fn look(config: &Config) -> Look {
    let mut look = Look::default();
    for path in config.paths() {
        look.add(path);
        if let Ok(real) = path.canonicalize() {
            look.add(&real);
        }
    }
    look
}

impl Look {
    /// The folder of a file, or the nearest one that is there.
    fn add(&mut self, path: &Path) {
        self.interest.extend(path.ancestors().map(PathBuf::from));
        if let Some(folder) = path.ancestors().skip(1).find(|folder| folder.is_dir()) {
            let identity = folder.metadata().ok().map(|found| Identity::of(&found));
            self.folders.insert(folder.to_owned(), identity);
        }
    }
}

fn follow(
    watcher: &mut RecommendedWatcher,
    watched: &mut BTreeMap<PathBuf, Option<Identity>>,
    interest: &Interest,
    look: Look,
) {
    *interest.lock().unwrap_or_else(PoisonError::into_inner) = look.interest;
    for (folder, identity) in &look.folders {
        let same = watched.get(folder) == Some(identity);
        if !same && watcher.watch(folder, RecursiveMode::NonRecursive).is_ok() {
            watched.insert(folder.clone(), identity.clone());
        }
    }
    for gone in watched.keys().filter(|folder| !look.folders.contains_key(*folder)) {
        // It may have gone by itself, and its watch with it.
        let _ = watcher.unwatch(gone);
    }
    watched.retain(|folder, _| look.folders.contains_key(folder));
}

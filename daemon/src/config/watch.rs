//! Sees the files change. The folders are watched, since editors replace files, and a link in the place
//! of a file may lead to another folder.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{
    DebounceEventResult, DebouncedEvent, Debouncer, RecommendedCache, new_debouncer,
};
use tokio::sync::mpsc;

use super::{Config, Reading};

/// A save is several changes.
const SETTLED: Duration = Duration::from_millis(200);

type Watcher = Debouncer<RecommendedWatcher, RecommendedCache>;

/// Reads the files whenever they change, for as long as the runtime runs; `changed` hears how it went.
///
/// Where changes cannot be seen, `agent.reload` remains.
pub(crate) async fn watch(config: Arc<Config>, changed: impl Fn(Reading)) {
    let (told, mut changes) = mpsc::channel(1);
    let mut watcher = match watcher(told) {
        Ok(watcher) => watcher,
        Err(error) => return tracing::warn!(%error, "config files are not watched"),
    };
    let mut watched = BTreeSet::new();
    follow(&mut watcher, &mut watched, folders(&config));
    while changes.recv().await.is_some() {
        let again = config.clone();
        let reading = tokio::task::spawn_blocking(move || (again.read_again(), folders(&again))).await;
        let Ok((reading, folders)) = reading else { continue };
        follow(&mut watcher, &mut watched, folders);
        if reading != Reading::Same {
            changed(reading);
        }
    }
}

fn watcher(told: mpsc::Sender<()>) -> notify::Result<Watcher> {
    new_debouncer(SETTLED, None, move |seen: DebounceEventResult| {
        // Our own reading is an event as well. An error may hide any change.
        let is_change = |event: &DebouncedEvent| !matches!(event.kind, EventKind::Access(_));
        if seen.is_ok_and(|events| !events.iter().any(is_change)) {
            return;
        }
        // One reading that is to come is enough for all changes before it.
        let _ = told.try_send(());
    })
}

/// The folders that the files are in, and those that links in their places lead to.
fn folders(config: &Config) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for path in config.paths() {
        folders.extend(path.parent().map(PathBuf::from));
        folders.extend(path.canonicalize().ok().and_then(|real| Some(real.parent()?.to_owned())));
    }
    folders
}

/// A folder that is not there yet is watched when it is, or a reload is asked for.
fn follow(watcher: &mut Watcher, watched: &mut BTreeSet<PathBuf>, folders: BTreeSet<PathBuf>) {
    for folder in folders {
        if !watched.contains(&folder) && watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok() {
            watched.insert(folder);
        }
    }
}

//! Says when something happened where a socket is, without looking all the time.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, recommended_watcher};
use tokio::sync::mpsc;

/// Where changes cannot be seen, one looks this often.
const LOOK: Duration = Duration::from_secs(4);

/// A folder far above may be moved away, which nothing tells.
const LOOK_ANYWAY: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Watch {
    changes: mpsc::Receiver<()>,
    /// Absent where changes cannot be seen.
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// On a file, its folder, and the folder above.
    pub(super) fn on(path: &Path) -> Self {
        let (told, changes) = mpsc::channel(1);
        let watcher = watcher(told, path);
        if let Err(error) = &watcher {
            tracing::debug!(%error, "the socket's folder is not watched");
        }
        Self { changes, watcher: watcher.ok() }
    }

    /// Something may have happened.
    pub(super) async fn changed(&mut self) {
        let patience = if self.watcher.is_some() { LOOK_ANYWAY } else { LOOK };
        // That the time is over is as good a reason to look.
        let _ = tokio::time::timeout(patience, self.changes.recv()).await;
    }
}

fn watcher(told: mpsc::Sender<()>, path: &Path) -> notify::Result<RecommendedWatcher> {
    let interest: Vec<PathBuf> = path.ancestors().take(3).map(Path::to_owned).collect();
    let folders: Vec<PathBuf> = interest.iter().skip(1).cloned().collect();
    let mut watcher = recommended_watcher(move |seen: notify::Result<Event>| {
        let of_interest = seen.is_ok_and(|event| {
            !matches!(event.kind, EventKind::Access(_) | EventKind::Create(_))
                && event.paths.iter().any(|path| interest.contains(path))
        });
        if of_interest {
            // One look that is to come is enough for all changes before it.
            let _ = told.try_send(());
        }
    })?;
    let watched = folders.iter().map(|folder| watcher.watch(folder, RecursiveMode::NonRecursive));
    // The folder above may be one that we cannot read.
    let mut outcomes = watched.collect::<Vec<_>>().into_iter();
    outcomes.next().unwrap_or(Ok(()))?;
    Ok(watcher)
}

//! Learns that something has happened in folders. What it was is seen by looking.
//!
//! Editors write files in many ways, and the system tells of each in several parts, sometimes of none where there
//! were too many. So nothing here depends on what exactly is told: it is waited until nothing more is, and whoever
//! waits compares what is there with what was.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// For how long nothing more must happen.
pub(super) const QUIET: Duration = Duration::from_millis(20);

/// For how long that is waited for at most: a file that grows without end is somebody's log.
const LONGEST: Duration = Duration::from_millis(500);

/// Whether somebody may still be writing a file. Nobody is if it is gone.
pub(super) fn was_just_written(file: &Path) -> bool {
    let written = std::fs::metadata(file).and_then(|about| about.modified());
    // A time in the future is one of another clock's, which says nothing.
    written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age < QUIET))
}

/// Watches folders.
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    told: Arc<Notify>,
    watched: BTreeSet<PathBuf>,
}

impl Watch {
    pub(super) fn new() -> Result<Self, String> {
        let told = Arc::new(Notify::new());
        let tell = Arc::clone(&told);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Compilers and whoever looks open files, which changes nothing.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                tell.notify_one();
            }
        });
        let watcher = watcher.map_err(|error| format!("cannot watch folders: {error}"))?;
        Ok(Watch { watcher, told, watched: BTreeSet::new() })
    }

    /// Watches these folders, each without those below it, and no others any more.
    pub(super) fn these(&mut self, folders: BTreeSet<PathBuf>) {
        for gone in self.watched.difference(&folders) {
            // One that was deleted is not watched any more anyway.
            let _ = self.watcher.unwatch(gone);
        }
        let has_new = folders.difference(&self.watched).next().is_some();
        for folder in &folders {
            // Those from before as well: one may have been deleted and made again, which the system takes for another.
            if let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive)
                && !self.watched.contains(folder)
            {
                tell_unwatched(folder, &error);
            }
        }
        self.watched = folders;
        if has_new {
            // What happened there until now was told to nobody: it is to be looked at once more.
            self.told.notify_one();
        }
    }

    /// Waits until something has happened, and then nothing more for a moment.
    pub(super) async fn something(&self) {
        self.told.notified().await;
        let settled =
            async { while tokio::time::timeout(QUIET, self.told.notified()).await.is_ok() {} };
        let _ = tokio::time::timeout(LONGEST, settled).await;
    }
}

fn tell_unwatched(folder: &Path, error: &notify::Error) {
    match error.kind {
        // It has just been deleted, and whoever looks sees that.
        ErrorKind::PathNotFound => {}
        ErrorKind::MaxFilesWatch => tracing::warn!(
            folder = %folder.display(),
            "the system watches no more folders, and changes there are not seen; raise fs.inotify.max_user_watches (sysctl)"
        ),
        _ => {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "cannot watch a folder; changes there are not seen");
        }
    }
}

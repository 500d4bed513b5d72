//! Noticing that the configuration file was changed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::api::Reload;

/// How often the file is looked at. A change is taken when two looks in a row find the same, for
/// editors write in several steps; so it is taken within a second. Chosen.
const LOOK: Duration = Duration::from_millis(400);

/// Asks for a reload whenever the content of the file at `path` differs from what it was, until
/// `stop`. `known` is the content that is in force.
///
/// The file is looked at, instead of its folder being watched: a look costs one `stat`, works on
/// every file system, and follows renames and the links that Kubernetes swaps, while by default the
/// journal lies in the same folder and would wake a watcher at every commit. Contents are compared,
/// so a touched file is not reloaded.
pub(super) async fn watch(
    path: PathBuf,
    mut known: Option<Vec<u8>>,
    reload: Reload,
    stop: CancellationToken,
) {
    // The first look is for what changed before the watching began.
    let (mut before, mut taken) = (None, None);
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
        let now = Look::at(&path);
        let is_quiet = now == before;
        before = now;
        // A file that is gone for a moment is being replaced.
        if now.is_none() || now == taken || !is_quiet {
            continue;
        }
        taken = now;
        let content = std::fs::read(&path).ok();
        if content.is_some() && content != known {
            known = content;
            let (answer, report) = oneshot::channel();
            if reload.send(answer).await.is_err() {
                return;
            }
            let _ = report.await;
        }
    }
}

/// What tells one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    /// Links are followed. `None` where there is no file.
    fn at(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self {
            file: (found.dev(), found.ino()),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

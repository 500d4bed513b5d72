//! Noticing that the configuration file was changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::api::Reload;

/// How long the file must be quiet before it is read: editors write in several steps. Chosen; a
/// change is taken within a second.
const QUIET: Duration = Duration::from_millis(300);

/// Asks for a reload whenever the content of the file at `path` differs from what it was, until
/// `stop`. `known` is the content that is in force.
///
/// The folder is watched, not the file: editors rename, and Kubernetes swaps a link. Contents are
/// compared, so a touched file is not reloaded.
pub(super) async fn watch(
    path: PathBuf,
    mut known: Option<Vec<u8>>,
    reload: Reload,
    stop: CancellationToken,
) {
    let (changed, mut changes) = mpsc::channel(1);
    let notice = move |event: notify::Result<notify::Event>| {
        // Reading the file is an event, too; it would wake this again and again.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = changed.try_send(());
        }
    };
    let watcher = notify::recommended_watcher(notice).and_then(|mut watcher| {
        watcher.watch(folder(&path), RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    // Dropping the watcher would end the watching.
    let _watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            warn!(%error, "cannot watch the configuration file; SIGHUP and `herald reload` still work");
            return;
        }
    };
    // The first look is for what changed before the watching began.
    loop {
        tokio::time::sleep(QUIET).await;
        let _ = changes.try_recv();
        let content = std::fs::read(&path).ok();
        // A file that is gone for a moment is being replaced.
        if content.is_some() && content != known {
            known = content;
            let (answer, report) = oneshot::channel();
            if reload.send(answer).await.is_err() {
                return;
            }
            let _ = report.await;
        }
        tokio::select! {
            change = changes.recv() => if change.is_none() { return },
            () = stop.cancelled() => return,
        }
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

//! Noticing that the configuration file, or a file of its certificate, was changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::api::Reload;
use crate::config::Config;

/// How long the files must be quiet before they are read: editors write in several steps, and a
/// certificate comes with its key. Chosen; a change is taken within a second.
const QUIET: Duration = Duration::from_millis(300);

/// SHA-256 of a file, so that no key is kept to compare it; `None` for one that is not there.
type Print = Option<[u8; 32]>;

/// The files that are watched, each with what of it is in force.
pub(super) struct Watched(Mutex<HashMap<PathBuf, Print>>);

impl Watched {
    /// The configuration file at `path`, and what `config`, which was read from it, names.
    pub(super) fn new(path: Option<&Path>, config: &Config) -> Self {
        let files = path.map(|path| (path.to_owned(), print(path)));
        let watched = Self(Mutex::new(files.into_iter().collect()));
        watched.also(config);
        watched
    }

    /// Takes in the files that a configuration names. Those that are known stay as they are.
    pub(super) fn also(&self, config: &Config) {
        let tls = config.server.tls.iter();
        let named = tls.flat_map(|tls| [&tls.cert, &tls.key]);
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for path in named {
            files.entry(path.clone()).or_insert_with(|| print(path));
        }
    }

    fn folders(&self) -> Vec<PathBuf> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut folders: Vec<_> = files.keys().map(|path| folder(path).to_owned()).collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// Whether any file is another than before; from now on it is known as it is.
    fn has_changed(&self) -> bool {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut has_changed = false;
        for (path, known) in files.iter_mut() {
            let now = print(path);
            // A file that is gone for a moment is being replaced.
            if now.is_some() && now != *known {
                *known = now;
                has_changed = true;
            }
        }
        has_changed
    }
}

fn print(path: &Path) -> Print {
    let content = std::fs::read(path).ok()?;
    Some(Sha256::digest(content).into())
}

/// Asks for a reload whenever the content of a file differs from what it was, until `stop`.
///
/// The folders are watched, not the files: editors rename, and Kubernetes swaps a link. Contents are
/// compared, so a touched file is not reloaded.
pub(super) async fn watch(watched: Arc<Watched>, reload: Reload, stop: CancellationToken) {
    let (changed, mut changes) = mpsc::channel(1);
    let notice = move |event: notify::Result<notify::Event>| {
        // Reading the file is an event, too; it would wake this again and again.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = changed.try_send(());
        }
    };
    // Dropping the watcher would end the watching.
    let mut watcher = match notify::recommended_watcher(notice) {
        Ok(watcher) => watcher,
        Err(error) => return cannot(&error),
    };
    let mut folders = Vec::new();
    // The first look is for what changed before the watching began.
    loop {
        // A reload may have named files elsewhere.
        for folder in watched.folders() {
            if !folders.contains(&folder) {
                if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
                    cannot(&error);
                }
                folders.push(folder);
            }
        }
        tokio::time::sleep(QUIET).await;
        let _ = changes.try_recv();
        if watched.has_changed() {
            let (answer, report) = oneshot::channel();
            if reload.send(answer).await.is_err() {
                return;
            }
            let _ = report.await;
            continue;
        }
        tokio::select! {
            change = changes.recv() => if change.is_none() { return },
            () = stop.cancelled() => return,
        }
    }
}

fn cannot(error: &notify::Error) {
    warn!(%error, "cannot watch the configuration's files; SIGHUP and `herald reload` still work");
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

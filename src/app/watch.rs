//! Noticing that the configuration file, or a file of its certificate, was changed.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::api::Reload;
use crate::config::Config;

/// How often the files are looked at. They are read when two looks in a row find the same: editors
/// write in several steps, and a certificate comes with its key. Chosen: so a change is taken
/// within a second.
const LOOK: Duration = Duration::from_millis(400);

/// SHA-256 of a file, so that no key is kept to compare it; `None` for one that is not there.
type Print = Option<[u8; 32]>;

/// The files that are watched, each with what of it is in force.
pub(super) struct Watched(Mutex<HashMap<PathBuf, Known>>);

/// What is known of a file.
struct Known {
    print: Print,
    /// How it looked when it was read.
    read: Option<Look>,
    /// How it looked last.
    last: Option<Look>,
}

impl Watched {
    /// The configuration file at `path`, and what `config`, which was read from it, names.
    pub(super) fn new(path: Option<&Path>, config: &Config) -> Self {
        let files = path.map(|path| (path.to_owned(), Known::now(path)));
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
            files
                .entry(path.clone())
                .or_insert_with(|| Known::now(path));
        }
    }

    /// Whether any file is another than before; from now on it is known as it is. While one of
    /// them is being written, none is.
    fn has_changed(&self) -> bool {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_quiet = true;
        for (path, known) in files.iter_mut() {
            let now = Look::at(path);
            is_quiet &= now == known.last;
            known.last = now;
        }
        let mut has_changed = false;
        for (path, known) in files.iter_mut().filter(|_| is_quiet) {
            // A file that is gone for a moment is being replaced.
            if known.last.is_none() || known.last == known.read {
                continue;
            }
            known.read = known.last;
            let now = print(path);
            if now.is_some() && now != known.print {
                known.print = now;
                has_changed = true;
            }
        }
        has_changed
    }
}

impl Known {
    fn now(path: &Path) -> Self {
        // Looked at before it is read: what changes in between is read again.
        let look = Look::at(path);
        Self {
            print: print(path),
            read: look,
            last: look,
        }
    }
}

fn print(path: &Path) -> Print {
    let content = std::fs::read(path).ok()?;
    Some(Sha256::digest(content).into())
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

/// Asks for a reload whenever the content of a file differs from what it was, until `stop`.
///
/// The files are looked at, instead of their folders being watched: a look costs one `stat`, works
/// on every file system, and follows renames and the links that Kubernetes swaps, while by default
/// the journal lies in the same folder and would wake a watcher at every commit. Contents are
/// compared, so a touched file is not reloaded.
pub(super) async fn watch(watched: Arc<Watched>, reload: Reload, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
        if watched.has_changed() {
            let (answer, report) = oneshot::channel();
            if reload.send(answer).await.is_err() {
                return;
            }
            let _ = report.await;
        }
    }
}

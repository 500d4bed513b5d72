//! Read-only connections for people, used on blocking threads.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::names::Names;
use super::{fault, index, open};
use crate::journal::Error;

/// Connections at most. Chosen: people read rarely, and each may hold a megabyte of pages.
const READERS_MAX: usize = 4;

/// A few connections that are lent to one reading each.
pub(super) struct Pool {
    path: PathBuf,
    names: Arc<Names>,
    idle: Mutex<Vec<Reader>>,
    permits: Semaphore,
    closed: AtomicBool,
}

/// One connection to the journal, with one to its index where that can be read.
pub(super) struct Reader {
    pub(super) conn: Connection,
    pub(super) index: Option<index::Lookup>,
    pub(super) names: Arc<Names>,
}

impl Pool {
    pub(super) fn new(path: PathBuf, names: Arc<Names>) -> Self {
        Self {
            path,
            names,
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(READERS_MAX),
            closed: AtomicBool::new(false),
        }
    }

    /// Runs `reading` in one short transaction on a blocking thread.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        reading: impl FnOnce(&Reader) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let _permit = self.permits.acquire().await.map_err(|_| Error::Closed)?;
        let pool = Arc::clone(self);
        tokio::task::spawn_blocking(move || pool.run(reading))
            .await
            .unwrap_or(Err(Error::Closed))
    }

    fn run<T>(&self, reading: impl FnOnce(&Reader) -> rusqlite::Result<T>) -> Result<T, Error> {
        let reader = match self.take() {
            Some(reader) => reader,
            None => self.open()?,
        };
        let made = reader
            .conn
            .unchecked_transaction()
            .and_then(|transaction| {
                let made = reading(&reader)?;
                transaction.finish()?;
                Ok(made)
            })
            .map_err(|cause| fault::error(&self.path, &cause))?;
        if !self.closed.load(Ordering::Acquire) {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(reader);
        }
        Ok(made)
    }

    fn take(&self) -> Option<Reader> {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    fn open(&self) -> Result<Reader, Error> {
        Ok(Reader {
            conn: open::reader(&self.path)?,
            index: index::Lookup::open(&self.path),
            names: Arc::clone(&self.names),
        })
    }

    /// Closes what is idle and lets nobody in any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.permits.close();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

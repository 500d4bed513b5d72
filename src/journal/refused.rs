//! Bodies that were refused, kept for a while: so that a person can see what a sender does wrong,
//! and send them through again when it was Herald that was wrong.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Cursor, Error, Hand, Page, RefusedNo};

/// Rows forgotten in one step at most; bounds how long the writer is held up. Chosen.
pub const FORGET_MAX: usize = 500;

/// Of `journal.max_size`, one in so many bytes may be refused bodies of one source, whatever
/// `journal.refused` says: a source that sends nothing but large nonsense must not push events out.
pub(crate) const SOURCE_SHARE: u64 = 64;

/// The journal's verbs for refused bodies. They are written down with
/// [`record`](super::Journal::record).
#[async_trait]
pub trait Refusals: Send + Sync {
    /// Refused bodies, newest first, without the bodies.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn refused(&self, filter: RefusedFilter) -> Result<Page<RefusedRow>, Error>;

    /// One of them with its body.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn refusal(&self, number: RefusedNo) -> Result<Option<RefusedRow>, Error>;

    /// Removes rows that were taken after all, and writes down who had them sent through. What is
    /// gone already is passed over. Gives how many were there.
    ///
    /// # Errors
    /// Nothing was changed. More than [`FORGET_MAX`] are refused.
    async fn forget(&self, numbers: Vec<RefusedNo>, hand: Option<Hand>) -> Result<u64, Error>;
}

/// A body, or one item of a body, that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedEntry {
    /// When.
    pub at: Timestamp,
    /// Name of the source.
    pub source: Arc<str>,
    /// What the sender was told.
    pub reason: String,
    /// How to read it again: whoever sends it through wrote this and understands it.
    pub form: String,
    /// Bytes as received.
    pub bytes: u64,
    /// What is kept of it, compressed (deflate), personal data and tokens cut out; `None` where
    /// nothing is.
    pub body: Option<Vec<u8>>,
}

/// Which refused bodies. An absent field does not filter.
#[derive(Debug, Clone, Default)]
pub struct RefusedFilter {
    /// Name of the source.
    pub source: Option<String>,
    /// Refused at or after.
    pub since: Option<Timestamp>,
    /// Refused before.
    pub until: Option<Timestamp>,
    /// Rows of a page, 1 to [`PAGE_MAX`](super::PAGE_MAX); 0 stands for 100.
    pub limit: u32,
    /// Where to go on.
    pub cursor: Option<Cursor>,
}

/// A refused body as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// Its integer.
    pub number: RefusedNo,
    /// When it was refused.
    pub at: Timestamp,
    /// Name of the source.
    pub source: Arc<str>,
    /// What the sender was told.
    pub reason: String,
    /// How to read it again.
    pub form: String,
    /// Bytes as received.
    pub bytes: u64,
    /// Whether a body is kept.
    pub is_kept: bool,
    /// The body, compressed; lists leave it out.
    pub body: Option<Vec<u8>>,
}

/// Refuses a step that is too large.
pub(super) fn check_step(rows: usize) -> Result<(), Error> {
    if rows <= FORGET_MAX {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "{rows} refused bodies in one step; at most {FORGET_MAX} are taken"
    )))
}

//! `file`: follows a file to which another program appends one event a line, across rotations.
//!
//! - this file: the settings, and handing in what was read,
//! - `follow`: which files are read and how far, and what a rotation is,
//! - `lines`: the next whole lines of one file,
//! - `place`: how far a file was read, as the journal keeps it, and finding it again.
//!
//! How far the files were read is written in the transaction of the events that were read
//! ([`Entry::Bookmark`](crate::journal::Entry::Bookmark)), so a kill at any moment neither loses a
//! line nor hands one in twice, also of events that have no identity.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use herald_model::settings::Table;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::intake::Patience;
use super::{Fetch, Intake, SourceConfig, SourceKind, Way, equal};
use crate::clock;
use crate::pipeline::Answer;

mod follow;
mod lines;
mod place;
#[cfg(test)]
mod tests;

use follow::{Batch, Follower, Note, Step};

/// The kind.
pub(super) const KIND: SourceKind = SourceKind {
    name: "file",
    summary: "Follows a file of one event a line, across rotations.",
    example: include_str!("example.toml"),
    is_brought: false,
    configure,
};

/// Pause before the next look at files that had nothing more. Chosen: a fifth of a second is soon
/// for people, and some system calls in it are nothing for the machine.
const POLL: Duration = Duration::from_millis(200);

/// Lines of one hand-in. Chosen: what a group commit of the journal gains nothing beyond.
const LINES_MAX: usize = 512;

#[derive(Debug, Clone, PartialEq)]
struct Settings {
    path: PathBuf,
    /// In bytes, without the line's end.
    line_max: u64,
}

fn configure(table: &Table<'_>) -> Option<Arc<dyn SourceConfig>> {
    let line_max = table.size("line_max", 1 << 10..=64 << 20).or(1 << 20);
    let path = table.file("path").required("\"events.ndjson\"")?;
    Some(Arc::new(Settings { path, line_max }))
}

impl SourceConfig for Settings {
    fn way(&self) -> Way {
        Way::Fetched(Box::new(Tail(self.clone())))
    }

    fn equals(&self, other: &dyn SourceConfig) -> bool {
        equal(self, other)
    }
}

struct Tail(Settings);

#[async_trait]
impl Fetch for Tail {
    async fn run(self: Box<Self>, intake: Intake, stop: CancellationToken) {
        let Self(settings) = *self;
        let mut patience = Patience::new(&intake);
        let bookmark = loop {
            match intake.bookmark().await {
                Ok(bookmark) => break bookmark,
                Err(error) => patience.pause(&error.to_string(), &stop).await,
            }
            if stop.is_cancelled() {
                return;
            }
        };
        let lines_max = LINES_MAX.min(intake.batch_max());
        let line_max = usize::try_from(settings.line_max).unwrap_or(usize::MAX);
        let mut follower = Follower::new(settings.path, line_max, lines_max, bookmark.as_deref());
        while !stop.is_cancelled() {
            let looked = look(follower).await;
            let Some((back, step)) = looked else { return };
            follower = back;
            let Step { notes, batch } = step;
            for note in notes {
                tell(&intake, &note).await;
            }
            match batch {
                Ok(Some(batch)) => {
                    if hand_in(&intake, &batch, &mut patience, &stop).await {
                        follower.took(batch);
                    }
                }
                Ok(None) => {
                    patience.succeeded();
                    tokio::select! {
                        () = tokio::time::sleep(POLL) => {}
                        () = stop.cancelled() => {}
                    }
                }
                Err(why) => patience.pause(&why, &stop).await,
            }
        }
    }
}

/// One look at the files, which may block.
async fn look(mut follower: Follower) -> Option<(Follower, Step)> {
    let looking = tokio::task::spawn_blocking(move || {
        let step = follower.step(clock::now());
        (follower, step)
    });
    // It fails only where the runtime is being torn down.
    looking.await.ok()
}

/// Whether the batch is durable; not so only where it was told to stop before.
async fn hand_in(
    intake: &Intake,
    batch: &Batch,
    patience: &mut Patience,
    stop: &CancellationToken,
) -> bool {
    let bodies: Vec<&[u8]> = batch.lines.iter().map(|line| &*line.bytes).collect();
    loop {
        match intake.take(&bodies, Some(batch.bookmark.clone())).await {
            Ok(answers) => {
                patience.succeeded();
                for (line, answers) in batch.lines.iter().zip(&answers) {
                    for answer in answers {
                        if let Answer::Refused(why) = answer {
                            let at = line.at;
                            warn!(
                                source = intake.name(),
                                "the line at byte {at} is refused: {why}"
                            );
                        }
                    }
                }
                return true;
            }
            Err(error) => patience.pause(&error.to_string(), stop).await,
        }
        if stop.is_cancelled() {
            return false;
        }
    }
}

async fn tell(intake: &Intake, note: &Note) {
    let source = intake.name();
    match note {
        Note::Waits => info!(source, "the file is not there yet; it is waited for"),
        Note::Rotated => info!(source, "the file was rotated"),
        Note::TooLong { at, line_max } => {
            let why = format!(
                "the line at byte {at} is longer than `line_max`, {line_max} bytes; it is passed over"
            );
            warn!(source, "{why}");
            intake.passed_over(&why).await;
        }
        Note::Lost { offset } => warn!(
            source,
            "the file that was read up to byte {offset} is gone, or was compressed; what stood \
             behind that is lost"
        ),
        Note::NotOurs => warn!(
            source,
            "the stored bookmark is not one of a file; reading begins at the first byte"
        ),
    }
}

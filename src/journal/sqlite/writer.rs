//! The one thread that writes: group commit.

use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{Notify, mpsc, oneshot};

use super::ahead::Waiting;
use super::checkpoint::WalGauge;
use super::core::{Core, Verb};
use super::fault::{Fault, Meaning, error, meaning};
use super::gauge::Gauge;
use super::names::Names;
use super::recover::recover;
use crate::journal::{Error, OnCommit};

/// Entries, claims and settlements in one group at most; bounds how long an answer waits for its
/// group. Chosen: beyond some hundreds a larger group gains nothing.
const GROUP_MAX: usize = 1_024;

/// A commit that takes this long is told in the log. Chosen: senders notice a second, and a healthy
/// disk needs a thousandth of it.
const SLOW: Duration = Duration::from_secs(1);

/// Verbs that may wait for the writer.
pub(super) const WAITING_MAX: usize = 8_192;

/// A verb with whoever waits for its answer.
pub(super) trait Job: Send {
    /// Does it; what is refused is remembered for [`Job::answer`].
    fn run(&mut self, core: &mut Core<'_>) -> rusqlite::Result<()>;

    /// Hands out what `run` made, or the error.
    fn answer(self: Box<Self>, result: Result<(), Error>);

    /// How much of a group it takes up.
    fn weight(&self) -> usize;
}

/// The only kind of job.
pub(super) struct Asked<V: Verb> {
    verb: V,
    made: Option<Result<V::Made, Error>>,
    answer: oneshot::Sender<Result<V::Made, Error>>,
}

/// Where the answer to a verb comes.
pub(super) type Answer<V> = oneshot::Receiver<Result<<V as Verb>::Made, Error>>;

impl<V: Verb> Asked<V> {
    /// A job and where its answer comes.
    pub(super) fn job(verb: V) -> (Box<dyn Job>, Answer<V>) {
        let (answer, answered) = oneshot::channel();
        (Self::answering(verb, answer), answered)
    }

    /// A job that is answered there.
    pub(super) fn answering(
        verb: V,
        answer: oneshot::Sender<Result<V::Made, Error>>,
    ) -> Box<dyn Job> {
        Box::new(Self {
            verb,
            made: None,
            answer,
        })
    }
}

impl<V: Verb> Job for Asked<V> {
    fn run(&mut self, core: &mut Core<'_>) -> rusqlite::Result<()> {
        self.made = Some(match self.verb.run(core) {
            Ok(made) => Ok(made),
            Err(Fault::Refused(why)) => Err(why),
            Err(Fault::Broken(cause)) => return Err(cause),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), Error>) {
        let made = match result {
            Ok(()) => self.made.unwrap_or(Err(Error::Closed)),
            Err(error) => Err(error),
        };
        // Whoever asked may have gone; what was asked for is done all the same.
        let _ = self.answer.send(made);
    }

    fn weight(&self) -> usize {
        self.verb.weight()
    }
}

/// What the writer tells others.
pub(super) struct Telling {
    /// Something is due: whoever asked ahead.
    pub(super) ahead: Arc<Waiting>,
    /// Something may be due: whoever claims.
    pub(super) due: Arc<Notify>,
    /// How long a commit took.
    pub(super) on_commit: Arc<OnceLock<OnCommit>>,
    /// Events were committed, or removed.
    pub(super) index: SyncSender<()>,
    /// The log has grown.
    pub(super) wal: WalGauge,
}

/// What the writer begins with.
pub(super) struct Loading<'a> {
    pub(super) path: &'a Path,
    pub(super) names: Arc<Names>,
    pub(super) gauge: Arc<Gauge>,
    /// When the attempts that were open were found dead.
    pub(super) now: i64,
}

/// Reads what must be remembered, ends the dead claims, reports that it is ready, and then writes
/// until every sender of jobs is gone.
pub(super) fn write(
    loading: Loading<'_>,
    conn: &Connection,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    ready: &SyncSender<Result<(), Error>>,
    mut telling: Telling,
) {
    let Loading {
        path,
        names,
        gauge,
        now,
    } = loading;
    let started = Core::load(path.to_owned(), conn, names, gauge).and_then(|mut core| {
        recover(&mut core, now)?;
        Ok(core)
    });
    let mut core = match started {
        Ok(core) => core,
        Err(cause) => {
            let _ = ready.send(Err(error(path, &cause)));
            return;
        }
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    let mut dead = None;
    while let Some(first) = jobs.blocking_recv() {
        let mut weight = first.weight();
        let mut group = vec![first];
        while weight < GROUP_MAX
            && let Ok(job) = jobs.try_recv()
        {
            weight += job.weight();
            group.push(job);
        }
        if let Some(why) = &dead {
            answer_all(group, why);
            continue;
        }
        let before = (core.count.next_event, core.count.swept);
        dead = write_group(&mut core, group, &telling).err();
        if core.wakes {
            core.wakes = false;
            telling.due.notify_one();
        }
        if (core.count.next_event, core.count.swept) != before {
            // Full means that the index is told already.
            let _ = telling.index.try_send(());
        }
        telling.wal.after_commit(conn);
    }
}

/// Writes a group and answers it. An error is fatal: nothing more may be written.
fn write_group(
    core: &mut Core<'_>,
    mut group: Vec<Box<dyn Job>>,
    telling: &Telling,
) -> Result<(), Error> {
    let Err(cause) = attempt(core, &mut group, telling) else {
        for job in group {
            job.answer(Ok(()));
        }
        return Ok(());
    };
    let why = error(&core.path, &cause);
    if let Err(second) = core.roll_back() {
        let why = error(&core.path, &second);
        answer_all(group, &why);
        return Err(why);
    }
    match meaning(&cause) {
        Meaning::Full => {
            tracing::warn!("the disk of the journal is full");
            answer_all(group, &why);
            Ok(())
        }
        Meaning::Fatal => {
            tracing::error!(error = %why, "the journal cannot be written any more");
            answer_all(group, &why);
            Err(why)
        }
        Meaning::Poison if group.len() == 1 => {
            answer_all(group, &why);
            Ok(())
        }
        Meaning::Poison => group
            .into_iter()
            .try_for_each(|job| write_group(core, vec![job], telling)),
    }
}

fn attempt(
    core: &mut Core<'_>,
    group: &mut Vec<Box<dyn Job>>,
    telling: &Telling,
) -> rusqlite::Result<()> {
    core.begin()?;
    for job in &mut *group {
        job.run(core)?;
    }
    if core.wakes
        && let Some(mut claim) = telling.ahead.begin()
    {
        // Only what it makes due itself, or leaves for another look, wakes whoever else claims.
        core.wakes = false;
        let run = claim.run(core);
        group.push(claim);
        run?;
    }
    let began = Instant::now();
    core.commit()?;
    let took = began.elapsed();
    if took >= SLOW {
        tracing::warn!(
            seconds = took.as_secs_f64(),
            "the journal's disk took long to make a commit durable; everybody waits for it"
        );
    }
    if let Some(tell) = telling.on_commit.get() {
        tell(took);
    }
    Ok(())
}

fn answer_all(group: Vec<Box<dyn Job>>, why: &Error) {
    for job in group {
        job.answer(Err(why.clone()));
    }
}

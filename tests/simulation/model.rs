//! The world of one story, shared by everybody in it: its time, its dice, who lives, what was told,
//! and the books in which everything is kept apart from the journal.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use herald::journal::memory::MemoryJournal;
use herald::journal::{AttemptNo, Error, Settlement, Totals};
use herald_model::{DeliveryState, Notification, Signal};
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::book::Book;
use crate::claims::Waiting;
use crate::dice::Dice;
use crate::keys::Keys;
use crate::planted::Bug;
use crate::receiver::SINKS;
use crate::ways::Ways;

/// What must be true is; or what is not, beginning with the invariant's id in ARCHITECTURE.md.
pub(crate) type Held = Result<(), String>;

pub(crate) fn holds(is_so: bool, else_what: impl FnOnce() -> String) -> Held {
    if is_so { Ok(()) } else { Err(else_what()) }
}

/// A verb of the journal that a full disk refuses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    Record,
    Claim,
    Save,
    Settle,
}

/// When a story begins, in milliseconds since 1970.
const BEGIN: i64 = 1_800_000_000_000;

pub(crate) struct Model {
    /// Milliseconds since the beginning.
    pub(crate) now: i64,
    pub(crate) dice: Dice,
    pub(crate) bug: Option<Bug>,
    /// Whether the story is told, or only looked at.
    aloud: bool,
    pub(crate) trace: Vec<String>,
    pub(crate) broken: Option<String>,
    pub(crate) steps: u64,
    /// Rises with everything that happens.
    pub(crate) moves: u64,
    pub(crate) healed: bool,
    pub(crate) epoch: u32,
    pub(crate) dead: bool,
    /// Dead processes of which attempts live on.
    pub(crate) zombies: Vec<u32>,
    pub(crate) crash_at: Option<u64>,
    /// Until when each [`Verb`] is refused.
    pub(crate) refused_until: [i64; 4],
    pub(crate) book: Book,
    pub(crate) ways: Ways,
    keys: Keys,
    /// Sinks that are held back.
    pub(crate) held: [bool; SINKS.len()],
    /// Of the last messages of several, by sink.
    pub(crate) last_shared: [Option<herald_model::MessageId>; SINKS.len()],
    /// Claims that were asked for ahead.
    pub(crate) ahead: Waiting,
    /// When something happens by itself.
    pub(crate) alarms: BTreeSet<i64>,
    /// The last event's id.
    pub(crate) last_event: u128,
    /// What the sender calls the event that it brings at the moment.
    pub(crate) bringing: u32,
}

/// The model, shared by everybody in the story.
#[derive(Clone)]
pub(crate) struct World {
    model: Arc<Mutex<Model>>,
    /// The process died.
    pub(crate) died: Arc<Notify>,
}

impl World {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, aloud: bool) -> Self {
        let model = Model {
            now: 0,
            dice: Dice(seed),
            bug,
            aloud,
            trace: Vec::new(),
            broken: None,
            steps: 0,
            moves: 0,
            healed: false,
            epoch: 0,
            dead: false,
            zombies: Vec::new(),
            crash_at: None,
            refused_until: [0; 4],
            book: Book::default(),
            ways: Ways::default(),
            keys: Keys::default(),
            held: [false; SINKS.len()],
            last_shared: [None; SINKS.len()],
            ahead: Waiting::default(),
            alarms: BTreeSet::new(),
            last_event: 0,
            bringing: 0,
        };
        Self {
            model: Arc::new(Mutex::new(model)),
            died: Arc::default(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    pub(crate) fn time(&self) -> Timestamp {
        self.lock().time()
    }
}

impl Model {
    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_millisecond(BEGIN + self.now).unwrap()
    }

    /// Milliseconds of the story at a time, or just after it.
    pub(crate) fn millis(at: Timestamp) -> i64 {
        let nanos = at.as_nanosecond() - i128::from(BEGIN) * 1_000_000;
        i64::try_from((nanos + 999_999).div_euclid(1_000_000)).unwrap()
    }

    pub(crate) fn say<T: AsRef<str>>(&mut self, what: impl FnOnce() -> T) {
        self.moves += 1;
        if self.aloud {
            let line = format!("{:>9} ms  {}", self.now, what().as_ref());
            self.trace.push(line);
        }
    }

    /// Notes the first thing that does not hold.
    pub(crate) fn note(&mut self, held: Held) {
        if let (Err(what), None) = (held, &self.broken) {
            self.say(|| format!("BROKEN {what}"));
            self.broken = Some(what);
        }
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// What the journal answers to a verb while its disk is full.
    pub(crate) fn refuses(&mut self, verb: Verb) -> Result<(), Error> {
        if self.refused_until[verb as usize] <= self.now {
            return Ok(());
        }
        self.say(|| format!("{verb:?} is refused: the disk is full").to_lowercase());
        Err(Error::Full)
    }

    /// Looks what its lanes passed.
    pub(crate) fn look_for_late(&mut self, journal: &MemoryJournal) {
        let now = self.time();
        let (mut held, mut any) = (Ok(()), false);
        let book = &mut self.book;
        journal.glance(|seen| {
            if seen.late && held.is_ok() {
                any = true;
                held = book.is_late(seen.number, now);
            }
        });
        self.note(held);
        if any {
            self.say(|| "one is late");
        }
    }

    /// Looks whether the journal holds what it should.
    pub(crate) fn look(&mut self, journal: &MemoryJournal, totals: Totals) {
        let counted_at_claim = self.has(Bug::CountedAtClaim);
        let (mut held, mut rows) = (Ok(()), 0);
        let mut by_state = [0; 4];
        let book = &self.book;
        journal.glance(|seen| {
            rows += 1;
            by_state[match seen.state {
                DeliveryState::Pending => 0,
                DeliveryState::Delivered => 1,
                DeliveryState::Dead => 2,
                DeliveryState::Suppressed => 3,
            }] += 1;
            if held.is_ok() {
                let mut charged = seen.charged;
                if counted_at_claim {
                    let claims = book.claims(seen.number);
                    charged = charged.max(claims);
                }
                held = book.check(seen.number, seen.state, charged);
            }
        });
        let (kept, removed) = book.counts();
        let [pending, delivered, dead, suppressed] = by_state;
        let counted = Totals {
            events: totals.events,
            planned: kept + removed,
            delivered,
            dead,
            suppressed,
            pending,
            removed,
        };
        let conserved = holds(
            rows == kept && totals == counted && totals.are_conserved(),
            || format!("D3 the journal says {totals:?}, {rows} kept; counted are {counted:?}"),
        );
        self.note(held);
        self.note(conserved);
    }

    /// A far side gets something.
    pub(crate) fn received(&mut self, notification: &Notification) {
        let (message, items) = (notification.message, notification.items.len());
        let claimed = self.book.may_be_sent(message, items, &self.zombies);
        self.note(claimed);
        let same = self.keys.received(notification);
        self.note(same);
        if let Some(endpoint) = &notification.endpoint {
            let now = self.time().as_millisecond();
            let few = self.ways.arrived(endpoint, now);
            self.note(few);
        }
    }

    /// A settlement took effect.
    pub(crate) fn settled(&mut self, epoch: u32, attempt: AttemptNo, settlement: &Settlement) {
        let (items, signal) = (&settlement.items, &settlement.signal);
        let ended = settlement.ended;
        let open = match self.book.settled(epoch, attempt, items, ended) {
            Ok(open) => open,
            Err(what) => return self.note(Err(what)),
        };
        self.keys.ended(open.message, Book::any_unknown(items));
        if let Some(permit) = &open.permit {
            self.ways
                .ended(permit, items, signal, ended.as_millisecond());
        }
        if *signal == Signal::Hold {
            self.held[open.sink] = true;
        }
    }

    /// The process died, with everything that was open.
    pub(crate) fn crashed(&mut self) {
        let now = self.time();
        for open in self.book.crashed(now) {
            self.keys.ended(open.message, true);
        }
        self.ways.crashed();
    }
}

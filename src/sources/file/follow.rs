//! Which files are read, and how far: the followed one, and what rotations have made of it.
//!
//! A rotation by *rename* gives the path to a new file; the old one is read on, under whatever
//! name, until nothing was written to it for [`QUIET`]. One by *copy and truncate* leaves a copy
//! beside the file, in which the lines stand that were not read yet; what is written between the
//! copy and the cut is lost by the rotation itself. Both are found again after a restart, and what
//! was rotated meanwhile is read, as long as it is not compressed.
//!
//! Everything here blocks; time comes in as an argument.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::lines::{self, Line};
use super::place::{self, Head, Place, Sibling, siblings};

/// How long nothing must have been written to a file that was rotated away before it is let go of,
/// and its last line taken without an end. Chosen: programs open their new file within seconds.
pub(super) const QUIET: Duration = Duration::from_secs(60);

/// Reads one file after the other.
pub(super) struct Follower {
    path: PathBuf,
    line_max: usize,
    lines_max: usize,
    /// The oldest first; the followed one, if it is there, last.
    open: Vec<Open>,
    begin: Begin,
    /// While there is no file at the path: when the newest was written to of those that were beside
    /// it already. What comes later was rotated away before it was seen.
    waiting_after: Option<SystemTime>,
}

/// What is known before the first look.
enum Begin {
    /// These files were read.
    At(Vec<Place>),
    /// The bookmark is another kind's.
    Anew,
    /// The first look is over.
    Done,
}

struct Open {
    sibling: Sibling,
    place: Place,
    /// Whether the path still leads to it.
    is_live: bool,
    /// Since when a file that was rotated away gave nothing more.
    quiet_since: Option<Timestamp>,
}

/// What one look came to.
pub(super) struct Step {
    pub(super) notes: Vec<Note>,
    /// `None` where there is nothing more to read now.
    pub(super) batch: Result<Option<Batch>, String>,
}

/// Lines to be handed in with the bookmark behind them.
pub(super) struct Batch {
    pub(super) lines: Vec<Line>,
    pub(super) bookmark: String,
    /// Of which file, and how far it is read then.
    index: usize,
    place: Place,
}

/// What people may want to know.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// There is no file at the path.
    Waits,
    /// The path leads to another file, or the file was cut.
    Rotated,
    /// A line was passed over.
    TooLong {
        /// Its first byte.
        at: u64,
        /// What it may have.
        line_max: usize,
    },
    /// A file that was not read to its end is not found again.
    Lost {
        /// How far it was read.
        offset: u64,
    },
    /// The bookmark is another kind's.
    NotOurs,
}

impl Follower {
    /// Follows the file at `path`, from where `bookmark` says.
    pub(super) fn new(
        path: PathBuf,
        line_max: usize,
        lines_max: usize,
        bookmark: Option<&str>,
    ) -> Self {
        let begin = match bookmark.map(place::read) {
            None => Begin::At(Vec::new()),
            Some(Some(places)) => Begin::At(places),
            Some(None) => Begin::Anew,
        };
        Self {
            path,
            line_max,
            lines_max: lines_max.max(1),
            open: Vec::new(),
            begin,
            waiting_after: None,
        }
    }

    /// Looks for rotations and reads the next lines.
    pub(super) fn step(&mut self, now: Timestamp) -> Step {
        let mut notes = Vec::new();
        let read = self
            .look(&mut notes)
            .and_then(|()| self.next(now, &mut notes));
        Step {
            notes,
            batch: read.map_err(|why| format!("cannot read {}: {why}", self.path.display())),
        }
    }

    /// The batch is durable.
    pub(super) fn took(&mut self, batch: Batch) {
        if let Some(open) = self.open.get_mut(batch.index) {
            open.place = batch.place;
            open.quiet_since = None;
        }
    }

    fn look(&mut self, notes: &mut Vec<Note>) -> io::Result<()> {
        match std::mem::replace(&mut self.begin, Begin::Done) {
            Begin::At(places) => self.restore(&places, notes)?,
            Begin::Anew => {
                notes.push(Note::NotOurs);
                self.open_live(None)?;
            }
            Begin::Done => self.find_rotation(notes)?,
        }
        if self.open.iter().any(|open| open.is_live) {
            self.waiting_after = None;
        } else if self.waiting_after.is_none() {
            notes.push(Note::Waits);
            let newest = siblings(&self.path).last().map(|sibling| sibling.modified);
            let newest = newest.unwrap_or(SystemTime::UNIX_EPOCH);
            self.waiting_after = newest.checked_add(Duration::from_nanos(1));
        }
        Ok(())
    }

    /// Finds what was read before the start, and what was rotated away since.
    fn restore(&mut self, places: &[Place], notes: &mut Vec<Note>) -> io::Result<()> {
        let live = self.at_path().inspect_err(|_| {
            self.begin = Begin::At(places.to_vec());
        })?;
        let mut others = siblings(&self.path);
        // It may have been rotated away itself since it was opened.
        others.retain(|other| !live.as_ref().is_some_and(|live| live.is_same(other)));
        let mut goes_on = None;
        let mut newer_than = None;
        for (index, place) in places.iter().enumerate() {
            let is_live = |live: &Sibling| live.is_at(place) && live.continues(place);
            if live.as_ref().is_some_and(is_live) {
                goes_on = Some(place.clone());
                continue;
            }
            let moved = others
                .iter()
                .position(|other| other.is_at(place) && other.continues(place));
            let found = moved.or_else(|| others.iter().position(|other| other.is_copy_of(place)));
            let Some(found) = found else {
                notes.push(Note::Lost {
                    offset: place.offset,
                });
                continue;
            };
            let other = others.remove(found);
            if index + 1 == places.len() {
                newer_than = Some(other.modified);
            }
            self.open.push(Open::rotated(other, place));
        }
        if let Some(than) = newer_than {
            notes.push(Note::Rotated);
            self.add_newer(others, than, places);
        }
        if let Some(live) = live {
            self.open.push(Open::live(live, goes_on));
        }
        Ok(())
    }

    /// Notices that the path leads to another file, or to a shorter one.
    fn find_rotation(&mut self, notes: &mut Vec<Note>) -> io::Result<()> {
        let about = match fs::metadata(&self.path) {
            Ok(about) => Some(about),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(live) = self.open.iter_mut().find(|open| open.is_live) else {
            return match about {
                Some(_) => self.open_live(self.waiting_after),
                None => Ok(()),
            };
        };
        let is_same = about.as_ref().is_some_and(|about| {
            (about.dev(), about.ino()) == (live.place.device, live.place.inode)
        });
        let modified = live.sibling.file.metadata()?.modified()?;
        if !is_same {
            live.is_live = false;
            live.sibling.modified = modified;
            notes.push(Note::Rotated);
            return match about {
                Some(_) => self.open_live(Some(modified)),
                None => Ok(()),
            };
        }
        live.sibling.size = about.map_or(0, |about| about.len());
        if live.sibling.continues(&live.place) {
            return Ok(());
        }
        notes.push(Note::Rotated);
        let cut = live.place.clone();
        live.place.offset = 0;
        live.place.head = Head::nothing();
        let mut others = siblings(&self.path);
        let Some(copy) = others.iter().position(|other| other.is_copy_of(&cut)) else {
            return Ok(());
        };
        let copy = others.remove(copy);
        let than = copy.modified;
        let live = self.open.pop();
        self.open.push(Open::rotated(copy, &cut));
        self.add_newer(others, than, &[cut]);
        self.open.extend(live);
        Ok(())
    }

    /// Opens what the path leads to, and before it what was rotated away `after` the last one.
    fn open_live(&mut self, after: Option<SystemTime>) -> io::Result<()> {
        let Some(live) = self.at_path()? else {
            return Ok(());
        };
        let live = Open::live(live, None);
        if let Some(after) = after {
            // It may have been rotated away itself since it was opened.
            let known = std::slice::from_ref(&live.place);
            self.add_newer(siblings(&self.path), after, known);
        }
        self.open.push(live);
        Ok(())
    }

    /// The file at the path, if there is one.
    fn at_path(&self) -> io::Result<Option<Sibling>> {
        match Sibling::open(&self.path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads from their beginning those of `others` that were last written to at `than` or later (the
    /// clock of a file system is coarse). A copy of what is read already is none of them.
    fn add_newer(&mut self, others: Vec<Sibling>, than: SystemTime, known: &[Place]) {
        for other in others {
            let mut places = self.open.iter().map(|open| &open.place).chain(known);
            let is_known = places.any(|place| other.is_at(place) || other.is_copy_of(place));
            if other.modified >= than && !is_known {
                self.open.push(Open::rotated_unread(other));
            }
        }
    }

    /// The next lines of the first file that has any.
    fn next(&mut self, now: Timestamp, notes: &mut Vec<Note>) -> io::Result<Option<Batch>> {
        let mut index = 0;
        while let Some(open) = self.open.get_mut(index) {
            let is_over = open.is_over(now);
            let from = open.place.offset;
            let file = &open.sibling.file;
            let read = lines::read(file, from, self.line_max, self.lines_max, is_over)?;
            // Looked at after reading: what was cut before is noticed at the next look.
            if !open.place.head.begins(file)? {
                index += 1;
                continue;
            }
            let place = Place {
                offset: read.end,
                head: open.place.head.up_to(file, read.end)?,
                ..open.place
            };
            if !read.lines.is_empty() || !read.too_long.is_empty() {
                let line_max = self.line_max;
                let too_long = read.too_long.iter();
                notes.extend(too_long.map(|at| Note::TooLong { at: *at, line_max }));
                return Ok(Some(Batch {
                    bookmark: self.bookmark(index, &place),
                    lines: read.lines,
                    index,
                    place,
                }));
            }
            open.place = place;
            if is_over && !read.more {
                self.open.remove(index);
                continue;
            }
            open.quiet_since.get_or_insert(now);
            index += 1;
        }
        Ok(None)
    }

    /// The bookmark with the file at `index` read up to `place`.
    fn bookmark(&self, index: usize, place: &Place) -> String {
        let places = self.open.iter().enumerate().map(|(other, open)| {
            let place = if other == index { place } else { &open.place };
            place.clone()
        });
        place::write(places)
    }
}

impl Open {
    fn new(sibling: Sibling, offset: u64, head: Head, is_live: bool) -> Self {
        Self {
            place: Place {
                device: sibling.device,
                inode: sibling.inode,
                offset,
                head,
            },
            sibling,
            is_live,
            quiet_since: None,
        }
    }

    fn live(sibling: Sibling, place: Option<Place>) -> Self {
        match place {
            Some(place) => Self::new(sibling, place.offset, place.head, true),
            None => Self::new(sibling, 0, Head::nothing(), true),
        }
    }

    fn rotated(sibling: Sibling, place: &Place) -> Self {
        Self::new(sibling, place.offset, place.head.clone(), false)
    }

    fn rotated_unread(sibling: Sibling) -> Self {
        Self::new(sibling, 0, Head::nothing(), false)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        let quiet = self
            .quiet_since
            .map(|since| now.duration_since(since).max(SignedDuration::ZERO));
        !self.is_live && quiet.is_some_and(|quiet| quiet.unsigned_abs() >= QUIET)
    }
}

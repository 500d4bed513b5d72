//! `server.bodies_max`: what all bodies together may take, and one sender of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One sender may take this part of the room, and one body in any case. Chosen: however much one
/// sends, as much is left for all others; and one that is alone is not kept short.
const SHARE: usize = 2;

/// Room for bodies, from their first byte to their answer.
#[derive(Debug, Clone)]
pub struct Room {
    bytes: Arc<Semaphore>,
    max: usize,
    /// Bytes that each sender takes. Senders are sources and tokens, so the configuration bounds them.
    senders: Arc<Mutex<HashMap<Arc<str>, Arc<AtomicUsize>>>>,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// All bodies together take all of it.
    Room,
    /// This sender's take its share.
    Share,
}

impl Room {
    /// Room for so many bytes.
    pub fn new(bytes: u64) -> Self {
        let max = usize::try_from(bytes).unwrap_or(usize::MAX);
        let max = max.min(Semaphore::MAX_PERMITS);
        Self {
            bytes: Arc::new(Semaphore::new(max)),
            max,
            senders: Arc::default(),
        }
    }

    /// Bytes that bodies take now.
    pub fn taken(&self) -> usize {
        self.max - self.bytes.available_permits()
    }

    /// Bytes that they may take.
    pub const fn max(&self) -> usize {
        self.max
    }

    /// The part of one sender, whose single body may have `body_max` bytes.
    pub(in crate::api) fn share(&self, sender: &Arc<str>, body_max: u64) -> Share {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = senders.entry(Arc::clone(sender)).or_default();
        let one = usize::try_from(body_max).unwrap_or(usize::MAX);
        Share {
            bytes: Arc::clone(&self.bytes),
            room_max: self.max,
            taken: Arc::clone(taken),
            max: (self.max / SHARE).max(one),
        }
    }
}

/// What one sender's bodies may take of the room.
#[derive(Debug, Clone)]
pub(in crate::api) struct Share {
    bytes: Arc<Semaphore>,
    pub(super) room_max: usize,
    taken: Arc<AtomicUsize>,
    pub(super) max: usize,
}

/// Bytes of the room, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    room: OwnedSemaphorePermit,
    share: Arc<AtomicUsize>,
    bytes: usize,
}

impl Share {
    /// Room for some more bytes. Nobody waits: what had to wait would be memory, too.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn take(&self, bytes: usize) -> Result<Taken, Full> {
        let more = u32::try_from(bytes).map_err(|_| Full::Room)?;
        let fits = |taken: usize| {
            let taken = taken.checked_add(bytes)?;
            (taken <= self.max).then_some(taken)
        };
        let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
        let shared = self.taken.fetch_update(set, get, fits);
        shared.map_err(|_| Full::Share)?;
        let share = Arc::clone(&self.taken);
        match Arc::clone(&self.bytes).try_acquire_many_owned(more) {
            Ok(room) => Ok(Taken { room, share, bytes }),
            Err(_) => {
                share.fetch_sub(bytes, Ordering::AcqRel);
                Err(Full::Room)
            }
        }
    }
}

impl Taken {
    /// Makes one of two of the same share.
    pub(super) fn merge(&mut self, mut more: Self) {
        if let Some(room) = more.room.split(more.room.num_permits()) {
            self.room.merge(room);
        }
        self.bytes += std::mem::take(&mut more.bytes);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.share.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sender_takes_half_and_leaves_the_rest_to_others() {
        let room = Room::new(10);
        let share = |sender: &str| room.share(&sender.into(), 2);
        let (one, other) = (share("one"), share("other"));
        let first = one.take(4).unwrap();
        let second = one.take(1).unwrap();
        assert_eq!(one.take(1).unwrap_err(), Full::Share);
        assert_eq!(
            share("one").take(1).unwrap_err(),
            Full::Share,
            "it is the sender's"
        );
        let third = other.take(4).unwrap();
        let fourth = share("third").take(1).unwrap();
        assert_eq!(other.take(1).unwrap_err(), Full::Room);
        drop(fourth);
        assert!(other.take(1).is_ok(), "what was refused is not counted");
        drop((first, second, third));
        assert_eq!(room.taken(), 0);
        assert!(one.take(5).is_ok());
    }

    #[test]
    fn one_body_has_room_in_any_case() {
        let room = Room::new(10);
        let share = room.share(&"one".into(), 9);
        let taken = share.take(9).unwrap();
        assert_eq!(share.take(1).unwrap_err(), Full::Share);
        drop(taken);
        assert_eq!(room.taken(), 0);
    }
}

//! A fast hash of short texts, and tables of what is found by it.
//!
//! The standard hasher resists senders who choose keys that collide. Here the keys that are kept
//! come from rules, which the operator wrote; events only look them up, and a look-up costs at most
//! the longest run that those rules make.

use std::hash::Hasher;

/// Odd constants with evenly spread bits (the digits of π after the point).
const FIRST: u64 = 0x243f_6a88_85a3_08d3;
const SECOND: u64 = 0x1319_8a2e_0370_7345;

#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
fn eight(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..at + 8).and_then(|part| part.try_into().ok()) {
        Some(part) => u64::from_le_bytes(part),
        None => 0,
    }
}

#[inline]
fn four(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..at + 4).and_then(|part| part.try_into().ok()) {
        Some(part) => u64::from(u32::from_le_bytes(part)),
        None => 0,
    }
}

/// The hash of `bytes` for one purpose; other purposes give another `seed`.
#[inline]
pub(super) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let mut state = mix(seed ^ FIRST, SECOND ^ length as u64);
    let mut at = 0;
    while at + 8 < length {
        state = mix(state ^ eight(bytes, at), SECOND);
        at += 8;
    }
    // The last bytes overlap with those before them, which is quicker than counting them out.
    let last = if length >= 8 {
        eight(bytes, length - 8)
    } else if length >= 4 {
        four(bytes, 0) | (four(bytes, length - 4) << 32)
    } else {
        bytes
            .iter()
            .fold(0, |word, &byte| (word << 8) | u64::from(byte))
    };
    mix(state ^ last, FIRST)
}

/// The same for anything that can be hashed.
#[derive(Default)]
pub(super) struct Fast(u64);

impl Hasher for Fast {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(self.0, bytes);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Numbers found by hash; what they stand for is kept elsewhere, by the caller.
#[derive(Debug, Default, Clone)]
pub(super) struct Table {
    /// Power of two, at most half full.
    slots: Vec<Slot>,
    count: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The upper half of the hash, which saves most comparisons of what differs.
    tag: u32,
    value: u32,
}

const FREE: Slot = Slot {
    tag: 0,
    value: u32::MAX,
};

impl Table {
    pub(super) fn with_capacity(count: usize) -> Self {
        Table {
            slots: vec![FREE; (count * 2).next_power_of_two().max(4)],
            count: 0,
        }
    }

    /// The value filed under `hash` that is the same thing.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        let tag = (hash >> 32) as u32;
        let mut place = hash as usize & mask;
        loop {
            let slot = self.slots.get(place)?;
            if slot.value == FREE.value {
                return None;
            }
            if slot.tag == tag && same(slot.value) {
                return Some(slot.value);
            }
            place = (place + 1) & mask;
        }
    }

    /// Files `value`, which must be below `u32::MAX` and must not be filed yet. `hash_of` gives the
    /// hash of any value filed before.
    pub(super) fn insert(&mut self, hash: u64, value: u32, hash_of: impl Fn(u32) -> u64) {
        if (self.count + 1) * 2 > self.slots.len() {
            let mut larger = Table::with_capacity((self.count + 1) * 2);
            for slot in self.slots.iter().filter(|slot| slot.value != FREE.value) {
                larger.place(hash_of(slot.value), slot.value);
            }
            *self = larger;
        }
        self.place(hash, value);
    }

    fn place(&mut self, hash: u64, value: u32) {
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        while let Some(slot) = self.slots.get_mut(place) {
            if slot.value == FREE.value {
                *slot = Slot {
                    tag: (hash >> 32) as u32,
                    value,
                };
                self.count += 1;
                return;
            }
            place = (place + 1) & mask;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>()
    }
}

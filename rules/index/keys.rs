//! From a value to the rules that are filed under it.

use std::collections::BTreeSet;
use std::ops::Range;

use super::hash::{Table, hash};
use super::ways::{KeyKind, PART};
use crate::json::Decimal;
use crate::pattern::text::folded;
use crate::pattern::tree::Seen;

/// Everything that is found by a value.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Finds a record by its key.
    table: Table,
    /// What is filed under each key. One stretch of words a key: the field and kind, the length of
    /// the text in bytes, the text, the number of words that follow, and these.
    ///
    /// Key and rules lie together so that a hit costs one trip to memory.
    records: Vec<u32>,
    nodes: Vec<NodeKeys>,
    /// Lengths of the prefixes and suffixes that are keys, rising for each field.
    lengths: Vec<u32>,
    /// A bit for the hash of every key that is a part of texts: most parts of a value are no key,
    /// and this says so without a trip to memory.
    parts: Vec<u64>,
    /// Leaves that are tested on every value of their field, each with its record.
    scans: Vec<(u32, u32)>,
}

/// What keys one field has.
#[derive(Debug, Default, Clone)]
pub(super) struct NodeKeys {
    texts: bool,
    words: bool,
    numbers: bool,
    folded: bool,
    parts: bool,
    prefixes: Range<u32>,
    suffixes: Range<u32>,
    scans: Range<u32>,
}

/// How many words `bytes` bytes of text take.
fn words_of(bytes: usize) -> usize {
    bytes.div_ceil(4)
}

fn packed(text: &[u8]) -> impl Iterator<Item = u32> + '_ {
    text.chunks(4).map(|chunk| {
        let mut word = [0; 4];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        u32::from_le_bytes(word)
    })
}

fn owner(node: u32, kind: KeyKind) -> u32 {
    (node << 3) | kind as u32
}

impl Keys {
    pub(super) fn new(nodes: usize) -> Self {
        Keys {
            nodes: vec![NodeKeys::default(); nodes],
            ..Keys::default()
        }
    }

    /// Files `rules` under a key, which must be new.
    pub(super) fn add(&mut self, node: u32, kind: KeyKind, text: &[u8], rules: &[u32]) {
        let record = self.records.len() as u32;
        let owner = owner(node, kind);
        self.records.extend([owner, text.len() as u32]);
        self.records.extend(packed(text));
        self.push_rules(rules);
        // The tables are sized beforehand, so nothing is ever hashed again.
        self.table.insert(hash(owner.into(), text), record, |_| 0);
        if let Some(keys) = self.nodes.get_mut(node as usize) {
            match kind {
                KeyKind::Text => keys.texts = true,
                KeyKind::Word => keys.words = true,
                KeyKind::Number => keys.numbers = true,
                KeyKind::Folded => keys.folded = true,
                KeyKind::Part => keys.parts = true,
                KeyKind::Prefix | KeyKind::Suffix => {}
            }
        }
    }

    /// Files `rules` under a test of the field's values. All scans of one node come together.
    pub(super) fn add_scan(&mut self, node: u32, leaf: u32, rules: &[u32]) {
        let record = self.add_record(rules);
        let place = self.scans.len() as u32;
        self.scans.push((leaf, record));
        if let Some(keys) = self.nodes.get_mut(node as usize) {
            if keys.scans.is_empty() {
                keys.scans = place..place;
            }
            keys.scans.end = place + 1;
        }
    }

    /// Keeps `rules`, to be had back by [`Keys::rules`].
    pub(super) fn add_record(&mut self, rules: &[u32]) -> u32 {
        let record = self.records.len() as u32;
        self.push_rules(rules);
        record
    }

    fn push_rules(&mut self, rules: &[u32]) {
        self.records.push(rules.len() as u32);
        self.records.extend_from_slice(rules);
    }

    pub(super) fn reserve(&mut self, keys: usize) {
        self.table = Table::with_capacity(keys);
    }

    /// Notes what look-ups must know of the keys that were added: their fields, kinds and texts.
    pub(super) fn finish<'k>(&mut self, added: impl Iterator<Item = (u32, KeyKind, &'k [u8])>) {
        let mut lengths: BTreeSet<(u32, bool, u32)> = BTreeSet::new();
        let mut parts = Vec::new();
        for (node, kind, text) in added {
            match kind {
                KeyKind::Prefix => drop(lengths.insert((node, false, text.len() as u32))),
                KeyKind::Suffix => drop(lengths.insert((node, true, text.len() as u32))),
                KeyKind::Part => parts.push((node, part_of(text))),
                _ => {}
            }
        }
        // Sixteen bits a part leave one look-up in sixteen that finds nothing.
        self.parts = vec![0; (parts.len() / 4).next_power_of_two()];
        for (node, part) in parts {
            let (word, bit) = self.part_bit(node, part);
            if let Some(word) = self.parts.get_mut(word) {
                *word |= bit;
            }
        }
        for (node, is_suffix, length) in lengths {
            let place = self.lengths.len() as u32;
            self.lengths.push(length);
            let Some(keys) = self.nodes.get_mut(node as usize) else {
                continue;
            };
            let range = if is_suffix {
                &mut keys.suffixes
            } else {
                &mut keys.prefixes
            };
            if range.start == range.end {
                *range = place..place;
            }
            range.end = place + 1;
        }
    }

    #[inline]
    fn part_bit(&self, node: u32, part: u32) -> (usize, u64) {
        let mixed = (u64::from(part) | u64::from(node) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The length is a power of two.
        (
            (mixed >> 38) as usize & (self.parts.len() - 1),
            1 << (mixed >> 58),
        )
    }

    /// Gives `hit` the rules filed under keys that `seen` has as a value of `node`.
    #[inline]
    pub(super) fn look_up(
        &self,
        node: u32,
        seen: Seen<'_>,
        buffer: &mut String,
        mut hit: impl FnMut(&[u32]),
    ) {
        let Some(keys) = self.nodes.get(node as usize) else {
            return;
        };
        match seen {
            Seen::Text(text) => {
                let bytes = text.as_bytes();
                if keys.texts {
                    self.probe(node, KeyKind::Text, bytes, &mut hit);
                }
                for &length in part(&self.lengths, &keys.prefixes) {
                    let Some(prefix) = bytes.get(..length as usize) else {
                        break;
                    };
                    self.probe(node, KeyKind::Prefix, prefix, &mut hit);
                }
                for &length in part(&self.lengths, &keys.suffixes) {
                    let Some(start) = bytes.len().checked_sub(length as usize) else {
                        break;
                    };
                    let suffix = bytes.get(start..).unwrap_or_default();
                    self.probe(node, KeyKind::Suffix, suffix, &mut hit);
                }
                if keys.parts {
                    for window in bytes.windows(PART) {
                        let (word, bit) = self.part_bit(node, part_of(window));
                        if self.parts.get(word).is_some_and(|word| word & bit != 0) {
                            self.probe(node, KeyKind::Part, window, &mut hit);
                        }
                    }
                }
                if keys.folded {
                    buffer.clear();
                    buffer.extend(folded(text));
                    self.probe(node, KeyKind::Folded, buffer.as_bytes(), &mut hit);
                }
            }
            Seen::Number(text) if keys.numbers => {
                buffer.clear();
                Decimal::of(text).write_key(buffer);
                self.probe(node, KeyKind::Number, buffer.as_bytes(), &mut hit);
            }
            Seen::Bool(truth) if keys.words => {
                let word: &[u8] = if truth { b"true" } else { b"false" };
                self.probe(node, KeyKind::Word, word, &mut hit);
            }
            Seen::Null if keys.words => self.probe(node, KeyKind::Word, b"null", &mut hit),
            Seen::Number(_) | Seen::Bool(_) | Seen::Null => {}
        }
    }

    #[inline]
    fn probe(&self, node: u32, kind: KeyKind, text: &[u8], hit: &mut impl FnMut(&[u32])) {
        let owner = owner(node, kind);
        let record = self.table.find(hash(owner.into(), text), |record| {
            let record = self.records.get(record as usize..).unwrap_or_default();
            let same_text = || packed(text).eq(record.iter().skip(2).take(words_of(text.len())).copied());
            matches!(record, [first, length, ..] if *first == owner && *length as usize == text.len())
                && same_text()
        });
        if let Some(record) = record {
            hit(self.rules(record + 2 + words_of(text.len()) as u32));
        }
    }

    /// The leaves to test on values of `node`, each with what [`Keys::rules`] takes.
    #[inline]
    pub(super) fn scans(&self, node: u32) -> &[(u32, u32)] {
        self.nodes
            .get(node as usize)
            .map_or(&[], |keys| part(&self.scans, &keys.scans))
    }

    #[inline]
    pub(super) fn rules(&self, record: u32) -> &[u32] {
        let Some((&count, rest)) = self
            .records
            .get(record as usize..)
            .and_then(|record| record.split_first())
        else {
            return &[];
        };
        rest.get(..count as usize).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> usize {
        self.table.bytes()
            + (self.records.capacity() + self.lengths.capacity()) * size_of::<u32>()
            + self.parts.capacity() * size_of::<u64>()
            + self.nodes.capacity() * size_of::<NodeKeys>()
            + self.scans.capacity() * size_of::<(u32, u32)>()
    }

    pub(super) fn shrink(&mut self) {
        self.records.shrink_to_fit();
        self.lengths.shrink_to_fit();
        self.scans.shrink_to_fit();
    }
}

/// The first bytes of a text as a number.
#[inline]
fn part_of(text: &[u8]) -> u32 {
    text.first_chunk::<PART>()
        .map_or(0, |part| u32::from_le_bytes(*part))
}

fn part<'l, T>(list: &'l [T], range: &Range<u32>) -> &'l [T] {
    list.get(range.start as usize..range.end as usize)
        .unwrap_or_default()
}

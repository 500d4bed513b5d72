//! From a value to the rules that are filed under it.

use std::ops::Range;

use super::hash::{Table, hash};
use super::leaves::KeyKind;
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
    /// Lengths of the prefixes and suffixes that are keys.
    lengths: Vec<u32>,
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
    pub(super) fn add(&mut self, node: u32, kind: KeyKind, text: &str, rules: &[u32]) {
        let record = self.records.len() as u32;
        let owner = owner(node, kind);
        self.records.extend([owner, text.len() as u32]);
        self.records.extend(packed(text.as_bytes()));
        self.push_rules(rules);
        // The tables are sized beforehand, so nothing is ever hashed again.
        self.table
            .insert(hash(owner.into(), text.as_bytes()), record, |_| 0);
        if let Some(keys) = self.nodes.get_mut(node as usize) {
            match kind {
                KeyKind::Text => keys.texts = true,
                KeyKind::Word => keys.words = true,
                KeyKind::Number => keys.numbers = true,
                KeyKind::Folded => keys.folded = true,
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

    /// Says which lengths of prefixes and suffixes are keys of `node`.
    pub(super) fn set_lengths(&mut self, node: u32, kind: KeyKind, lengths: &[u32]) {
        let start = self.lengths.len() as u32;
        self.lengths.extend_from_slice(lengths);
        let range = start..self.lengths.len() as u32;
        if let Some(keys) = self.nodes.get_mut(node as usize) {
            match kind {
                KeyKind::Prefix => keys.prefixes = range,
                _ => keys.suffixes = range,
            }
        }
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
            + self.nodes.capacity() * size_of::<NodeKeys>()
            + self.scans.capacity() * size_of::<(u32, u32)>()
    }

    pub(super) fn shrink(&mut self) {
        self.records.shrink_to_fit();
        self.lengths.shrink_to_fit();
        self.scans.shrink_to_fit();
    }
}

fn part<'l, T>(list: &'l [T], range: &Range<u32>) -> &'l [T] {
    list.get(range.start as usize..range.end as usize)
        .unwrap_or_default()
}

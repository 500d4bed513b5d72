//! The leaves of all rules, each kept once however many rules share it.

use std::hash::{Hash, Hasher};

use super::gather::{Gathered, Member};
use super::hash::{Fast, Table};
use super::ways::{Way, way};
use crate::json::Decimal;
use crate::pattern::evaluate::Holds;
use crate::pattern::text::TextKind;
use crate::pattern::tree::{Condition, Scalar, Seen};

/// The leaves; a leaf is known by its number.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    leaves: Vec<Leaf>,
    checks: Vec<Check>,
    texts: String,
}

/// What is tested on one field: one of some checks must hold.
#[derive(Debug, Clone, Copy)]
struct Leaf {
    node: u32,
    first_check: u32,
    /// Whether the leaf holds where the field is missing.
    absent: bool,
}

/// A place in [`Leaves::texts`].
#[derive(Debug, Clone, Copy)]
struct Place(u32, u32);

/// A [`Condition`], smaller. The kinds that rules have by the thousand need no memory of their own.
#[derive(Debug)]
enum Check {
    Text(Place),
    Prefix(Place),
    Suffix(Place),
    Number(Place),
    Other(Box<Condition>),
}

impl Leaves {
    pub(super) fn len(&self) -> usize {
        self.leaves.len()
    }

    pub(super) fn node(&self, leaf: u32) -> u32 {
        self.leaves.get(leaf as usize).map_or(0, |leaf| leaf.node)
    }

    /// How the leaf holds in the object that has `member`, or has none.
    #[inline]
    pub(super) fn holds(
        &self,
        leaf: u32,
        member: Option<&Member>,
        found: &Gathered,
        event: &str,
    ) -> Holds {
        let Some(absent) = self.leaves.get(leaf as usize).map(|leaf| leaf.absent) else {
            return Holds::No;
        };
        let mut present = false;
        if let Some(member) = member {
            for seen in found.values_of(event, member) {
                present = true;
                if self
                    .checks_of(leaf)
                    .iter()
                    .any(|check| self.check(check, seen))
                {
                    return Holds::ByPresence;
                }
            }
        }
        if absent && !present {
            Holds::ByAbsence
        } else {
            Holds::No
        }
    }

    #[inline]
    fn checks_of(&self, leaf: u32) -> &[Check] {
        let leaf = leaf as usize;
        let start = self
            .leaves
            .get(leaf)
            .map_or(0, |leaf| leaf.first_check as usize);
        let end = self
            .leaves
            .get(leaf + 1)
            .map_or(self.checks.len(), |next| next.first_check as usize);
        self.checks.get(start..end).unwrap_or_default()
    }

    #[inline]
    fn check(&self, check: &Check, seen: Seen<'_>) -> bool {
        match check {
            Check::Text(place) => seen.text() == Some(self.text(*place)),
            Check::Prefix(place) => seen
                .text()
                .is_some_and(|text| text.starts_with(self.text(*place))),
            Check::Suffix(place) => seen
                .text()
                .is_some_and(|text| text.ends_with(self.text(*place))),
            Check::Number(place) => seen
                .decimal()
                .is_some_and(|found| found == Decimal::of(self.text(*place))),
            Check::Other(condition) => condition.holds(seen),
        }
    }

    fn text(&self, Place(start, end): Place) -> &str {
        self.texts
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    fn is(&self, leaf: u32, node: u32, conditions: &[Condition]) -> bool {
        let checks = self.checks_of(leaf);
        self.node(leaf) == node
            && checks.len() == conditions.len()
            && checks
                .iter()
                .zip(conditions)
                .all(|(check, condition)| self.same(check, condition))
    }

    fn same(&self, check: &Check, condition: &Condition) -> bool {
        match (check, shape(condition)) {
            (Check::Text(place), Shape::Text(text))
            | (Check::Prefix(place), Shape::Prefix(text))
            | (Check::Suffix(place), Shape::Suffix(text))
            | (Check::Number(place), Shape::Number(text)) => self.text(*place) == text,
            (Check::Other(known), Shape::Other) => **known == *condition,
            _ => false,
        }
    }

    fn add(&mut self, node: u32, conditions: &[Condition]) -> u32 {
        let absent = conditions.contains(&Condition::Exists(false));
        let first_check = self.checks.len() as u32;
        self.leaves.push(Leaf {
            node,
            first_check,
            absent,
        });
        for condition in conditions {
            let check = match shape(condition) {
                Shape::Text(text) => Check::Text(self.keep(text)),
                Shape::Prefix(text) => Check::Prefix(self.keep(text)),
                Shape::Suffix(text) => Check::Suffix(self.keep(text)),
                Shape::Number(text) => Check::Number(self.keep(text)),
                Shape::Other => Check::Other(Box::new(condition.clone())),
            };
            self.checks.push(check);
        }
        self.leaves.len() as u32 - 1
    }

    fn keep(&mut self, text: &str) -> Place {
        let start = self.texts.len() as u32;
        self.texts.push_str(text);
        Place(start, self.texts.len() as u32)
    }

    pub(super) fn bytes(&self) -> usize {
        let boxed = self
            .checks
            .iter()
            .filter(|check| matches!(check, Check::Other(_)))
            .count();
        self.leaves.capacity() * size_of::<Leaf>()
            + self.checks.capacity() * size_of::<Check>()
            + self.texts.capacity()
            // The condition and, guessed, the text it owns.
            + boxed * (size_of::<Condition>() + 64)
    }

    pub(super) fn shrink(&mut self) {
        self.leaves.shrink_to_fit();
        self.checks.shrink_to_fit();
        self.texts.shrink_to_fit();
    }
}

enum Shape<'c> {
    Text(&'c str),
    Prefix(&'c str),
    Suffix(&'c str),
    Number(&'c str),
    Other,
}

fn shape(condition: &Condition) -> Shape<'_> {
    match condition {
        Condition::Equal(Scalar::Text(text)) | Condition::Exactly(text) => Shape::Text(text),
        Condition::Equal(Scalar::Number(number)) => Shape::Number(number.as_str()),
        Condition::Text(test) if test.kind == TextKind::Prefix => Shape::Prefix(&test.text),
        Condition::Text(test) if test.kind == TextKind::Suffix => Shape::Suffix(&test.text),
        _ => Shape::Other,
    }
}

/// Gives equal leaves the same number while rules are added, and remembers how to find each.
#[derive(Default)]
pub(super) struct LeafTable {
    table: Table,
    hashes: Vec<u64>,
    /// For each leaf, the ways of its conditions.
    pub(super) ways: Vec<Vec<Way>>,
}

impl LeafTable {
    /// The leaf with these conditions on `node`.
    pub(super) fn intern(
        &mut self,
        leaves: &mut Leaves,
        node: u32,
        conditions: &[Condition],
    ) -> u32 {
        let mut hasher = Fast::default();
        node.hash(&mut hasher);
        for condition in conditions {
            match shape(condition) {
                Shape::Text(text) => (0u8, text).hash(&mut hasher),
                Shape::Prefix(text) => (1u8, text).hash(&mut hasher),
                Shape::Suffix(text) => (2u8, text).hash(&mut hasher),
                Shape::Number(text) => (3u8, text).hash(&mut hasher),
                Shape::Other => condition.hash(&mut hasher),
            }
        }
        let hash = hasher.finish();
        if let Some(known) = self
            .table
            .find(hash, |leaf| leaves.is(leaf, node, conditions))
        {
            return known;
        }
        let added = leaves.add(node, conditions);
        let hashes = &self.hashes;
        self.table.insert(hash, added, |leaf| {
            hashes.get(leaf as usize).copied().unwrap_or(0)
        });
        self.hashes.push(hash);
        self.ways.push(conditions.iter().map(way).collect());
        added
    }
}

//! Decides where each rule is filed.
//!
//! A rule can be found through any leaf that it cannot match without. It is filed under the one
//! that is expected to hold most rarely, so that the 10,000 rules that want the same `operation`
//! are found by their tenants, and the common leaf is tested once for the few that are left.

use std::collections::HashMap;

use super::hash::{Table, hash};
use super::leaves::{LeafTable, Leaves};
use super::program::{Part, Parts};
use super::ways::{Choice, KeyKind, Way};

/// Where a class is filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Under {
    Key(u32),
    Scan { node: u32, leaf: u32 },
    Always,
}

impl Under {
    pub(super) fn is_key(self) -> bool {
        matches!(self, Under::Key(_))
    }
}

pub(super) struct Filing {
    pub(super) under: Under,
    pub(super) class: u32,
    /// The leaf that holds whenever the class is found here.
    pub(super) proven: Option<u32>,
}

pub(super) struct Key {
    pub(super) node: u32,
    pub(super) kind: KeyKind,
    pub(super) text: Vec<u8>,
    /// How many classes could be filed here.
    count: u32,
}

/// How a leaf can be found.
enum Find {
    /// For each condition by one of some keys; true when the key proves the leaf.
    Keys(Vec<Vec<(u32, bool)>>),
    /// By testing it on every event.
    Scan,
    Never,
}

pub(super) struct Plan {
    pub(super) keys: Vec<Key>,
    /// For each leaf how to find it, how many classes use it, and its field.
    finds: Vec<Find>,
    counts: Vec<u32>,
    nodes: Vec<u32>,
    /// How many different keys a field has of a kind: the more, the more rarely one of them hits.
    kinds: HashMap<(u32, KeyKind), u32>,
}

/// Each length of prefixes or suffixes on a field costs a look-up an event. Beyond this many
/// (chosen), texts are filed under their first bytes up to a length that is there already.
const LENGTHS_MAX: usize = 16;

/// Seeking by parts means looking up every part of a value; testing fewer leaves than this (chosen)
/// is cheaper.
const SOUGHT_MIN: usize = 8;

/// What testing a leaf on every event costs, beside a look-up of about 1.
const SCAN_COST: f64 = 2.0;
/// How often a leaf that is tested on every event is taken to hold.
const SCAN_SHARE: f64 = 0.5;
/// How many parts a value is taken to have.
const PARTS_OF_A_VALUE: f64 = 32.0;

impl Plan {
    /// `counts` says how many classes use each leaf.
    pub(super) fn new(leaves: &Leaves, table: &LeafTable, counts: Vec<u32>) -> Self {
        let shape = Shape::of(leaves, table);
        let mut plan = Plan {
            keys: Vec::new(),
            finds: Vec::with_capacity(leaves.len()),
            counts,
            nodes: Vec::with_capacity(leaves.len()),
            kinds: HashMap::new(),
        };
        let mut known = Table::with_capacity(leaves.len());
        for (leaf, ways) in table.ways.iter().enumerate() {
            let node = leaves.node(leaf as u32);
            let count = plan.counts.get(leaf).copied().unwrap_or_default();
            plan.nodes.push(node);
            let find = plan.find(node, ways, count, &shape, &mut known);
            plan.finds.push(find);
        }
        plan
    }

    fn find(
        &mut self,
        node: u32,
        ways: &[Way],
        count: u32,
        shape: &Shape,
        known: &mut Table,
    ) -> Find {
        if ways.iter().any(|way| matches!(way, Way::None)) {
            return Find::Never;
        }
        let mut keys = Vec::with_capacity(ways.len());
        for way in ways {
            let Way::Keys(choices) = way else {
                return Find::Scan;
            };
            let choices: Vec<_> = choices
                .iter()
                .filter_map(|choice| {
                    let text = shape.cut(node, choice)?;
                    let proof = choice.proof && text.len() == choice.text.len();
                    Some((self.key(node, choice.kind, text, count, known), proof))
                })
                .collect();
            if choices.is_empty() {
                return Find::Scan;
            }
            keys.push(choices);
        }
        Find::Keys(keys)
    }

    fn key(&mut self, node: u32, kind: KeyKind, text: &[u8], count: u32, known: &mut Table) -> u32 {
        let hash_of = |key: &Key| hash(u64::from(key.node) << 3 | key.kind as u64, &key.text);
        let keys = &self.keys;
        let same = |place: u32| {
            keys.get(place as usize)
                .is_some_and(|key| key.node == node && key.kind == kind && key.text == text)
        };
        let hashed = hash(u64::from(node) << 3 | kind as u64, text);
        if let Some(place) = known.find(hashed, same) {
            if let Some(key) = self.keys.get_mut(place as usize) {
                key.count += count;
            }
            return place;
        }
        let place = keys.len() as u32;
        known.insert(hashed, place, |place| {
            keys.get(place as usize).map_or(0, hash_of)
        });
        *self.kinds.entry((node, kind)).or_default() += 1;
        self.keys.push(Key {
            node,
            kind,
            text: text.to_owned(),
            count,
        });
        place
    }

    /// Files a class in as many places as are needed to find it whenever it matches.
    pub(super) fn file(&self, class: u32, program: Parts<'_>, filings: &mut Vec<Filing>) {
        let Some((_, cover)) = self.cover(program) else {
            filings.push(Filing {
                under: Under::Always,
                class,
                proven: None,
            });
            return;
        };
        let alone = cover.len() == 1;
        let mut added = Vec::new();
        for leaf in cover {
            match self.finds.get(leaf as usize) {
                Some(Find::Keys(keys)) => {
                    for (_, key, proof) in keys.iter().filter_map(|keys| self.rarest(keys)) {
                        let proven = (alone && proof).then_some(leaf);
                        added.push(Filing {
                            under: Under::Key(key),
                            class,
                            proven,
                        });
                    }
                }
                Some(Find::Scan) => {
                    let node = self.nodes.get(leaf as usize).copied().unwrap_or_default();
                    let proven = alone.then_some(leaf);
                    added.push(Filing {
                        under: Under::Scan { node, leaf },
                        class,
                        proven,
                    });
                }
                Some(Find::Never) | None => {}
            }
        }
        // One key may stand for several conditions of the rule; it proves the leaf if it proves
        // one of them.
        added.sort_by_key(|filing| (filing.under, filing.proven.is_none()));
        added.dedup_by_key(|filing| filing.under);
        filings.append(&mut added);
    }

    /// Leaves one of which must hold by something present if all parts hold, with what finding
    /// rules through them costs; the cheapest such set.
    fn cover(&self, parts: Parts<'_>) -> Option<(f64, Vec<u32>)> {
        let mut best: Option<(f64, Vec<u32>)> = None;
        for part in parts {
            let other = match part {
                Part::Leaf(leaf) => {
                    let Some(cost) = self.cost(leaf) else {
                        continue;
                    };
                    if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                        best = Some((cost, vec![leaf]));
                    }
                    continue;
                }
                Part::Group(inner) | Part::Inside(_, inner) => self.cover(inner),
                Part::Any(groups) => self.cover_all(groups),
                Part::NoneOf(_) => None,
            };
            best = match (best, other) {
                (Some(best), Some(other)) if other.0 < best.0 => Some(other),
                (None, other) => other,
                (best, _) => best,
            };
        }
        best
    }

    fn cover_all(&self, groups: Parts<'_>) -> Option<(f64, Vec<u32>)> {
        let mut together = (0.0, Vec::new());
        for group in groups {
            let Part::Group(inner) = group else {
                return None;
            };
            let (cost, leaves) = self.cover(inner)?;
            together.0 += cost;
            together.1.extend(leaves);
        }
        together.1.sort_unstable();
        together.1.dedup();
        Some(together)
    }

    fn cost(&self, leaf: u32) -> Option<f64> {
        match self.finds.get(leaf as usize)? {
            Find::Never => None,
            Find::Scan => {
                let count = self.counts.get(leaf as usize).copied().unwrap_or_default();
                Some(SCAN_COST + SCAN_SHARE * f64::from(count))
            }
            Find::Keys(keys) => Some(
                keys.iter()
                    .filter_map(|keys| self.rarest(keys))
                    .map(|(cost, ..)| cost)
                    .sum(),
            ),
        }
    }

    /// The key that leads to the fewest rules an event, with that number as its cost.
    fn rarest(&self, keys: &[(u32, bool)]) -> Option<(f64, u32, bool)> {
        let cost = |&(place, proof): &(u32, bool)| {
            let key = self.keys.get(place as usize)?;
            let kinds = self.kinds.get(&(key.node, key.kind)).copied().unwrap_or(1);
            let tries = if key.kind == KeyKind::Part {
                PARTS_OF_A_VALUE
            } else {
                1.0
            };
            Some((
                tries * f64::from(key.count) / f64::from(kinds),
                place,
                proof,
            ))
        };
        keys.iter()
            .filter_map(cost)
            .min_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// What the keys of each field look like as a whole.
struct Shape {
    /// Which lengths of prefixes and suffixes are kept, rising.
    lengths: HashMap<(u32, KeyKind), Vec<usize>>,
    /// How many texts are sought by their parts.
    sought: HashMap<u32, usize>,
}

impl Shape {
    fn of(leaves: &Leaves, table: &LeafTable) -> Self {
        let mut shape = Shape {
            lengths: HashMap::new(),
            sought: HashMap::new(),
        };
        for (leaf, ways) in table.ways.iter().enumerate() {
            let node = leaves.node(leaf as u32);
            for way in ways {
                let Way::Keys(choices) = way else { continue };
                for choice in choices {
                    if let KeyKind::Prefix | KeyKind::Suffix = choice.kind {
                        let lengths = shape.lengths.entry((node, choice.kind)).or_default();
                        lengths.push(choice.text.len());
                    }
                }
                if choices.iter().any(|choice| choice.kind == KeyKind::Part) {
                    *shape.sought.entry(node).or_default() += 1;
                }
            }
        }
        for lengths in shape.lengths.values_mut() {
            lengths.sort_unstable();
            lengths.dedup();
            // Evenly spread, and always the shortest, so that every text keeps some key.
            let step = lengths.len().div_ceil(LENGTHS_MAX).max(1);
            *lengths = lengths.iter().copied().step_by(step).collect();
        }
        shape
    }

    /// The key that is used for `choice`: of a prefix or suffix the part that has the greatest
    /// length that is kept. `None` when this way is not used.
    fn cut<'c>(&self, node: u32, choice: &'c Choice) -> Option<&'c [u8]> {
        let text = choice.text.as_slice();
        let kept = |allowed: &Vec<usize>| {
            let fits = allowed.partition_point(|&length| length <= text.len());
            allowed.get(fits.checked_sub(1)?).copied()
        };
        match choice.kind {
            KeyKind::Part => {
                let sought = self.sought.get(&node).copied().unwrap_or_default();
                (sought >= SOUGHT_MIN).then_some(text)
            }
            KeyKind::Prefix => text.get(..kept(self.lengths.get(&(node, choice.kind))?)?),
            KeyKind::Suffix => {
                let length = kept(self.lengths.get(&(node, choice.kind))?)?;
                text.get(text.len() - length..)
            }
            _ => Some(text),
        }
    }
}

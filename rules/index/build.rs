//! Decides where each rule is filed.
//!
//! A rule can be found through any leaf that it cannot match without. It is filed under the one
//! that is expected to hold most rarely, so that the 10,000 rules that want the same `operation`
//! are found by their tenants, and the common leaf is tested once for the few that are left.

use std::collections::HashMap;

use super::fields::{Fields, ROOT};
use super::hash::{Table, hash};
use super::keys::Keys;
use super::leaves::{KeyKind, LeafTable, Leaves, Way};
use super::program::{Part, Parts, compile};
use super::{Class, Index};
use crate::Pattern;
use crate::json::Limits;

/// Collects rules for an [`Index`].
#[derive(Default)]
pub struct Builder {
    limits: Limits,
    fields: Option<Fields>,
    leaves: Leaves,
    leaf_table: LeafTable,
    programs: Vec<u32>,
    /// Where the program of each class begins. Rules that say the same are one *class*.
    starts: Vec<u32>,
    class_table: Table,
    class_hashes: Vec<u64>,
    /// The class and the id of each rule.
    rules: Vec<(u32, u32)>,
}

impl Builder {
    /// Sets what an event may be at most; the default limits unless set.
    pub fn limits(&mut self, limits: Limits) -> &mut Self {
        self.limits = limits;
        self
    }

    /// Adds a rule. An id that is used for several patterns matches when one of them does.
    pub fn insert(&mut self, id: u32, pattern: &Pattern) -> &mut Self {
        let fields = self.fields.get_or_insert_with(Fields::new);
        let mut program = Vec::new();
        let (leaves, table) = (&mut self.leaves, &mut self.leaf_table);
        compile(pattern.root(), ROOT, fields, leaves, table, &mut program);
        let bytes = program
            .iter()
            .fold(0, |state, word| hash(state, &word.to_le_bytes()));
        let (programs, starts) = (&self.programs, &self.starts);
        let known = self.class_table.find(bytes, |class| {
            let start = starts
                .get(class as usize)
                .map_or(0, |start| *start as usize);
            programs.get(start..start + program.len()) == Some(&program)
        });
        let class = known.unwrap_or_else(|| {
            let class = self.starts.len() as u32;
            self.starts.push(self.programs.len() as u32);
            self.programs.append(&mut program);
            let hashes = &self.class_hashes;
            self.class_table.insert(bytes, class, |class| {
                hashes.get(class as usize).copied().unwrap_or(0)
            });
            self.class_hashes.push(bytes);
            class
        });
        self.rules.push((class, id));
        self
    }

    /// Builds the index.
    pub fn build(mut self) -> Index {
        let fields = self.fields.take().unwrap_or_else(Fields::new);
        let counts = self.leaf_counts();
        let plan = Plan::new(&self.leaves, &self.leaf_table, counts);
        let mut filings: Vec<Filing> = Vec::with_capacity(self.starts.len());
        for (class, &start) in self.starts.iter().enumerate() {
            plan.file(class as u32, Parts::at(&self.programs, start), &mut filings);
        }
        filings.sort_by_key(|filing| filing.under);
        self.index(fields, &plan, &filings)
    }

    /// How many classes use each leaf.
    fn leaf_counts(&self) -> Vec<u32> {
        fn count(parts: Parts<'_>, counts: &mut [u32]) {
            for part in parts {
                match part {
                    Part::Leaf(leaf) => {
                        if let Some(count) = counts.get_mut(leaf as usize) {
                            *count += 1;
                        }
                    }
                    Part::Group(inner)
                    | Part::Inside(_, inner)
                    | Part::Any(inner)
                    | Part::NoneOf(inner) => count(inner, counts),
                }
            }
        }
        let mut counts = vec![0; self.leaves.len()];
        for &start in &self.starts {
            count(Parts::at(&self.programs, start), &mut counts);
        }
        counts
    }

    fn index(self, fields: Fields, plan: &Plan, filings: &[Filing]) -> Index {
        let mut keys = Keys::new(fields.len());
        keys.reserve(plan.keys.len());
        let mut numbers = vec![u32::MAX; self.starts.len()];
        let mut classes: Vec<Class> = Vec::with_capacity(self.starts.len());
        let mut rules = Vec::new();
        let mut always = Vec::new();
        let mut rest = Vec::new();
        for group in filings.chunk_by(|a, b| a.under == b.under) {
            let Some(first) = group.first() else { continue };
            rules.clear();
            for filing in group {
                let start = self
                    .starts
                    .get(filing.class as usize)
                    .copied()
                    .unwrap_or_default();
                let Some(number) = numbers.get_mut(filing.class as usize) else {
                    continue;
                };
                if *number == u32::MAX {
                    // Numbers follow the places of filing, so that rules that are found together
                    // lie together.
                    *number = classes.len() as u32;
                    classes.push(Class {
                        program: start,
                        ids: 0..0,
                    });
                }
                rest.clear();
                let simple =
                    leaves_besides(Parts::at(&self.programs, start), filing.proven, &mut rest);
                super::candidate(*number, simple.then_some(&rest), &mut rules);
            }
            match first.under {
                Under::Key(key) => {
                    if let Some(key) = plan.keys.get(key as usize) {
                        keys.add(key.node, key.kind, &key.text, &rules);
                    }
                }
                Under::Scan { node, leaf } => keys.add_scan(node, leaf, &rules),
                Under::Always => always.clone_from(&rules),
            }
        }
        let used = |key: &u32| {
            filings
                .binary_search_by_key(&Under::Key(*key), |f| f.under)
                .is_ok()
        };
        for (&(node, kind), lengths) in &plan.lengths {
            let used: Vec<u32> = lengths
                .iter()
                .filter(|(_, keys)| keys.iter().any(used))
                .map(|(length, _)| *length)
                .collect();
            keys.set_lengths(node, kind, &used);
        }
        let always = keys.add_record(&always);
        keys.shrink();
        let mut leaves = self.leaves;
        leaves.shrink();
        let mut programs = self.programs;
        programs.shrink_to_fit();
        let ids = ids(self.rules, &numbers, &mut classes);
        Index {
            limits: self.limits,
            fields,
            leaves,
            programs,
            classes,
            ids,
            keys,
            always,
        }
    }
}

/// The ids of all rules, those of one class together.
fn ids(mut rules: Vec<(u32, u32)>, numbers: &[u32], classes: &mut [Class]) -> Vec<u32> {
    for (class, _) in &mut rules {
        *class = numbers.get(*class as usize).copied().unwrap_or_default();
    }
    rules.sort_unstable();
    rules.dedup();
    let mut ids = Vec::with_capacity(rules.len());
    for group in rules.chunk_by(|a, b| a.0 == b.0) {
        let start = ids.len() as u32;
        ids.extend(group.iter().map(|(_, id)| id));
        if let Some(class) = group
            .first()
            .and_then(|(class, _)| classes.get_mut(*class as usize))
        {
            class.ids = start..ids.len() as u32;
        }
    }
    ids
}

/// Collects the leaves of a program but for `proven`; `false` when it is more than leaves that must
/// all hold.
fn leaves_besides(parts: Parts<'_>, proven: Option<u32>, leaves: &mut Vec<u32>) -> bool {
    parts.into_iter().all(|part| match part {
        Part::Leaf(leaf) => {
            if Some(leaf) != proven && !leaves.contains(&leaf) {
                leaves.push(leaf);
            }
            true
        }
        Part::Group(inner) | Part::Inside(_, inner) => leaves_besides(inner, proven, leaves),
        Part::Any(_) | Part::NoneOf(_) => false,
    })
}

/// Where a class is filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Under {
    Key(u32),
    Scan { node: u32, leaf: u32 },
    Always,
}

struct Filing {
    under: Under,
    class: u32,
    /// The leaf that holds whenever the class is found here.
    proven: Option<u32>,
}

struct Key {
    node: u32,
    kind: KeyKind,
    text: String,
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

struct Plan {
    keys: Vec<Key>,
    /// For each leaf how to find it, how many classes use it, and its field.
    finds: Vec<Find>,
    counts: Vec<u32>,
    nodes: Vec<u32>,
    /// How many different keys a field has of a kind: the more, the more rarely one of them hits.
    kinds: HashMap<(u32, KeyKind), u32>,
    /// The lengths of prefixes and suffixes, rising, each with its keys.
    lengths: HashMap<(u32, KeyKind), Vec<KeysOfLength>>,
}

type KeysOfLength = (u32, Vec<u32>);

/// Each length of prefixes or suffixes on a field costs a look-up an event. Beyond this many
/// (chosen), texts are filed under their first bytes up to a length that is there already.
const LENGTHS_MAX: usize = 16;

/// What testing a leaf on every event costs, beside a look-up of about 1.
const SCAN_COST: f64 = 2.0;
/// How often a leaf that is tested on every event is taken to hold.
const SCAN_SHARE: f64 = 0.5;

impl Plan {
    fn new(leaves: &Leaves, table: &LeafTable, counts: Vec<u32>) -> Self {
        let lengths = allowed_lengths(leaves, table);
        let mut plan = Plan {
            keys: Vec::new(),
            finds: Vec::with_capacity(leaves.len()),
            counts,
            nodes: Vec::with_capacity(leaves.len()),
            kinds: HashMap::new(),
            lengths: HashMap::new(),
        };
        let mut known = Table::with_capacity(leaves.len());
        for (leaf, ways) in table.ways.iter().enumerate() {
            let node = leaves.node(leaf as u32);
            let count = plan.counts.get(leaf).copied().unwrap_or_default();
            plan.nodes.push(node);
            let find = plan.find(node, ways, count, &lengths, &mut known);
            plan.finds.push(find);
        }
        plan
    }

    fn find(
        &mut self,
        node: u32,
        ways: &[Way],
        count: u32,
        lengths: &HashMap<(u32, KeyKind), Vec<u32>>,
        known: &mut Table,
    ) -> Find {
        if ways.iter().any(|way| matches!(way, Way::None)) {
            return Find::Never;
        }
        let mut keys = Vec::with_capacity(ways.len());
        for way in ways {
            let ends = match way {
                Way::Key { kind, text, proof } => vec![(*kind, text, *proof)],
                Way::EitherEnd { start, end } => {
                    vec![
                        (KeyKind::Prefix, start, false),
                        (KeyKind::Suffix, end, false),
                    ]
                }
                Way::Scan | Way::None => return Find::Scan,
            };
            let mut choices = Vec::with_capacity(ends.len());
            for (kind, text, proof) in ends {
                let cut = match lengths.get(&(node, kind)) {
                    Some(allowed) => cut(kind, text, allowed),
                    None => text,
                };
                if !cut.is_empty() || !matches!(kind, KeyKind::Prefix | KeyKind::Suffix) {
                    let proof = proof && cut.len() == text.len();
                    choices.push((self.key(node, kind, cut, count, known), proof));
                }
            }
            if choices.is_empty() {
                return Find::Scan;
            }
            keys.push(choices);
        }
        Find::Keys(keys)
    }

    fn key(&mut self, node: u32, kind: KeyKind, text: &str, count: u32, known: &mut Table) -> u32 {
        let hash_of = |key: &Key| {
            hash(
                u64::from(key.node) << 3 | key.kind as u64,
                key.text.as_bytes(),
            )
        };
        let added = Key {
            node,
            kind,
            text: text.to_owned(),
            count,
        };
        let keys = &self.keys;
        let same = |place: u32| {
            keys.get(place as usize)
                .is_some_and(|key| key.node == node && key.kind == kind && key.text == text)
        };
        if let Some(place) = known.find(hash_of(&added), same) {
            if let Some(key) = self.keys.get_mut(place as usize) {
                key.count += count;
            }
            return place;
        }
        let place = keys.len() as u32;
        known.insert(hash_of(&added), place, |place| {
            keys.get(place as usize).map_or(0, hash_of)
        });
        *self.kinds.entry((node, kind)).or_default() += 1;
        if matches!(kind, KeyKind::Prefix | KeyKind::Suffix) {
            let lengths = self.lengths.entry((node, kind)).or_default();
            let length = text.len() as u32;
            match lengths.binary_search_by_key(&length, |(length, _)| *length) {
                Ok(at) => {
                    if let Some((_, keys)) = lengths.get_mut(at) {
                        keys.push(place);
                    }
                }
                Err(at) => lengths.insert(at, (length, vec![place])),
            }
        }
        self.keys.push(added);
        place
    }

    fn file(&self, class: u32, parts: Parts<'_>, filings: &mut Vec<Filing>) {
        let Some((_, cover)) = self.cover(parts) else {
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
        // One key may stand for several conditions of the rule; it proves the leaf if one of them
        // does not say less.
        added.sort_by_key(|filing| (filing.under, filing.proven.is_none()));
        added.dedup_by_key(|filing| filing.under);
        filings.append(&mut added);
    }

    /// Leaves one of which must hold by something present if all parts hold, with what finding
    /// rules through them costs; the cheapest such set.
    fn cover(&self, parts: Parts<'_>) -> Option<(f64, Vec<u32>)> {
        let mut best: Option<(f64, Vec<u32>)> = None;
        for part in parts {
            let cover = match part {
                Part::Leaf(leaf) => self.cost(leaf).map(|cost| (cost, leaf)),
                Part::Group(inner) | Part::Inside(_, inner) => {
                    best = cheaper(best, self.cover(inner));
                    continue;
                }
                Part::Any(groups) => {
                    best = cheaper(best, self.cover_all(groups));
                    continue;
                }
                Part::NoneOf(_) => None,
            };
            if let Some((cost, leaf)) = cover
                && best.as_ref().is_none_or(|(least, _)| cost < *least)
            {
                best = Some((cost, vec![leaf]));
            }
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
            Some((f64::from(key.count) / f64::from(kinds), place, proof))
        };
        keys.iter()
            .filter_map(cost)
            .min_by(|a, b| a.0.total_cmp(&b.0))
    }
}

fn cheaper(a: Option<(f64, Vec<u32>)>, b: Option<(f64, Vec<u32>)>) -> Option<(f64, Vec<u32>)> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0 < a.0 { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// For fields that have too many lengths of prefixes or suffixes: those that are kept.
fn allowed_lengths(leaves: &Leaves, table: &LeafTable) -> HashMap<(u32, KeyKind), Vec<u32>> {
    let mut lengths: HashMap<(u32, KeyKind), Vec<u32>> = HashMap::new();
    for (leaf, ways) in table.ways.iter().enumerate() {
        for way in ways {
            if let Way::Key {
                kind: kind @ (KeyKind::Prefix | KeyKind::Suffix),
                text,
                ..
            } = way
            {
                lengths
                    .entry((leaves.node(leaf as u32), *kind))
                    .or_default()
                    .push(text.len() as u32);
            }
        }
    }
    for all in lengths.values_mut() {
        all.sort_unstable();
        all.dedup();
        // Evenly spread, and always the shortest, so that every text keeps some key.
        let step = all.len().div_ceil(LENGTHS_MAX).max(1);
        *all = all.iter().copied().step_by(step).collect();
    }
    lengths
}

/// The part of `text` that has the greatest allowed length, from the end that counts.
fn cut<'t>(kind: KeyKind, text: &'t str, allowed: &[u32]) -> &'t str {
    let fits = allowed.partition_point(|&length| length as usize <= text.len());
    let length = fits
        .checked_sub(1)
        .and_then(|at| allowed.get(at))
        .map_or(0, |&l| l as usize);
    match kind {
        KeyKind::Prefix => text.get(..length).unwrap_or_default(),
        _ => text.get(text.len() - length..).unwrap_or_default(),
    }
}

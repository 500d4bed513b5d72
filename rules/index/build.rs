//! Collects rules, gives equal ones one number and puts everything in its place.

use super::fields::{Fields, ROOT};
use super::hash::{Table, hash};
use super::keys::Keys;
use super::leaves::{LeafTable, Leaves};
use super::plan::{Filing, Plan, Under};
use super::program::{Part, Parts, compile};
use super::{Class, Index};
use crate::Pattern;
use crate::json::Limits;

/// Collects rules for an [`Index`], a hundred million at most.
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
        let groups = || filings.chunk_by(|a, b| a.under == b.under);
        let is_key = |group: &&[Filing]| group.first().is_some_and(|first| first.under.is_key());
        keys.reserve(groups().filter(is_key).count());
        let mut numbers = vec![u32::MAX; self.starts.len()];
        let mut classes: Vec<Class> = Vec::with_capacity(self.starts.len());
        let mut rules = Vec::new();
        let mut always = Vec::new();
        let mut filed = Vec::new();
        let mut rest = Vec::new();
        for group in groups() {
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
                    filed.push(key);
                    if let Some(key) = plan.keys.get(key as usize) {
                        keys.add(key.node, key.kind, &key.text, &rules);
                    }
                }
                Under::Scan { node, leaf } => keys.add_scan(node, leaf, &rules),
                Under::Always => always.clone_from(&rules),
            }
        }
        keys.finish(filed.iter().filter_map(|&key| {
            let key = plan.keys.get(key as usize)?;
            Some((key.node, key.kind, key.text.as_slice()))
        }));
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

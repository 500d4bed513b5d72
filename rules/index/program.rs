//! Rules as short programs: lists of words without pointers, so that a hundred thousand of them
//! lie close together and equal ones are easy to see.
//!
//! A program is a tree in the order of its reading. Each word holds a tag and a number; after the
//! word of a part with parts of its own stands where that part ends.

use super::fields::Fields;
use super::gather::{Gathered, NONE};
use super::leaves::{LeafTable, Leaves};
use crate::pattern::evaluate::Holds;
use crate::pattern::tree::{Group, How, Test};

const TAG_SHIFT: u32 = 28;
const NUMBER_MASK: u32 = (1 << TAG_SHIFT) - 1;

/// All parts must hold.
const GROUP: u32 = 0;
/// The leaf with this number.
const LEAF: u32 = 1;
/// A group for the objects in the field with this number.
const INSIDE: u32 = 2;
const ANY: u32 = 3;
const ALL: u32 = 4;
const NONE_OF: u32 = 5;

fn word(tag: u32, number: u32) -> u32 {
    (tag << TAG_SHIFT) | (number & NUMBER_MASK)
}

/// Writes the program of `group`, whose object is the value of `node`.
pub(super) fn compile(
    group: &Group,
    node: u32,
    fields: &mut Fields,
    leaves: &mut Leaves,
    table: &mut LeafTable,
    program: &mut Vec<u32>,
) {
    parts(GROUP, 0, program, |program| {
        for test in &group.tests {
            match test {
                Test::Leaf { field, conditions } => {
                    let child = fields.intern(node, field);
                    fields.mark_leaf(child);
                    let leaf = table.intern(leaves, child, conditions);
                    program.push(word(LEAF, leaf));
                }
                Test::Inside { field, group } => {
                    let child = fields.intern(node, field);
                    parts(INSIDE, child, program, |program| {
                        compile(group, child, fields, leaves, table, program);
                    });
                }
                Test::Combined { how, groups } => {
                    let tag = match how {
                        How::Or | How::Any => ANY,
                        How::All => ALL,
                        How::None => NONE_OF,
                    };
                    parts(tag, 0, program, |program| {
                        for group in groups {
                            compile(group, node, fields, leaves, table, program);
                        }
                    });
                }
            }
        }
    });
}

/// The end is written as a distance, so that a program means the same wherever it stands.
fn parts(tag: u32, number: u32, program: &mut Vec<u32>, write: impl FnOnce(&mut Vec<u32>)) {
    let start = program.len();
    program.extend([word(tag, number), 0]);
    write(program);
    let length = (program.len() - start) as u32;
    if let Some(end) = program.get_mut(start + 1) {
        *end = length;
    }
}

/// One part of a program, with the words of its own parts.
#[derive(Clone, Copy)]
pub(super) enum Part<'p> {
    /// All must hold.
    Group(Parts<'p>),
    Leaf(u32),
    Inside(u32, Parts<'p>),
    Any(Parts<'p>),
    NoneOf(Parts<'p>),
}

/// Parts that stand one after the other.
#[derive(Clone, Copy)]
pub(super) struct Parts<'p>(&'p [u32]);

impl<'p> Parts<'p> {
    /// The program that begins at `start`.
    pub(super) fn at(programs: &'p [u32], start: u32) -> Self {
        let program = programs.get(start as usize..).unwrap_or_default();
        let length = program.get(1).copied().unwrap_or_default() as usize;
        Parts(program.get(..length).unwrap_or_default())
    }
}

impl<'p> Iterator for Parts<'p> {
    type Item = Part<'p>;

    fn next(&mut self) -> Option<Part<'p>> {
        let (&first, rest) = self.0.split_first()?;
        let number = first & NUMBER_MASK;
        if first >> TAG_SHIFT == LEAF {
            self.0 = rest;
            return Some(Part::Leaf(number));
        }
        let length = *rest.first()? as usize;
        let (part, after) = self.0.split_at_checked(length)?;
        self.0 = after;
        let inner = Parts(part.get(2..).unwrap_or_default());
        Some(match first >> TAG_SHIFT {
            INSIDE => Part::Inside(number, inner),
            ANY => Part::Any(inner),
            NONE_OF => Part::NoneOf(inner),
            _ => Part::Group(inner),
        })
    }
}

/// Whether the parts all hold, in an event that is not branched. There each field is at most once,
/// so how things hold does not matter and every leaf has one answer.
pub(super) fn holds_flat(parts: Parts<'_>, leaf: &mut impl FnMut(u32) -> bool) -> bool {
    for part in parts {
        let holds = match part {
            Part::Leaf(number) => leaf(number),
            Part::Group(inner) | Part::Inside(_, inner) => holds_flat(inner, leaf),
            Part::Any(groups) => any(groups, leaf),
            Part::NoneOf(groups) => !any(groups, leaf),
        };
        if !holds {
            return false;
        }
    }
    true
}

fn any(groups: Parts<'_>, leaf: &mut impl FnMut(u32) -> bool) -> bool {
    groups.into_iter().any(|part| match part {
        Part::Group(inner) => holds_flat(inner, leaf),
        _ => false,
    })
}

/// A branched event and the leaves to test on it.
pub(super) struct Branched<'a> {
    pub(super) leaves: &'a Leaves,
    pub(super) found: &'a Gathered,
    pub(super) event: &'a str,
}

impl Branched<'_> {
    /// How the parts hold together in one object.
    pub(super) fn holds(&self, parts: Parts<'_>, object: u32) -> Holds {
        let mut holds = Holds::ByAbsence;
        for part in parts {
            holds = holds.and(self.part(part, object));
            if holds == Holds::No {
                break;
            }
        }
        holds
    }

    fn part(&self, part: Part<'_>, object: u32) -> Holds {
        match part {
            Part::Leaf(leaf) => {
                let member = self.found.member_of(object, self.leaves.node(leaf));
                self.leaves.holds(leaf, member, self.found, self.event)
            }
            Part::Group(inner) => self.holds(inner, object),
            Part::Inside(node, inner) => {
                let member = self.found.member_of(object, node);
                let mut objects = member
                    .into_iter()
                    .flat_map(|member| self.found.objects_in(member))
                    .peekable();
                if objects.peek().is_none() {
                    return self.holds(inner, NONE);
                }
                Holds::across(objects.map(|object| self.holds(inner, object)))
            }
            Part::Any(groups) => groups
                .map(|group| self.part(group, object))
                .max()
                .unwrap_or(Holds::No),
            Part::NoneOf(mut groups) => {
                if groups.all(|group| self.part(group, object) == Holds::No) {
                    Holds::ByAbsence
                } else {
                    Holds::No
                }
            }
        }
    }
}

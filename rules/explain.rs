//! Why an event matched a pattern, or what came nearest to it.
//!
//! Walks the pattern as [`Pattern::evaluate`](crate::Pattern::evaluate) does and keeps, besides the
//! answer, the leaves that held and those that failed. Where several ways could have led to a match
//! (alternatives, elements of an array) the one with the fewest failed leaves is told, and of equal
//! ones the first in the rule.

use std::fmt;

use crate::json::{Object, Value};
use crate::pattern::evaluate::{Holds, condition, leaf_values, objects};
use crate::pattern::tree::{Condition, Group, How, Test};
use words::{found, wanted};

mod words;

/// The answer to "why?" for one event and one pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explanation {
    /// The event matches.
    Matched {
        /// The conditions that held, in the pattern's order: of each leaf those alternatives that
        /// the event fulfils.
        held: Vec<Held>,
    },
    /// The event does not match.
    Different {
        /// The first leaf that failed on the way that came nearest.
        nearest: Difference,
        /// How many leaves failed on that way, at least 1.
        failed: usize,
    },
}

/// A condition that held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The field, with dots between its keys.
    pub field: String,
    /// The condition in words, as in [`Difference::wanted`].
    pub test: String,
    /// The value in words, as in [`Difference::found`].
    pub found: String,
}

/// A leaf that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field, with dots between its keys.
    pub field: String,
    /// What the rule wants, in words: `WARN or CRITICAL`, `a text that begins with "acs:"`.
    pub wanted: String,
    /// What the event has, in words: its value, shortened when it is long, or `missing`.
    pub found: String,
}

impl Explanation {
    /// Whether the event matches. Always what [`evaluate`](crate::Pattern::evaluate) answers.
    pub fn is_match(&self) -> bool {
        matches!(self, Explanation::Matched { .. })
    }
}

/// Writes the difference as a sentence: `level is INFO; the rule wants WARN or CRITICAL`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference {
            field,
            wanted,
            found,
        } = self;
        if field.is_empty() {
            return write!(f, "the event is {found}; the rule wants {wanted}");
        }
        write!(f, "{field} is {found}; the rule wants {wanted}")
    }
}

/// Writes what held, or the difference, as a sentence.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Explanation::Different { nearest, .. } => nearest.fmt(f),
            Explanation::Matched { held } => {
                f.write_str("matched")?;
                let mut last = None;
                for Held { field, found, .. } in held {
                    // Several conditions may hold for one value; it is said once.
                    let said = Some((field, found));
                    if said != last {
                        let mark = if last.is_none() { ':' } else { ',' };
                        write!(f, "{mark} {field} is {found}")?;
                    }
                    last = said;
                }
                Ok(())
            }
        }
    }
}

pub(crate) fn explain(root: &Group, event: &Value) -> Explanation {
    let Some(object) = event.as_object() else {
        let nearest = Difference {
            field: String::new(),
            wanted: "an object".to_owned(),
            found: found(Some(event)),
        };
        return Explanation::Different { nearest, failed: 1 };
    };
    let way = group(root, object, &mut Vec::new());
    match way.failed.first() {
        Some(nearest) if way.holds == Holds::No => Explanation::Different {
            nearest: nearest.clone(),
            failed: way.failed.len(),
        },
        _ => Explanation::Matched { held: way.held },
    }
}

/// What became of one part of the pattern. `failed` is empty unless it does not hold.
struct Way {
    holds: Holds,
    held: Vec<Held>,
    failed: Vec<Difference>,
}

impl Way {
    /// Both parts on the same object.
    fn and(mut self, other: Way) -> Way {
        self.holds = self.holds.and(other.holds);
        self.held.extend(other.held);
        self.failed.extend(other.failed);
        self
    }

    fn nothing() -> Way {
        Way {
            holds: Holds::ByAbsence,
            held: Vec::new(),
            failed: Vec::new(),
        }
    }
}

type Path<'p> = Vec<&'p str>;

fn group<'p>(wanted: &'p Group, object: &Object, path: &mut Path<'p>) -> Way {
    wanted
        .tests
        .iter()
        .map(|test| one(test, object, path))
        .fold(Way::nothing(), Way::and)
}

fn one<'p>(test: &'p Test, object: &Object, path: &mut Path<'p>) -> Way {
    match test {
        Test::Leaf { field, conditions } => {
            path.push(field);
            let way = leaf(conditions, object.get(field), &path.join("."));
            path.pop();
            way
        }
        Test::Inside { field, group } => {
            path.push(field);
            let way = inside(group, object.get(field), path);
            path.pop();
            way
        }
        Test::Combined { how, groups } => {
            let ways = groups
                .iter()
                .map(|wanted| group(wanted, object, path))
                .collect();
            match how {
                How::Or | How::Any => any(ways),
                How::All => ways.into_iter().fold(Way::nothing(), Way::and),
                How::None => none(groups, ways),
            }
        }
    }
}

fn any(ways: Vec<Way>) -> Way {
    let holds = ways.iter().map(|way| way.holds).max().unwrap_or(Holds::No);
    if holds == Holds::No {
        return nearest(ways.into_iter());
    }
    let held = ways
        .into_iter()
        .filter(|way| way.holds != Holds::No)
        .flat_map(|way| way.held);
    Way {
        holds,
        held: held.collect(),
        failed: Vec::new(),
    }
}

fn none(groups: &[Group], ways: Vec<Way>) -> Way {
    let failed: Vec<_> = groups
        .iter()
        .zip(ways)
        .filter(|(_, way)| way.holds != Holds::No)
        .map(|(group, way)| match way.held.as_slice() {
            [first, rest @ ..] => {
                let rest: String = rest
                    .iter()
                    .map(|held| format!(" where {} is {}", held.field, held.test))
                    .collect();
                Difference {
                    field: first.field.clone(),
                    wanted: format!("anything but {}{rest}", first.test),
                    found: first.found.clone(),
                }
            }
            [] => Difference {
                field: String::new(),
                wanted: "one that does not".to_owned(),
                found: format!("one that matches {group}"),
            },
        })
        .collect();
    let holds = if failed.is_empty() {
        Holds::ByAbsence
    } else {
        Holds::No
    };
    Way {
        holds,
        held: Vec::new(),
        failed,
    }
}

fn inside<'p>(wanted: &'p Group, value: Option<&Value>, path: &mut Path<'p>) -> Way {
    let objects = value.map(objects).unwrap_or_default();
    if objects.is_empty() {
        return group(wanted, &Object::new(), path);
    }
    let ways: Vec<Way> = objects
        .into_iter()
        .map(|object| group(wanted, object, path))
        .collect();
    match Holds::across(ways.iter().map(|way| way.holds)) {
        Holds::No => nearest(ways.into_iter().filter(|way| way.holds == Holds::No)),
        holds => {
            let first = ways.into_iter().find(|way| way.holds == holds);
            first.unwrap_or_else(Way::nothing)
        }
    }
}

/// The way with the fewest failed leaves, the first of equal ones.
fn nearest(ways: impl Iterator<Item = Way>) -> Way {
    let way = ways.min_by_key(|way| way.failed.len());
    let Way { failed, .. } = way.unwrap_or_else(Way::nothing);
    Way {
        holds: Holds::No,
        held: Vec::new(),
        failed,
    }
}

fn leaf(conditions: &[Condition], value: Option<&Value>, field: &str) -> Way {
    let values = value.map(leaf_values).unwrap_or_default();
    let mut held = Vec::new();
    for wanted in conditions {
        let hit = values.iter().find(|value| condition(wanted, value));
        if values.is_empty() && *wanted == Condition::Exists(false) || hit.is_some() {
            held.push(Held {
                field: field.to_owned(),
                test: self::wanted(std::slice::from_ref(wanted)),
                found: found(hit.copied()),
            });
        }
    }
    if held.is_empty() {
        let found = found(value);
        let difference = Difference {
            field: field.to_owned(),
            wanted: wanted(conditions),
            found,
        };
        return Way {
            holds: Holds::No,
            held,
            failed: vec![difference],
        };
    }
    let holds = if values.is_empty() {
        Holds::ByAbsence
    } else {
        Holds::ByPresence
    };
    Way {
        holds,
        held,
        failed: Vec::new(),
    }
}

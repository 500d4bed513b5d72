//! What a pattern means: the plain truth.
//!
//! Written to be obviously right, not fast. The index is tested against it.
//!
//! Arrays need a third answer besides yes and no. `{"a": {"b": [1], "c": [{"exists": false}]}}`
//! asks for one element of `a` with `b` 1 and no `c`. But `{"a": {"c": [{"exists": false}]}}` alone
//! does not ask for an element: it says that there is no `a.c` anywhere. So a test that holds
//! because something is there chooses an element, and a test that holds because something is *not*
//! there does not: where nothing else chooses, it must hold for all elements.

use std::cmp::Ordering;
use std::net::IpAddr;

use super::tree::{Bound, Condition, Group, How, Numeric, Scalar, Seen, Test};
use crate::json::{Decimal, Object, Value};

/// How a test holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holds {
    No,
    ByAbsence,
    ByPresence,
}

impl Holds {
    /// Both tests, on the same object.
    pub(crate) fn and(self, other: Holds) -> Holds {
        if self == Holds::No || other == Holds::No {
            Holds::No
        } else {
            self.max(other)
        }
    }

    /// One pattern on all elements of an array.
    pub(crate) fn across(elements: impl Iterator<Item = Holds>) -> Holds {
        let (mut any_present, mut all_absent) = (false, true);
        for holds in elements {
            any_present |= holds == Holds::ByPresence;
            all_absent &= holds == Holds::ByAbsence;
        }
        match (any_present, all_absent) {
            (true, _) => Holds::ByPresence,
            (false, true) => Holds::ByAbsence,
            (false, false) => Holds::No,
        }
    }
}

pub(super) fn matches(root: &Group, event: &Value) -> bool {
    event
        .as_object()
        .is_some_and(|event| group(root, event) != Holds::No)
}

fn group(wanted: &Group, object: &Object) -> Holds {
    wanted
        .tests
        .iter()
        .map(|test| one(test, object))
        .fold(Holds::ByAbsence, Holds::and)
}

fn one(test: &Test, object: &Object) -> Holds {
    match test {
        Test::Leaf { field, conditions } => leaf(conditions, object.get(field)),
        Test::Inside { field, group } => inside(group, object.get(field)),
        Test::Combined { how, groups } => {
            let mut answers = groups.iter().map(|wanted| group(wanted, object));
            match how {
                How::Or | How::Any => answers.max().unwrap_or(Holds::No),
                How::All => answers.fold(Holds::ByAbsence, Holds::and),
                How::None if answers.all(|holds| holds == Holds::No) => Holds::ByAbsence,
                How::None => Holds::No,
            }
        }
    }
}

fn inside(wanted: &Group, value: Option<&Value>) -> Holds {
    let objects = value.map(objects).unwrap_or_default();
    if objects.is_empty() {
        return group(wanted, &Object::new());
    }
    Holds::across(objects.into_iter().map(|object| group(wanted, object)))
}

fn leaf(conditions: &[Condition], value: Option<&Value>) -> Holds {
    let values = value.map(leaf_values).unwrap_or_default();
    if values.is_empty() {
        let absence = conditions.contains(&Condition::Exists(false));
        return if absence { Holds::ByAbsence } else { Holds::No };
    }
    let held = values
        .iter()
        .any(|value| conditions.iter().any(|wanted| condition(wanted, value)));
    if held { Holds::ByPresence } else { Holds::No }
}

/// The objects that the members of a field are looked for in: the field's value, or the elements
/// of an array, and of arrays in it.
pub(crate) fn objects(value: &Value) -> Vec<&Object> {
    match value {
        Value::Object(object) => vec![object],
        Value::Array(elements) => elements.iter().flat_map(objects).collect(),
        _ => Vec::new(),
    }
}

/// The values that conditions are tested on: the field's value, or the elements of an array, and of
/// arrays in it. Objects are none.
pub(crate) fn leaf_values(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(_) => Vec::new(),
        Value::Array(elements) => elements.iter().flat_map(leaf_values).collect(),
        scalar => vec![scalar],
    }
}

/// Whether the condition holds of a value that is there and is no array or object.
pub(crate) fn condition(wanted: &Condition, value: &Value) -> bool {
    Seen::of(value).is_some_and(|seen| wanted.holds(seen))
}

impl Condition {
    /// Whether the condition holds of a value that is there.
    pub(crate) fn holds(&self, seen: Seen<'_>) -> bool {
        match self {
            Condition::Equal(scalar) => scalar.equals(seen),
            Condition::Exactly(text) => seen.text() == Some(text),
            Condition::Text(test) => seen.text().is_some_and(|text| test.holds(text)),
            Condition::AnythingBut(scalars) => !scalars.iter().any(|scalar| scalar.equals(seen)),
            Condition::AnythingButText(tests) => !seen
                .text()
                .is_some_and(|text| tests.iter().any(|test| test.holds(text))),
            Condition::Numeric(numeric) => {
                seen.decimal().is_some_and(|decimal| numeric.holds(decimal))
            }
            Condition::Cidr(network) => seen
                .text()
                .and_then(|text| text.parse::<IpAddr>().ok())
                .is_some_and(|address| network.contains(&address)),
            Condition::Exists(wanted) => *wanted,
        }
    }
}

impl Scalar {
    fn equals(&self, seen: Seen<'_>) -> bool {
        match (self, seen) {
            (Scalar::Null, Seen::Null) => true,
            (Scalar::Bool(wanted), Seen::Bool(found)) => *wanted == found,
            (Scalar::Number(wanted), Seen::Number(found)) => wanted.decimal() == Decimal::of(found),
            (Scalar::Text(wanted), Seen::Text(found)) => **wanted == *found,
            _ => false,
        }
    }
}

impl Numeric {
    fn holds(&self, found: Decimal<'_>) -> bool {
        match self {
            Numeric::Equal(wanted) => found == wanted.decimal(),
            Numeric::NotEqual(wanted) => found != wanted.decimal(),
            Numeric::Between { low, high } => {
                let inside = |bound: &Option<Bound>, side: Ordering| {
                    bound.as_ref().is_none_or(|bound| {
                        let order = found.cmp(&bound.number.decimal());
                        order == side || (bound.inclusive && order.is_eq())
                    })
                };
                inside(low, Ordering::Greater) && inside(high, Ordering::Less)
            }
        }
    }
}

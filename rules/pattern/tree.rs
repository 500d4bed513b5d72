//! A pattern after reading: nothing in it can be wrong any more.

use ipnet::IpNet;

use super::text::TextTest;
use crate::json::{Decimal, Number, Value};

/// An object of the pattern: all tests must hold. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    pub(crate) tests: Vec<Test>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    /// The field is a leaf of the pattern: one of the conditions must hold. Never empty.
    Leaf {
        field: Box<str>,
        conditions: Vec<Condition>,
    },
    /// The field's members are tested by a group of their own.
    Inside { field: Box<str>, group: Group },
    /// Patterns for the same object, put together. Never empty.
    Combined { how: How, groups: Vec<Group> },
}

/// How patterns for the same object are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum How {
    /// At least one holds: EventBridge's word for [`How::Any`].
    Or,
    Any,
    All,
    /// None holds.
    None,
}

impl How {
    pub(crate) const ALL: [How; 4] = [How::Or, How::Any, How::All, How::None];

    /// The key that says so in a pattern.
    pub(crate) fn key(self) -> &'static str {
        match self {
            How::Or => "$or",
            How::Any => "$any",
            How::All => "$all",
            How::None => "$none",
        }
    }
}

/// One test on one value of a field. The rarer and larger kinds are boxed, because most conditions
/// of many rules are plain values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Condition {
    Equal(Scalar),
    /// `{"exactly": …}`: the same as equal, kept apart so that the text stays the writer's.
    Exactly(Box<str>),
    Text(Box<TextTest>),
    /// A value equal to none of these. Never empty.
    AnythingBut(Vec<Scalar>),
    /// A value of which none of these holds; all of one kind. Never empty.
    AnythingButText(Vec<TextTest>),
    Numeric(Box<Numeric>),
    Cidr(Box<IpNet>),
    Exists(bool),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Numeric {
    Equal(Number),
    NotEqual(Number),
    /// At least one side is set, and low is below high.
    Between {
        low: Option<Bound>,
        high: Option<Bound>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Bound {
    pub(crate) number: Number,
    /// Whether the bound itself is still inside.
    pub(crate) inclusive: bool,
}

/// A value of an event that conditions are tested on, wherever it lies: never an array or object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen<'e> {
    Null,
    Bool(bool),
    /// The text of a JSON number.
    Number(&'e str),
    Text(&'e str),
}

impl<'e> Seen<'e> {
    /// `None` for arrays and objects.
    pub(crate) fn of(value: &'e Value) -> Option<Self> {
        match value {
            Value::Null => Some(Seen::Null),
            Value::Bool(truth) => Some(Seen::Bool(*truth)),
            Value::Number(number) => Some(Seen::Number(number.as_str())),
            Value::String(text) => Some(Seen::Text(text)),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub(crate) fn text(self) -> Option<&'e str> {
        match self {
            Seen::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn decimal(self) -> Option<Decimal<'e>> {
        match self {
            Seen::Number(text) => Some(Decimal::of(text)),
            _ => None,
        }
    }
}

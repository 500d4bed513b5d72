//! A pattern back as text.

use std::fmt::{self, Display};

use super::text::{TextKind, TextTest};
use super::tree::{Bound, Condition, Group, Numeric, Scalar, Test};
use crate::json::quoted;

pub(super) fn pattern(root: &Group) -> String {
    root.to_string()
}

impl Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        separated(f, &self.tests)?;
        f.write_str("}")
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Leaf { field, conditions } => {
                write!(f, "{}:", quoted(field))?;
                list(f, conditions)
            }
            Test::Inside { field, group } => write!(f, "{}:{group}", quoted(field)),
            Test::Combined { how, groups } => {
                write!(f, "{}:", quoted(how.key()))?;
                list(f, groups)
            }
        }
    }
}

/// Writes the condition as an element of a leaf.
impl Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Equal(scalar) => scalar.fmt(f),
            Condition::Exactly(text) => write!(f, "{{\"exactly\":{}}}", quoted(text)),
            Condition::Text(test) => test.fmt(f),
            Condition::AnythingBut(scalars) => {
                f.write_str("{\"anything-but\":")?;
                one_or_list(f, scalars)?;
                f.write_str("}")
            }
            Condition::AnythingButText(tests) => {
                let word = tests.first().map(|test| match test.kind {
                    TextKind::Suffix => "suffix",
                    TextKind::Wildcard => "wildcard",
                    TextKind::EqualsIgnoreCase => "equals-ignore-case",
                    _ => "prefix",
                });
                write!(f, "{{\"anything-but\":{{\"{}\":", word.unwrap_or_default())?;
                let texts: Vec<_> = tests.iter().map(|test| quoted(&test.text)).collect();
                one_or_list(f, &texts)?;
                f.write_str("}}")
            }
            Condition::Numeric(numeric) => write!(f, "{{\"numeric\":[{numeric}]}}"),
            Condition::Cidr(network) => write!(f, "{{\"cidr\":\"{network}\"}}"),
            Condition::Exists(wanted) => write!(f, "{{\"exists\":{wanted}}}"),
        }
    }
}

impl Display for TextTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = quoted(&self.text);
        match self.kind {
            TextKind::Prefix => write!(f, "{{\"prefix\":{text}}}"),
            TextKind::Suffix => write!(f, "{{\"suffix\":{text}}}"),
            TextKind::Contains => write!(f, "{{\"contains\":{text}}}"),
            TextKind::Wildcard => write!(f, "{{\"wildcard\":{text}}}"),
            TextKind::EqualsIgnoreCase => write!(f, "{{\"equals-ignore-case\":{text}}}"),
            TextKind::PrefixIgnoreCase => {
                write!(f, "{{\"prefix\":{{\"equals-ignore-case\":{text}}}}}")
            }
            TextKind::SuffixIgnoreCase => {
                write!(f, "{{\"suffix\":{{\"equals-ignore-case\":{text}}}}}")
            }
        }
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Null => f.write_str("null"),
            Scalar::Bool(truth) => truth.fmt(f),
            Scalar::Number(number) => number.fmt(f),
            Scalar::Text(text) => quoted(text).fmt(f),
        }
    }
}

/// Writes what stands between the brackets of `numeric`.
impl Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |bound: &Bound, strict| {
            format!(
                "\"{strict}{}\",{}",
                if bound.inclusive { "=" } else { "" },
                bound.number
            )
        };
        match self {
            Numeric::Equal(number) => write!(f, "\"=\",{number}"),
            Numeric::NotEqual(number) => write!(f, "\"!=\",{number}"),
            Numeric::Between { low, high } => {
                let low = low.as_ref().map(|bound| sign(bound, '>'));
                let high = high.as_ref().map(|bound| sign(bound, '<'));
                let sides: Vec<_> = low.into_iter().chain(high).collect();
                f.write_str(&sides.join(","))
            }
        }
    }
}

fn one_or_list<T: Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    match items {
        [only] => only.fmt(f),
        _ => list(f, items),
    }
}

fn list<T: Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    f.write_str("[")?;
    separated(f, items)?;
    f.write_str("]")
}

fn separated<T: Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            f.write_str(",")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

//! The operators: one row each. Reading, help and did-you-mean walk the same list.

use std::net::IpAddr;

use ipnet::IpNet;

use super::read::Reader;
use super::text::{TextKind, TextTest};
use super::tree::{Bound, Condition, Numeric, Scalar};
use super::written::{Member, What, Written};
use crate::json::Number;

/// A kind of condition that is written as an object with one key.
pub(crate) struct Operator {
    /// The key.
    pub(crate) name: &'static str,
    pub(super) read: fn(&mut Reader, &Written) -> Option<Condition>,
}

pub(crate) const OPERATORS: &[Operator] = &[
    Operator {
        name: "anything-but",
        read: anything_but,
    },
    Operator {
        name: "cidr",
        read: cidr,
    },
    Operator {
        name: "contains",
        read: contains,
    },
    Operator {
        name: "equals-ignore-case",
        read: equals_ignore_case,
    },
    Operator {
        name: "exactly",
        read: exactly,
    },
    Operator {
        name: "exists",
        read: exists,
    },
    Operator {
        name: "numeric",
        read: numeric,
    },
    Operator {
        name: "prefix",
        read: prefix,
    },
    Operator {
        name: "suffix",
        read: suffix,
    },
    Operator {
        name: "wildcard",
        read: wildcard,
    },
];

pub(super) fn is_operator(key: &str) -> bool {
    OPERATORS.iter().any(|operator| operator.name == key)
}

/// `; did you mean …?`, or nothing when no known word is near.
pub(super) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    /// Below this share of equal letters a proposal confuses more than it helps (chosen).
    const NEAR: f64 = 0.6;
    let folded = word.to_lowercase().replace('_', "-");
    known
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&folded, name), name))
        .filter(|(near, _)| *near >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("; did you mean `{name}`?"))
        .unwrap_or_default()
}

fn text<'w>(reader: &mut Reader, operator: &str, value: &'w Written) -> Option<&'w str> {
    match &value.what {
        What::Text(text) => Some(text),
        _ => reader.mistake(&value.span, format!("`{operator}` takes a text")),
    }
}

fn text_test(reader: &mut Reader, kind: TextKind, name: &str, value: &Written) -> Option<TextTest> {
    let text = text(reader, name, value)?;
    match TextTest::new(kind, text) {
        Ok(test) => Some(test),
        Err(reason) => reader.mistake(&value.span, reason),
    }
}

fn text_condition(test: TextTest) -> Condition {
    Condition::Text(Box::new(test))
}

fn contains(reader: &mut Reader, value: &Written) -> Option<Condition> {
    text_test(reader, TextKind::Contains, "contains", value).map(text_condition)
}

fn equals_ignore_case(reader: &mut Reader, value: &Written) -> Option<Condition> {
    text_test(
        reader,
        TextKind::EqualsIgnoreCase,
        "equals-ignore-case",
        value,
    )
    .map(text_condition)
}

fn wildcard(reader: &mut Reader, value: &Written) -> Option<Condition> {
    text_test(reader, TextKind::Wildcard, "wildcard", value).map(text_condition)
}

fn exactly(reader: &mut Reader, value: &Written) -> Option<Condition> {
    text(reader, "exactly", value)?;
    match reader.scalar(value)? {
        Scalar::Text(text) => Some(Condition::Exactly(text)),
        _ => None,
    }
}

fn prefix(reader: &mut Reader, value: &Written) -> Option<Condition> {
    end(
        reader,
        "prefix",
        [TextKind::Prefix, TextKind::PrefixIgnoreCase],
        value,
    )
}

fn suffix(reader: &mut Reader, value: &Written) -> Option<Condition> {
    end(
        reader,
        "suffix",
        [TextKind::Suffix, TextKind::SuffixIgnoreCase],
        value,
    )
}

/// `prefix` and `suffix`: a text, or `{"equals-ignore-case": text}`.
fn end(
    reader: &mut Reader,
    name: &str,
    [exact, folded]: [TextKind; 2],
    value: &Written,
) -> Option<Condition> {
    const INNER: &str = "equals-ignore-case";
    let What::Object(members) = &value.what else {
        return text_test(reader, exact, name, value).map(text_condition);
    };
    match members.as_slice() {
        [Member { key, value, .. }] if key == INNER => reader
            .below(INNER, |reader| text_test(reader, folded, INNER, value))
            .map(text_condition),
        [Member { key, key_span, .. }] => {
            let hint = did_you_mean(key, [INNER]);
            reader.mistake(
                key_span,
                format!("`{name}` takes a text or {{\"{INNER}\": text}}, not `{key}`{hint}"),
            )
        }
        _ => reader.mistake(
            &value.span,
            format!("`{name}` takes a text or one {{\"{INNER}\": text}}"),
        ),
    }
}

fn exists(reader: &mut Reader, value: &Written) -> Option<Condition> {
    match value.what {
        What::Bool(wanted) => Some(Condition::Exists(wanted)),
        _ => reader.mistake(&value.span, "`exists` takes true or false, without quotes"),
    }
}

fn cidr(reader: &mut Reader, value: &Written) -> Option<Condition> {
    let text = text(reader, "cidr", value)?;
    // A bare address is Alibaba's short form for the network of that one address.
    let network = match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>().ok(),
    };
    match network {
        Some(network) => Some(Condition::Cidr(Box::new(network))),
        None => reader.mistake(
            &value.span,
            format!(
                "`{text}` is neither a network such as 10.0.0.0/8 or 2001:db8::/32 nor an address"
            ),
        ),
    }
}

fn numeric(reader: &mut Reader, value: &Written) -> Option<Condition> {
    const FORM: &str = "`numeric` takes [\">\", 0] or a range [\">=\", 0, \"<\", 5]";
    let What::List(elements) = &value.what else {
        return reader.mistake(&value.span, FORM);
    };
    let (comparison, rest) = match elements.as_slice() {
        [comparison, operand] => ((comparison, operand), None),
        [comparison, operand, second, last] => ((comparison, operand), Some((second, last))),
        _ => return reader.mistake(&value.span, FORM),
    };
    let low = sign(reader, comparison.0)?;
    let number = operand(reader, comparison.1)?;
    let bound = |number, inclusive| Some(Bound { number, inclusive });
    let Some((second, last)) = rest else {
        return Some(Condition::Numeric(Box::new(match low {
            "=" => Numeric::Equal(number),
            "!=" => Numeric::NotEqual(number),
            ">" | ">=" => Numeric::Between {
                low: bound(number, low == ">="),
                high: None,
            },
            _ => Numeric::Between {
                low: None,
                high: bound(number, low == "<="),
            },
        })));
    };
    let high = sign(reader, second)?;
    let top = operand(reader, last)?;
    if !low.starts_with('>') || !high.starts_with('<') {
        return reader.mistake(
            &value.span,
            "a range has its lower bound first: [\">=\", 0, \"<\", 5]",
        );
    }
    if number.cmp_value(&top).is_ge() {
        return reader.mistake(
            &value.span,
            format!("nothing lies in this range: {number} is not below {top}"),
        );
    }
    Some(Condition::Numeric(Box::new(Numeric::Between {
        low: bound(number, low == ">="),
        high: bound(top, high == "<="),
    })))
}

fn sign<'w>(reader: &mut Reader, element: &'w Written) -> Option<&'w str> {
    match &element.what {
        What::Text(sign) if ["=", "!=", "<", "<=", ">", ">="].contains(&sign.as_str()) => {
            Some(sign)
        }
        _ => reader.mistake(
            &element.span,
            "expected one of \"=\", \"!=\", \"<\", \"<=\", \">\", \">=\"",
        ),
    }
}

fn operand(reader: &mut Reader, element: &Written) -> Option<Number> {
    /// EventBridge reads these operands as doubles, which end below 10³⁰⁹. A larger one is refused
    /// there, and more likely a slip than meant.
    const MAGNITUDE_MAX: i128 = 309;
    match &element.what {
        What::Number(number) if number.decimal().magnitude() <= MAGNITUDE_MAX => {
            Some(number.clone())
        }
        What::Number(number) => reader.mistake(
            &element.span,
            format!("{number} is too large; `numeric` compares with numbers below 1e309"),
        ),
        What::Text(_) => reader.mistake(&element.span, "expected a number, without quotes"),
        What::Foreign(reason) => reader.mistake(&element.span, reason),
        _ => reader.mistake(&element.span, "expected a number"),
    }
}

fn anything_but(reader: &mut Reader, value: &Written) -> Option<Condition> {
    match &value.what {
        What::Object(members) => anything_but_text(reader, value, members),
        What::List(elements) if elements.is_empty() => reader.mistake(
            &value.span,
            "an empty list; for any value at all write {\"exists\": true}",
        ),
        What::List(elements) => {
            let mut scalars = Vec::with_capacity(elements.len());
            for (place, element) in elements.iter().enumerate() {
                scalars.extend(reader.below(place, |reader| excluded(reader, element)));
            }
            let texts = scalars
                .iter()
                .filter(|scalar| matches!(scalar, Scalar::Text(_)))
                .count();
            if texts != 0 && texts != scalars.len() {
                return reader.mistake(
                    &value.span,
                    "texts and numbers in one list; test the field twice under `$all`",
                );
            }
            (scalars.len() == elements.len()).then_some(Condition::AnythingBut(scalars))
        }
        _ => excluded(reader, value).map(|scalar| Condition::AnythingBut(vec![scalar])),
    }
}

fn excluded(reader: &mut Reader, element: &Written) -> Option<Scalar> {
    match element.what {
        What::Null | What::Bool(_) => reader.mistake(
            &element.span,
            "`anything-but` takes texts and numbers; for others use `$none`",
        ),
        _ => reader.scalar(element),
    }
}

/// `anything-but` of a text operator, which takes one text or a list of them.
fn anything_but_text(
    reader: &mut Reader,
    value: &Written,
    members: &[Member],
) -> Option<Condition> {
    const INNER: [(&str, TextKind); 4] = [
        ("prefix", TextKind::Prefix),
        ("suffix", TextKind::Suffix),
        ("wildcard", TextKind::Wildcard),
        ("equals-ignore-case", TextKind::EqualsIgnoreCase),
    ];
    let [
        Member {
            key,
            key_span,
            value: inner,
        },
    ] = members
    else {
        return reader.mistake(&value.span, "`anything-but` takes one operator");
    };
    let Some((name, kind)) = INNER.into_iter().find(|(name, _)| name == key) else {
        let hint = did_you_mean(key, INNER.map(|(name, _)| name));
        return reader.mistake(
            key_span,
            format!(
                "`anything-but` takes values, or one of prefix, suffix, wildcard and \
                 equals-ignore-case, not `{key}`{hint}"
            ),
        );
    };
    reader.below(name, |reader| {
        let elements = match &inner.what {
            What::List(elements) if elements.is_empty() => {
                return reader.mistake(&inner.span, "an empty list; list the texts to exclude");
            }
            What::List(elements) => elements.as_slice(),
            _ => std::slice::from_ref(inner),
        };
        let mut tests = Vec::with_capacity(elements.len());
        for element in elements {
            let test = text_test(reader, kind, name, element)?;
            if test.text.is_empty() && matches!(kind, TextKind::Prefix | TextKind::Suffix) {
                return reader.mistake(
                    &element.span,
                    format!("every text has the empty {name}, so this would match no text"),
                );
            }
            tests.push(test);
        }
        Some(Condition::AnythingButText(tests))
    })
}

#[cfg(test)]
mod tests {
    use super::OPERATORS;
    use crate::json::{Limits, Value, parse};

    #[test]
    fn stand_in_order_in_the_list_the_schema_and_the_reference() {
        let names: Vec<&str> = OPERATORS.iter().map(|operator| operator.name).collect();
        assert!(names.is_sorted());
        let schema = parse(crate::SCHEMA.as_bytes(), Limits::default())
            .unwrap()
            .value;
        let listed = schema
            .pointer("/$defs/operator/properties")
            .and_then(Value::as_object);
        assert_eq!(
            listed
                .unwrap()
                .iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>(),
            names
        );
        for name in names {
            assert!(
                crate::REFERENCE.contains(&format!("| `{name}` |")),
                "{name}"
            );
        }
    }
}

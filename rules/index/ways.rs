//! How rules with a condition can be found from a value.

use crate::pattern::text::{Needle, TextKind, TextTest};
use crate::pattern::tree::{Condition, Scalar};

pub(super) enum Way {
    /// By any one of these keys, each of which every fitting value has. Never empty.
    Keys(Vec<Choice>),
    /// Only by testing the condition on every value of the field.
    Scan,
    /// Not at all: the condition holds where there is no value.
    None,
}

/// A key that every value has for which the condition holds.
pub(super) struct Choice {
    pub(super) kind: KeyKind,
    pub(super) text: Vec<u8>,
    /// Whether having the key proves the condition.
    pub(super) proof: bool,
}

/// What a key is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum KeyKind {
    /// A text, as it is.
    Text,
    /// `null`, `true` or `false`, as written.
    Word,
    /// A number, as [`Decimal::write_key`](crate::json::Decimal::write_key) writes it.
    Number,
    /// A text without its case.
    Folded,
    /// The beginning of a text.
    Prefix,
    /// The end of a text.
    Suffix,
    /// [`PART`] bytes anywhere in a text.
    Part,
}

/// How long the parts are that texts are sought by (chosen): three bytes are too common, and few
/// rules seek less than four.
pub(super) const PART: usize = 4;

/// How many parts of one text are considered (chosen): the rarest of so many is rare, and each
/// takes memory while building.
const PARTS_MAX: usize = 8;

pub(super) fn way(condition: &Condition) -> Way {
    let one = |kind, text: &str| {
        Way::Keys(vec![Choice {
            kind,
            text: text.into(),
            proof: true,
        }])
    };
    match condition {
        Condition::Equal(Scalar::Text(text)) | Condition::Exactly(text) => one(KeyKind::Text, text),
        Condition::Equal(Scalar::Number(number)) => {
            let mut key = String::new();
            number.decimal().write_key(&mut key);
            one(KeyKind::Number, &key)
        }
        Condition::Equal(scalar) => one(KeyKind::Word, &scalar.to_string()),
        Condition::Text(test) => {
            let choices = text_choices(test);
            if choices.is_empty() {
                Way::Scan
            } else {
                Way::Keys(choices)
            }
        }
        Condition::Exists(false) => Way::None,
        Condition::AnythingBut(_)
        | Condition::AnythingButText(_)
        | Condition::Numeric(_)
        | Condition::Cidr(_)
        | Condition::Exists(true) => Way::Scan,
    }
}

fn text_choices(test: &TextTest) -> Vec<Choice> {
    let mut choices = Vec::new();
    let mut add = |kind, text: &[u8], proof| {
        // Every text begins and ends with nothing, so nothing is no key; but a text can equal it.
        if !text.is_empty() || kind == KeyKind::Folded {
            choices.push(Choice {
                kind,
                text: text.to_owned(),
                proof,
            });
        }
    };
    match (&test.needle, test.kind) {
        (Needle::Folded(folded), TextKind::EqualsIgnoreCase) => {
            add(KeyKind::Folded, folded.as_bytes(), true);
        }
        (Needle::Folded(_), _) => {}
        (Needle::Plain, TextKind::Prefix) => add(KeyKind::Prefix, test.text.as_bytes(), true),
        (Needle::Plain, TextKind::Suffix) => add(KeyKind::Suffix, test.text.as_bytes(), true),
        (Needle::Plain, _) => parts(test.text.as_bytes(), &mut add),
        (Needle::Stretches(stretches), _) => match &**stretches {
            [only] => add(KeyKind::Text, only.as_bytes(), true),
            [first, middle @ .., last] => {
                add(KeyKind::Prefix, first.as_bytes(), false);
                add(KeyKind::Suffix, last.as_bytes(), false);
                if let Some(longest) = middle.iter().max_by_key(|stretch| stretch.len()) {
                    parts(longest.as_bytes(), &mut add);
                }
            }
            [] => {}
        },
    }
    choices
}

/// Parts of a text, evenly spread.
fn parts(text: &[u8], add: &mut impl FnMut(KeyKind, &[u8], bool)) {
    let step = text
        .len()
        .saturating_sub(PART - 1)
        .div_ceil(PARTS_MAX)
        .max(1);
    for part in text.windows(PART).step_by(step) {
        add(KeyKind::Part, part, false);
    }
}

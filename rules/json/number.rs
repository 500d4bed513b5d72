//! Numbers as exact decimals, never as floats.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::scan::Cursor;

/// A JSON number: its text, exactly as written.
///
/// `==` compares the text, so `1` and `1.0` differ; [`Number::same_value`] and
/// [`Number::cmp_value`] compare what the texts stand for, exactly, at any length. Exponents beyond
/// ±10³⁰ count as ±10³⁰.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number(Box<str>);

impl Number {
    /// The number that `text` writes in JSON; `None` when `text` is no JSON number.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut cursor = Cursor::new(text.as_bytes()).ok()?;
        let whole = cursor.number().ok()?.len() == text.len();
        whole.then(|| Number(text.into()))
    }

    /// `text` must come from the scanner.
    pub(crate) fn of_checked(text: &str) -> Self {
        Number(text.into())
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both stand for the same number: `300`, `300.0` and `3e2` do.
    pub fn same_value(&self, other: &Number) -> bool {
        self.cmp_value(other) == Ordering::Equal
    }

    /// Which of the two stands for the greater number.
    pub fn cmp_value(&self, other: &Number) -> Ordering {
        self.decimal().cmp(&other.decimal())
    }

    /// The number as a `u64`, when it is a whole number in range.
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The number as an `i64`, when it is written as a whole number in range.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    pub(crate) fn decimal(&self) -> Decimal<'_> {
        Decimal::of(&self.0)
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Number(number.to_string().into())
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Number(number.to_string().into())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A number taken apart: ± 0.d₁d₂d₃… · 10^`magnitude`, with d₁ ≠ 0 and no zeros at the end. Zero
/// has no digits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal<'a> {
    negative: bool,
    /// The digits before and after the point, which together have no zero at either end.
    whole: &'a [u8],
    fraction: &'a [u8],
    magnitude: i128,
}

/// Larger exponents are all the same to us; the limit leaves room to add lengths without overflow.
const EXPONENT_MAX: i128 = 10i128.pow(30);

impl<'a> Decimal<'a> {
    /// `text` must be a JSON number.
    pub(crate) fn of(text: &'a str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, bounded(exponent)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (whole, fraction) = (whole.as_bytes(), fraction.as_bytes());
        let lead = whole.iter().take_while(|&&digit| digit == b'0').count();
        let (_, whole) = whole.split_at(lead);
        let mut magnitude = exponent + whole.len() as i128;
        let fraction = strip_trailing_zeros(fraction);
        if !whole.is_empty() {
            let whole = if fraction.is_empty() {
                strip_trailing_zeros(whole)
            } else {
                whole
            };
            return Decimal {
                negative,
                whole,
                fraction,
                magnitude,
            };
        }
        let lead = fraction.iter().take_while(|&&digit| digit == b'0').count();
        magnitude -= lead as i128;
        let (_, fraction) = fraction.split_at(lead);
        if fraction.is_empty() {
            return Decimal {
                negative: false,
                whole: &[],
                fraction: &[],
                magnitude: 0,
            };
        }
        Decimal {
            negative,
            whole: &[],
            fraction,
            magnitude,
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    /// The power of ten above the first digit: 1 for 1 to 9, 0 for 0.1 to 0.9.
    pub(crate) fn magnitude(&self) -> i128 {
        self.magnitude
    }

    /// How many digits are needed to write it without an exponent's zeros.
    pub(crate) fn digit_count(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    /// Appends a text that is the same for numbers of the same value, and only for those.
    pub(crate) fn write_key(&self, out: &mut String) {
        use std::fmt::Write as _;
        out.push(if self.sign() < 0 { '-' } else { '+' });
        out.extend(self.digits().map(|&digit| char::from(digit)));
        // Writing to a string cannot fail.
        let _ = write!(out, "e{}", self.magnitude);
    }

    fn digits(&self) -> impl Iterator<Item = &'a u8> {
        self.whole.iter().chain(self.fraction)
    }

    fn sign(&self) -> i8 {
        match (self.is_zero(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn cmp_absolute(&self, other: &Self) -> Ordering {
        // Digits compare like text, because neither side has zeros at its ends.
        self.magnitude
            .cmp(&other.magnitude)
            .then_with(|| self.digits().cmp(other.digits()))
    }
}

fn strip_trailing_zeros(digits: &[u8]) -> &[u8] {
    let kept = digits
        .iter()
        .rposition(|&digit| digit != b'0')
        .map_or(0, |last| last + 1);
    digits.split_at(kept).0
}

fn bounded(exponent: &str) -> i128 {
    let (negative, digits) = match exponent.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, exponent.strip_prefix('+').unwrap_or(exponent)),
    };
    let size = digits.bytes().fold(0i128, |size, digit| {
        (size * 10 + i128::from(digit.saturating_sub(b'0'))).min(EXPONENT_MAX)
    });
    if negative { -size } else { size }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal<'_> {}

impl Hash for Decimal<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sign().hash(state);
        self.magnitude.hash(state);
        self.digits().for_each(|digit| digit.hash(state));
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sign()
            .cmp(&other.sign())
            .then_with(|| match self.sign() {
                1 => self.cmp_absolute(other),
                -1 => other.cmp_absolute(self),
                _ => Ordering::Equal,
            })
    }
}

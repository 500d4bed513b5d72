//! JSON documents, exactly as they were written.
//!
//! Why not a general JSON crate: an event must be stored, matched and shown with the sender's own
//! numbers. `0.1`, `1e400` and a 30-digit identifier go through no float here; a [`Number`] is its
//! text. The reader follows RFC 8259 to the letter and refuses what that leaves open (lone
//! surrogates, a byte order mark), because two programs would disagree about its meaning.
//!
//! Words: a *document* is one JSON value with nothing but white space around it; a *member* is a
//! key and its value in an object.
//!
//! Start with [`parse`]; the module `scan` holds the grammar, which the index shares.

mod number;
mod object;
mod parse;
pub(crate) mod scan;
mod write;

pub(crate) use number::Decimal;
pub use number::Number;
pub use object::Object;
pub use parse::{Parsed, next_document, parse};
pub(crate) use write::quoted;
pub use write::write_text;

/// One JSON value.
///
/// Equality is equality of what was written: `1` and `1.0` differ, and so do objects whose members
/// stand in another order. Patterns compare numbers by value instead; see [`Number::same_value`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as its text.
    Number(Number),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object whose members keep their order.
    Object(Object),
}

impl Value {
    /// The member `key` of an object; `None` for a missing member and for any other kind of value.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key)
    }

    /// The text of a string; `None` for any other kind of value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value of a boolean; `None` for any other kind of value.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The number; `None` for any other kind of value.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The elements of an array; `None` for any other kind of value.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The object; `None` for any other kind of value.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The object, to change; `None` for any other kind of value.
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The value at a JSON pointer (RFC 6901): `/content/ids/0`, with `~1` for `/` and `~0` for
    /// `~`. The empty pointer is the value itself; `None` when nothing stands there.
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        if pointer.is_empty() {
            return Some(self);
        }
        let mut value = self;
        for token in pointer.strip_prefix('/')?.split('/') {
            value = match value {
                Value::Object(object) => {
                    object.get(&token.replace("~1", "/").replace("~0", "~"))?
                }
                Value::Array(elements) if is_index(token) => {
                    elements.get(token.parse::<usize>().ok()?)?
                }
                _ => return None,
            };
        }
        Some(value)
    }

    /// The value reached by following keys through objects; `None` when one is missing.
    pub fn path<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Option<&Value> {
        keys.into_iter().try_fold(self, |value, key| value.get(key))
    }
}

/// RFC 6901, section 4: digits without a leading zero.
fn is_index(token: &str) -> bool {
    token == "0"
        || (!token.starts_with('0')
            && !token.is_empty()
            && token.bytes().all(|b| b.is_ascii_digit()))
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(number.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number.into())
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Value::Object(object)
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Self {
        Value::Array(elements)
    }
}

/// What a document may be at most. Passing a limit is an [`Error`] that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep arrays and objects may stand in one another: 1 to [`Limits::DEPTH_CEILING`], 64
    /// unless set; values outside count as the nearest inside. A scalar document has depth 0.
    pub depth_max: usize,
}

impl Limits {
    /// The largest `depth_max` that has an effect: 1024 (chosen). Values are walked by recursion,
    /// and this many frames fit the smallest stack a thread gets.
    pub const DEPTH_CEILING: usize = 1024;

    pub(crate) fn depth(self) -> usize {
        self.depth_max.clamp(1, Self::DEPTH_CEILING)
    }
}

impl Default for Limits {
    /// `depth_max` of 64 (chosen): the deepest event seen in public documentation has 9.
    fn default() -> Self {
        Limits { depth_max: 64 }
    }
}

/// Why some bytes are not a JSON document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct Error {
    /// Where the first wrong byte stands, counted from 0; the length of the input when it ends too
    /// early.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a document. Reads well after a colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The input has no value, or ends inside one.
    #[error("the document ends too early")]
    EndsEarly,
    /// Something else stands where a value must begin.
    #[error("expected a value")]
    NoValue,
    /// A word that is not `true`, `false` or `null`.
    #[error("unknown word; JSON has only `true`, `false` and `null`")]
    UnknownWord,
    /// Bytes that are not UTF-8.
    #[error("the bytes are not UTF-8")]
    NotUtf8,
    /// A byte order mark before the document.
    #[error("a byte order mark; send plain UTF-8 without it")]
    ByteOrderMark,
    /// More after the end of the document.
    #[error("more text after the end of the document")]
    TrailingText,
    /// An object member that does not begin with a quoted key.
    #[error("expected a key in double quotes")]
    NoKey,
    /// No `:` between key and value.
    #[error("expected `:` after the key")]
    NoColon,
    /// Neither `,` nor `}` after a member.
    #[error("expected `,` or `}}` after the member")]
    NoCommaInObject,
    /// Neither `,` nor `]` after an element.
    #[error("expected `,` or `]` after the element")]
    NoCommaInArray,
    /// A number that RFC 8259 does not allow.
    #[error("malformed number")]
    BadNumber,
    /// A control character in a string that is not escaped.
    #[error("a control character in a string; write it as an escape such as `\\n`")]
    ControlCharacter,
    /// A backslash followed by something that is no escape.
    #[error("unknown escape in a string")]
    BadEscape,
    /// Half a surrogate pair, which stands for no character.
    #[error("half of a surrogate pair in a string, which stands for no character")]
    LoneSurrogate,
    /// Deeper than [`Limits::depth_max`].
    #[error("arrays and objects stand deeper in one another than `depth_max` allows")]
    TooDeep,
    /// Longer than 4 GiB.
    #[error("the document is longer than 4 GiB")]
    TooLong,
}

#[cfg(test)]
mod tests;

//! The pattern language: what a rule says, and what it means.
//!
//! The language is that of EventBridge event patterns; `reference.md` beside this crate defines it
//! for people. Words: a *pattern* is an object that looks like the event; a *leaf* is the list of
//! *conditions* for one field, any of which may hold; an *operator* is a kind of condition; a
//! *group* is an object of the pattern, all of whose tests must hold.
//!
//! The way of a pattern: `written` gives JSON and TOML one shape, `read` turns that into a `tree` or
//! into mistakes, `evaluate` says what the tree means and `write` gives it back as text.
//! `operators` is the list of operators. Nothing here knows the index; the index knows the tree.

mod cost;
pub(crate) mod evaluate;
pub(crate) mod operators;
mod read;
mod shadow;
pub(crate) mod text;
pub(crate) mod tree;
mod write;
mod written;

use std::ops::Range;
use std::sync::Arc;

pub use cost::COST_MAX;

use crate::explain::Explanation;
use crate::json::Value;
use tree::Group;

/// A condition on events, read and checked. Cloning is cheap.
///
/// Two patterns are equal when they say the same in the same order, wherever they were read from.
#[derive(Debug, Clone)]
pub struct Pattern {
    root: Arc<Group>,
    fields: Arc<[FieldTest]>,
    cost: u32,
}

/// One mistake in a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", prefixed(.pointer))]
pub struct Mistake {
    /// Where it stands, in bytes of the text that was read. For TOML these are bytes of the whole
    /// file; `0..0` when the table itself is at fault, whose place only the caller knows.
    pub span: Range<usize>,
    /// The same place as a JSON pointer (RFC 6901) from the top of the pattern.
    pub pointer: String,
    /// What is wrong and what to do. Reads well after a colon.
    pub reason: String,
}

fn prefixed(pointer: &str) -> String {
    if pointer.is_empty() {
        String::new()
    } else {
        format!("{pointer}: ")
    }
}

/// One leaf of a pattern: the field it tests, for checks against the fields and values that events
/// are known to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldTest {
    /// The keys from the top of the event to the field.
    pub path: Vec<String>,
    /// Where each key of `path` stands in the text that was read, as in [`Mistake::span`].
    pub spans: Vec<Range<usize>>,
    /// The texts that the field is compared with as a whole, with their places; those inside
    /// `anything-but` too.
    pub texts: Vec<(String, Range<usize>)>,
}

impl FieldTest {
    /// Where the field's own key stands.
    pub fn span(&self) -> Range<usize> {
        self.spans.last().cloned().unwrap_or_default()
    }

    /// The path with dots between the keys, as people write it.
    pub fn name(&self) -> String {
        self.path.join(".")
    }
}

impl Pattern {
    /// Reads an EventBridge event pattern.
    ///
    /// # Errors
    /// Every mistake in the text, in its order; one alone when it is not JSON.
    ///
    /// ```
    /// use herald_rules::Pattern;
    /// assert!(Pattern::from_json(r#"{"level": ["WARN", {"prefix": "CRIT"}]}"#).is_ok());
    /// let mistakes = Pattern::from_json(r#"{"level": [{"prefx": "CRIT"}]}"#).unwrap_err();
    /// assert_eq!(mistakes[0].pointer, "/level/0/prefx");
    /// assert!(mistakes[0].reason.contains("did you mean `prefix`?"));
    /// ```
    pub fn from_json(text: &str) -> Result<Self, Vec<Mistake>> {
        let written = written::from_json(text).map_err(|mistake| vec![mistake])?;
        Self::from_written(&written)
    }

    /// Reads a pattern from a TOML table, such as the `when` of a subscription.
    ///
    /// # Errors
    /// Every mistake in the table, in the file's order.
    ///
    /// ```
    /// use herald_rules::Pattern;
    /// let table = toml::de::DeTable::parse("level = 'WARN'\ncontent.error = { null = true }")?;
    /// let pattern = Pattern::from_toml(table.get_ref()).unwrap();
    /// assert_eq!(pattern.to_json(), r#"{"level":["WARN"],"content":{"error":[null]}}"#);
    /// # Ok::<(), toml::de::Error>(())
    /// ```
    pub fn from_toml(table: &toml::de::DeTable<'_>) -> Result<Self, Vec<Mistake>> {
        Self::from_written(&written::from_toml(table))
    }

    fn from_written(written: &written::Written) -> Result<Self, Vec<Mistake>> {
        let (root, fields) = read::read(written)?;
        let cost = cost::of(&root);
        if cost > COST_MAX {
            let reason = format!(
                "the pattern costs {cost} comparisons, more than COST_MAX, {COST_MAX}; split it"
            );
            return Err(vec![Mistake {
                span: written.span.clone(),
                pointer: String::new(),
                reason,
            }]);
        }
        Ok(Pattern {
            root: Arc::new(root),
            fields: fields.into(),
            cost,
        })
    }

    /// Whether the event matches: the plain truth, by which the index is judged.
    ///
    /// An event that is not an object matches no pattern.
    ///
    /// ```
    /// use herald_rules::Pattern;
    /// use herald_rules::json::{Limits, parse};
    /// let cheap = Pattern::from_json(r#"{"price": [{"numeric": ["<", 0.3]}]}"#).unwrap();
    /// let event = parse(br#"{"price": 0.29999999999999999999}"#, Limits::default())?.value;
    /// assert!(cheap.evaluate(&event));
    /// # Ok::<(), herald_rules::json::Error>(())
    /// ```
    pub fn evaluate(&self, event: &Value) -> bool {
        evaluate::matches(&self.root, event)
    }

    /// Why the event matches, or what comes nearest to a match.
    pub fn explain(&self, event: &Value) -> Explanation {
        crate::explain::explain(&self.root, event)
    }

    /// The canonical text: compact EventBridge JSON, fields in the pattern's order. Reading it back
    /// gives an equal pattern, and the text of that is the same again.
    pub fn to_json(&self) -> String {
        write::pattern(&self.root)
    }

    /// The leaves, in the pattern's order. Empty after [`Pattern::without_fields`].
    pub fn fields(&self) -> &[FieldTest] {
        &self.fields
    }

    /// The same pattern without [`Pattern::fields`], which are for checking and take more memory
    /// than all the rest. For who keeps very many.
    pub fn without_fields(self) -> Self {
        Pattern {
            fields: Arc::default(),
            ..self
        }
    }

    /// How many comparisons the pattern may need for one event whose fields hold one value each: 1
    /// to [`COST_MAX`]. Known without any event.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Whether the pattern contradicts itself, so that no event can match. `false` proves nothing:
    /// only what is plain to see is found.
    pub fn never_matches(&self) -> bool {
        shadow::never_matches(&self.root)
    }

    /// Whether both say the same, perhaps in another order or in other words (`1` and `1.0`, `$or`
    /// and `$any`), so that they match the same events. `false` proves nothing.
    pub fn says_the_same_as(&self, other: &Pattern) -> bool {
        self.normal() == other.normal()
    }

    /// A text by which patterns that say the same are found among many:
    /// [`says_the_same_as`](Self::says_the_same_as) compares it. Not a pattern itself.
    pub fn normal(&self) -> String {
        shadow::normal(&self.root)
    }

    pub(crate) fn root(&self) -> &Group {
        &self.root
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}

impl Eq for Pattern {}

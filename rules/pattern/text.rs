//! Tests on text.

/// How a text is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TextKind {
    Prefix,
    PrefixIgnoreCase,
    Suffix,
    SuffixIgnoreCase,
    Contains,
    Wildcard,
    EqualsIgnoreCase,
}

/// One comparison of a value with a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TextTest {
    pub(crate) kind: TextKind,
    /// As the rule's writer wrote it.
    pub(crate) text: Box<str>,
    pub(crate) needle: Needle,
}

/// The text in the form that comparing wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Needle {
    /// The text itself.
    Plain,
    /// The text with the case folded away.
    Folded(Box<str>),
    /// The stretches between the stars of a wildcard, at least one; the first begins the value, the
    /// last ends it.
    Stretches(Box<[Box<str>]>),
}

impl TextTest {
    /// # Errors
    /// The reason why `text` is no wildcard; other kinds cannot fail.
    pub(crate) fn new(kind: TextKind, text: &str) -> Result<Self, String> {
        let needle = match kind {
            TextKind::Prefix | TextKind::Suffix | TextKind::Contains => Needle::Plain,
            TextKind::PrefixIgnoreCase
            | TextKind::SuffixIgnoreCase
            | TextKind::EqualsIgnoreCase => Needle::Folded(folded(text).collect()),
            TextKind::Wildcard => Needle::Stretches(stretches(text)?),
        };
        Ok(TextTest {
            kind,
            text: text.into(),
            needle,
        })
    }

    pub(crate) fn holds(&self, value: &str) -> bool {
        match &self.needle {
            Needle::Plain => match self.kind {
                TextKind::Suffix => value.ends_with(&*self.text),
                TextKind::Contains => value.contains(&*self.text),
                _ => value.starts_with(&*self.text),
            },
            Needle::Folded(needle) => match self.kind {
                TextKind::PrefixIgnoreCase => after(folded(value), needle.chars()).is_some(),
                TextKind::SuffixIgnoreCase => {
                    after(folded(value).rev(), needle.chars().rev()).is_some()
                }
                _ => folded(value).eq(needle.chars()),
            },
            Needle::Stretches(stretches) => wildcard_holds(stretches, value),
        }
    }
}

/// What is left of `value` after `beginning`; `None` when it begins otherwise.
fn after<V: Iterator<Item = char>>(
    mut value: V,
    mut beginning: impl Iterator<Item = char>,
) -> Option<V> {
    beginning
        .all(|wanted| value.next() == Some(wanted))
        .then_some(value)
}

/// A text without its case: each character in upper case, and that in lower case.
///
/// Through upper case first, so that the sigmas of Greek are one letter, and with Unicode's full
/// mappings, so that `ß` and `SS` are equal, as in EventBridge. The mappings are those of the
/// Unicode version this was built with.
pub(crate) fn folded(text: &str) -> impl DoubleEndedIterator<Item = char> + '_ {
    text.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

/// Cuts a wildcard at its stars. `\*` is a star and `\\` a backslash.
fn stretches(text: &str) -> Result<Box<[Box<str>]>, String> {
    let mut stretches = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let literal = match character {
            '*' if characters.peek() == Some(&'*') => {
                return Err("`**` in a wildcard; one `*` already stands for any text".to_owned());
            }
            '*' => {
                stretches.push(String::new());
                continue;
            }
            '\\' => match characters.next() {
                Some(escaped @ ('*' | '\\')) => escaped,
                _ => {
                    return Err(
                        "a lone backslash in a wildcard; write `\\*` for a star and \
                                `\\\\` for a backslash"
                            .to_owned(),
                    );
                }
            },
            other => other,
        };
        if let Some(last) = stretches.last_mut() {
            last.push(literal);
        }
    }
    Ok(stretches.into_iter().map(String::into_boxed_str).collect())
}

/// Taking each stretch where it first fits is enough: a later place leaves less room for the rest.
pub(crate) fn wildcard_holds(stretches: &[Box<str>], value: &str) -> bool {
    let [first, middle @ .., last] = stretches else {
        return stretches.first().is_some_and(|only| **only == *value);
    };
    let Some(rest) = value.strip_prefix(&**first) else {
        return false;
    };
    let Some(mut rest) = rest.strip_suffix(&**last) else {
        return false;
    };
    for stretch in middle {
        let Some(at) = rest.find(&**stretch) else {
            return false;
        };
        rest = rest.get(at + stretch.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: TextKind, text: &str, value: &str, expected: bool) {
        let test = TextTest::new(kind, text).unwrap();
        assert_eq!(
            test.holds(value),
            expected,
            "{kind:?} {text:?} on {value:?}"
        );
    }

    #[test]
    fn wildcards() {
        let check = |text, value, expected| check(TextKind::Wildcard, text, value, expected);
        check("*", "", true);
        check("", "", true);
        check("", "x", false);
        check("a*", "a", true);
        check("a*b", "ab", true);
        check("ab*b", "ab", false);
        check("*a*b*", "xxayybzz", true);
        check("*a*b*", "ba", false);
        check("a*a", "a", false);
        check("*aab", "aaab", true);
        check("a*bc*bc", "abcbc", true);
        check("a*bc*bc", "abc", false);
        check(r"\*", "*", true);
        check(r"\*", "x", false);
        check(r"a\\*b", r"a\xb", true);
        check("é*", "étage", true);
    }

    #[test]
    fn case_is_folded_in_full() {
        let check =
            |text, value, expected| check(TextKind::EqualsIgnoreCase, text, value, expected);
        check("ÄbC", "äBc", true);
        check("ΣΑΣ", "σας", true);
        check("straße", "STRASSE", true);
        check("\u{3b0}", "\u{3a5}\u{308}\u{301}", true);
        check("ⱥ", "Ⱥ", true);
        check("a", "ab", false);
        check("ab", "a", false);
    }

    #[test]
    fn folded_ends() {
        check(TextKind::PrefixIgnoreCase, "ÉT", "étage", true);
        check(TextKind::SuffixIgnoreCase, "GÉ", "étagé", true);
        check(TextKind::SuffixIgnoreCase, "xétagé", "étagé", false);
    }
}

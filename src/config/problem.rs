//! What is wrong with a file, and where.

use std::fmt;

use herald_model::settings::{Mistake, Severity};

/// A place in the file, as editors count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Place {
    /// The place of byte `offset` of `text`; the end of the text for what lies beyond it.
    pub fn of(text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// One mistake or warning. Written `file:line:col: what, and what to do`, a warning with
/// `warning: ` before the words. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named on the command line.
    pub file: String,
    /// Where in it; `None` when the file could not be read at all.
    pub place: Option<Place>,
    /// Whether it refuses the file.
    pub severity: Severity,
    /// What is wrong and what to do about it.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        match self.severity {
            Severity::Error => write!(f, ": {}", self.text),
            Severity::Warning => write!(f, ": warning: {}", self.text),
        }
    }
}

/// A file that cannot be used. Displays as one line per problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// All mistakes and warnings, in the order of the file; at least one mistake.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// Turns what was noted by bytes into problems by line and column.
pub(super) fn placed(file: &str, text: &str, mistakes: Vec<Mistake>) -> Vec<Problem> {
    let place = |mistake: Mistake| Problem {
        file: file.to_owned(),
        place: Some(Place::of(text, mistake.span.start)),
        severity: mistake.severity,
        text: mistake.text,
    };
    mistakes.into_iter().map(place).collect()
}

/// What the TOML parser says of a file that is no TOML. Its own rendering shows the source line,
/// which may hold a secret; only its words are used, and keys that are here twice are named.
pub(super) fn syntax(text: &str, errors: &[toml::de::Error]) -> Vec<Mistake> {
    let mistake = |error: &toml::de::Error| {
        let span = error.span().unwrap_or_default();
        let said = error.message().replace('\n', ", ");
        let text = match text.get(span.clone()) {
            Some(key) if said == "duplicate key" && is_bare_key(key) => {
                format!("not TOML: `{key}` is here twice; remove one")
            }
            _ => format!("not TOML: {said}{}", remedy(&said)),
        };
        Mistake {
            span,
            severity: Severity::Error,
            text,
        }
    };
    let mut mistakes: Vec<_> = errors.iter().map(mistake).collect();
    mistakes.sort_by_key(|mistake| mistake.span.start);
    // One slip often breaks several rules at the same place; the first says enough.
    mistakes.dedup_by_key(|mistake| mistake.span.start);
    mistakes
}

fn is_bare_key(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !text.is_empty() && text.chars().all(fits)
}

/// What to do, where the parser's words leave it open.
fn remedy(said: &str) -> &'static str {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| said.starts_with(prefix));
    if begins(&["invalid float", "invalid integer", "invalid datetime"]) {
        "; if it is text, put it in quotes"
    } else if begins(&["string values must be quoted"]) {
        "; put the value in quotes"
    } else if begins(&["invalid basic string", "invalid literal string"]) {
        "; close the string on the line where it begins"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_from_one() {
        let text = "a = 1\nß = '漢字' # x";
        let check = |offset, line, column| {
            assert_eq!(Place::of(text, offset), Place { line, column }, "{offset}");
        };
        check(0, 1, 1);
        check(4, 1, 5);
        check(text.find('ß').unwrap(), 2, 1);
        check(text.find('字').unwrap(), 2, 7);
        check(text.find('#').unwrap(), 2, 10);
        check(text.len() + 9, 2, 13);
    }
}

//! What a far side said, made fit to be shown: on one line, short, without secrets.

use herald_model::Secret;

/// How much of an answer is kept: the first kilobyte. Chosen; enough for an error page's sentence,
/// too little to matter in the journal.
pub(crate) const KEPT: usize = 1_024;

/// Cuts secrets and control characters out of what a far side said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Redactor {
    secrets: Vec<Secret>,
}

impl Redactor {
    /// Cuts `secrets`, each in every spelling the far side could have seen it in.
    pub(crate) fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().collect();
        // A longer secret may contain a shorter one; cut first, it leaves nothing behind.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self { secrets }
    }

    /// `text` on one line, at most [`KEPT`] bytes long, without secrets.
    pub(crate) fn clean(&self, text: &str) -> String {
        // Redaction comes before the cut: half a secret at the edge would not be recognised.
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = secret.redact(&text);
        }
        one_line(&text, KEPT)
    }

    /// The same for bytes of unknown encoding.
    pub(crate) fn clean_bytes(&self, bytes: &[u8]) -> String {
        self.clean(&String::from_utf8_lossy(bytes))
    }
}

/// `text` with control characters and line separators turned into single spaces, cut at a character
/// border to at most `most` bytes, the cut marked by `…` (which is not counted).
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len().min(most));
    for c in text.trim().chars() {
        let c = if is_unfit(c) { ' ' } else { c };
        if c == ' ' && line.ends_with(' ') {
            continue;
        }
        if line.len() + c.len_utf8() > most {
            line.push('…');
            return line;
        }
        line.push(c);
    }
    line.truncate(line.trim_end().len());
    line
}

/// Control characters, line and paragraph separators, and the marks that reorder text: none may
/// reach a terminal, a log line or a mail header.
pub(crate) fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
        )
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_short_and_whole_characters() {
        assert_eq!(one_line(" a\r\n\tb\u{0}c ", 99), "a b c");
        assert_eq!(one_line("弹性网卡", 7), "弹性…");
        assert_eq!(one_line("x\u{202e}y", 9), "x y");
    }

    #[test]
    fn secrets_go_longest_first_and_before_the_cut() {
        let redactor = Redactor::new([Secret::new("abcd"), Secret::new("whsec_abcd")]);
        assert_eq!(redactor.clean("key whsec_abcd, abcd"), "key ***, ***");
        let edge = format!("{}whsec_abcd", "x".repeat(KEPT - 5));
        assert!(!redactor.clean(&edge).contains("whsec"));
    }
}

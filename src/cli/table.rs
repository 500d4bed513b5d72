//! Tables that line up.

use std::fmt::{Display, Write};

/// Writes rows under a header, columns as wide as their widest cell, two spaces apart. The last
/// column is not padded.
pub(super) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = header.map(columns);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(columns(cell));
        }
    }
    let mut out = String::new();
    let header = header.map(str::to_owned);
    for row in std::iter::once(&header).chain(rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let pad = width.saturating_sub(columns(cell)) + 2;
            let _ = write!(line, "{cell}{}", " ".repeat(pad));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Columns of a terminal: characters beyond Latin take two, near enough for Chinese.
fn columns(text: &str) -> usize {
    text.chars()
        .map(|c| if (c as u32) < 0x1100 { 1 } else { 2 })
        .sum()
}

/// `text` on one line without control characters, cut to `max` characters: what an event says must
/// not steer a terminal.
pub(super) fn short(text: &str, max: usize) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if clean.chars().count() <= max {
        return clean;
    }
    let head: String = clean.chars().take(max.saturating_sub(1)).collect();
    format!("{head}…")
}

/// So many of something, in words.
pub(super) fn counted(count: impl Display, what: &str) -> String {
    let count = count.to_string();
    let more = if count == "1" { "" } else { "s" };
    format!("{count} {what}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            ["a".to_owned(), "1".to_owned()],
            ["网卡".to_owned(), "22".to_owned()],
        ];
        assert_eq!(table(["id", "n"], &rows), "id    n\na     1\n网卡  22\n");
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(short("a\u{1b}[2Jb\nc", 9), "a [2Jb c");
        assert_eq!(short("abcdef", 4), "abc…");
    }
}

//! Hostile text in DingTalk's Markdown.

/// Characters that mean something in DingTalk's subset of Markdown (open platform, "Robot message
/// types"; `<` because `<font …>` works in practice).
const SPECIAL: &str = "\\*_#<>[]()!`~|";

/// `text` so that DingTalk's Markdown shows it as it is: on one line, with nothing emphasised,
/// linked, fetched or mentioned.
///
/// An `@` where a word begins becomes the full-width `＠`, since `@` and a configured number would
/// call a person. One inside a word, as in an address, stays.
///
/// ```
/// use herald_sinks::dingtalk::escape;
/// assert_eq!(escape("![](http://x) @all a@b"), r"\!\[\]\(http://x\) ＠all a@b");
/// ```
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut in_word = false;
    for c in text.chars() {
        match c {
            '@' if !in_word => escaped.push('＠'),
            c if SPECIAL.contains(c) => escaped.extend(['\\', c]),
            c if crate::said::is_unfit(c) => escaped.push(' '),
            c => escaped.push(c),
        }
        in_word = c.is_alphanumeric();
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_means_something_is_escaped() {
        for (hostile, shown) in [
            ("plain eni-1a2b", "plain eni-1a2b"),
            ("eni-8vb****", r"eni-8vb\*\*\*\*"),
            ("[x](https://evil)", r"\[x\]\(https://evil\)"),
            ("![](https://evil/p.png)", r"\!\[\]\(https://evil/p.png\)"),
            ("# head\n> quote", r"\# head \> quote"),
            ("`code` _it_ \\", r"\`code\` \_it\_ \\"),
            ("<font color=red>x</font>", r"\<font color=red\>x\</font\>"),
            ("@all 请看", "＠all 请看"),
            ("x @15012345678", "x ＠15012345678"),
            ("a@example.com", "a@example.com"),
            ("left\u{202e}right", "left right"),
        ] {
            assert_eq!(escape(hostile), shown);
        }
    }
}

//! The grammar of JSON over bytes, without building anything.
//!
//! Both readers stand on this: [`super::parse`](fn@super::parse), which builds values, and the
//! index, which looks at a few fields and skips the rest. So they agree on what a document is.

use std::borrow::Cow;

use super::{Error, Reason};

/// A place in the bytes of a document that are known to be UTF-8.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

/// A string as it stands in the document, between its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a> {
    /// What stands between the quotes, escapes and all; the escapes are known to be sound.
    pub(crate) text: &'a str,
    /// Whether there are escapes at all.
    pub(crate) escaped: bool,
}

/// How a value begins, and so what kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

impl<'a> Cursor<'a> {
    /// # Errors
    /// When the bytes are not UTF-8 or begin with a byte order mark.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(bytes).map_err(|cause| Error {
            offset: cause.valid_up_to(),
            reason: Reason::NotUtf8,
        })?;
        if text.starts_with('\u{feff}') {
            return Err(Error {
                offset: 0,
                reason: Reason::ByteOrderMark,
            });
        }
        Ok(Cursor { text, bytes, at: 0 })
    }

    /// The whole document, checked to be UTF-8.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn fail<T>(&self, reason: Reason) -> Result<T, Error> {
        let reason = if self.at >= self.bytes.len() {
            Reason::EndsEarly
        } else {
            reason
        };
        Err(Error {
            offset: self.at,
            reason,
        })
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(crate) fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Steps over `byte` if it is next.
    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    #[inline]
    pub(crate) fn expect(&mut self, byte: u8, reason: Reason) -> Result<(), Error> {
        if self.eat(byte) {
            Ok(())
        } else {
            self.fail(reason)
        }
    }

    /// What the value that begins here is. Does not move.
    #[inline]
    pub(crate) fn kind(&self) -> Result<Kind, Error> {
        Ok(match self.peek() {
            Some(b'"') => Kind::String,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(b't') => Kind::True,
            Some(b'f') => Kind::False,
            Some(b'n') => Kind::Null,
            Some(b'a'..=b'z' | b'A'..=b'Z') => return self.fail(Reason::UnknownWord),
            _ => return self.fail(Reason::NoValue),
        })
    }

    /// After the value: only white space may follow.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.skip_space();
        if self.at < self.bytes.len() {
            self.fail(Reason::TrailingText)
        } else {
            Ok(())
        }
    }

    /// Reads the key of a member and the colon after it.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Raw<'a>, Error> {
        if self.peek() != Some(b'"') {
            return self.fail(Reason::NoKey);
        }
        let key = self.string()?;
        self.skip_space();
        self.expect(b':', Reason::NoColon)?;
        self.skip_space();
        Ok(key)
    }

    /// After a member: `true` when another follows, with the cursor at its key.
    #[inline]
    pub(crate) fn next_member(&mut self) -> Result<bool, Error> {
        self.next(b'}', Reason::NoCommaInObject)
    }

    /// After an element: `true` when another follows, with the cursor at its value.
    #[inline]
    pub(crate) fn next_element(&mut self) -> Result<bool, Error> {
        self.next(b']', Reason::NoCommaInArray)
    }

    #[inline]
    fn next(&mut self, close: u8, reason: Reason) -> Result<bool, Error> {
        self.skip_space();
        if self.eat(close) {
            return Ok(false);
        }
        self.expect(b',', reason)?;
        self.skip_space();
        Ok(true)
    }

    /// Steps over `{` or `[`: `true` when it is not closed at once, with the cursor at what is
    /// inside.
    #[inline]
    pub(crate) fn open(&mut self, close: u8) -> bool {
        self.at += 1;
        self.skip_space();
        !self.eat(close)
    }

    pub(crate) fn word(&mut self, word: &str) -> Result<(), Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let same = rest
            .iter()
            .zip(word.as_bytes())
            .take_while(|(a, b)| a == b)
            .count();
        if same < word.len() {
            self.at += same;
            return self.fail(Reason::UnknownWord);
        }
        self.at += word.len();
        Ok(())
    }

    /// Reads a string whose opening quote is next.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Raw<'a>, Error> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_run(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return self.fail(Reason::ControlCharacter),
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(Raw { text, escaped })
    }

    #[cold]
    fn escape(&mut self) -> Result<(), Error> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                match self.four_hex()? {
                    0xd800..=0xdbff => {
                        let pair = self.eat(b'\\') && self.eat(b'u');
                        if !pair || !(0xdc00..=0xdfff).contains(&self.four_hex()?) {
                            return Err(Error {
                                offset: start,
                                reason: Reason::LoneSurrogate,
                            });
                        }
                    }
                    0xdc00..=0xdfff => {
                        return Err(Error {
                            offset: start,
                            reason: Reason::LoneSurrogate,
                        });
                    }
                    _ => {}
                }
            }
            _ => return self.fail(Reason::BadEscape),
        }
        Ok(())
    }

    fn four_hex(&mut self) -> Result<u32, Error> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|b| char::from(b).to_digit(16)) else {
                return self.fail(Reason::BadEscape);
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// Reads a number whose first character is next, and answers its text.
    pub(crate) fn number(&mut self) -> Result<&'a str, Error> {
        let start = self.at;
        self.eat(b'-');
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.fail(Reason::BadNumber),
        }
        if self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return self.fail(Reason::BadNumber);
        }
        if self.eat(b'.') {
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Error> {
        if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return self.fail(Reason::BadNumber);
        }
        self.digits();
        Ok(())
    }

    /// Steps over one value, checking it as strictly as if it were read. `depth` is how many levels
    /// of arrays and objects may still open.
    pub(crate) fn skip(&mut self, depth: usize) -> Result<(), Error> {
        match self.kind()? {
            Kind::String => self.string().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::True => self.word("true"),
            Kind::False => self.word("false"),
            Kind::Null => self.word("null"),
            Kind::Object => {
                let depth = self.descend(depth)?;
                let mut more = self.open(b'}');
                while more {
                    self.key()?;
                    self.skip(depth)?;
                    more = self.next_member()?;
                }
                Ok(())
            }
            Kind::Array => {
                let depth = self.descend(depth)?;
                let mut more = self.open(b']');
                while more {
                    self.skip(depth)?;
                    more = self.next_element()?;
                }
                Ok(())
            }
        }
    }

    /// The depth left inside an array or object that opens here.
    #[inline]
    pub(crate) fn descend(&self, depth: usize) -> Result<usize, Error> {
        match depth.checked_sub(1) {
            Some(left) => Ok(left),
            None => self.fail(Reason::TooDeep),
        }
    }
}

/// How many bytes from the front are neither a quote, nor a backslash, nor a control character.
#[inline]
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut chunks = bytes.chunks_exact(8);
    let mut run = 0;
    for chunk in chunks.by_ref() {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        let quote = word ^ (ONES * u64::from(b'"'));
        let slash = word ^ (ONES * u64::from(b'\\'));
        // A zero byte borrows into its top bit; false hits only ever stand above a true one, so the
        // lowest hit is exact.
        let hit = ((quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGH;
        if hit != 0 {
            return run + (hit.trailing_zeros() / 8) as usize;
        }
        run += 8;
    }
    run + chunks
        .remainder()
        .iter()
        .take_while(|&&byte| byte >= 0x20 && byte != b'"' && byte != b'\\')
        .count()
}

impl<'a> Raw<'a> {
    /// The characters the string stands for.
    pub(crate) fn unescaped(self) -> Cow<'a, str> {
        if !self.escaped {
            return Cow::Borrowed(self.text);
        }
        let mut out = String::with_capacity(self.text.len());
        self.unescape_into(&mut out);
        Cow::Owned(out)
    }

    /// Appends the characters the string stands for.
    pub(crate) fn unescape_into(self, out: &mut String) {
        let mut rest = self.text;
        while let Some(slash) = rest.find('\\') {
            out.push_str(rest.get(..slash).unwrap_or_default());
            let escape = rest.get(slash + 1..).unwrap_or_default();
            let (character, length) = match escape.as_bytes().first() {
                Some(b'b') => ('\u{8}', 1),
                Some(b'f') => ('\u{c}', 1),
                Some(b'n') => ('\n', 1),
                Some(b'r') => ('\r', 1),
                Some(b't') => ('\t', 1),
                Some(b'u') => unicode_escape(escape),
                Some(&byte) => (char::from(byte), 1),
                None => break,
            };
            out.push(character);
            rest = escape.get(length..).unwrap_or_default();
        }
        out.push_str(rest);
    }
}

/// The character of `uXXXX` or `uXXXX\uXXXX`, and how many bytes that is. The scanner has checked
/// the digits and the pairing.
fn unicode_escape(escape: &str) -> (char, usize) {
    let unit = |from: usize| {
        let digits = escape.get(from..from + 4).unwrap_or_default();
        u32::from_str_radix(digits, 16).unwrap_or_default()
    };
    let high = unit(1);
    if !(0xd800..0xdc00).contains(&high) {
        return (
            char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER),
            5,
        );
    }
    let low = unit(7);
    let code = 0x10000 + ((high - 0xd800) << 10) + low.saturating_sub(0xdc00);
    (
        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
        11,
    )
}

#[cfg(test)]
mod tests {
    use super::plain_run;

    #[test]
    fn a_run_ends_at_any_byte_that_matters_wherever_it_stands() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=255u8 {
                    let mut bytes = vec![b'x'; length];
                    bytes[at] = byte;
                    let ends = byte < 0x20 || byte == b'"' || byte == b'\\';
                    let expected = if ends { at } else { length };
                    assert_eq!(plain_run(&bytes), expected, "{byte} at {at} of {length}");
                }
            }
        }
    }
}

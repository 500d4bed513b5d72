//! The next whole lines of one file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes read at once; more only where a line is longer. Chosen.
const READ: usize = 256 << 10;

/// A line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its first byte's offset.
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
}

/// What was read from an offset on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    /// Lines that are no longer than allowed; blank ones are left out.
    pub(super) lines: Vec<Line>,
    /// Offsets of lines that are longer.
    pub(super) too_long: Vec<u64>,
    /// Where the next line begins.
    pub(super) end: u64,
    /// Whether reading again from `end` may give more without the file growing.
    pub(super) more: bool,
}

/// Reads whole lines from `from` on, at most `lines_max` of at most `line_max` bytes. A last line
/// without its end waits for it, unless the file `is_over`.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read(
    file: &File,
    from: u64,
    line_max: usize,
    lines_max: usize,
    is_over: bool,
) -> io::Result<Read> {
    let mut buffer = vec![0; READ];
    let mut length = fill(file, &mut buffer, from)?;
    if length == READ && line_max >= READ && !buffer.contains(&b'\n') {
        buffer.resize(READ + line_max, 0);
        length += fill(file, &mut buffer[READ..], from + READ as u64)?;
    }
    let is_cut = length == buffer.len();
    buffer.truncate(length);
    let mut read = Read {
        end: from,
        ..Read::default()
    };
    let mut rest = &buffer[..];
    while let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
        if read.lines.len() + read.too_long.len() == lines_max {
            read.more = true;
            return Ok(read);
        }
        read.add(&rest[..length], line_max);
        read.end += length as u64 + 1;
        rest = &rest[length + 1..];
    }
    if rest.len() > line_max {
        // Its end is looked for without keeping what is passed over.
        if let Some(end) = end_of_line(file, read.end, is_over)? {
            read.too_long.push(read.end);
            read.end = end;
            read.more = true;
        }
    } else if is_cut {
        read.more = true;
    } else if is_over && !rest.is_empty() {
        read.add(rest, line_max);
        read.end += rest.len() as u64;
    }
    Ok(read)
}

impl Read {
    fn add(&mut self, line: &[u8], line_max: usize) {
        if line.len() > line_max {
            self.too_long.push(self.end);
        } else if !line.iter().all(u8::is_ascii_whitespace) {
            self.lines.push(Line {
                at: self.end,
                bytes: line.to_vec(),
            });
        }
    }
}

/// Where the line after the one at `from` begins; `None` where it has no end yet.
fn end_of_line(file: &File, mut from: u64, is_over: bool) -> io::Result<Option<u64>> {
    let mut buffer = vec![0; READ];
    loop {
        let length = fill(file, &mut buffer, from)?;
        if let Some(place) = buffer[..length].iter().position(|byte| *byte == b'\n') {
            return Ok(Some(from + place as u64 + 1));
        }
        from += length as u64;
        if length < buffer.len() {
            return Ok(is_over.then_some(from));
        }
    }
}

/// Fills `buffer` from `from` on as far as the file goes.
pub(super) fn fill(file: &File, buffer: &mut [u8], from: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], from + filled as u64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn lines(read: &Read) -> Vec<(u64, &str)> {
        let text =
            |line: &Line| std::str::from_utf8(&line.bytes).unwrap().to_owned().leak() as &str;
        read.lines
            .iter()
            .map(|line| (line.at, text(line)))
            .collect()
    }

    #[test]
    fn a_last_line_waits_for_its_end() {
        let file = file(b"one\n\n  \r\ntwo\nthr");
        let got = read(&file, 0, 100, 10, false).unwrap();
        assert_eq!(lines(&got), [(0, "one"), (9, "two")]);
        assert_eq!((got.end, got.more), (13, false));
        let got = read(&file, 13, 100, 10, true).unwrap();
        assert_eq!((lines(&got), got.end), (vec![(13, "thr")], 16));
    }

    #[test]
    fn a_line_too_long_is_named_and_passed_over() {
        let long = "x".repeat(3 * READ);
        let file = file(format!("a\n{long}\nb\n{long}").as_bytes());
        let mut from = 0;
        let mut seen = Vec::new();
        let mut too_long = Vec::new();
        loop {
            let got = read(&file, from, 10, 10, false).unwrap();
            seen.extend(got.lines);
            too_long.extend(got.too_long);
            from = got.end;
            if !got.more {
                break;
            }
        }
        let after = 2 + long.len() as u64 + 1;
        let at: Vec<_> = seen.iter().map(|line| line.at).collect();
        assert_eq!((at, too_long), (vec![0, after], vec![2]));
        assert_eq!(from, after + 2, "the last one has no end yet");
    }

    #[test]
    fn a_line_of_just_the_longest_length_is_taken_and_one_byte_more_is_not() {
        let file = file(b"1234567890\n12345678901\n");
        let got = read(&file, 0, 10, 10, false).unwrap();
        assert_eq!(lines(&got), [(0, "1234567890")]);
        assert_eq!(got.too_long, [11]);
    }

    #[test]
    fn so_many_lines_at_once() {
        let file = file(b"1\n2\n3\n");
        let got = read(&file, 0, 10, 2, false).unwrap();
        assert_eq!((got.lines.len(), got.end, got.more), (2, 4, true));
        let got = read(&file, 4, 10, 2, false).unwrap();
        assert_eq!((got.lines.len(), got.end, got.more), (1, 6, false));
    }
}

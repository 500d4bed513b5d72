//! `herald match`

use std::fs::File;
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use herald_model::EventId;
use herald_rules::json::{self, Limits};
use herald_rules::{Index, Mistake, Pattern, Scratch};
use uuid::Uuid;

use super::Failure;
use crate::clock;
use crate::config::Place;
use crate::intake;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The pattern: JSON, or TOML where the name ends in .toml
    #[arg(short, long, value_name = "FILE")]
    pattern: PathBuf,
    /// Decode the documents as events first, and test their canonical form
    #[arg(long)]
    envelope: bool,
    /// Events: JSON documents, one after the other or one a line; standard input without it
    files: Vec<PathBuf>,
}

/// Bytes asked of a file at a time. Chosen: large enough that reading is not what takes time.
const CHUNK: usize = 1 << 20;

/// As deep as the reader goes: what `match` is given is the user's own.
const LIMITS: Limits = Limits {
    depth_max: Limits::DEPTH_CEILING,
};

/// Longest document in bytes; bounds the memory that a broken stream may take. Chosen.
const DOCUMENT_MAX: usize = 64 << 20;

/// What was found: exit 0 for some, 1 for none, 2 when something could not be read.
#[derive(Default)]
struct Found {
    matches: u64,
    errors: u64,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut found = Found::default();
    if let Err(Failure(lines)) = search(arguments, &mut found) {
        for line in lines {
            eprintln!("herald: {line}");
        }
        found.errors += 1;
    }
    match found {
        Found { errors: 1.., .. } => ExitCode::from(2),
        Found { matches: 0, .. } => ExitCode::FAILURE,
        Found { .. } => ExitCode::SUCCESS,
    }
}

fn search(arguments: &Arguments, found: &mut Found) -> Result<(), Failure> {
    let mut search = Search {
        matcher: Matcher::new(&pattern(&arguments.pattern)?, arguments.envelope),
        out: BufWriter::with_capacity(CHUNK, io::stdout().lock()),
        name: String::new(),
        in_broken_line: false,
        found,
    };
    let names: Vec<String> = match arguments.files.as_slice() {
        [] => vec!["-".to_owned()],
        files => files
            .iter()
            .map(|file| file.display().to_string())
            .collect(),
    };
    for name in names {
        search.name.clone_from(&name);
        let opened: io::Result<Box<dyn Read>> = match name.as_str() {
            "-" => Ok(Box::new(io::stdin().lock())),
            path => File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
        };
        match opened.and_then(|input| search.stream(input)) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => {
                eprintln!("herald: cannot read {name}: {error}");
                search.found.errors += 1;
            }
            Ok(()) => {}
        }
    }
    match search.out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Tests documents against the pattern, by way of the index: bytes that the pattern does not ask
/// for are stepped over.
struct Matcher {
    index: Index,
    scratch: Scratch,
    envelope: bool,
}

/// Why a document has no answer.
enum Miss {
    /// The bytes are not one JSON document.
    NotOne(json::Error),
    /// It is no event in a shape that the router takes.
    Refused(String),
}

impl Matcher {
    fn new(pattern: &Pattern, envelope: bool) -> Self {
        let mut builder = Index::builder();
        builder.limits(LIMITS).insert(0, pattern);
        Self {
            index: builder.build(),
            scratch: Scratch::default(),
            envelope,
        }
    }

    fn hits(&mut self, document: &[u8]) -> Result<bool, Miss> {
        let sealed = match self.envelope {
            false => None,
            true => Some(canonical(document)?),
        };
        let tested = sealed.as_ref().map_or(document, |text| text.as_bytes());
        let found = self.index.matches(tested, &mut self.scratch);
        found.map(|ids| !ids.is_empty()).map_err(Miss::NotOne)
    }
}

/// One run over the streams: what it tests with, where it prints, what it found.
struct Search<'f, W: Write> {
    matcher: Matcher,
    out: W,
    /// Of the stream that is read.
    name: String,
    /// Something unreadable was met, and the end of its line was not.
    in_broken_line: bool,
    found: &'f mut Found,
}

impl<W: Write> Search<'_, W> {
    /// Tests every document of the stream, holding one at a time. What cannot be read is reported
    /// and skipped to the end of its line.
    fn stream(&mut self, mut input: impl Read) -> io::Result<()> {
        let mut window = Window::default();
        self.in_broken_line = false;
        loop {
            match self.step(&window)? {
                Step::Done => return Ok(()),
                Step::Skip(length) => window.skip(length),
                Step::More if window.rest().len() > DOCUMENT_MAX => {
                    let why = format!("a document is longer than {DOCUMENT_MAX} bytes");
                    return Err(io::Error::other(why));
                }
                Step::More => {
                    // Whoever watches a growing file sees what was found before more is waited for.
                    self.out.flush()?;
                    window.fill(&mut input)?;
                }
            }
        }
    }

    /// Takes what stands at the beginning of the window.
    fn step(&mut self, window: &Window) -> io::Result<Step> {
        let Window {
            offset, complete, ..
        } = *window;
        let rest = window.rest();
        let ended = line(rest);
        if self.in_broken_line {
            self.in_broken_line = ended.is_none();
            return Ok(match ended {
                None if rest.is_empty() && complete => Step::Done,
                None if rest.is_empty() => Step::More,
                length => Step::Skip(length.unwrap_or(rest.len())),
            });
        }
        // Nearly always a document is a line. If so, it is read once: by the index.
        if let Some(length) = ended
            && self.take_line(offset, &rest[..length])?
        {
            return Ok(Step::Skip(length));
        }
        match json::next_document(rest, LIMITS, complete) {
            Ok(None) if complete => Ok(Step::Done),
            Ok(None) => Ok(Step::More),
            Ok(Some(place)) => {
                self.take(offset + place.start as u64, &rest[place.clone()])?;
                Ok(Step::Skip(place.end))
            }
            Err(error) if error.reason == json::Reason::EndsEarly && !complete => Ok(Step::More),
            Err(error) => {
                let space = rest.len() - rest.trim_ascii_start().len();
                self.refuse(offset + space as u64, &error.to_string());
                self.in_broken_line = true;
                Ok(Step::Skip(error.offset.min(rest.len())))
            }
        }
    }

    /// Tests a line, if it is a document; answers whether it is.
    fn take_line(&mut self, offset: u64, line: &[u8]) -> io::Result<bool> {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let Some(first) = line.iter().position(|byte| !is_space(byte)) else {
            return Ok(true);
        };
        let last = line.iter().rposition(|byte| !is_space(byte));
        let document = &line[first..=last.unwrap_or(first)];
        match self.matcher.hits(document) {
            Ok(false) => {}
            Ok(true) => self.print(document)?,
            Err(Miss::NotOne(_)) => return Ok(false),
            Err(Miss::Refused(why)) => self.refuse(offset + first as u64, &why),
        }
        Ok(true)
    }

    fn take(&mut self, offset: u64, document: &[u8]) -> io::Result<()> {
        match self.matcher.hits(document) {
            Ok(false) => {}
            Ok(true) => match json::parse(document, LIMITS) {
                Ok(parsed) if document.contains(&b'\n') => {
                    self.print(parsed.value.to_string().as_bytes())?;
                }
                _ => self.print(document)?,
            },
            Err(Miss::NotOne(error)) => self.refuse(offset, &error.to_string()),
            Err(Miss::Refused(why)) => self.refuse(offset, &why),
        }
        Ok(())
    }

    fn print(&mut self, document: &[u8]) -> io::Result<()> {
        self.found.matches += 1;
        self.out.write_all(document)?;
        self.out.write_all(b"\n")
    }

    fn refuse(&mut self, offset: u64, why: &str) {
        let name = &self.name;
        eprintln!("herald: {name}: {why} (document at byte {offset})");
        self.found.errors += 1;
    }
}

/// What became of the beginning of the buffer.
enum Step {
    /// So many bytes are over.
    Skip(usize),
    /// They do not suffice for a document.
    More,
    /// Nothing is left.
    Done,
}

/// The length of the first line with its end; `None` where the end is still to come.
fn line(bytes: &[u8]) -> Option<usize> {
    // The library's own search for a byte, which steps many at a time.
    let mut rest = bytes;
    let length = rest.skip_until(b'\n').unwrap_or_default();
    (bytes[..length].last() == Some(&b'\n')).then_some(length)
}

/// The part of a stream that is in memory.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    /// What of `bytes` is read and not yet over.
    start: usize,
    end: usize,
    /// Where in the stream `start` is.
    offset: u64,
    /// Nothing follows.
    complete: bool,
}

impl Window {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    fn skip(&mut self, length: usize) {
        self.start += length;
        self.offset += length as u64;
    }

    /// Reads on. While little is held the next piece is enough, whatever its size; a document that is
    /// long already must grow by half before it is looked at again, so that small pieces do not make
    /// its reading quadratic.
    fn fill(&mut self, input: &mut impl Read) -> io::Result<()> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let wanted = match self.end {
            held if held < CHUNK => held + 1,
            held => held + held / 2,
        };
        if self.bytes.len() < wanted + CHUNK {
            self.bytes.resize(wanted + CHUNK, 0);
        }
        while self.end < wanted && !self.complete {
            match input.read(&mut self.bytes[self.end..]) {
                Ok(0) => self.complete = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The canonical form of an event in whatever shape.
fn canonical(document: &[u8]) -> Result<Arc<str>, Miss> {
    let value = json::parse(document, LIMITS).map_err(Miss::NotOne)?.value;
    let draft =
        intake::decode(&value, false, None).map_err(|refusal| Miss::Refused(refusal.reason))?;
    Ok(draft
        .seal(EventId::from_uuid(Uuid::nil()), "match", clock::now())
        .event
        .text)
}

fn pattern(path: &Path) -> Result<Pattern, Failure> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {file}: {error}")))?;
    let at = |offset: usize| {
        let place = Place::of(&text, offset);
        format!("{file}:{}:{}", place.line, place.column)
    };
    let read = if path
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        let table = toml::de::DeTable::parse(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            Failure::new(format!("{}: not TOML: {}", at(start), error.message()))
        })?;
        Pattern::from_toml(table.get_ref())
    } else {
        Pattern::from_json(&text)
    };
    read.map_err(|mistakes| {
        let line = |mistake: &Mistake| format!("{}: {mistake}", at(mistake.span.start));
        Failure(mistakes.iter().map(line).collect())
    })
}

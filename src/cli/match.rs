//! `herald match`

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use herald_model::EventId;
use herald_rules::json::{self, Limits};
use herald_rules::{Index, Pattern, Scratch};
use uuid::Uuid;

use super::Failure;
use crate::clock;
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
    let mut matcher = Matcher::new(&pattern(&arguments.pattern)?, arguments.envelope);
    let mut out = BufWriter::new(io::stdout().lock());
    let names: Vec<String> = match arguments.files.as_slice() {
        [] => vec!["-".to_owned()],
        files => files
            .iter()
            .map(|file| file.display().to_string())
            .collect(),
    };
    for name in names {
        let opened: io::Result<Box<dyn Read>> = match name.as_str() {
            "-" => Ok(Box::new(io::stdin().lock())),
            path => File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
        };
        let done = opened.and_then(|input| {
            documents(input, &mut |offset, document| {
                match document.and_then(|document| matcher.hit(document)) {
                    Ok(Some(line)) => {
                        found.matches += 1;
                        out.write_all(line.as_bytes())?;
                        out.write_all(b"\n")?;
                    }
                    Ok(None) => {}
                    Err(why) => {
                        eprintln!("herald: {name}: {why} (document at byte {offset})");
                        found.errors += 1;
                    }
                }
                Ok(())
            })
        });
        match done {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => {
                eprintln!("herald: cannot read {name}: {error}");
                found.errors += 1;
            }
            Ok(()) => {}
        }
    }
    match out.flush() {
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

    /// The document on one line, if it matches.
    fn hit(&mut self, document: &[u8]) -> Result<Option<String>, String> {
        let sealed = match self.envelope {
            false => None,
            true => Some(canonical(document)?),
        };
        let tested = sealed.as_ref().map_or(document, |text| text.as_bytes());
        let found = self
            .index
            .matches(tested, &mut self.scratch)
            .map_err(|e| e.to_string())?;
        if found.is_empty() {
            return Ok(None);
        }
        if document.contains(&b'\n') {
            let value = json::parse(document, LIMITS)
                .map_err(|error| error.to_string())?
                .value;
            return Ok(Some(value.to_string()));
        }
        Ok(Some(String::from_utf8_lossy(document).into_owned()))
    }
}

/// The canonical form of an event in whatever shape.
fn canonical(document: &[u8]) -> Result<Arc<str>, String> {
    let value = json::parse(document, LIMITS)
        .map_err(|error| error.to_string())?
        .value;
    let draft = intake::decode(&value, false, None).map_err(|refusal| refusal.reason)?;
    Ok(draft
        .seal(EventId::from_uuid(Uuid::nil()), "match", clock::now())
        .event
        .text)
}

fn pattern(path: &Path) -> Result<Pattern, Failure> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {file}: {error}")))?;
    let read = if path
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        let table = toml::de::DeTable::parse(&text)
            .map_err(|error| Failure::new(format!("{file}: not TOML: {}", error.message())))?;
        Pattern::from_toml(table.get_ref())
    } else {
        Pattern::from_json(&text)
    };
    read.map_err(|mistakes| {
        let line = |mistake: &herald_rules::Mistake| {
            let place = crate::config::Place::of(&text, mistake.span.start);
            format!("{file}:{}:{}: {}", place.line, place.column, mistake.reason)
        };
        Failure(mistakes.iter().map(line).collect())
    })
}

/// Takes the offset of a document, and its bytes or why they are none.
type Each<'a> = dyn FnMut(u64, Result<&[u8], String>) -> io::Result<()> + 'a;

/// Calls `each` with every document of the stream and its offset, holding one at a time. A document
/// that cannot be read is reported and skipped to the end of its line.
fn documents(mut input: impl Read, each: &mut Each<'_>) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut start = 0;
    let mut offset = 0_u64;
    let mut complete = false;
    loop {
        match json::next_document(&buffer[start..], LIMITS, complete) {
            Ok(None) if complete => return Ok(()),
            Ok(Some(place)) => {
                let at = offset + place.start as u64;
                each(at, Ok(&buffer[start..][place.clone()]))?;
                start += place.end;
                offset += place.end as u64;
                continue;
            }
            Ok(None) => {}
            Err(error) if error.reason == json::Reason::EndsEarly && !complete => {
                if buffer.len() - start > DOCUMENT_MAX {
                    let why = format!("a document is longer than {DOCUMENT_MAX} bytes");
                    return Err(io::Error::other(why));
                }
            }
            Err(error) => {
                let rest = &buffer[start..];
                let space = rest.len() - rest.trim_ascii_start().len();
                each(offset + space as u64, Err(error.to_string()))?;
                let from = error.offset.min(rest.len());
                let skip = match rest[from..].iter().position(|byte| *byte == b'\n') {
                    Some(line_end) => from + line_end + 1,
                    None if complete => return Ok(()),
                    // The rest of the line is still to come; drop what is here of it.
                    None => rest.len(),
                };
                start += skip;
                offset += skip as u64;
                continue;
            }
        }
        buffer.drain(..start);
        start = 0;
        let held = buffer.len();
        buffer.resize(held + CHUNK, 0);
        let read = input.read(&mut buffer[held..])?;
        buffer.truncate(held + read);
        complete = read == 0;
    }
}

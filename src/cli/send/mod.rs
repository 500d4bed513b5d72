//! `herald send`
//!
//! `items` reads the files in a thread of its own, since a read of standard input cannot be
//! interrupted; `post` brings batches to the router. What lies between is bounded, so a file may be
//! of any length.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use self::items::Item;
use self::post::{Ended, Line, Post};
use super::client::{Client, Router};
use super::{Done, Failure};

mod items;
mod post;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    router: Router,
    /// The files hold operation results, not events
    #[arg(long)]
    operations: bool,
    /// How often a batch is tried while the router cannot be reached or says 429 or 503; the pauses grow
    /// from 1 s to 30 s
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    tries: u32,
    /// Print one JSON document per item
    #[arg(long)]
    json: bool,
    /// JSON documents (objects or arrays), one after the other or one a line; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Items of one request. Chosen: large enough that the journal commits in groups, small enough for
/// a router with the default `server.batch_max`.
const BATCH: usize = 100;

/// Bytes of one request, unless a single item is longer. A quarter of the default
/// `server.body_max`.
const BATCH_BYTES: usize = 1 << 20;

/// How long a batch that is not full waits for more. Chosen: whoever types does not notice, and a
/// program that writes is faster.
const GATHERING: Duration = Duration::from_millis(50);

/// Pause between two changes of the progress line. Chosen.
const PROGRESS: Duration = Duration::from_millis(100);

/// What the reading thread hands over.
enum Read {
    Item(Item),
    End(Result<(), String>),
}

/// How many items were answered what.
#[derive(Default)]
struct Tally {
    sent: usize,
    accepted: usize,
    duplicate: usize,
    not_triggered: usize,
    refused: usize,
    unknown: usize,
}

pub(super) async fn run(arguments: Arguments) -> Done {
    let stop = CancellationToken::new();
    tokio::spawn(interrupted(stop.clone()));
    let path = if arguments.operations {
        "/v1/operations"
    } else {
        "/v1/events"
    };
    let post = Post {
        client: Client::new(arguments.router)?,
        path,
        tries: arguments.tries,
        stop: stop.clone(),
    };
    let mut telling = Telling::new(arguments.json);
    let mut failed = Vec::new();
    for file in &arguments.files {
        let name = file.display().to_string();
        let ended = send(&post, &name, arguments.operations, &mut telling).await;
        telling.clear();
        match ended {
            Ok(Ok(())) => {}
            // The other files may be sound.
            Ok(Err(why)) => failed.push(format!("{name}: {why}")),
            Err(Ended::Failed(Failure(lines))) => {
                failed.extend(lines);
                break;
            }
            Err(Ended::Stopped) => {
                failed.push("stopped; the rest was not sent".to_owned());
                break;
            }
        }
        if stop.is_cancelled() {
            break;
        }
    }
    telling.sum();
    if !failed.is_empty() {
        return Err(Failure(failed));
    }
    let is_all_taken = telling.tally.refused + telling.tally.unknown == 0;
    Ok(if is_all_taken {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The first Ctrl-C lets the request under way be answered, so that it is known what was taken; the
/// second does not wait.
async fn interrupted(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop.cancel();
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        eprintln!("herald: stopped at once; the last request may have been taken");
        std::process::exit(1);
    }
}

/// Sends one file. The inner result says whether all of it could be read.
async fn send(
    post: &Post,
    name: &str,
    are_operations: bool,
    telling: &mut Telling,
) -> Result<Result<(), String>, Ended> {
    let (hand_over, mut read) = mpsc::channel(BATCH);
    let file = name.to_owned();
    std::thread::spawn(move || {
        let done = items::read(&file, are_operations, &mut |item| {
            hand_over.blocking_send(Read::Item(item)).is_ok()
        });
        // Nobody listens any more after a failure.
        let _ = hand_over.blocking_send(Read::End(done));
    });
    let mut is_first = true;
    loop {
        let gathered = tokio::select! {
            gathered = gather(&mut read) => gathered,
            () = post.stop.cancelled() => return Err(Ended::Stopped),
        };
        let items = gathered.items;
        if !items.is_empty() {
            let mut lines = Vec::new();
            let mut tell = |why: &str| telling.say(why);
            let done = post.batch(&items, &mut lines, &mut tell).await;
            let is_only = is_first && items.len() == 1 && gathered.end.is_some();
            for (item, line) in items.iter().zip(&lines) {
                if let Some(line) = line {
                    telling.line(line, name, item.number, is_only)?;
                }
            }
            done?;
            telling.progress();
            is_first = false;
        }
        if let Some(end) = gathered.end {
            return Ok(end);
        }
    }
}

/// A batch, and how the file ended if it did.
struct Gathered {
    items: Vec<Item>,
    end: Option<Result<(), String>>,
}

/// Waits for an item, and a little for more. What was taken from the channel is in the answer or,
/// if this is dropped, is not wanted any more.
async fn gather(read: &mut mpsc::Receiver<Read>) -> Gathered {
    let mut items: Vec<Item> = Vec::new();
    let mut bytes = 0;
    let mut deadline = Instant::now();
    let end = loop {
        let next = if items.is_empty() {
            let next = read.recv().await;
            deadline = Instant::now() + GATHERING;
            next
        } else {
            match timeout_at(deadline, read.recv()).await {
                Ok(next) => next,
                Err(_) => break None,
            }
        };
        match next {
            Some(Read::Item(item)) => {
                bytes += item.text.len();
                items.push(item);
                if items.len() == BATCH || bytes >= BATCH_BYTES {
                    break None;
                }
            }
            Some(Read::End(end)) => break Some(end),
            None => break Some(Ok(())),
        }
    };
    Gathered { items, end }
}

/// What the person or the program before the terminal gets to see.
struct Telling {
    as_json: bool,
    /// A line on standard error that is written over.
    has_progress: bool,
    is_shown: bool,
    last: Instant,
    tally: Tally,
}

impl Telling {
    fn new(as_json: bool) -> Self {
        Self {
            as_json,
            has_progress: std::io::stderr().is_terminal() && !as_json,
            is_shown: false,
            last: Instant::now(),
            tally: Tally::default(),
        }
    }

    fn line(&mut self, line: &Line, file: &str, number: usize, is_only: bool) -> Result<(), Ended> {
        self.tally.count(line);
        if self.as_json {
            return print(line).map_err(Ended::Failed);
        }
        let reason = || super::table::short(line.reason.as_deref().unwrap_or_default(), 500);
        match line.status.as_str() {
            status @ ("refused" | "unknown") => {
                let words = reason();
                self.say(&format!("{file}, item {number}: {status}: {words}"));
            }
            status if is_only => {
                let what = line.id.clone().unwrap_or_else(reason);
                println!("{status} {what}");
            }
            _ => {}
        }
        Ok(())
    }

    /// A line for standard error, above the progress.
    fn say(&mut self, what: &str) {
        self.clear();
        eprintln!("herald: {what}");
    }

    fn progress(&mut self) {
        if self.has_progress && self.tally.sent > BATCH && self.last.elapsed() >= PROGRESS {
            let Tally { sent, refused, .. } = self.tally;
            eprint!("\r{sent} sent, {refused} refused");
            self.is_shown = true;
            self.last = Instant::now();
        }
    }

    fn clear(&mut self) {
        if self.is_shown {
            // Back to the begin, and what stands there removed (ECMA-48: EL).
            eprint!("\r\u{1b}[K");
            self.is_shown = false;
        }
    }

    fn sum(&self) {
        if self.as_json {
            return;
        }
        let Tally {
            sent,
            accepted,
            duplicate,
            not_triggered,
            refused,
            unknown,
        } = self.tally;
        let unknown = match unknown {
            0 => String::new(),
            some => format!(", {some} unknown"),
        };
        println!(
            "{sent} sent: {accepted} accepted, {duplicate} duplicate, {not_triggered} not \
             triggered, {refused} refused{unknown}"
        );
    }
}

fn print(line: &Line) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{}", serde_json::to_string(line)?)?;
    Ok(())
}

impl Tally {
    fn count(&mut self, line: &Line) {
        self.sent += 1;
        match line.status.as_str() {
            "accepted" => self.accepted += 1,
            "duplicate" => self.duplicate += 1,
            "not-triggered" => self.not_triggered += 1,
            "unknown" => self.unknown += 1,
            _ => self.refused += 1,
        }
    }
}

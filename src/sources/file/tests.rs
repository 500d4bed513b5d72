//! Following real files through rotations and restarts.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use super::follow::{Follower, Note, QUIET};

/// A file, what follows it, and what was handed in so far.
struct Bench {
    folder: TempDir,
    follower: Follower,
    bookmark: Option<String>,
    now: Timestamp,
    lines: Vec<String>,
    notes: Vec<Note>,
}

const LINE_MAX: usize = 64;

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            follower: Follower::new(folder.path().join("events"), LINE_MAX, 3, None),
            folder,
            bookmark: None,
            now: Timestamp::UNIX_EPOCH,
            lines: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// As logrotate's `copytruncate` does it.
    fn copy_and_truncate(&self, to: &str) {
        fs::copy(self.path("events"), self.path(to)).unwrap();
        File::options()
            .write(true)
            .open(self.path("events"))
            .unwrap()
            .set_len(0)
            .unwrap();
    }

    /// Everything that can be read now.
    fn read(&mut self) {
        while self.read_once() {}
    }

    fn read_once(&mut self) -> bool {
        let step = self.follower.step(self.now);
        self.notes.extend(step.notes);
        let Some(batch) = step.batch.unwrap() else {
            return false;
        };
        self.bookmark = Some(batch.bookmark.clone());
        for line in &batch.lines {
            self.lines
                .push(String::from_utf8(line.bytes.clone()).unwrap());
        }
        self.follower.took(batch);
        true
    }

    fn restart(&mut self) {
        let bookmark = self.bookmark.as_deref();
        self.follower = Follower::new(self.path("events"), LINE_MAX, 3, bookmark);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Reads what is there, and compares all that was handed in since the last time.
    #[track_caller]
    fn gives(&mut self, expected: &[&str]) {
        self.read();
        assert_eq!(self.lines, expected);
        self.lines.clear();
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Makes the order of rotations plain also where the clock of the file system is coarse.
fn age(path: &Path, seconds: u64) {
    let past = File::open(path).unwrap().metadata().unwrap().modified();
    let past = past.unwrap() - Duration::from_secs(seconds);
    File::options()
        .append(true)
        .open(path)
        .unwrap()
        .set_modified(past)
        .unwrap();
}

#[test]
fn a_file_that_is_not_there_is_waited_for_and_a_partial_line_too() {
    let mut bench = Bench::new();
    bench.gives(&[]);
    bench.gives(&[]);
    assert_eq!(bench.notes, [Note::Waits], "told once");
    bench.append("events", "one\ntw");
    bench.gives(&["one"]);
    bench.restart();
    bench.append("events", "o\nthree\n");
    bench.gives(&["two", "three"]);
    bench.restart();
    bench.gives(&[]);
}

#[test]
fn a_file_that_was_rotated_before_it_was_seen_is_read() {
    let mut bench = Bench::new();
    bench.append("events.9", "old\n");
    age(&bench.path("events.9"), 60);
    bench.gives(&[]);
    bench.append("events", "one\n");
    bench.rename("events", "events.1");
    bench.append("events", "two\n");
    bench.gives(&["one", "two"]);
}

#[test]
fn what_is_written_to_a_renamed_file_is_read() {
    let mut bench = Bench::new();
    bench.append("events", "one\ntwo\n");
    bench.gives(&["one", "two"]);
    bench.append("events", "three\n");
    bench.rename("events", "events.1");
    bench.append("events.1", "four\n");
    bench.append("events", "five\n");
    bench.gives(&["three", "four", "five"]);
    bench.append("events.1", "six\n");
    bench.append("events", "seven\n");
    bench.gives(&["six", "seven"]);
    // The last line of a file that nobody writes to any more is taken without an end.
    bench.append("events.1", "eight");
    bench.gives(&[]);
    bench.pass(QUIET);
    bench.gives(&["eight"]);
    bench.pass(QUIET);
    bench.gives(&[]);
    bench.append("events.1", "nobody\n");
    bench.gives(&[]);
}

#[test]
fn the_copy_of_a_cut_file_holds_what_was_not_read() {
    let mut bench = Bench::new();
    bench.append("events", "one\n");
    bench.gives(&["one"]);
    bench.append("events", "two\n");
    bench.copy_and_truncate("events.1");
    bench.append("events", "six, and longer than what was read before\n");
    bench.gives(&["two", "six, and longer than what was read before"]);
    bench.copy_and_truncate("events.1");
    bench.gives(&[]);
    bench.append("events", "seven\n");
    bench.restart();
    bench.gives(&["seven"]);
}

#[test]
fn rotations_while_nobody_looked_are_made_up_for() {
    let mut bench = Bench::new();
    bench.append("events", "one\n");
    bench.gives(&["one"]);
    bench.append("events", "two\n");
    bench.rename("events", "events.3");
    age(&bench.path("events.3"), 30);
    bench.append("events.2", "three\n");
    age(&bench.path("events.2"), 20);
    bench.append("events.1", "four\n");
    age(&bench.path("events.1"), 10);
    bench.append("events", "five\n");
    // Older than all of it, other people's, and nothing to be read as lines.
    bench.append("events.4", "old\n");
    age(&bench.path("events.4"), 40);
    bench.append("other.1", "other\n");
    bench.append("events.0.gz", "packed\n");
    bench.restart();
    // A kill after each hand-in changes nothing.
    while bench.read_once() {
        bench.restart();
    }
    bench.gives(&["two", "three", "four", "five"]);
    assert!(bench.notes.contains(&Note::Rotated));
}

#[test]
fn copies_made_while_nobody_looked_are_made_up_for() {
    let mut bench = Bench::new();
    bench.append("events", "one\n");
    bench.gives(&["one"]);
    bench.append("events", "two\n");
    bench.copy_and_truncate("events.2");
    age(&bench.path("events.2"), 20);
    bench.append("events", "three\n");
    bench.copy_and_truncate("events.1");
    age(&bench.path("events.1"), 10);
    bench.append("events", "four\n");
    bench.restart();
    bench.gives(&["two", "three", "four"]);
}

#[test]
fn a_file_that_is_gone_is_named_and_another_under_its_inode_is_not_taken_for_it() {
    let mut bench = Bench::new();
    bench.append("events", "one\ntwo\n");
    bench.gives(&["one", "two"]);
    fs::remove_file(bench.path("events")).unwrap();
    bench.append("events", "uno\ndos\ntres\n");
    bench.restart();
    bench.gives(&["uno", "dos", "tres"]);
    assert_eq!(bench.notes, [Note::Lost { offset: 8 }]);
}

#[test]
fn a_line_too_long_is_passed_over_once_and_named() {
    let mut bench = Bench::new();
    let long = "x".repeat(LINE_MAX + 1);
    bench.append("events", &format!("one\n{long}\ntwo\n"));
    bench.gives(&["one", "two"]);
    let line_max = LINE_MAX;
    assert_eq!(bench.notes, [Note::TooLong { at: 4, line_max }]);
    bench.restart();
    bench.gives(&[]);
}

#[test]
fn the_bookmark_of_another_kind_is_told_and_not_used() {
    let mut bench = Bench::new();
    bench.append("events", "one\n");
    bench.bookmark = Some("{\"queue\":1}".to_owned());
    bench.restart();
    bench.gives(&["one"]);
    assert_eq!(bench.notes, [Note::NotOurs]);
}

#[test]
fn what_was_not_taken_is_read_again() {
    let mut bench = Bench::new();
    bench.append("events", "one\ntwo\n");
    let step = bench.follower.step(bench.now);
    assert_eq!(step.batch.unwrap().unwrap().lines.len(), 2);
    bench.gives(&["one", "two"]);
}

/// A writer that rotates as it likes, and a reader that is killed as often.
#[test]
fn under_load_no_rotation_loses_a_line_or_brings_one_twice() {
    let mut bench = Bench::new();
    bench.gives(&[]);
    let path = bench.path("events");
    let writer = std::thread::spawn({
        let path = path.clone();
        move || {
            let mut file = File::options()
                .create(true)
                .append(true)
                .open(&path)
                .unwrap();
            for number in 0..20_000_u32 {
                writeln!(file, "line {number}").unwrap();
                if number % 997 == 0 {
                    let to = path.with_file_name(format!("events.{number:05}"));
                    fs::rename(&path, to).unwrap();
                    // The old one is written to for a while.
                    writeln!(file, "late {number}").unwrap();
                    file = File::options()
                        .create(true)
                        .append(true)
                        .open(&path)
                        .unwrap();
                }
            }
        }
    });
    let mut steps = 0;
    loop {
        let is_over = writer.is_finished();
        while bench.read_once() {
            steps += 1;
            if steps % 300 == 0 {
                bench.restart();
            }
        }
        if is_over {
            break;
        }
    }
    writer.join().unwrap();
    bench.read();
    let late = (0..20_000_u32).filter(|number| number % 997 == 0);
    let mut expected: Vec<_> = late.map(|number| format!("late {number}")).collect();
    expected.extend((0..20_000_u32).map(|number| format!("line {number}")));
    expected.sort();
    bench.lines.sort();
    assert_eq!(bench.lines.len(), expected.len());
    assert_eq!(bench.lines, expected);
}

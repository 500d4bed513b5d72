//! Keeps what no compiler sees: which package may know which, which room may know the sinks, and
//! what has no place in the repository. Reads files only.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that are not the repository's own text.
const NOT_OURS: [&str; 5] = [".git", "target", "node_modules", "corpus", "artifacts"];

/// Files that tools write.
const WRITTEN_BY_TOOLS: [&str; 2] = ["Cargo.lock", "package-lock.json"];

/// Rooms of `src/` that may know the package of sinks: the kinds are listed for whoever reads or
/// checks a configuration, and `render` escapes for one of them.
const KNOW_THE_SINKS: [&str; 4] = ["config", "demo", "render", "router"];

/// Rooms that work with every sink alike, and name no kind.
const NAME_NO_KIND: [&str; 4] = ["dispatch", "journal", "pipeline", "plan"];

/// What the rooms of the flow may know of the others. Tests may know more.
const ROOMS: [(&str, &[&str]); 8] = [
    ("intake", &["journal"]),
    ("trigger", &["intake"]),
    ("plan", &["journal"]),
    ("journal", &[]),
    ("render", &["intake"]),
    (
        "dispatch",
        &["clock", "in_force", "intake", "journal", "render"],
    ),
    (
        "sources",
        &[
            "clock",
            "in_force",
            "intake",
            "journal",
            "pipeline",
            "telemetry",
        ],
    ),
    (
        "pipeline",
        &["in_force", "intake", "journal", "plan", "trigger"],
    ),
];

/// Rooms and packages that decide: plain functions, with `now` as an argument.
const DECIDE: [&str; 6] = [
    "src/intake",
    "src/trigger",
    "src/plan",
    "src/render",
    "model",
    "rules",
];

/// What reaches outside of a function's arguments.
const OUTSIDE: [&str; 11] = [
    "tokio",
    "reqwest",
    "rusqlite",
    "clock",
    "SystemTime",
    "Instant",
    "env",
    "fs",
    "thread",
    "rand",
    "now_v7",
];

/// A text of the repository.
struct File {
    /// Its path from the top, with `/`.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it lies in `folder`.
    fn is_in(&self, folder: &str) -> bool {
        self.path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// The room of `src/` that it belongs to: `dispatch` for `src/dispatch/mod.rs`, `pipeline` for
    /// `src/pipeline.rs`.
    fn room(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?;
        Some(rest.split('/').next()?.trim_end_matches(".rs"))
    }

    /// Whether it holds nothing but tests.
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || self.path.contains("/benches/")
    }

    /// Its lines, from 1, without comments: what the compiler sees, near enough.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().zip(1..);
        lines.filter_map(|(line, number)| {
            let code = line.split("//").next().unwrap_or_default();
            (!code.trim().is_empty()).then_some((number, code))
        })
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text of the repository, by path.
fn files() -> Vec<File> {
    let mut files = Vec::new();
    let mut folders = vec![top().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !NOT_OURS.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if !NOT_OURS.contains(&name.as_str())
                && !WRITTEN_BY_TOOLS.contains(&name.as_str())
                && let Ok(text) = fs::read_to_string(&path)
            {
                files.push(File {
                    path: from_top(&path),
                    text,
                });
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(files.len() > 100, "only {} files were found", files.len());
    files
}

fn from_top(path: &Path) -> String {
    let parts = path.strip_prefix(top()).unwrap().iter();
    parts
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// Fails with every finding, one a line.
#[track_caller]
fn none(rule: &str, findings: impl IntoIterator<Item = String>) {
    let findings: Vec<_> = findings.into_iter().collect();
    assert!(findings.is_empty(), "{rule}\n  {}", findings.join("\n  "));
}

/// Whether `word` stands in `text` with nothing of a word around it.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(start, _)| {
        !text[..start].chars().next_back().is_some_and(is_part)
            && !text[start + word.len()..]
                .chars()
                .next()
                .is_some_and(is_part)
    })
}

/// Names of the packages that a manifest's section of dependencies lists.
fn dependencies(manifest: &str, kinds: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_wanted = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            is_wanted = kinds.contains(&section.trim_end_matches(']'));
        } else if is_wanted && let Some((name, _)) = line.split_once('=') {
            names.push(name.split('.').next().unwrap_or(name).trim().to_owned());
        }
    }
    names
}

const ALL_KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// What each package may know of the others.
const DIRECTIONS: [(&str, &[&str]); 3] =
    [("model", &[]), ("rules", &[]), ("sinks", &["herald-model"])];

#[test]
fn manifests_point_one_way() {
    for (package, allowed) in DIRECTIONS {
        let names = dependencies(&read(&format!("{package}/Cargo.toml")), &ALL_KINDS);
        assert!(!names.is_empty(), "no dependencies of {package} were read");
        let ours = names.iter().filter(|name| name.starts_with("herald"));
        none(
            "a package knows only those below it (ARCHITECTURE.md, Directions):",
            ours.filter(|name| !allowed.contains(&name.as_str()))
                .map(|name| format!("{package}/Cargo.toml: {name}")),
        );
    }
}

#[test]
fn code_points_one_way() {
    let files = files();
    for (package, allowed) in DIRECTIONS {
        let own = format!("herald_{package}");
        let ours = ["herald", "herald_model", "herald_rules", "herald_sinks"];
        let foreign: Vec<_> = ours
            .into_iter()
            .filter(|name| *name != own && !allowed.contains(&name.replace('_', "-").as_str()))
            .collect();
        let code = files
            .iter()
            .filter(|file| file.is_rust() && file.is_in(package));
        let found = code.flat_map(|file| {
            let foreign = &foreign;
            file.code().flat_map(move |(line, code)| {
                foreign
                    .iter()
                    .filter(move |name| has_word(code, name))
                    .filter(move |name| code.contains(&format!("{name}::")))
                    .map(move |name| format!("{}:{line}: {name}", file.path))
            })
        });
        none(
            "a package knows only those below it (ARCHITECTURE.md, Directions):",
            found,
        );
    }
}

#[test]
fn few_rooms_know_the_sinks() {
    let files = files();
    let outside = files.iter().filter(|file| {
        file.is_rust()
            && file
                .room()
                .is_some_and(|room| !KNOW_THE_SINKS.contains(&room))
    });
    let found = outside.flat_map(|file| {
        file.code()
            .filter(|(_, code)| has_word(code, "herald_sinks"))
            .map(move |(line, _)| format!("{}:{line}", file.path))
    });
    none(
        &format!("only {KNOW_THE_SINKS:?} may know the package of sinks:"),
        found,
    );
}

#[test]
fn the_rooms_of_the_flow_point_one_way() {
    let files = files();
    for (room, allowed) in ROOMS {
        let code = files
            .iter()
            .filter(|file| file.room() == Some(room) && !file.is_test());
        let mut seen = false;
        let mut findings = Vec::new();
        for file in code {
            seen = true;
            for (line, code) in file.code() {
                for part in code.split("crate::").skip(1) {
                    let known = part
                        .split(|c: char| !c.is_alphanumeric() && c != '_')
                        .next();
                    let known = known.unwrap_or_default();
                    if known != room && !allowed.contains(&known) {
                        findings.push(format!("{}:{line}: {known}", file.path));
                    }
                }
            }
        }
        assert!(seen, "there is no room {room}");
        none(&format!("`{room}` may know {allowed:?} only:"), findings);
    }
}

#[test]
fn what_decides_reaches_nowhere() {
    let files = files();
    let code = files.iter().filter(|file| {
        file.is_rust() && !file.is_test() && DECIDE.iter().any(|folder| file.is_in(folder))
    });
    let found = code.flat_map(|file| {
        // What stands below in the same file is its tests.
        let own = file
            .text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        let own = own.lines().count();
        file.code()
            .filter(move |(line, _)| *line <= own)
            .flat_map(move |(line, code)| {
                let words = OUTSIDE.into_iter().filter(move |word| {
                    has_word(code, word)
                        && (code.contains(&format!("{word}::"))
                            || code.contains(&format!("::{word}")))
                });
                words.map(move |word| format!("{}:{line}: {word}", file.path))
            })
    });
    none(
        "stages that decide know no clock, disk, network or task:",
        found,
    );
}

/// The kinds of sinks: the folders of `sinks/` that `sinks/lib.rs` lists.
fn kinds() -> Vec<String> {
    let lib = read("sinks/lib.rs");
    let list = lib.split("pub const ALL").nth(1).unwrap();
    let list = list.split(';').next().unwrap();
    let kinds: Vec<_> = list
        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
        .filter_map(|word| word.strip_suffix("::KIND"))
        .map(str::to_owned)
        .collect();
    assert!(kinds.len() >= 3, "{kinds:?}");
    kinds
}

#[test]
fn what_works_with_all_sinks_names_no_kind() {
    let kinds = kinds();
    let files = files();
    let inside = files.iter().filter(|file| {
        file.is_rust() && file.room().is_some_and(|room| NAME_NO_KIND.contains(&room))
    });
    let found = inside.flat_map(|file| {
        let kinds = &kinds;
        file.code().flat_map(move |(line, code)| {
            let code = code.to_lowercase();
            kinds
                .iter()
                .filter(move |kind| has_word(&code, kind))
                .map(move |kind| format!("{}:{line}: {kind}", file.path))
        })
    });
    none("these rooms know sinks as trait objects only:", found);
}

#[test]
fn every_kind_has_its_pages() {
    let pages = kinds().into_iter().flat_map(|kind| {
        ["mod.rs", "example.toml", "README.md"].map(|page| format!("sinks/{kind}/{page}"))
    });
    none(
        "every kind of sink has a module, an example and a page for people:",
        pages.filter(|page| !top().join(page).is_file()),
    );
}

#[test]
fn every_source_has_its_pages() {
    let list = read("src/sources/mod.rs");
    let list = list.split("pub const ALL").nth(1).unwrap();
    let kinds: Vec<_> = list
        .split(';')
        .next()
        .unwrap()
        .split(|c: char| !c.is_alphanumeric() && c != ':')
        .filter_map(|word| word.strip_suffix("::KIND"))
        .collect();
    assert!(kinds.len() >= 2, "{kinds:?}");
    let pages = kinds.into_iter().flat_map(|kind| {
        ["mod.rs", "example.toml", "README.md"].map(|page| format!("src/sources/{kind}/{page}"))
    });
    none(
        "every kind of source has a module, an example and a page for people:",
        pages.filter(|page| !top().join(page).is_file()),
    );
}

#[test]
fn every_exception_has_a_reason() {
    let files = files();
    let code = files
        .iter()
        .filter(|file| file.is_rust() && file.path != "tests/tidy.rs");
    let found = code.flat_map(|file| {
        let text = &file.text;
        let starts = ["allow(", "expect("].into_iter().flat_map(move |word| {
            let inner = format!("#[{word}");
            let outer = format!("#![{word}");
            let starts = text.match_indices(&inner).chain(text.match_indices(&outer));
            starts.map(|(start, _)| start).collect::<Vec<_>>()
        });
        starts.filter_map(move |start| {
            let attribute = text[start..].split(")]").next().unwrap_or_default();
            let line = text[..start].matches('\n').count() + 1;
            (!attribute.contains("reason = \"")).then(|| format!("{}:{line}", file.path))
        })
    });
    none(
        "an exception from a lint says why, with `reason = \"…\"`:",
        found,
    );
}

#[test]
fn nothing_is_left_for_later() {
    // Written in two parts, so that this file may hold them.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("HA", "CK"),
    ];
    let calls = [concat!("to", "do!("), concat!("unimpl", "emented!(")];
    let files = files();
    let found = files.iter().flat_map(|file| {
        file.text.lines().zip(1..).flat_map(move |(line, number)| {
            let words = words.into_iter().filter(|word| has_word(line, word));
            let calls = calls.into_iter().filter(|call| line.contains(call));
            words
                .chain(calls)
                .map(move |word| format!("{}:{number}: {word}", file.path))
                .collect::<Vec<_>>()
        })
    });
    none("what is missing is said in README.md or built:", found);
}

#[test]
fn the_text_speaks_of_herald_alone() {
    // Paths of the machine it was written on and hosts of package registries, in two parts each.
    let foreign = [
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/root", "/"),
        concat!("crates", ".io"),
        concat!("pypi", ".org"),
        concat!("npmjs", ".org"),
        concat!("npmjs", ".com"),
        concat!("deb.debian", ".org"),
    ];
    let files = files();
    let found = files.iter().flat_map(|file| {
        file.text.lines().zip(1..).flat_map(move |(line, number)| {
            let foreign = foreign.iter().filter(|word| starts_as_word(line, word));
            let foreign = foreign.map(|word| (*word).to_owned());
            foreign
                .chain(own_issue(line).filter(|_| !file.path.ends_with(".css")))
                .map(move |word| format!("{}:{number}: {word}", file.path))
                .collect::<Vec<_>>()
        })
    });
    none("this has no place in the repository:", found);
}

/// Whether `word` stands in `line` and does not go on from a longer path: `/srv/x` in `/srv/x/y`,
/// not in `a/srv/x`.
fn starts_as_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    })
}

/// Projects that are named in one word; others are written `owner/name`.
const FOREIGN_PROJECTS: [&str; 4] = ["hyper", "lettre", "axum", "reqwest"];

/// A bare number of an issue that is not said to be another project: `hyper` or `owner/name` before the
/// word name theirs.
fn own_issue(line: &str) -> Option<String> {
    let number = |word: &str| {
        let digits = word.strip_prefix('#').unwrap_or(word);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut before = "";
    let mut words = line
        .split_whitespace()
        // In HTML a number after `&#` is a character.
        .filter(|word| !word.starts_with("&#"))
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '#'))
        .peekable();
    while let Some(word) = words.next() {
        let next = words.peek().copied().unwrap_or_default();
        let names_theirs = before.contains('/') || FOREIGN_PROJECTS.contains(&before);
        if word.eq_ignore_ascii_case("issue") && number(next) {
            if !names_theirs {
                return Some(format!("{word} {next}"));
            }
            words.next();
        } else if word.starts_with('#') && number(word) {
            return Some(word.to_owned());
        }
        before = word;
    }
    None
}

#[test]
fn every_file_says_what_it_is_for() {
    let files = files();
    let code = files.iter().filter(|file| {
        file.is_rust()
            && ["src", "sinks", "model", "rules"]
                .iter()
                .any(|folder| file.is_in(folder))
    });
    none(
        "a file begins with `//!` and says what it is for:",
        code.filter(|file| !file.text.starts_with("//! "))
            .map(|file| file.path.clone()),
    );
}

/// What stands between single backticks in a page, outside of fenced blocks.
fn code_words(page: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut is_fenced = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced {
            words.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    words
}

#[test]
fn the_map_names_every_room() {
    let words = code_words(&read("ARCHITECTURE.md"));
    let rooms = fs::read_dir(top().join("src")).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let slash = if path.is_dir() { "/" } else { "" };
        format!("{}{slash}", from_top(&path))
    });
    none(
        "ARCHITECTURE.md names every folder and file at the top of src/:",
        rooms.filter(|room| !words.contains(room)),
    );
}

/// What holds a promise is a test: a function under `#[test]` or in the suite of the engines, a helper
/// that the suite runs, or a script of `tests/long/run`.
#[test]
fn every_promise_has_its_test() {
    let page = read("docs/proofs.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
    let rows: Vec<_> = rows
        .into_iter()
        .filter(|row| !row.starts_with("| Promised"))
        .collect();
    assert!(rows.len() > 100, "only {} promises were found", rows.len());
    let suite = read("tests/journal_conformance/main.rs");
    let mut findings = Vec::new();
    for row in rows {
        let (_, held_by) = row.rsplit_once(" | ").unwrap_or((row, ""));
        let tests = code_words(held_by);
        if tests.is_empty() {
            findings.push(format!("nothing holds: {row}"));
        }
        for test in tests {
            let Some((path, name)) = test.split_once("::") else {
                let is_program = ["tests/long/", "tests/real/"]
                    .iter()
                    .any(|folder| test.starts_with(folder));
                if !is_program || !top().join(&test).exists() {
                    findings.push(format!("`{test}` is no test"));
                }
                continue;
            };
            let text = read(path);
            let lines: Vec<&str> = text.lines().collect();
            let function = format!("fn {name}(");
            let place = lines.iter().position(|line| line.contains(&function));
            let marked = place.is_some_and(|place| {
                let before = lines.iter().take(place).rev();
                let before = before.take_while(|line| !line.trim_end().ends_with('}'));
                before.into_iter().any(|line| {
                    let line = line.trim();
                    line.starts_with("#[test]")
                        || line.starts_with("#[tokio::test")
                        || line == "proptest! {"
                })
            });
            let in_suite = path.starts_with("tests/journal_conformance/")
                && place.is_some()
                && (has_word(&suite, name) || path.ends_with("/world.rs"));
            let is_suite = text.contains(&format!("macro_rules! {name} "));
            if !(marked || in_suite || is_suite) {
                findings.push(format!("`{test}` is no test"));
            }
        }
    }
    none("docs/proofs.md names what does not run:", findings);
}

/// Paths that a page names in backticks, as `src/plan/` or `tests/tidy.rs::code_words`, must be
/// there.
#[test]
fn pages_name_what_exists() {
    let tops = [
        "src/",
        "sinks/",
        "model/",
        "rules/",
        "tests/",
        "docs/",
        "examples/",
        "benches/",
        "fuzz/",
        ".ci/",
    ];
    let mut pages = vec![
        "README.md".to_owned(),
        "ARCHITECTURE.md".to_owned(),
        "CONTRIBUTING.md".to_owned(),
        "docs/figures.md".to_owned(),
        "docs/proofs.md".to_owned(),
    ];
    for entry in fs::read_dir(top().join("docs/decisions")).unwrap() {
        pages.push(from_top(&entry.unwrap().path()));
    }
    let mut seen = 0;
    let mut findings = Vec::new();
    for page in pages {
        for word in code_words(&read(&page)) {
            if !tops.iter().any(|top| word.starts_with(top))
                || word.contains(['<', ' ', '*', '…'])
                || word.contains("KIND")
            {
                continue;
            }
            seen += 1;
            let (path, item) = word
                .split_once("::")
                .map_or((&*word, None), |(a, b)| (a, Some(b)));
            let path: PathBuf = top().join(path);
            let holds =
                |item: &str| fs::read_to_string(&path).is_ok_and(|text| has_word(&text, item));
            if !path.exists() || item.is_some_and(|item| !holds(item)) {
                findings.push(format!("{page}: `{word}`"));
            }
        }
    }
    assert!(seen > 50, "only {seen} paths were found in the pages");
    none("a page names what is not there:", findings);
}

#[test]
fn every_dependency_has_its_reason() {
    let page = read("docs/decisions/dependencies.md");
    let reasons: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, _)| name)
        .collect();
    let mut names = dependencies(&read("Cargo.toml"), &["workspace.dependencies"]);
    for package in ["", "model/", "rules/", "sinks/"] {
        names.extend(dependencies(
            &read(&format!("{package}Cargo.toml")),
            &ALL_KINDS,
        ));
    }
    names.retain(|name| !name.starts_with("herald-"));
    names.sort();
    names.dedup();
    assert!(names.len() > 40, "{names:?}");
    let missing = names
        .iter()
        .filter(|name| !reasons.contains(&name.as_str()));
    let surplus = reasons
        .iter()
        .filter(|reason| !names.iter().any(|name| name == *reason));
    none(
        "docs/decisions/dependencies.md has one row for each dependency:",
        missing
            .map(|name| format!("{name} has none"))
            .chain(surplus.map(|name| format!("{name} is no dependency"))),
    );
}

#[test]
fn the_readme_names_every_route_and_what_is_not_built() {
    let page = read("README.md");
    let words = code_words(&page);
    let missing = page
        .split("## Not in this build")
        .nth(1)
        .unwrap_or_default();
    let missing = missing.split("\n## ").next().unwrap_or_default();
    let missing = code_words(missing);

    let api = read("src/api/mod.rs");
    let mut findings = Vec::new();
    let mut seen = 0;
    // `.route("/v1/events", …)`, over one line or several.
    for part in api.split(".route(").skip(1) {
        let route = part.split('"').nth(1).unwrap();
        let handlers = part
            .split('"')
            .nth(2)
            .unwrap()
            .split(".route(")
            .next()
            .unwrap();
        seen += 1;
        let listed = if handlers.contains("not_built") {
            &missing
        } else {
            &words
        };
        if !listed
            .iter()
            .any(|word| word.split(' ').next_back() == Some(route))
        {
            findings.push(format!("route {route}"));
        }
    }
    let cli = read("src/cli/mod.rs");
    for part in cli.split("not_built(\"").skip(1) {
        let command = part.split('"').next().unwrap();
        seen += 1;
        if !missing
            .iter()
            .any(|word| word == &format!("herald {command}"))
        {
            findings.push(format!("command {command}"));
        }
    }
    assert!(seen > 20, "only {seen} routes and commands were found");
    none(
        "README.md lists every route, and under \"Not in this build\" all that is refused by name:",
        findings,
    );
}

//! Every kind of value, right and wrong, through one `check`.

use std::path::Path;
use std::time::Duration;

use toml::de::DeTable;

use super::*;

struct Fixed;

impl Environment for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "s3cret".to_owned())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("/etc/herald/smtp") => Ok("pass\n".to_owned()),
            _ => Err("no such file".to_owned()),
        }
    }
}

/// Reads `toml` with `read` and gives what was noted, each as the bytes it is about and its text.
#[track_caller]
fn check(toml: &str, lenient: bool, read: impl FnOnce(Table<'_>), expected: &[(&str, &str)]) {
    let document = DeTable::parse(toml).unwrap();
    let reading = Reading::new(&Fixed, Path::new("/etc/herald"), lenient);
    read(Table::new(
        &reading,
        document.get_ref(),
        document.span(),
        "",
    ));
    let (mistakes, _) = reading.into_parts();
    let noted: Vec<_> = mistakes
        .iter()
        .map(|mistake| (&toml[mistake.span.clone()], mistake.text.as_str()))
        .collect();
    assert_eq!(noted, expected);
}

#[test]
fn values_are_read_by_type() {
    check(
        "t = 'x'\nn = 5\nd = '2s'\nf = true\ns = '2 KiB'\nw = 'b'\nl = ['a', 'b']\none = 'a'\nnets = ['10.1.2.3/8', '::1']",
        false,
        |table| {
            assert_eq!(table.text("t").required("").as_deref(), Some("x"));
            assert_eq!(table.number("n", 1..=9).or(7), 5);
            let range = Duration::ZERO..=Duration::from_secs(9);
            assert_eq!(
                table.duration("d", range).or(Duration::ZERO),
                Duration::from_secs(2)
            );
            assert!(table.flag("f").or(false));
            assert_eq!(table.size("s", 1..=9_999).or(1), 2_048);
            assert_eq!(table.word("w", &[("a", 1), ("b", 2)]).optional(), Some(2));
            assert_eq!(table.texts("l").or(vec![]), ["a", "b"]);
            assert_eq!(table.texts("one").or(vec![]), ["a"]);
            let nets: Vec<_> = table
                .networks("nets")
                .or(vec![])
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(nets, ["10.0.0.0/8", "::1/128"]);
            assert_eq!(table.text("absent").optional(), None);
            table.finish();
        },
        &[],
    );
}

#[test]
fn every_mistake_is_noted_with_its_place() {
    check(
        "n = 50\nd = 'soon'\nw = 'bb'\nu = 'ftp://x'\nl = ['a', 3]\ntimeuot = 1",
        false,
        |table| {
            table.number("n", 1..=9).or(1);
            table
                .duration("d", Duration::ZERO..=Duration::MAX)
                .optional();
            table.word("w", &[("a", 1), ("b", 2)]).optional();
            table.url("u").optional();
            table.texts("l").or(vec![]);
            table.text("timeout").required("\"5s\"");
            table.finish();
        },
        &[
            (
                "",
                "`the file` has no `timeout`; add one, for example timeout = \"5s\"",
            ),
            ("50", "`n`: must be a whole number from 1 to 9"),
            (
                "'soon'",
                "`d`: `soon` is no duration; write a number and its unit, as in 250ms, 10s, 5m, 1h or 30d",
            ),
            ("'bb'", "`w`: `bb` is none of `a`, `b`; did you mean `b`?"),
            ("'ftp://x'", "`u`: this is no http:// or https:// URL"),
            ("3", "`l`: must be a string, but is a whole number"),
            (
                "timeuot",
                "unknown key `timeuot` in the file; did you mean `timeout`?",
            ),
        ],
    );
}

#[test]
fn references_are_resolved_and_never_repeated() {
    check(
        "a = 'x-${env:TOKEN}-$$'\nb = '${file:smtp}'\nc = '${env:ABSENT}'\nd = '${vault:x}'",
        false,
        |table| {
            assert_eq!(table.text("a").optional().as_deref(), Some("x-s3cret-$"));
            assert_eq!(table.secret("b").optional().unwrap().expose(), "pass");
            assert_eq!(table.secret("c").optional(), None);
            assert_eq!(table.secret("d").optional(), None);
        },
        &[
            (
                "'${env:ABSENT}'",
                "`c`: environment variable `ABSENT` is not set; set it",
            ),
            (
                "'${vault:x}'",
                "`d`: `${vault:x}` is not understood; write `${env:NAME}` or `${file:PATH}`",
            ),
        ],
    );
}

#[test]
fn an_unset_variable_only_warns_where_secrets_may_be_absent() {
    let document = DeTable::parse("c = '${env:ABSENT}'").unwrap();
    let reading = Reading::new(&Fixed, Path::new("/"), true);
    let table = Table::new(&reading, document.get_ref(), document.span(), "");
    assert_eq!(table.secret("c").required("\"…\""), None);
    assert!(!reading.has_errors());
    let (mistakes, keys) = reading.into_parts();
    assert_eq!(mistakes[0].severity, Severity::Warning);
    assert_eq!(mistakes[0].span, 4..19);
    assert_eq!(keys[0].path, "c");
}

#[test]
fn defaults_are_listed_as_toml() {
    let document = DeTable::parse("").unwrap();
    let reading = Reading::new(&Fixed, Path::new("/"), false);
    let table = Table::new(&reading, document.get_ref(), document.span(), "server");
    table
        .duration("drain", Duration::ZERO..=Duration::MAX)
        .or(Duration::from_secs(30));
    table.text("listen").or("127.0.0.1:1".to_owned());
    let (_, keys) = reading.into_parts();
    let written: Vec<_> = keys
        .iter()
        .map(|key| (key.path.as_str(), key.default.as_deref().unwrap()))
        .collect();
    assert_eq!(
        written,
        [
            ("server.drain", "\"30s\""),
            ("server.listen", "\"127.0.0.1:1\"")
        ]
    );
}

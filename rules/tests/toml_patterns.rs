//! Patterns in TOML say the same as patterns in JSON, and mistakes name their place in the file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use herald_rules::Pattern;
use toml::de::DeTable;

fn read(text: &str) -> Result<Pattern, Vec<(String, String)>> {
    Pattern::from_toml(DeTable::parse(text).unwrap().get_ref()).map_err(|mistakes| {
        mistakes
            .into_iter()
            .map(|mistake| (text[mistake.span].to_owned(), mistake.reason))
            .collect()
    })
}

fn check(toml: &str, json: &str) {
    let pattern = read(toml).unwrap();
    assert_eq!(pattern.to_json(), json);
    assert_eq!(Pattern::from_json(json).unwrap(), pattern);
}

#[track_caller]
fn check_mistake(toml: &str, place: &str, words: &str) {
    let mistakes = read(toml).unwrap_err();
    let found = mistakes
        .iter()
        .any(|(at, reason)| at == place && reason.contains(words));
    assert!(found, "{mistakes:?}");
}

#[test]
fn says_the_same() {
    check(
        "name = \"x\"\nlevel = [\"WARN\", \"CRITICAL\"]",
        r#"{"name":["x"],"level":["WARN","CRITICAL"]}"#,
    );
    check(
        "content.operation = [\"A\", { prefix = \"D\" }]\nb = { null = true }\n\"a.b\" = [1, 2.50, true]",
        r#"{"content":{"operation":["A",{"prefix":"D"}]},"b":[null],"a.b":[1,2.50,true]}"#,
    );
    check(
        "a = [{ number = \"123456789012345678901234567890\" }, { numeric = [\">\", { number = \"1e3\" }] }]",
        r#"{"a":[123456789012345678901234567890,{"numeric":[">",1e3]}]}"#,
    );
    check(
        "[[\"$or\"]]\nz = 1\na = 1\n[[\"$or\"]]\nb = [{ exists = false }]",
        r#"{"$or":[{"z":[1],"a":[1]},{"b":[{"exists":false}]}]}"#,
    );
}

#[test]
fn mistakes_have_places() {
    check_mistake("a = [{ prefx = \"x\" }]", "prefx", "did you mean `prefix`?");
    check_mistake("a = { prefix = \"x\" }", "prefix", "a = [{ prefix = … }]");
    check_mistake("a = 2026-01-01", "2026-01-01", "quotes");
    check_mistake(
        "a = 1234567890123456",
        "1234567890123456",
        "{ number = \"1234567890123456\" }",
    );
    check_mistake("a = inf", "inf", "no number");
    check_mistake("a = []", "[]", "empty list");
    check_mistake("a = 0x10", "0x10", "decimal");
    check_mistake("", "", "leave `when` out");
    check_mistake("\"$ro\" = 1", "\"$ro\"", "did you mean `$or`?");
    assert_eq!(
        read("a = []\nb = [{ x = 1 }]\nc = [[1]]")
            .unwrap_err()
            .len(),
        3
    );
    assert_eq!(
        read(&format!("{}x = 1", "a.".repeat(70)))
            .unwrap_err()
            .len(),
        1
    );
}

#[test]
fn fields_have_places() {
    let text = "content.operation = [\"Attach\", { anything-but = \"B\" }]";
    let pattern = read(text).unwrap();
    let [field] = pattern.fields() else {
        panic!("one field")
    };
    assert_eq!(field.name(), "content.operation");
    assert_eq!(&text[field.spans[0].clone()], "content");
    assert_eq!(&text[field.span()], "operation");
    assert_eq!(field.texts[0].0, "Attach");
    assert_eq!(&text[field.texts[1].1.clone()], "\"B\"");
}

/// A bare value stands for a list, which is a level of the text that is kept.
#[test]
fn the_deepest_pattern_can_be_read_again() {
    for leaf in ["1", "{ null = true }", "[1]"] {
        let deep = |levels| read(&format!("{}x = {leaf}", "a.".repeat(levels)));
        let deepest = (0..70).rev().find(|levels| deep(*levels).is_ok()).unwrap();
        assert_eq!(deepest, 62, "{leaf}");
        let pattern = deep(deepest).unwrap();
        assert_eq!(Pattern::from_json(&pattern.to_json()).unwrap(), pattern);
        let mistakes = deep(deepest + 1).unwrap_err();
        assert!(mistakes[0].1.contains("64 levels"), "{mistakes:?}");
    }
    let operator = format!("{}x = [{{ prefix = 'y' }}]", "a.".repeat(61));
    assert!(read(&operator).is_ok());
}

//! Every mistake in a pattern has its place, and a reason that says what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use herald_rules::{COST_MAX, Pattern};

/// A pattern with one mistake: the text at its place, its pointer, words of its reason.
#[track_caller]
fn check(text: &str, at: &str, pointer: &str, words: &str) {
    let mistakes = Pattern::from_json(text).expect_err(text);
    let found: Vec<_> = mistakes
        .iter()
        .map(|mistake| {
            (
                &text[mistake.span.clone()],
                &*mistake.pointer,
                &*mistake.reason,
            )
        })
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, found[0].1), (at, pointer), "{found:?}");
    assert!(found[0].2.contains(words), "{found:?}");
}

#[test]
fn two_operators_in_one_object() {
    check(
        r#"{"a":{"b":[{"prefix":"x","suffix":"y"}]}}"#,
        r#"{"prefix":"x","suffix":"y"}"#,
        "/a/b/0",
        "two operators",
    );
}

#[test]
fn an_empty_list() {
    check(r#"{"a":[]}"#, "[]", "/a", "empty list");
}

#[test]
fn two_stars_in_a_wildcard() {
    check(
        r#"{"a":["x",{"wildcard":"a**b"}]}"#,
        r#""a**b""#,
        "/a/1/wildcard",
        "`**`",
    );
}

#[test]
fn a_network_that_is_none() {
    check(
        r#"{"a":[{"cidr":"10.0.0.0/33"}]}"#,
        r#""10.0.0.0/33""#,
        "/a/0/cidr",
        "neither a network",
    );
}

#[test]
fn a_range_that_holds_nothing() {
    check(
        r#"{"a":[{"numeric":[">",5,"<",1]}]}"#,
        r#"[">",5,"<",1]"#,
        "/a/0/numeric",
        "5 is not below 1",
    );
    check(
        r#"{"a":[{"numeric":[">=",5,"<",5.0]}]}"#,
        r#"[">=",5,"<",5.0]"#,
        "/a/0/numeric",
        "nothing lies",
    );
}

#[test]
fn an_operator_that_is_unknown() {
    check(
        r#"{"a":[{"sufix":"x"}]}"#,
        r#""sufix""#,
        "/a/0/sufix",
        "did you mean `suffix`?",
    );
    check(
        r#"{"a":[{"EXISTS":true}]}"#,
        r#""EXISTS""#,
        "/a/0/EXISTS",
        "did you mean `exists`?",
    );
    check(
        r#"{"a":[{"anything_but":"x"}]}"#,
        r#""anything_but""#,
        "/a/0/anything_but",
        "did you mean `anything-but`?",
    );
    check(
        r#"{"a":[{"frobnicate":"x"}]}"#,
        r#""frobnicate""#,
        "/a/0/frobnicate",
        "unknown operator `frobnicate`",
    );
}

#[test]
fn values_without_a_list() {
    check(
        r#"{"a/b":{"~":"x"}}"#,
        r#""x""#,
        "/a~1b/~0",
        "stand in a list",
    );
}

#[test]
fn an_operand_of_another_type() {
    check(
        r#"{"$or":[{"a":[1]},{"b":[{"prefix":1}]}]}"#,
        "1",
        "/$or/1/b/0/prefix",
        "takes a text",
    );
    check(
        r#"{"a":[{"anything-but":{"prefix":["x",1]}}]}"#,
        "1",
        "/a/0/anything-but/prefix",
        "takes a text",
    );
    check(
        r#"{"a":[{"anything-but":["x",true]}]}"#,
        "true",
        "/a/0/anything-but/1",
        "use `$none`",
    );
}

#[test]
fn text_that_is_no_document() {
    check("{\"a\":[1] é}", "é", "", "expected `,`");
    check("{\"a\":[1]", "", "", "ends too early");
    check(
        &format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        "[",
        "",
        "depth_max",
    );
}

#[test]
fn a_range_upside_down() {
    check(
        r#"{"a":[{"numeric":["<",5,">",1]}]}"#,
        r#"["<",5,">",1]"#,
        "/a/0/numeric",
        "lower bound first",
    );
}

#[test]
fn all_are_told_in_the_order_of_the_text() {
    let text = r#"{"z":[],"a":{"y":[{"x":1}],"b":"w"},"$any":[{},{"c":[[]]}],"z":[1]}"#;
    let mistakes = Pattern::from_json(text).unwrap_err();
    let pointers: Vec<_> = mistakes.iter().map(|mistake| &*mistake.pointer).collect();
    assert_eq!(
        pointers,
        ["/z", "/a/y/0/x", "/a/b", "/$any/0", "/$any/1/c/0", "/z"]
    );
    assert_eq!(
        mistakes[2].to_string(),
        "/a/b: wanted values stand in a list: \"b\": [ … ]"
    );
}

#[test]
fn cost_is_known_and_limited() {
    let cost = |text: &str| Pattern::from_json(text).map(|pattern| pattern.cost());
    assert_eq!(cost(r#"{"a":[1]}"#), Ok(1));
    assert_eq!(
        cost(
            r#"{"a":["x",{"wildcard":"a*b*c"}],"b":{"$none":[{"c":[{"anything-but":["p","q"]}]}]}}"#
        ),
        Ok(6)
    );
    let list = |count: u32| {
        let numbers: Vec<_> = (0..count).map(|number| number.to_string()).collect();
        format!(r#"{{"a":[{}]}}"#, numbers.join(","))
    };
    assert_eq!(cost(&list(COST_MAX)), Ok(COST_MAX));
    let mistakes = cost(&list(COST_MAX + 1)).unwrap_err();
    assert!(mistakes[0].reason.contains("COST_MAX"), "{mistakes:?}");
}

#[test]
fn what_is_written_reads_back() {
    for text in [
        r#"{"a":[null,true,-1.50e3,"\u0001\"é",{"exactly":"x"},{"prefix":{"equals-ignore-case":"Ä"}}]}"#,
        r#"{"$none":[{"a":[{"anything-but":{"wildcard":["a*","b"]}},{"anything-but":5}]}],"$all":[{"b":{"c":[{"exists":false}]}}]}"#,
        r#"{"a":[{"numeric":[">=",-1,"<",1e2]},{"numeric":["!=",0]},{"cidr":"10.0.0.0/8"},{"cidr":"::1/128"}]}"#,
    ] {
        let pattern = Pattern::from_json(text).expect(text);
        assert_eq!(
            pattern.to_json().replace("\\u0001", "\u{1}"),
            text.replace("\\u0001", "\u{1}")
        );
        assert_eq!(Pattern::from_json(&pattern.to_json()).unwrap(), pattern);
    }
    let spaced = Pattern::from_json(r#" { "a" : [ { "cidr" : "10.0.0.7" } ] } "#).unwrap();
    assert_eq!(spaced.to_json(), r#"{"a":[{"cidr":"10.0.0.7/32"}]}"#);
}

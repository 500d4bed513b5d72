//! What `explain` says, case by case. The table fixes the wording that people read.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use herald_rules::json::{Limits, parse};
use herald_rules::{Explanation, Pattern};

/// Pattern, event, sentence.
const CASES: &[[&str; 3]] = &[
    [
        r#"{"level":["WARN","CRITICAL"]}"#,
        r#"{"level":"INFO"}"#,
        r#"level is INFO; the rule wants WARN or CRITICAL"#,
    ],
    [
        r#"{"level":["WARN"]}"#,
        r#"{}"#,
        r#"level is missing; the rule wants WARN"#,
    ],
    [
        r#"{"level":["WARN"]}"#,
        r#"{"level":null}"#,
        r#"level is null; the rule wants WARN"#,
    ],
    [
        r#"{"level":["WARN"]}"#,
        r#"{"level":""}"#,
        r#"level is ""; the rule wants WARN"#,
    ],
    [
        r#"{"level":["WARN"]}"#,
        r#"{"level":{"x":1}}"#,
        r#"level is an object; the rule wants WARN"#,
    ],
    [
        r#"{"level":["WARN"]}"#,
        r#"{"level":["INFO","DEBUG"]}"#,
        r#"level is ["INFO","DEBUG"]; the rule wants WARN"#,
    ],
    [
        r#"{"a":[300]}"#,
        r#"{"a":"300"}"#,
        r#"a is "300"; the rule wants 300"#,
    ],
    [
        r#"{"a":["300", true]}"#,
        r#"{"a":300}"#,
        r#"a is 300; the rule wants "300" or true"#,
    ],
    [
        r#"{"content":{"eniId":[{"prefix":"eni-"}]}}"#,
        r#"{"content":{"eniId":"vpc-1"}}"#,
        r#"content.eniId is vpc-1; the rule wants a text that begins with "eni-""#,
    ],
    [
        r#"{"a":[{"suffix":".txt"},{"contains":"fail"}]}"#,
        r#"{"a":"ok"}"#,
        r#"a is ok; the rule wants a text that ends with ".txt" or a text that contains "fail""#,
    ],
    [
        r#"{"a":[{"wildcard":"a*b"}]}"#,
        r#"{"a":"x y"}"#,
        r#"a is "x y"; the rule wants a text like "a*b""#,
    ],
    [
        r#"{"a":[{"equals-ignore-case":"Warn"}]}"#,
        r#"{"a":"INFO"}"#,
        r#"a is INFO; the rule wants "Warn" in any case"#,
    ],
    [
        r#"{"a":[{"anything-but":["x","y"]}]}"#,
        r#"{"a":"y"}"#,
        r#"a is y; the rule wants anything but x or y"#,
    ],
    [
        r#"{"a":[{"anything-but":{"prefix":"eni-"}}]}"#,
        r#"{"a":"eni-1"}"#,
        r#"a is eni-1; the rule wants anything but a text that begins with "eni-""#,
    ],
    [
        r#"{"a":[{"anything-but":"x"}]}"#,
        r#"{}"#,
        r#"a is missing; the rule wants anything but x"#,
    ],
    [
        r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#,
        r#"{"a":5.0001}"#,
        r#"a is 5.0001; the rule wants a number above 0 and at most 5"#,
    ],
    [
        r#"{"a":[{"numeric":["!=",1]}]}"#,
        r#"{"a":1.0}"#,
        r#"a is 1.0; the rule wants a number other than 1"#,
    ],
    [
        r#"{"ip":[{"cidr":"10.0.0.0/8"}]}"#,
        r#"{"ip":"11.0.0.1"}"#,
        r#"ip is "11.0.0.1"; the rule wants an address in 10.0.0.0/8"#,
    ],
    [
        r#"{"a":[{"exists":true}]}"#,
        r#"{"b":1}"#,
        r#"a is missing; the rule wants any value"#,
    ],
    [
        r#"{"a":[{"exists":false}]}"#,
        r#"{"a":"x"}"#,
        r#"a is x; the rule wants no value"#,
    ],
    // Of two differences the first in the rule is told.
    [
        r#"{"b":[1],"a":[1]}"#,
        r#"{"a":2,"b":2}"#,
        r#"b is 2; the rule wants 1"#,
    ],
    // The alternative with fewer failed leaves is nearer, wherever it stands.
    [
        r#"{"$or":[{"a":[1],"b":[1]},{"c":[1],"d":[1]}]}"#,
        r#"{"a":2,"b":2,"c":1,"d":2}"#,
        r#"d is 2; the rule wants 1"#,
    ],
    [
        r#"{"$or":[{"a":[1]},{"b":[1]}]}"#,
        r#"{"a":2,"b":2}"#,
        r#"a is 2; the rule wants 1"#,
    ],
    [
        r#"{"$all":[{"a":[{"prefix":"x"}]},{"a":[{"suffix":"y"}]}]}"#,
        r#"{"a":"xz"}"#,
        r#"a is xz; the rule wants a text that ends with "y""#,
    ],
    [
        r#"{"$none":[{"level":["INFO"]}]}"#,
        r#"{"level":"INFO"}"#,
        r#"level is INFO; the rule wants anything but INFO"#,
    ],
    [
        r#"{"$none":[{"level":["INFO"],"a":[{"exists":true}]}]}"#,
        r#"{"level":"INFO","a":1}"#,
        r#"level is INFO; the rule wants anything but INFO where a is any value"#,
    ],
    [
        r#"{"$none":[{"$none":[{"a":[1]}]}]}"#,
        r#"{"a":2}"#,
        r#"the event is one that matches {"$none":[{"a":[1]}]}; the rule wants one that does not"#,
    ],
    // Of the elements of an array the nearest is told.
    [
        r#"{"enis":{"type":["Secondary"],"status":["InUse"]}}"#,
        r#"{"enis":[{"type":"Primary","status":"Available"},{"type":"Secondary","status":"Available"}]}"#,
        r#"enis.status is Available; the rule wants InUse"#,
    ],
    [
        r#"{"enis":{"error":[{"exists":false}]}}"#,
        r#"{"enis":[{"x":1},{"error":"quota"}]}"#,
        r#"enis.error is quota; the rule wants no value"#,
    ],
    [
        r#"{"a":[1]}"#,
        r#"[{"a":1}]"#,
        r#"the event is [{"a":1}]; the rule wants an object"#,
    ],
    [
        r#"{"level":["WARN","INFO"],"a":[{"exists":true},7]}"#,
        r#"{"level":"INFO","a":7}"#,
        r#"matched: level is INFO, a is 7"#,
    ],
    [
        r#"{"a":[{"exists":false}],"b":["x"]}"#,
        r#"{"b":["y","x"]}"#,
        r#"matched: a is missing, b is x"#,
    ],
    [
        r#"{"$or":[{"a":[1]},{"b":[2]}]}"#,
        r#"{"a":1,"b":2}"#,
        r#"matched: a is 1, b is 2"#,
    ],
];

#[test]
fn sentences() {
    for [pattern, event, sentence] in CASES {
        let value = parse(event.as_bytes(), Limits::default())
            .expect(event)
            .value;
        let said = Pattern::from_json(pattern)
            .expect(pattern)
            .explain(&value)
            .to_string();
        assert_eq!(said, *sentence, "{pattern} {event}");
    }
}

#[test]
fn counts_failed_leaves_and_shortens_values() {
    let pattern = Pattern::from_json(r#"{"a":[1],"b":{"c":[1],"d":[1]}}"#).unwrap();
    let event = format!(r#"{{"a":"{}","b":{{"d":1}}}}"#, "é".repeat(1000));
    let value = parse(event.as_bytes(), Limits::default()).unwrap().value;
    let Explanation::Different { nearest, failed } = pattern.explain(&value) else {
        unreachable!("two leaves fail")
    };
    assert_eq!((nearest.field.as_str(), failed), ("a", 2));
    assert_eq!(nearest.found.chars().count(), 121);
}

#[test]
fn names_the_alternatives_that_held() {
    let pattern = Pattern::from_json(r#"{"a":[{"prefix":"x"},"xy","z"],"b":[{"exists":false}]}"#);
    let value = parse(br#"{"a":["q","xy"]}"#, Limits::default())
        .unwrap()
        .value;
    let Explanation::Matched { held } = pattern.unwrap().explain(&value) else {
        unreachable!("it matches")
    };
    let held: Vec<_> = held
        .iter()
        .map(|held| [&*held.field, &*held.test, &*held.found])
        .collect();
    assert_eq!(
        held,
        [
            ["a", "a text that begins with \"x\"", "xy"],
            ["a", "xy", "xy"],
            ["b", "no value", "missing"]
        ]
    );
}

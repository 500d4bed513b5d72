//! Documents that are read exactly, and those that are refused with their place.

use super::*;

fn read(text: &str) -> Result<Parsed, Error> {
    parse(text.as_bytes(), Limits::default())
}

fn check_error(text: &str, offset: usize, reason: Reason) {
    assert_eq!(read(text), Err(Error { offset, reason }), "{text}");
}

#[test]
fn writes_what_it_read() {
    for text in [
        r#"{"b":1.0,"a":[null,true,false,-0,1E+2,1e-999,123456789012345678901234567890.10]}"#,
        r#"["\u0001\"\\\n\r\t€𝄞",{},[],""]"#,
        "0",
    ] {
        assert_eq!(read(text).unwrap().value.to_string(), text);
    }
}

#[test]
fn unescapes() {
    let value = read(r#""\u00e9\ud834\udd1e\/\b\f\n\u0000x""#)
        .unwrap()
        .value;
    assert_eq!(value.as_str(), Some("é𝄞/\u{8}\u{c}\n\0x"));
}

#[test]
fn last_duplicate_wins_at_the_first_place() {
    let parsed = read(r#"{"a":1,"b":2,"\u0061":{"c":3}}"#).unwrap();
    assert!(parsed.duplicate_keys);
    assert_eq!(parsed.value.to_string(), r#"{"a":{"c":3},"b":2}"#);
    assert!(read(r#"[{"c":1,"c":1}]"#).unwrap().duplicate_keys);
    assert!(!read(r#"{"a":1,"b":{"a":1}}"#).unwrap().duplicate_keys);

    let many: Vec<String> = (0..100).map(|i| format!("\"k{i}\":{i}")).collect();
    let text = format!("{{{},\"k7\":null}}", many.join(","));
    let parsed = read(&text).unwrap();
    assert!(parsed.duplicate_keys);
    assert_eq!(parsed.value.get("k7"), Some(&Value::Null));
    assert_eq!(parsed.value.as_object().unwrap().len(), 100);
}

#[test]
fn errors_name_the_byte() {
    check_error("", 0, Reason::EndsEarly);
    check_error("  ", 2, Reason::EndsEarly);
    check_error("[1,]", 3, Reason::NoValue);
    check_error("{\"a\" 1}", 5, Reason::NoColon);
    check_error("{a:1}", 1, Reason::NoKey);
    check_error("{\"a\":1;}", 6, Reason::NoCommaInObject);
    check_error("[1 2]", 3, Reason::NoCommaInArray);
    check_error("[1] x", 4, Reason::TrailingText);
    check_error("nul", 3, Reason::EndsEarly);
    check_error("nulL", 3, Reason::UnknownWord);
    check_error("NaN", 0, Reason::UnknownWord);
    check_error("01", 1, Reason::BadNumber);
    check_error("-", 1, Reason::EndsEarly);
    check_error("\"\\x\"", 2, Reason::BadEscape);
    check_error("\"a\tb\"", 2, Reason::ControlCharacter);
    check_error("\"\\ud800\"", 1, Reason::LoneSurrogate);
    check_error("\"\\ud800\\u0041\"", 1, Reason::LoneSurrogate);
    check_error("\"\\udc00\"", 1, Reason::LoneSurrogate);
    check_error("\u{feff}{}", 0, Reason::ByteOrderMark);
    assert_eq!(
        parse(b"\"\xff\"", Limits::default()),
        Err(Error {
            offset: 1,
            reason: Reason::NotUtf8
        })
    );
    assert_eq!(
        read("[1,]").unwrap_err().to_string(),
        "expected a value at byte 3"
    );
}

#[test]
fn depth_is_limited_not_the_stack() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(64)).is_ok());
    check_error(&nested(65), 64, Reason::TooDeep);
    check_error(&nested(100_000), 64, Reason::TooDeep);
    check_error(&"{\"a\":".repeat(10_000), 5 * 64, Reason::TooDeep);
    let limits = Limits {
        depth_max: usize::MAX,
    };
    let deepest = parse(nested(Limits::DEPTH_CEILING).as_bytes(), limits)
        .unwrap()
        .value;
    assert_eq!(deepest.clone(), deepest);
    assert_eq!(deepest.to_string().len(), 2 * Limits::DEPTH_CEILING);
    assert!(parse(nested(Limits::DEPTH_CEILING + 1).as_bytes(), limits).is_err());
}

#[test]
fn looks_things_up() {
    let value = read(r#"{"a":{"b/c":[10,{"~":true}]},"":0}"#).unwrap().value;
    let check = |pointer: &str, expected: Option<&str>| {
        assert_eq!(
            value.pointer(pointer).map(Value::to_string).as_deref(),
            expected,
            "{pointer}"
        );
    };
    check("/a/b~1c/0", Some("10"));
    check("/a/b~1c/1/~0", Some("true"));
    check("/a/b~1c/01", None);
    check("/a/b~1c/+1", None);
    check("/a/b~1c/2", None);
    check("/", Some("0"));
    check("a", None);
    assert_eq!(value.pointer(""), Some(&value));
    assert!(value.path(["a", "b/c"]).is_some());
    assert!(value.path(["a", "x"]).is_none());
}

#[test]
fn objects_change() {
    let mut object = Object::new();
    assert_eq!(object.insert("a", 1u64), None);
    object.insert("b", "x");
    assert_eq!(object.insert("a", true), Some(Value::from(1u64)));
    object.insert("c", Value::Null);
    assert_eq!(object.remove("b"), Some(Value::from("x")));
    assert_eq!(object.remove("b"), None);
    assert_eq!(object.to_string(), r#"{"a":true,"c":null}"#);
}

#[test]
fn numbers_compare_by_value() {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let check = |a: &str, b: &str, expected| {
        let (x, y) = (Number::from_text(a).unwrap(), Number::from_text(b).unwrap());
        assert_eq!(x.cmp_value(&y), expected, "{a} {b}");
        assert_eq!(y.cmp_value(&x), expected.reverse(), "{b} {a}");
    };
    check("300", "3e2", Equal);
    check("300.0", "0.003E+5", Equal);
    check("0", "-0.000e9", Equal);
    check("-1", "0", Less);
    check("-10", "-9", Less);
    check(
        "100000000000000000000000000000000001",
        "100000000000000000000000000000000000",
        Greater,
    );
    check("0.1", "0.10000000000000000000000000000000001", Less);
    check("1e400", "1e399", Greater);
    check("1e-400", "0", Greater);
    check("9", "10", Less);
    check("1.5", "15e-1", Equal);
    check("120", "12", Greater);
    let huge = format!("1e{}", "9".repeat(60));
    check(&huge, "1e1000", Greater);
    for wrong in ["", "1.", "+1", "01", "1e", " 1", "1 ", "0x1", "-"] {
        assert_eq!(Number::from_text(wrong), None, "{wrong}");
    }
}

#[test]
fn finds_documents_in_a_stream() {
    let mut rest: &[u8] = b" {\"a\":1}\n[2] 3\"x\"true\n";
    let mut found = Vec::new();
    while let Some(place) = next_document(rest, Limits::default(), true).unwrap() {
        found.push(&rest[place.clone()]);
        rest = &rest[place.end..];
    }
    assert_eq!(found, [&b"{\"a\":1}"[..], b"[2]", b"3", b"\"x\"", b"true"]);
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    let check = |bytes: &[u8], complete, expected: Result<_, Reason>| {
        let found = next_document(bytes, Limits::default(), complete);
        assert_eq!(found.map_err(|error| error.reason), expected, "{bytes:?}");
    };
    for cut in [&b"12"[..], b"{\"a\":", b"\"x", b"tru", b"-", b"[\"\xc3"] {
        check(cut, false, Err(Reason::EndsEarly));
    }
    check(b"12", true, Ok(Some(0..2)));
    check(b"12 ", false, Ok(Some(0..2)));
    check(b" \n", false, Ok(None));
    check(b"[\"\xc3", true, Err(Reason::NotUtf8));
    check(b"{} \xff", true, Ok(Some(0..2)));
    check(b"\xff", true, Err(Reason::NotUtf8));
}

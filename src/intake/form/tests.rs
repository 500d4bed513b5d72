//! Forms and queries.

use crate::intake::tests::{SAMPLE, drafts, text};
use crate::intake::{Draft, Framing, Refusal};

fn read(form: &str) -> Vec<Result<Draft, Refusal>> {
    drafts(form.as_bytes(), Framing::Form)
}

#[track_caller]
fn refused(form: &str) -> String {
    read(form).remove(0).unwrap_err().reason
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[test]
fn a_document_may_stand_in_one_field() {
    let one = format!("data={}", encoded(SAMPLE));
    assert_eq!(read(&one), drafts(SAMPLE.as_bytes(), Framing::Document));
    let two = format!("data={}", encoded(&format!("[{SAMPLE},{SAMPLE}]")));
    assert_eq!(read(&two).len(), 2);
    assert!(
        refused("data=%7B%22name%22%3A+%7D")
            .contains("`data` is not JSON: expected a value at byte 9")
    );
}

#[test]
fn the_fields_may_stand_for_themselves() {
    let draft = read("name=Disk%3AOperate+d&content=%7B%22n%22%3A1.50%7D&data=more&&x")
        .remove(0)
        .unwrap();
    assert_eq!(text(&draft, "name"), "Disk:Operate d");
    assert_eq!(
        draft.fields.get("content").unwrap().to_string(),
        r#"{"n":1.50}"#
    );
    assert_eq!(text(&draft, "data"), "more");
    assert_eq!(draft.fields.get("x"), Some(&"".into()));
}

#[test]
fn a_token_is_no_part_of_the_event() {
    let draft = read("token=s3cret&name=n&content=c").remove(0).unwrap();
    assert!(!draft.compact().contains("s3cret"));
    assert!(!format!("{draft:?}").contains("s3cret"));
}

#[test]
fn a_field_that_comes_twice_is_flagged() {
    let draft = read("name=a&name=b&content=c").remove(0).unwrap();
    assert_eq!(text(&draft, "name"), "b");
    assert!(draft.duplicate_keys);
}

#[test]
fn what_is_wrong_is_named() {
    assert!(refused("").contains("the form has no fields"));
    assert!(refused("&&").contains("the form has no fields"));
    let reason = refused("name=a&content=%FFx");
    assert!(
        reason.contains("not UTF-8") && reason.contains("at byte 15"),
        "{reason}"
    );
    assert!(
        refused("alertName=cpu&alertState=ALERT&expression=$Average>=95")
            .contains("a threshold alert")
    );
}

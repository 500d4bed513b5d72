//! Patterns that cannot do what their writer meant: that never match, or that say what another one
//! says already.

use super::tree::{Condition, Group, How, Scalar, Test};
use crate::json::quoted;

/// Whether no event can match. Finds what contradicts itself in plain sight; `false` proves
/// nothing.
///
/// Two different values wanted in one field are no contradiction: an array may hold both.
pub(super) fn never_matches(group: &Group) -> bool {
    let mut all = Vec::new();
    and_ed(group, &mut all);
    contradicts(&all)
}

/// The tests that must all hold on one object, those of `$all` among them.
fn and_ed<'g>(group: &'g Group, to: &mut Vec<&'g Test>) {
    for test in &group.tests {
        match test {
            Test::Combined {
                how: How::All,
                groups,
            } => {
                groups.iter().for_each(|group| and_ed(group, to));
            }
            other => to.push(other),
        }
    }
}

fn contradicts(all: &[&Test]) -> bool {
    all.iter().any(|test| match test {
        Test::Leaf { field, conditions } => {
            **conditions == [Condition::Exists(false)]
                && all.iter().any(|other| needs_value(other, field))
        }
        Test::Inside { group, .. } => never_matches(group),
        Test::Combined {
            how: How::Or | How::Any,
            groups,
        } => groups.iter().all(|group| contradicts_with(group, all)),
        Test::Combined {
            how: How::None,
            groups,
        } => groups.iter().any(|group| {
            let mut excluded = Vec::new();
            and_ed(group, &mut excluded);
            excluded.iter().all(|test| all.contains(test))
        }),
        Test::Combined { how: How::All, .. } => false,
    })
}

/// Whether an alternative contradicts the leaves and exclusions that must hold beside it. Other
/// choices and inner groups are left out: they are looked at once, by themselves, or the work would
/// multiply with every level.
fn contradicts_with(alternative: &Group, all: &[&Test]) -> bool {
    let mut together: Vec<&Test> = all
        .iter()
        .copied()
        .filter(|test| {
            matches!(
                test,
                Test::Leaf { .. } | Test::Combined { how: How::None, .. }
            )
        })
        .collect();
    and_ed(alternative, &mut together);
    contradicts(&together)
}

fn needs_value(test: &Test, name: &str) -> bool {
    match test {
        Test::Leaf { field, conditions } => {
            **field == *name && !conditions.contains(&Condition::Exists(false))
        }
        _ => false,
    }
}

/// A text that is the same for patterns that say the same in another order or in other words.
pub(super) fn normal(group: &Group) -> String {
    let mut tests: Vec<String> = group.tests.iter().map(normal_test).collect();
    sorted(&mut tests, "{", "}")
}

fn normal_test(test: &Test) -> String {
    match test {
        Test::Leaf { field, conditions } => {
            let mut conditions: Vec<String> = conditions.iter().map(normal_condition).collect();
            format!("{}:{}", quoted(field), sorted(&mut conditions, "[", "]"))
        }
        Test::Inside { field, group } => format!("{}:{}", quoted(field), normal(group)),
        Test::Combined { how, groups } => {
            let how = if *how == How::Or { How::Any } else { *how };
            let mut groups: Vec<String> = groups.iter().map(normal).collect();
            format!("{}:{}", how.key(), sorted(&mut groups, "[", "]"))
        }
    }
}

fn normal_condition(condition: &Condition) -> String {
    match condition {
        Condition::Exactly(text) => quoted(text).to_string(),
        Condition::Equal(scalar) => normal_scalar(scalar),
        Condition::AnythingBut(scalars) => {
            let mut scalars: Vec<String> = scalars.iter().map(normal_scalar).collect();
            format!("anything-but{}", sorted(&mut scalars, "[", "]"))
        }
        other => other.to_string(),
    }
}

fn normal_scalar(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Number(number) => {
            let mut key = String::new();
            number.decimal().write_key(&mut key);
            key
        }
        other => other.to_string(),
    }
}

fn sorted(parts: &mut Vec<String>, open: &str, close: &str) -> String {
    parts.sort_unstable();
    parts.dedup();
    format!("{open}{}{close}", parts.join(","))
}

#[cfg(test)]
mod tests {
    use crate::Pattern;

    fn read(text: &str) -> Pattern {
        Pattern::from_json(text).unwrap()
    }

    #[test]
    fn contradictions() {
        let check = |text: &str, expected| {
            assert_eq!(read(text).never_matches(), expected, "{text}");
        };
        check(r#"{"a":["x"],"$none":[{"a":["x"]}]}"#, true);
        check(
            r#"{"a":["x"],"b":[1],"$none":[{"c":[1]},{"b":[1],"a":["x"]}]}"#,
            true,
        );
        check(r#"{"a":["x"],"$none":[{"a":["x"],"b":[1]}]}"#, false);
        check(r#"{"$all":[{"a":[{"exists":false}]},{"a":["x"]}]}"#, true);
        check(
            r#"{"$all":[{"a":[{"exists":false},"y"]},{"a":["x"]}]}"#,
            false,
        );
        check(r#"{"$all":[{"a":["x"]},{"a":["y"]}]}"#, false);
        check(r#"{"c":{"a":[1],"$none":[{"a":[1]}]}}"#, true);
        check(
            r#"{"a":[1],"$or":[{"$none":[{"a":[1]}]},{"a":[{"exists":false}]}]}"#,
            true,
        );
        check(
            r#"{"a":[1],"$or":[{"$none":[{"a":[1]}]},{"b":[1]}]}"#,
            false,
        );
    }

    #[test]
    fn deep_patterns_take_no_longer_than_others() {
        let mut text = r#"{"a":[1]}"#.to_owned();
        for _ in 0..25 {
            let choice = vec![r#"{"b":[1]}"#; 40].join(",");
            text = format!(r#"{{"c":{text},"$or":[{choice}]}}"#);
        }
        assert!(!read(&text).never_matches());
    }

    #[test]
    fn same_in_other_words() {
        let same = |a: &str, b: &str| {
            assert!(read(a).says_the_same_as(&read(b)), "{a} {b}");
        };
        same(
            r#"{"a":[1,"x"],"b":[2]}"#,
            r#"{"b":[2.0],"a":[{"exactly":"x"},1e0,1]}"#,
        );
        same(
            r#"{"$or":[{"a":[1]},{"b":[1]}]}"#,
            r#"{"$any":[{"b":[1]},{"a":[1]}]}"#,
        );
        same(
            r#"{"a":[{"anything-but":[1,2]}]}"#,
            r#"{"a":[{"anything-but":[2.0,1]}]}"#,
        );
        assert!(!read(r#"{"a":["1"]}"#).says_the_same_as(&read(r#"{"a":[1]}"#)));
        assert!(!read(r#"{"a":["null"]}"#).says_the_same_as(&read(r#"{"a":[null]}"#)));
    }
}

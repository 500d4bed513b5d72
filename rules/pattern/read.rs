//! From a pattern as written to a pattern that means something, or to every mistake in it.

use std::collections::HashMap;
use std::ops::Range;

use super::tree::{Condition, Group, How, Scalar, Test};
use super::written::{Format, Member, What, Written, depth_max};
use super::{FieldTest, Mistake, operators};

pub(super) fn read(written: &Written) -> Result<(Group, Vec<FieldTest>), Vec<Mistake>> {
    let mut reader = Reader::default();
    let root = reader.root(written);
    match root {
        Some(root) if reader.mistakes.is_empty() => Ok((root, reader.fields)),
        _ => {
            reader.mistakes.sort_by_key(|mistake| mistake.span.start);
            Err(reader.mistakes)
        }
    }
}

/// One step of a JSON pointer.
pub(super) struct Token(String);

impl From<&str> for Token {
    fn from(key: &str) -> Self {
        Token(key.replace('~', "~0").replace('/', "~1"))
    }
}

impl From<&String> for Token {
    fn from(key: &String) -> Self {
        key.as_str().into()
    }
}

impl From<usize> for Token {
    fn from(place: usize) -> Self {
        Token(place.to_string())
    }
}

/// Goes on after a mistake, so that all are found; what it builds is then thrown away.
#[derive(Default)]
pub(super) struct Reader {
    mistakes: Vec<Mistake>,
    fields: Vec<FieldTest>,
    /// Keys and places in lists from the top of the pattern, for [`Mistake::pointer`].
    pointer: Vec<String>,
    /// The keys from the top of the event.
    path: Vec<(String, Range<usize>)>,
}

impl Reader {
    /// Notes a mistake at the current pointer. Answers `None`, for the caller to pass on.
    pub(super) fn mistake<T>(
        &mut self,
        span: &Range<usize>,
        reason: impl Into<String>,
    ) -> Option<T> {
        let pointer = self.pointer.iter().flat_map(|token| ["/", token]).collect();
        self.mistakes.push(Mistake {
            span: span.clone(),
            pointer,
            reason: reason.into(),
        });
        None
    }

    pub(super) fn below<T>(
        &mut self,
        token: impl Into<Token>,
        go: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.pointer.push(token.into().0);
        let result = go(self);
        self.pointer.pop();
        result
    }

    fn root(&mut self, written: &Written) -> Option<Group> {
        match &written.what {
            What::Object(members) if members.is_empty() => self.mistake(
                &written.span,
                "an empty pattern; leave `when` out to match every event",
            ),
            What::Object(members) => self.group(members),
            What::Foreign(reason) => self.mistake(&written.span, reason),
            _ => self.mistake(
                &written.span,
                "a pattern is an object that looks like the event",
            ),
        }
    }

    fn group(&mut self, members: &[Member]) -> Option<Group> {
        let mut tests = Vec::with_capacity(members.len());
        let mut seen: HashMap<&str, ()> = HashMap::new();
        let mut sound = true;
        for member in members {
            let test = self.below(&member.key, |reader| {
                if seen.insert(&member.key, ()).is_some() {
                    return reader.mistake(
                        &member.key_span,
                        format!(
                            "`{}` is here twice; to test a field twice use `$all`",
                            member.key
                        ),
                    );
                }
                reader.member(member)
            });
            sound &= test.is_some();
            tests.extend(test);
        }
        sound.then_some(Group { tests })
    }

    fn member(&mut self, member: &Member) -> Option<Test> {
        let Member {
            key,
            key_span,
            value,
        } = member;
        if key.starts_with('$') {
            return match How::ALL.into_iter().find(|how| how.key() == key) {
                Some(how) => self.combined(how, value),
                None => {
                    let known = How::ALL.map(How::key);
                    let hint = operators::did_you_mean(key, known);
                    self.mistake(
                        key_span,
                        format!(
                            "unknown word `{key}`; there are `$or`, `$any`, `$all` and `$none`{hint}"
                        ),
                    )
                }
            };
        }
        self.path.push((key.clone(), key_span.clone()));
        let test = match &value.what {
            What::Object(members) => self.inside(key, value, members).map(|group| Test::Inside {
                field: key.as_str().into(),
                group,
            }),
            _ => self.leaf(key, value).map(|conditions| Test::Leaf {
                field: key.as_str().into(),
                conditions,
            }),
        };
        self.path.pop();
        test
    }

    fn inside(&mut self, key: &str, value: &Written, members: &[Member]) -> Option<Group> {
        if members.is_empty() {
            return self.mistake(
                &value.span,
                format!(
                    "an empty object tests nothing; for a field that is there write \
                         \"{key}\": [{{\"exists\": true}}]"
                ),
            );
        }
        // Without this, TOML's short form would quietly test a field called `prefix`.
        if value.format == Format::Toml
            && let [only] = members
            && operators::is_operator(&only.key)
            && !matches!(
                only.value.what,
                What::Object(_) | What::List(_) | What::Foreign(_)
            )
        {
            let word = &only.key;
            return self.mistake(
                &only.key_span,
                format!(
                    "`{word}` is an operator and stands in a list: {key} = [{{ {word} = … }}]; to \
                     test a field of that name write a list: {key}.{word} = [ … ]"
                ),
            );
        }
        self.group(members)
    }

    fn combined(&mut self, how: How, value: &Written) -> Option<Test> {
        let key = how.key();
        let What::List(elements) = &value.what else {
            return self.mistake(&value.span, format!("`{key}` takes a list of patterns"));
        };
        if elements.is_empty() {
            return self.mistake(
                &value.span,
                format!("`{key}` has an empty list of patterns"),
            );
        }
        if how == How::Or && elements.len() == 1 {
            return self.mistake(
                &value.span,
                "`$or` needs two patterns or more; write a single one without `$or`",
            );
        }
        let mut groups = Vec::with_capacity(elements.len());
        for (place, element) in elements.iter().enumerate() {
            groups.extend(self.below(place, |reader| reader.alternative(key, element)));
        }
        (groups.len() == elements.len()).then_some(Test::Combined { how, groups })
    }

    fn alternative(&mut self, how: &str, element: &Written) -> Option<Group> {
        let What::Object(members) = &element.what else {
            return self.mistake(
                &element.span,
                format!("`{how}` takes patterns, each an object"),
            );
        };
        if members.is_empty() {
            return self.mistake(&element.span, "an empty pattern would match everything");
        }
        if let Some(member) = members
            .iter()
            .find(|member| operators::is_operator(&member.key))
        {
            let word = &member.key;
            return self.mistake(
                &member.key_span,
                format!(
                    "`{word}` is an operator; `{how}` takes patterns: name the field, as in \
                     {{\"field\": [{{\"{word}\": …}}]}}"
                ),
            );
        }
        self.group(members)
    }

    fn leaf(&mut self, key: &str, value: &Written) -> Option<Vec<Condition>> {
        let field = FieldTest {
            path: self.path.iter().map(|(key, _)| key.clone()).collect(),
            spans: self.path.iter().map(|(_, span)| span.clone()).collect(),
            texts: Vec::new(),
        };
        self.fields.push(field);
        let elements = match (&value.what, value.format) {
            (What::List(elements), _) if elements.is_empty() => {
                return self.mistake(
                    &value.span,
                    "an empty list matches nothing; list the values that are wanted",
                );
            }
            (What::List(elements), _) => elements,
            // The list that it stands for is a level too, and the canonical text writes it.
            (_, Format::Toml) if self.pointer.len() >= depth_max() => {
                let reason = format!("a pattern may be {} levels deep", depth_max());
                return self.mistake(&value.span, reason);
            }
            (_, Format::Toml) => return self.condition(value).map(|only| vec![only]),
            (_, Format::Json) => {
                return self.mistake(
                    &value.span,
                    format!("wanted values stand in a list: \"{key}\": [ … ]"),
                );
            }
        };
        let mut conditions = Vec::with_capacity(elements.len());
        for (place, element) in elements.iter().enumerate() {
            conditions.extend(self.below(place, |reader| reader.condition(element)));
        }
        (conditions.len() == elements.len()).then_some(conditions)
    }

    fn condition(&mut self, element: &Written) -> Option<Condition> {
        match &element.what {
            What::Object(members) => self.operator(element, members),
            What::List(_) => self.mistake(
                &element.span,
                "a list inside the list; an array in an event matches if one of its elements does",
            ),
            _ => self.scalar(element).map(Condition::Equal),
        }
    }

    fn operator(&mut self, element: &Written, members: &[Member]) -> Option<Condition> {
        let [
            Member {
                key,
                key_span,
                value,
            },
        ] = members
        else {
            return self.mistake(
                &element.span,
                if members.is_empty() {
                    "an empty object; name an operator, as in {\"prefix\": \"…\"}"
                } else {
                    "two operators in one object; write two objects if one of them is enough, or \
                     test the field twice under `$all`"
                },
            );
        };
        self.below(key, |reader| {
            match operators::OPERATORS.iter().find(|op| op.name == key) {
                Some(operator) => (operator.read)(reader, value),
                None => {
                    let hint =
                        operators::did_you_mean(key, operators::OPERATORS.iter().map(|o| o.name));
                    reader.mistake(key_span, format!("unknown operator `{key}`{hint}"))
                }
            }
        })
    }

    /// A value to compare with, whatever its type.
    pub(super) fn scalar(&mut self, element: &Written) -> Option<Scalar> {
        match &element.what {
            What::Null => Some(Scalar::Null),
            What::Bool(truth) => Some(Scalar::Bool(*truth)),
            What::Number(number) => Some(Scalar::Number(number.clone())),
            What::Text(text) => {
                if let Some(field) = self.fields.last_mut() {
                    field.texts.push((text.clone(), element.span.clone()));
                }
                Some(Scalar::Text(text.as_str().into()))
            }
            What::Foreign(reason) => self.mistake(&element.span, reason),
            What::List(_) | What::Object(_) => {
                self.mistake(&element.span, "expected a text or a number")
            }
        }
    }
}

//! What a robot's answer means. Refusals come with HTTP 200 too; only `errcode` decides, and only
//! an understood `errcode` of 0 is a success.

use std::time::Duration;

use herald_model::{Outcome, Outcomes, Signal};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::http::{Answer, BodyEnd, seconds_ahead};
use crate::said::Redactor;

/// How long a robot is left alone after it was throttled: "going over means 10 minutes of
/// throttling" (open platform, "Custom bot: send group chat messages").
pub(super) const PENALTY: Duration = Duration::from_secs(600);

/// The longest `wait` of a deny body that is believed. Chosen.
const WAIT_AT_MOST: Duration = Duration::from_secs(3_600);

/// Attempts at which an answer nobody knows is still repeated. Chosen.
const TRIES_OF_UNKNOWN_CODES: u32 = 3;

/// The fields of an answer that mean something. All are optional: a throttled sender gets
/// `{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"…"}`, with or without an
/// `errcode`.
#[derive(Debug, Default, Deserialize)]
struct Reply {
    errcode: Option<Value>,
    errmsg: Option<Value>,
    punish: Option<Value>,
    wait: Option<Value>,
}

/// What a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// This message will never be taken.
    Message,
    /// The robot, its settings or ours are broken.
    Sink,
    /// Later.
    Later,
    /// Later, and the robot is to be left alone until then.
    Throttled,
    /// The timestamp was refused: repeated once with a fresh one, then our own clock is off.
    Clock,
}

/// Codes with one meaning each. Sources: the error table of the custom-robot page as copies of it
/// carry it (4xxxxx), DingTalk's general table (-1, 88, 404), and real answers quoted in public
/// issues (40035, 43002, 43004, 300001, 300005, 130101, 90030, 460101, 101002).
const CODES: [(i64, Class, &str); 22] = [
    (-1, Class::Later, "DingTalk is busy"),
    (
        88,
        Class::Sink,
        "authentication failed; `sub_code` says why",
    ),
    (
        404,
        Class::Sink,
        "no such path; check the host and path of `webhook`",
    ),
    (
        40035,
        Class::Sink,
        "a parameter is missing; check `webhook`",
    ),
    (43002, Class::Sink, "DingTalk wants a POST request"),
    (43004, Class::Sink, "DingTalk wants another content type"),
    (
        90030,
        Class::Throttled,
        "the call quota of the robot is used up",
    ),
    (101002, Class::Message, "the message is too long"),
    (
        130101,
        Class::Throttled,
        "more than 20 messages in a minute",
    ),
    (
        300001,
        Class::Sink,
        "DingTalk does not know this token; check `webhook`",
    ),
    (
        300005,
        Class::Sink,
        "DingTalk does not know this token; check `webhook`",
    ),
    (400013, Class::Sink, "the group was disbanded"),
    (
        400101,
        Class::Sink,
        "DingTalk does not know this token; check `webhook`",
    ),
    (400102, Class::Sink, "the robot is disabled"),
    (
        400105,
        Class::Sink,
        "the robot does not take this `message` type",
    ),
    (400106, Class::Sink, "the robot is not in the group"),
    (
        410100,
        Class::Throttled,
        "more than 20 messages in a minute",
    ),
    (
        430101,
        Class::Message,
        "the text holds a link that DingTalk calls unsafe",
    ),
    (
        430102,
        Class::Message,
        "the text is one that DingTalk calls unsafe",
    ),
    (
        430103,
        Class::Message,
        "the text holds a picture that DingTalk calls unsafe",
    ),
    (
        430104,
        Class::Message,
        "the content is one that DingTalk calls unsafe",
    ),
    (
        460101,
        Class::Message,
        "the message is longer than 20,000 bytes",
    ),
];

/// The code of the robot's security settings, which has four meanings.
const SECURITY: i64 = 310_000;

/// What the text of [`SECURITY`] says, tested in this order: the Chinese text for an expired sign
/// names the sign too. Sources: `jenkinsci/dingtalk-plugin` issue 116, `x-cold/dingtalk-robot` issue 7,
/// `timonwong/prometheus-webhook-dingtalk` issue 197, `qd-today/qd` issue 510.
const SECURITY_WORDS: [(&[&str], Class, &str); 4] = [
    (
        &["keyword", "关键词", "关键字"],
        Class::Message,
        "the robot wants one of its keywords in the text; set `keyword`",
    ),
    (
        &["timestamp", "expired", "过期", "时间戳"],
        Class::Clock,
        "the timestamp was refused: this machine's clock is off",
    ),
    (
        &["sign", "签名", "加签"],
        Class::Sink,
        "the signature was refused; check `secret`",
    ),
    (
        &["whitelist", "white list", "白名单", "ip "],
        Class::Sink,
        "this machine's address is not on the robot's list",
    ),
];

/// Words of a throttled robot, for codes that nobody has listed. `exceed` alone would not do: the
/// refusal of long messages has it too.
const THROTTLED_WORDS: [&str; 4] = ["too fast", "exceed 20 times", "限流", "太快"];

/// The outcome of an answer at the given attempt (from 1), which came at `now` by this machine's
/// clock.
pub(super) fn outcome(
    answer: &Answer,
    attempt: u32,
    now: Timestamp,
    redactor: &Redactor,
) -> Outcomes {
    let reply = serde_json::from_slice::<Reply>(&answer.body).unwrap_or_default();
    let said = said(answer, redactor);
    if is_text(reply.punish.as_ref(), "deny") {
        let wait = reply.wait.as_ref().and_then(Value::as_u64);
        let wait = match wait {
            Some(seconds @ 1..) => Duration::from_secs(seconds).min(WAIT_AT_MOST),
            _ => PENALTY,
        };
        return throttled(&said, "the robot is throttled", wait);
    }
    let Some(code) = reply.errcode.as_ref().and_then(Value::as_i64) else {
        return without_code(answer, said).into();
    };
    if code == 0 && answer.status == StatusCode::OK {
        return Outcome::Delivered { reply: said }.into();
    }
    if code == 0 {
        return without_code(answer, said).into();
    }
    let words = reply
        .errmsg
        .as_ref()
        .and_then(Value::as_str)
        .unwrap_or_default();
    let (class, meaning) = meaning(code, words);
    let meaning = match class {
        Some(Class::Clock) => format!("{meaning}{}", clock_error(answer, now)),
        _ => meaning.to_owned(),
    };
    match class {
        Some(Class::Throttled) => throttled(&said, &meaning, PENALTY),
        Some(Class::Later) => Outcome::transient(explained(&said, &meaning)).into(),
        Some(Class::Clock) if attempt <= 1 => Outcome::transient(explained(&said, &meaning)).into(),
        Some(Class::Clock | Class::Sink) => Outcome::sink_fault(explained(&said, &meaning)).into(),
        Some(Class::Message) => Outcome::permanent(explained(&said, &meaning)).into(),
        None if attempt < TRIES_OF_UNKNOWN_CODES => Outcome::transient(said).into(),
        None => Outcome::permanent(said).into(),
    }
}

/// What `code` with the text `words` stands for; `None` if nobody has listed it.
fn meaning(code: i64, words: &str) -> (Option<Class>, &'static str) {
    let words = words.to_lowercase();
    if code == SECURITY {
        // The long form is `description:…;solution:…;link:…`, and its solution for a wrong sign
        // names the timestamp.
        let description = words
            .split_once("description:")
            .and_then(|(_, rest)| rest.split(';').next())
            .unwrap_or(&words);
        return SECURITY_WORDS
            .iter()
            .find(|(any, _, _)| any.iter().any(|word| description.contains(word)))
            .map_or(
                (
                    Some(Class::Sink),
                    "one of the robot's security settings refused the message",
                ),
                |(_, class, meaning)| (Some(*class), *meaning),
            );
    }
    if let Some((_, class, meaning)) = CODES.iter().find(|(known, _, _)| *known == code) {
        return (Some(*class), *meaning);
    }
    if THROTTLED_WORDS.iter().any(|word| words.contains(word)) {
        return (Some(Class::Throttled), "the robot is throttled");
    }
    (None, "")
}

/// How far this machine's clock is from the far side's, where that named a date.
fn clock_error(answer: &Answer, now: Timestamp) -> String {
    match seconds_ahead(&answer.headers, now).unwrap_or_default() {
        0 => String::new(),
        seconds @ 1.. => format!(", {seconds} s ahead of DingTalk's"),
        seconds => format!(", {} s behind DingTalk's", seconds.unsigned_abs()),
    }
}

/// The outcome of an answer without a code: never a success.
fn without_code(answer: &Answer, said: String) -> Outcome {
    match (answer.status.as_u16(), answer.body_end) {
        // The message went out and the answer was lost.
        (200..=299, BodyEnd::Lost) => Outcome::unknown(format!("{said}; the answer was cut off")),
        (200..=299, _) => {
            Outcome::transient(format!("{said}; this is no answer of a DingTalk robot"))
        }
        (408 | 425 | 429 | 500..=599, _) => Outcome::transient(said),
        _ => Outcome::sink_fault(format!("{said}; check `webhook`")),
    }
}

fn throttled(said: &str, meaning: &str, wait: Duration) -> Outcomes {
    Outcomes::same(Outcome::transient(explained(said, meaning))).with_signal(Signal::Penalty(wait))
}

fn explained(said: &str, meaning: &str) -> String {
    format!("{said} ({meaning})")
}

/// The far side's code and words; the status too where it is not 200.
fn said(answer: &Answer, redactor: &Redactor) -> String {
    let body = redactor.clean_bytes(&answer.body);
    match answer.status {
        StatusCode::OK if body.is_empty() => "200 with an empty body".to_owned(),
        StatusCode::OK => body,
        status if body.is_empty() => format!("HTTP {}", status.as_u16()),
        status => format!("HTTP {}: {body}", status.as_u16()),
    }
}

fn is_text(value: Option<&Value>, wanted: &str) -> bool {
    value.and_then(Value::as_str) == Some(wanted)
}

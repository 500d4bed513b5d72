//! The body of a robot message.
//!
//! Source: DingTalk open platform, "Custom bot: send group chat messages" (spelling of the keys,
//! mentions, `msgUuid`); the 20,000 bytes are from its refusals `460101`, which count the encoded
//! body.

use herald_model::{MessageId, Rendered};
use serde::Serialize;

use crate::said::one_line;

/// The longest encoded body that DingTalk takes, in bytes.
pub(super) const BODY_AT_MOST: usize = 20_000;

/// The longest title, in bytes; it is shown in the conversation list only. Chosen: no limit is
/// documented, and a phone shows some 30 characters.
const TITLE_AT_MOST: usize = 240;

/// Which message type is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Markdown,
    Text,
    ActionCard,
}

/// What the configuration adds to every message.
#[derive(Debug, Clone)]
pub(super) struct Additions {
    pub(super) form: Form,
    pub(super) at_mobiles: Vec<String>,
    pub(super) at_user_ids: Vec<String>,
    pub(super) at_all: bool,
    pub(super) keyword: Option<String>,
    pub(super) buttons: Vec<Button>,
}

/// A button of an action card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Button {
    pub(super) title: String,
    #[serde(rename = "actionURL")]
    pub(super) url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    msgtype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<Titled<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_card: Option<Card<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<At<'a>>,
    /// The group sees one message however often it is sent.
    msg_uuid: &'a str,
}

#[derive(Serialize)]
struct Titled<'a> {
    title: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct Content<'a> {
    content: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Card<'a> {
    title: &'a str,
    text: &'a str,
    btn_orientation: &'static str,
    btns: Vec<Button>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct At<'a> {
    at_mobiles: &'a [String],
    at_user_ids: &'a [String],
    is_at_all: bool,
}

/// Whether nothing would be cut.
pub(super) fn fits(rendered: &Rendered, additions: &Additions, uuid: MessageId) -> bool {
    whole(rendered, additions, uuid).len() <= BODY_AT_MOST
}

fn whole(rendered: &Rendered, additions: &Additions, uuid: MessageId) -> String {
    let title = one_line(&rendered.title, TITLE_AT_MOST);
    let suffix = suffix(&rendered.text, additions);
    let text = format!("{}{suffix}", rendered.text);
    let buttons = buttons(rendered, additions);
    encode(additions, &title, &text, buttons, &uuid.to_string())
}

/// The encoded body, at most [`BODY_AT_MOST`] bytes long.
pub(super) fn body(rendered: &Rendered, additions: &Additions, uuid: MessageId) -> String {
    let whole = whole(rendered, additions, uuid);
    if whole.len() <= BODY_AT_MOST {
        return whole;
    }
    let uuid = uuid.to_string();
    let title = one_line(&rendered.title, TITLE_AT_MOST);
    let suffix = suffix(&rendered.text, additions);
    let too_many = whole.len() - BODY_AT_MOST;
    let suffix =
        format!("\n\n… 内容过长，已截断 (cut: {too_many} bytes over DingTalk's limit){suffix}");
    let buttons = buttons(rendered, additions);
    let empty = encode(additions, &title, &suffix, buttons.clone(), &uuid).len();
    let kept = cut(&rendered.text, BODY_AT_MOST.saturating_sub(empty));
    let text = format!("{kept}{suffix}");
    encode(additions, &title, &text, buttons, &uuid)
}

/// What is appended to the text: mentions, which call nobody unless they also stand in the text,
/// and the keyword, without which the robot refuses the message.
fn suffix(text: &str, additions: &Additions) -> String {
    let mut suffix = String::new();
    if additions.form != Form::ActionCard {
        let mentions: Vec<_> = additions
            .at_mobiles
            .iter()
            .chain(&additions.at_user_ids)
            .map(|who| format!("@{who}"))
            .collect();
        if !mentions.is_empty() {
            suffix = format!("\n\n{}", mentions.join(" "));
        }
    }
    if let Some(keyword) = &additions.keyword
        && !text.contains(keyword.as_str())
    {
        suffix = format!("\n\n{keyword}{suffix}");
    }
    suffix
}

/// The buttons of a card: to the console's page, then the configured ones.
fn buttons(rendered: &Rendered, additions: &Additions) -> Vec<Button> {
    let console = rendered.link.iter().map(|link| Button {
        title: link.title.clone(),
        url: link.url.clone(),
    });
    console.chain(additions.buttons.iter().cloned()).collect()
}

fn encode(
    additions: &Additions,
    title: &str,
    text: &str,
    buttons: Vec<Button>,
    uuid: &str,
) -> String {
    let mut body = Body {
        msgtype: "",
        markdown: None,
        text: None,
        action_card: None,
        at: None,
        msg_uuid: uuid,
    };
    match additions.form {
        // A card without a button is refused.
        Form::ActionCard if !buttons.is_empty() => {
            body.msgtype = "actionCard";
            body.action_card = Some(Card {
                title,
                text,
                btn_orientation: "0",
                btns: buttons,
            });
        }
        Form::Markdown | Form::ActionCard => {
            body.msgtype = "markdown";
            body.markdown = Some(Titled { title, text });
        }
        Form::Text => {
            body.msgtype = "text";
            body.text = Some(Content { content: text });
        }
    }
    let mentions =
        additions.at_all || !additions.at_mobiles.is_empty() || !additions.at_user_ids.is_empty();
    // Documented for `text` and `markdown` only.
    if mentions && additions.form != Form::ActionCard {
        body.at = Some(At {
            at_mobiles: &additions.at_mobiles,
            at_user_ids: &additions.at_user_ids,
            is_at_all: additions.at_all,
        });
    }
    // Strings and lists always serialise.
    serde_json::to_string(&body).unwrap_or_default()
}

/// The longest beginning of `text` whose JSON form takes at most `budget` bytes, cut where an item
/// or a paragraph ends if one does in its second half, else where a line ends, else between two
/// characters.
fn cut(text: &str, budget: usize) -> &str {
    let mut used = 0;
    let fits = text
        .char_indices()
        .find(|(_, c)| {
            used += encoded_len(*c);
            used > budget
        })
        .map_or(text.len(), |(at, _)| at);
    let head = &text[..fits];
    let late = |at: &usize| *at >= fits / 2;
    let item = head
        .rfind("\n- ")
        .into_iter()
        .chain(head.rfind("\n\n"))
        .max();
    let border = item.filter(late).or_else(|| head.rfind('\n').filter(late));
    let head = &head[..border.unwrap_or(fits)];
    // A lone backslash at the cut would escape what follows.
    let backslashes = head.len() - head.trim_end_matches('\\').len();
    if border.is_none() && backslashes % 2 == 1 {
        return &head[..head.len() - 1];
    }
    head
}

/// Bytes that a character takes inside a JSON string, as `serde_json` writes it.
fn encoded_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        c => c.len_utf8(),
    }
}

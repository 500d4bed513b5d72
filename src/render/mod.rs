//! From a message's items to the text it carries.
//!
//! A configured template says each part; what it leaves out, or fails at, is the built-in text of
//! [`builtin`]. Rendering is pure: the same items, settings and templates give the same text.

use herald_model::{Item, Markup, MessageId, Rendered, Sink};

mod builtin;
mod facts;
mod probe;
mod template;
mod words;

#[cfg(test)]
mod tests;

pub use facts::Setting;
pub use probe::probe;
pub use template::{Part, TemplateError, Templates};
pub use words::Language;

/// The text of a message for `sink`.
///
/// A template that fails at run time never costs a notification: the built-in text stands in, with
/// the template's error in it.
pub fn render(
    sink: &dyn Sink,
    message: MessageId,
    items: &[Item],
    templates: &Templates,
    setting: &Setting,
) -> Rendered {
    let markup = sink.markup();
    let mut rendered = builtin::render(items, markup, setting);
    let context = template::Context { items, setting };
    let mut failed = Vec::new();
    for (part, slot) in [
        (Part::Title, &mut rendered.title),
        (Part::Text, &mut rendered.text),
    ] {
        match templates.render(part, &context) {
            None => {}
            Some(Ok(text)) if part == Part::Title => *slot = facts::one_line(&text),
            Some(Ok(text)) => *slot = text,
            Some(Err(error)) => failed.push(error.to_string()),
        }
    }
    match templates.render(Part::Html, &context) {
        Some(Ok(html)) => rendered.html = Some(html),
        Some(Err(error)) => failed.push(error.to_string()),
        None => {}
    }
    rendered.body = match templates.render(Part::Body, &context) {
        Some(Ok(body)) => Some(body),
        Some(Err(error)) => {
            failed.push(error.to_string());
            sink.body(message, items)
        }
        None => sink.body(message, items),
    };
    for error in failed {
        let note = words::template_failed(&facts::one_line(&error), setting.language);
        let note = if markup == Markup::DingTalk {
            herald_sinks::dingtalk::escape(&note)
        } else {
            note
        };
        rendered.text = format!("{note}\n\n{}", rendered.text);
    }
    rendered
}

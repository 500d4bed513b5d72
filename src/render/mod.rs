//! From a message's items to the text it carries.
//!
//! A configured template says each part; what it leaves out, or fails at, is the built-in text of
//! [`builtin`]. Rendering is pure: the same items, settings and templates give the same text.

use herald_model::{Item, Markup, MessageId, Rendered, Sink};

mod builtin;
mod facts;
mod html;
mod json;
mod probe;
mod template;
mod trial;
mod words;

#[cfg(test)]
mod tests;

pub use facts::Setting;
pub use probe::probe;
pub use template::{Part, TemplateError, Templates};
pub use trial::{Tried, try_out};

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
    let told = builtin::Told::new(items, setting);
    let context = template::Context { items, setting };
    let mut failed = Vec::new();
    let mut written = |part| match templates.render(part, &context)? {
        Ok(text) => Some(text),
        Err(error) => {
            let error = facts::one_line(&error.to_string());
            failed.push(words::template_failed(&error, setting.language));
            None
        }
    };
    let title = written(Part::Title).map(|title| facts::one_line(&title));
    let text = written(Part::Text);
    let html = written(Part::Html);
    let body = written(Part::Body);
    let html = html.or_else(|| match markup {
        // Mail programs prefer HTML: beside a text of one's own the built-in one would hide it.
        Markup::Mail if text.is_none() => Some(told.html(&failed)),
        _ => None,
    });
    let mut text = text.unwrap_or_else(|| told.text(markup));
    let failure = (!failed.is_empty()).then(|| failed.join(" "));
    for note in failed {
        let note = match markup {
            Markup::DingTalk => herald_sinks::dingtalk::escape(&note),
            Markup::Plain | Markup::Mail | Markup::Body => note,
        };
        text = format!("{note}\n\n{text}");
    }
    Rendered {
        title: title.unwrap_or_else(|| told.title().to_owned()),
        text,
        html,
        body: body.or_else(|| sink.body(message, items)),
        form: None,
        link: told.link().filter(|_| markup == Markup::DingTalk),
        failure,
    }
}

/// The text of a message that is nothing but a body in a form of its sink's; `None` where the sink
/// does not know the form.
pub fn in_form(
    sink: &dyn Sink,
    form: &str,
    message: MessageId,
    items: &[Item],
) -> Option<Rendered> {
    Some(Rendered {
        body: Some(sink.body_in(form, message, items)?),
        ..form_alone(form)
    })
}

/// What is stored for such a message.
pub fn form_alone(form: &str) -> Rendered {
    Rendered {
        form: Some(form.to_owned()),
        ..Rendered::default()
    }
}

//! The text of a probe.

use herald_model::{Language, Markup, Rendered};

use super::facts::Setting;

/// Says that this tests `sink` because `who` asked for it, and that nothing happened.
pub fn probe(sink: &str, who: &str, markup: Markup, setting: &Setting) -> Rendered {
    let (title, text) = match setting.language {
        Language::En => (
            format!("[TEST] Herald tests sink {sink}"),
            format!(
                "This is a test of sink {sink}, asked for by {who}. Nothing happened, and nothing \
                 needs to be done."
            ),
        ),
        Language::Zh => (
            format!("[测试] Herald 正在测试通道 {sink}"),
            format!("这是对通道 {sink} 的测试，由 {who} 发起。没有发生任何事件，无需处理。"),
        ),
    };
    let text = match markup {
        Markup::DingTalk => herald_sinks::dingtalk::escape(&text),
        Markup::Plain | Markup::Mail | Markup::Body => text,
    };
    Rendered {
        title,
        text,
        html: None,
        body: None,
        form: None,
        link: None,
        failure: None,
    }
}

//! `title`, `text`, `html` and `body`: texts that stand in for the built-in ones.

use std::sync::Arc;

/// Templates of a sink or a subscription; a subscription's win over its sink's, one by one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Templates {
    /// One line: a mail's subject, a chat message's title.
    pub title: Option<Arc<str>>,
    /// The text in the sink's markup.
    pub text: Option<Arc<str>>,
    /// The same as HTML.
    pub html: Option<Arc<str>>,
    /// The whole body of a callback.
    pub body: Option<Arc<str>>,
}

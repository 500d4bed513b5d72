//! An e-mail by SMTP.
use herald_model::SinkKind;
use herald_model::delivery::{Order, Overflow};
use herald_model::sink::SinkDefaults;

/// The kind `email`.
pub(crate) const KIND: SinkKind = SinkKind {
    name: "email",
    summary: "Sends an e-mail to each recipient through an SMTP server.",
    example: include_str!("example.toml"),
    defaults: SinkDefaults {
        order: Order::None,
        together: true,
        overflow: Overflow::Wait,
        limit: None,
        concurrency: 4,
    },
    configure: |_| None,
};

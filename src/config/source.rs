//! `[[account]]` and `[source.NAME]`: whose events are taken, and by which way.

use std::fmt;
use std::sync::Arc;

use herald_model::Secret;
use herald_model::settings::Table;
use ipnet::IpNet;

use super::reading::{Named, check_name, is_empty_list, named, with_places, word_or};
use super::token::check_token;
use crate::sources::{self, SourceConfig, SourceKind};

/// A cloud account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's number.
    pub id: String,
    /// Whether ENI operation results of this account become events. An account that is not listed
    /// has it off.
    pub eni_events: bool,
}

/// One configured way in.
#[derive(Clone)]
pub struct Source {
    /// Its name, unique among sources.
    pub name: String,
    /// The word of its kind.
    pub kind: &'static str,
    /// What its kind needs; `None` only where a lenient check found a secret unset.
    pub settings: Option<Arc<dyn SourceConfig>>,
    /// Any of these lets a sender in at this source, and nowhere else; several at a time for
    /// changing them without a gap. Empty: whoever may use the API.
    pub tokens: Vec<Secret>,
    /// Account ids whose events it may bring; empty: all. Others are refused `foreign-account`.
    pub accounts: Vec<String>,
    /// Products, upper-cased, whose events it may bring; empty: all. Others are refused likewise.
    pub products: Vec<String>,
    /// What its events may set off.
    pub trust: Trust,
    /// Networks from which it may be called; empty: any.
    pub allow_from: Vec<IpNet>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What the events of a source may set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Notifications.
    Notify,
    /// Also follow-up actions that change something.
    Act,
}

/// Reads every `[[account]]`.
pub(super) fn read_accounts(root: &Table<'_>) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    root.note("account", None);
    for table in root.tables("account") {
        let id = table.text("id").required("\"1690700000000030\"");
        let eni_events = table.flag("eni_events").or(false);
        if let Some(id) = id {
            if accounts.iter().any(|other| other.id == id) {
                let text = format!("account `{id}` is listed twice; remove one");
                table.reading().mistake(table.span_of("id"), text);
            }
            accounts.push(Account { id, eni_events });
        }
        table.finish();
    }
    accounts
}

/// Reads every `[source.NAME]`. Sources with a mistake may be left out.
pub(super) fn read_sources(root: &Table<'_>) -> Vec<Source> {
    let mut sources = Vec::new();
    for Named { name, span, table } in named(root, "source").unwrap_or_default() {
        check_name(root.reading(), span, "source", name);
        sources.extend(table.and_then(|table| read_source(name, table)));
    }
    sources
}

fn read_source(name: &str, table: Table<'_>) -> Option<Source> {
    let words: Vec<_> = sources::ALL.iter().map(|kind| (kind.name, kind)).collect();
    let kind: &SourceKind = table.word("kind", &words).required("\"http\"")?;
    let (tokens, allow_from) = match kind.is_brought {
        true => (tokens(&table), table.networks("allow_from").or(Vec::new())),
        false => (Vec::new(), Vec::new()),
    };
    let source = Source {
        name: name.to_owned(),
        kind: kind.name,
        tokens,
        accounts: table.texts("accounts").or(Vec::new()),
        products: upper_cased(&table.texts("products").or(Vec::new())),
        trust: word_or(
            &table,
            "trust",
            &[("notify", Trust::Notify), ("act", Trust::Act)],
            Trust::Notify,
        ),
        allow_from,
        settings: (kind.configure)(&table),
    };
    table.finish();
    Some(source)
}

fn tokens(table: &Table<'_>) -> Vec<Secret> {
    let texts = table.texts("token").optional().unwrap_or_default();
    let mut tokens = Vec::new();
    for (text, span) in with_places(table, "token", texts) {
        let token = Secret::new(text);
        check_token(table, "token", span, &token);
        tokens.push(token);
    }
    if is_empty_list(table, "token") {
        let text = format!(
            "`{}`: an empty list would let nobody in; add a token, or leave the key out",
            table.path_of("token")
        );
        table.reading().mistake(table.span_of("token"), text);
    }
    tokens
}

/// As events carry them (products are upper-cased at intake).
fn upper_cased(products: &[String]) -> Vec<String> {
    products
        .iter()
        .map(|product| product.to_uppercase())
        .collect()
}

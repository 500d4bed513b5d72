//! `[[account]]` and `[source.NAME]`: whose events are taken, and by which way.

use herald_model::Secret;
use herald_model::settings::Table;
use ipnet::IpNet;

use super::reading::{Named, check_name, is_empty_list, named, with_places, word_or};
use super::token::check_token;

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
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name, unique among sources.
    pub name: String,
    /// Its type.
    pub kind: SourceKind,
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

/// Type of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// Events are posted to `/v1/sources/{name}/events`.
    Http,
}

/// What the events of a source may set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Notifications.
    Notify,
    /// Also follow-up actions that change something.
    Act,
}

/// The words after `kind =`, and whether the kind is in this build.
const KINDS: [(&str, (&str, Option<SourceKind>)); 4] = [
    ("http", ("http", Some(SourceKind::Http))),
    ("cloudevents", ("cloudevents", None)),
    ("smq", ("smq", None)),
    ("file", ("file", None)),
];

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
    let (word, kind) = table.word("kind", &KINDS).required("\"http\"")?;
    let Some(kind) = kind else {
        // Its other keys belong to a grammar that this build does not have.
        let text = format!("source kind `{word}` is not in this build; use kind = \"http\"");
        table.reading().mistake(table.span_of("kind"), text);
        return None;
    };
    let source = Source {
        name: name.to_owned(),
        kind,
        tokens: tokens(&table),
        accounts: table.texts("accounts").or(Vec::new()),
        products: upper_cased(&table.texts("products").or(Vec::new())),
        trust: word_or(
            &table,
            "trust",
            &[("notify", Trust::Notify), ("act", Trust::Act)],
            Trust::Notify,
        ),
        allow_from: table.networks("allow_from").or(Vec::new()),
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

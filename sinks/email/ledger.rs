//! Who has been mailed: the checkpoint of a message.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Recipients by address that need not be tried again at the next attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// The server took the mail for them.
    #[serde(default)]
    accepted: BTreeSet<String>,
    /// The server refused them for good, with its words.
    #[serde(default)]
    refused: BTreeMap<String, String>,
}

impl Ledger {
    /// What the last attempt left behind. Bytes that cannot be read count as nothing: mailing
    /// somebody twice is better than not at all.
    pub(super) fn read(saved: Option<&[u8]>) -> Self {
        saved
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default()
    }

    /// The bytes to save.
    pub(super) fn written(&self) -> Vec<u8> {
        // Sets and maps of strings always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Forgets who was refused if nobody else is left of `all`. An attempt after everybody was
    /// accepted or refused is there because a person asked for a replay, and it is for those who
    /// were refused.
    pub(super) fn reopen_if_over<'a>(&mut self, all: impl IntoIterator<Item = &'a str>) {
        if all.into_iter().all(|address| self.is_settled(address)) {
            self.refused.clear();
        }
    }

    /// Whether `address` needs no further try.
    pub(super) fn is_settled(&self, address: &str) -> bool {
        self.accepted.contains(address) || self.refused.contains_key(address)
    }

    /// Whether the server took the mail for `address`.
    pub(super) fn is_accepted(&self, address: &str) -> bool {
        self.accepted.contains(address)
    }

    /// The server took the mail for `address`.
    pub(super) fn accept(&mut self, address: &str) {
        self.refused.remove(address);
        self.accepted.insert(address.to_owned());
    }

    /// The server refused `address` for good.
    pub(super) fn refuse(&mut self, address: &str, words: &str) {
        self.refused.insert(address.to_owned(), words.to_owned());
    }

    /// Who of `all` was refused, with the server's words; `None` if nobody.
    pub(super) fn refusals<'a>(&self, all: impl IntoIterator<Item = &'a str>) -> Option<String> {
        let lines: Vec<_> = all
            .into_iter()
            .filter_map(|address| Some(format!("{address}: {}", self.refused.get(address)?)))
            .collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;

    const ALL: [&str; 3] = ["a@x", "b@x", "c@x"];

    #[test]
    fn it_reads_what_it_wrote() {
        let mut ledger = Ledger::default();
        ledger.accept("a@x");
        ledger.refuse("b@x", "550 no");
        assert_eq!(Ledger::read(Some(&ledger.written())), ledger);
        assert_eq!(Ledger::read(Some(b"\xff")), Ledger::default());
        assert_eq!(Ledger::read(None), Ledger::default());
    }

    #[test]
    fn the_refused_stay_refused_until_everybody_else_is_done() {
        let mut ledger = Ledger::default();
        ledger.accept("a@x");
        ledger.refuse("b@x", "550 no");
        ledger.reopen_if_over(ALL);
        assert!(ledger.is_settled("b@x") && !ledger.is_settled("c@x"));
        ledger.accept("c@x");
        assert_eq!(ledger.refusals(ALL).as_deref(), Some("b@x: 550 no"));
        ledger.reopen_if_over(ALL);
        assert!(ledger.is_settled("a@x") && !ledger.is_settled("b@x"));
    }
}

//! Tables within a table.

use toml::Spanned;
use toml::de::DeValue;

use super::{Table, unlike};

impl<'t> Table<'t> {
    /// The table under `key`.
    pub fn table(&self, key: &str) -> Option<Table<'t>> {
        let value = self.raw(key)?;
        match value.get_ref() {
            DeValue::Table(entries) => Some(Table::new(
                self.reading,
                entries,
                value.span(),
                self.path_of(key),
            )),
            other => {
                self.reading.mistake(value.span(), unlike("a table", other));
                None
            }
        }
    }

    /// The tables of the array under `key`, as `[[key]]` writes them.
    pub fn tables(&self, key: &str) -> Vec<Table<'t>> {
        let Some(value) = self.raw(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            let what = format!("write `[[{0}]]`: there can be several", self.path_of(key));
            self.reading.mistake(value.span(), what);
            return Vec::new();
        };
        let table = |item: &'t Spanned<DeValue<'t>>| match item.get_ref() {
            DeValue::Table(entries) => Some(Table::new(
                self.reading,
                entries,
                item.span(),
                self.path_of(key),
            )),
            other => {
                self.reading.mistake(item.span(), unlike("a table", other));
                None
            }
        };
        items.iter().filter_map(table).collect()
    }

    /// The tables under `key` by name, as `[key.NAME]` writes them.
    pub fn named(&self, key: &str) -> Vec<(&'t str, Table<'t>)> {
        let Some(all) = self.table(key) else {
            return Vec::new();
        };
        let entries: Vec<_> = all
            .entries
            .keys()
            .map(|name| name.get_ref().as_ref())
            .collect();
        entries
            .into_iter()
            .filter_map(|name| Some((name, all.table(name)?)))
            .collect()
    }
}

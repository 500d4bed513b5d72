//! Reading settings from a TOML table, with the place of every mistake.
//!
//! The code that reads a table *is* the list of its keys: a key that nobody asked for is unknown.
//! Reading never stops at the first mistake; each goes into the [`Reading`] with its byte span, and
//! whoever holds the file turns spans into lines and columns.
//!
//! - [`Table`] hands out values by key and type,
//! - [`Found`] says what a missing one means: a default, nothing, or a mistake,
//! - [`Reading`] gathers mistakes, warnings and the keys that were asked for,
//! - [`Environment`] is where `${env:…}` and `${file:…}` lead; it is an argument, so this module
//!   opens nothing.

mod found;
mod reading;
mod table;
mod text;

pub use found::{Found, Written};
pub use reading::{Environment, Form, Key, Mistake, Reading, Severity, did_you_mean};
pub use table::Table;

#[cfg(test)]
mod tests;

//! The ways out of Herald: one folder per kind, everything about a kind in its folder.
//!
//! - [`ALL`] lists the kinds; whoever needs names, help, examples or settings reads it,
//! - `callback`, `dingtalk`, `email`: per kind the settings, the protocol piece by piece, an example
//!   and a page for people,
//! - `http`: the one HTTP client, which follows no redirect, asks no proxy and reads no more than
//!   it must; [`guard`] decides which addresses a configured URL may lead to,
//! - `said`: what a far side said, made fit to be shown; `trouble`: what keeps a connection from
//!   being made, in words.
//!
//! A sink tries once and tells the truth: [`herald_model::outcome`] has the five answers. When to
//! try again, how many at a time and what a person is told is decided elsewhere.

mod callback;
pub mod dingtalk;
mod email;
pub mod guard;
mod http;
mod said;
mod trouble;

use herald_model::SinkKind;

/// Every kind of sink, by name.
pub const ALL: &[SinkKind] = &[callback::KIND, dingtalk::KIND, email::KIND];

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod testing;

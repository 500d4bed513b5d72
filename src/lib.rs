//! Herald routes cloud operation events to the people and programs that must react to them.

pub mod clock;
pub mod config;
pub mod journal;

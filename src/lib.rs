//! Herald routes cloud operation events to the people and programs that must react to them.

pub mod clock;
pub mod journal;
pub mod dispatch;
pub mod intake;
pub mod render;
pub mod trigger;

//! Herald routes cloud operation events to the people and programs that must react to them.
//!
//! Read in the order of the flow: [`intake`] decodes, [`trigger`] and [`plan`] decide, [`journal`]
//! keeps, [`dispatch`] brings out, [`render`] words it; [`pipeline`] holds the order of the first
//! half, [`dispatch`] that of the second.

pub mod clock;
pub mod dispatch;
pub mod in_force;
pub mod intake;
pub mod journal;
pub mod pipeline;
pub mod plan;
pub mod render;
pub mod trigger;

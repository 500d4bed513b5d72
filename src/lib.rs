//! Herald routes cloud operation events to the people and programs that must react to them.
//!
//! Read in the order of the flow: [`intake`] decodes, [`trigger`] and [`plan`] decide, [`journal`]
//! keeps, [`dispatch`] brings out, [`render`] words it; [`pipeline`] holds the order of the first
//! half, [`dispatch`] that of the second. A [`probe`] goes out beside the flow. Around them stands the
//! frame: [`config`] reads what users wrote, [`in_force`] is what the stages work by, [`app`] runs
//! it, [`api`], [`console`] and [`cli`] are its faces. [`Router`] is all of it, for programs that
//! bring sinks of their own.

pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod demo;
pub mod dispatch;
pub mod in_force;
pub mod intake;
pub mod journal;
pub mod pipeline;
pub mod plan;
pub mod probe;
pub mod render;
pub mod router;
pub mod sources;
pub mod telemetry;
pub mod trigger;

/// The nouns, among them all that a sink of one's own needs.
pub use herald_model as model;
pub use router::Router;

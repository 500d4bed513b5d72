//! The console: what happened, as pages that work without script.

use axum::Router;

use crate::api::State;

/// The pages.
pub fn routes() -> Router<State> {
    Router::new()
}

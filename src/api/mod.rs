//! The HTTP face: the routes and what they owe the caller.
//!
//! - [`door`] listens and bounds what a connection may cost, `patience` how long it may be silent,
//!   `certificate` knows until when the door's certificate is good,
//! - `credential` takes the token out of a request, [`guard`] says who may ask for what,
//! - [`intake`] takes events and operation results; `content` reads what a request says of its
//!   body and `body` reads the body,
//! - [`session`] is being signed in to the console,
//! - [`look`] shows what is in the journal, [`explain`] says why,
//! - [`refused`] shows what was refused and sends it through again,
//! - [`hands`] replays and cancels, [`sinks`] pauses, resumes and tests; `wanted` is what their
//!   bodies have in common,
//! - [`problem`] is how every other error reads.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post};
use tower::Service as _;

use crate::dispatch::Tally;
use crate::in_force::Current;
use crate::journal::Journal;
use crate::pipeline::Pipeline;
use crate::telemetry::Metrics;

mod body;
mod certificate;
mod content;
mod credential;
pub mod door;
mod explain;
mod guard;
mod hands;
mod intake;
mod look;
mod operate;
mod patience;
mod problem;
mod refused;
pub(crate) mod session;
mod sinks;
mod view;
mod wanted;

pub use body::Room;
pub use certificate::{Certificate, ends};
pub use explain::verdicts;
pub use guard::{Access, Peer, SourceAccess};
pub(crate) use guard::{sign_in, signed_in};
pub use look::{PauseView, SinkView};
pub(crate) use look::{delivery_views, find_event, sink_views, stored_verdicts};
pub use session::Sessions;
pub use view::{AttemptView, DeliveryView, EventView, VerdictView};

/// What every route can reach. Shared whole, since each request takes it several times.
pub type State = Arc<Reach>;

/// The parts of it.
pub struct Reach {
    /// The flow.
    pub pipeline: Pipeline,
    /// For looking.
    pub journal: Arc<dyn Journal>,
    /// The configuration in force.
    pub current: Current,
    /// Who may ask for what.
    pub access: Arc<arc_swap::ArcSwap<Access>>,
    /// Who is signed in to the console.
    pub sessions: Arc<Sessions>,
    /// What all bodies together may take.
    pub room: Room,
    /// Where open connections stand.
    pub places: door::Places,
    /// What is shown in a handshake; `None` where there is no TLS.
    pub certificate: Option<Arc<arc_swap::ArcSwap<Certificate>>>,
    /// Asks the running process for a reload and answers its report.
    pub reload: Reload,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// How attempts ended.
    pub attempts: Arc<Tally>,
    /// Where the journal is.
    pub journal_file: std::path::PathBuf,
}

pub use operate::{Reload, Report};

/// Answers requests: first the guard, then the route.
pub struct Face {
    state: State,
    routes: Router,
}

impl Face {
    /// All routes behind the guard.
    pub fn new(state: State) -> Self {
        let routes = routes().with_state(Arc::clone(&state));
        Self { state, routes }
    }

    /// The answer to a request. What is turned away is counted, wherever it was.
    pub async fn answer(&self, request: Request) -> Response {
        let response = match guard::admit(&self.state, request).await {
            Ok(request) => {
                let Ok(response) = self.routes.clone().call(request).await;
                response
            }
            Err(response) => response,
        };
        if let Some(reason) = response.extensions().get() {
            self.state.metrics.turned_away(*reason);
        }
        response
    }
}

fn routes() -> Router<State> {
    Router::new()
        .route("/v1/events", post(intake::events).get(look::events))
        .route("/v1/events/{id}", get(look::event))
        .route(
            "/v1/sources/{name}/events",
            post(intake::source_events)
                .get(intake::source_events)
                .options(intake::consent),
        )
        .route(
            "/v1/operations",
            post(intake::operations).get(look::operations),
        )
        .route("/v1/deliveries", get(look::deliveries))
        .route("/v1/deliveries/{id}", get(look::delivery))
        .route("/v1/explain", post(explain::explain))
        .route("/v1/sinks", get(look::sinks))
        .route("/v1/status", get(look::status))
        .route("/v1/reload", post(operate::reload))
        .route("/v1/replay", post(hands::replay))
        .route("/v1/cancel", post(hands::cancel))
        .route("/v1/refused", get(refused::list))
        .route("/v1/refused/again", post(refused::again))
        .route("/v1/refused/{id}", get(refused::one))
        .route("/v1/deliveries/{id}/replay", post(hands::replay_one))
        .route("/v1/sinks/{name}/test", post(sinks::test))
        .route("/v1/sinks/{name}/pause", post(sinks::pause))
        .route("/v1/sinks/{name}/resume", post(sinks::resume))
        .route("/openapi.json", get(operate::openapi))
        .route("/healthz", get(operate::healthz))
        .route("/readyz", get(operate::readyz))
        .route("/metrics", get(operate::metrics))
        .merge(crate::console::routes())
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
}

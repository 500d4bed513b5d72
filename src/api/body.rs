//! Reading a body within its bounds: bytes after inflation, of this one, of its sender's and of all,
//! and time. `taking` keeps what comes, `room` knows what all take.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::content::Coding;
use super::guard::Access;
use super::intake::failed;
use super::problem::{Problem, noted};
use crate::telemetry::TurnedAway;

mod room;
mod taking;
#[cfg(test)]
mod tests;

pub use room::Room;
pub(super) use room::Share;
use room::Taken;
use taking::Taking;

/// Bytes of a refused body that are read and thrown away before the answer: many clients only look
/// for one when they have sent everything. Chosen.
const THROWN_AWAY_MAX: u64 = 64 << 20;

/// What a body may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// `server.body_max`: bytes, after inflation.
    pub max: u64,
    /// `server.body_timeout`: until the last byte is there.
    pub patience: Duration,
}

impl Bounds {
    /// Those in force.
    pub(super) fn of(access: &Access) -> Self {
        Self {
            max: access.body_max,
            patience: access.body_timeout,
        }
    }
}

/// A whole body, and the room that it takes until this is dropped.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) bytes: Bytes,
    _room: Option<Taken>,
}

/// A body that was not taken. The answer closes the connection, since bytes of the body may still be
/// on their way.
#[derive(Debug)]
pub(super) struct NotTaken {
    status: StatusCode,
    why: String,
    reason: TurnedAway,
}

impl NotTaken {
    /// Why, where the body was too long.
    pub(super) fn is_too_long(&self) -> Option<&str> {
        (self.reason == TurnedAway::BodyTooLong).then_some(&*self.why)
    }

    /// The answer where items are answered.
    pub(super) fn into_results(self) -> Response {
        noted(closing(failed(self.status, self.why)), self.reason)
    }
}

impl IntoResponse for NotTaken {
    fn into_response(self) -> Response {
        let problem = Problem::new(self.status, self.why).because(self.reason);
        closing(problem.into_response())
    }
}

fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    TooLong,
    NoRoom,
    NoShare,
    Late,
    Cut,
    NotGzip,
}

/// Reads a body to its end. What is too long is cut as soon as that is known: a body that inflates
/// beyond the bound is not inflated further, and one that announces far too much is not read.
///
/// # Errors
/// The answer to give.
pub(super) async fn read(
    body: Body,
    headers: &HeaderMap,
    coding: Coding,
    bounds: Bounds,
    share: Share,
) -> Result<Read, NotTaken> {
    let announced = announced(headers);
    let (share_max, room_max) = (share.max, share.room_max);
    let mut taking = Taking::new(coding, bounds.max, announced, share);
    let read = async {
        if announced.is_some_and(|length| length > THROWN_AWAY_MAX.max(bounds.max)) {
            taking.failure = Some(Failure::TooLong);
        } else {
            taking.all(body.into_data_stream()).await;
        }
    };
    if tokio::time::timeout(bounds.patience, read).await.is_err() {
        taking.failure.get_or_insert(Failure::Late);
    }
    taking
        .end()
        .map_err(|why| not_taken(why, coding, bounds.max, share_max, room_max))
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

fn not_taken(
    why: Failure,
    coding: Coding,
    max: u64,
    share_max: usize,
    room_max: usize,
) -> NotTaken {
    let (reason, status, why) = match (why, coding) {
        (Failure::TooLong, Coding::Plain) => (
            TurnedAway::BodyTooLong,
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is longer than `server.body_max`, {max} bytes; send less at once"),
        ),
        (Failure::TooLong, Coding::Gzip) => (
            TurnedAway::BodyTooLong,
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body inflates beyond `server.body_max`, {max} bytes; send less at once"),
        ),
        (Failure::NoRoom, _) => (
            TurnedAway::NoRoom,
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "the bodies on their way take all of `server.bodies_max`, {room_max} bytes; try \
                 again"
            ),
        ),
        (Failure::NoShare, _) => (
            TurnedAway::NoShare,
            StatusCode::TOO_MANY_REQUESTS,
            format!(
                "this sender's bodies on their way take its share, {share_max} of the {room_max} \
                 bytes of `server.bodies_max`; try again"
            ),
        ),
        (Failure::Late, _) => (
            TurnedAway::BodyLate,
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive within `server.body_timeout`".to_owned(),
        ),
        (Failure::Cut, _) => (
            TurnedAway::BodyCut,
            StatusCode::BAD_REQUEST,
            "the body ended before its announced end".to_owned(),
        ),
        (Failure::NotGzip, _) => (
            TurnedAway::BodyUnpacked,
            StatusCode::BAD_REQUEST,
            "the body is not whole gzip, as `Content-Encoding` says it is".to_owned(),
        ),
    };
    NotTaken {
        status,
        why,
        reason,
    }
}

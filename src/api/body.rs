//! Reading a body within its bounds: bytes after inflation, of this one and of all, and time.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::content::Coding;
use super::guard::Access;
use super::intake::failed;
use super::problem::{Problem, noted};
use crate::telemetry::TurnedAway;

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

/// `server.bodies_max`: what all bodies together may take, from their first byte to their answer.
#[derive(Debug, Clone)]
pub struct Room {
    bytes: Arc<Semaphore>,
    max: usize,
}

impl Room {
    /// Room for so many bytes.
    pub fn new(bytes: u64) -> Self {
        let max = usize::try_from(bytes).unwrap_or(usize::MAX);
        let max = max.min(Semaphore::MAX_PERMITS);
        Self {
            bytes: Arc::new(Semaphore::new(max)),
            max,
        }
    }

    /// Bytes that bodies take now.
    pub fn taken(&self) -> usize {
        self.max - self.bytes.available_permits()
    }

    /// Bytes that they may take.
    pub const fn max(&self) -> usize {
        self.max
    }

    /// Room for some more bytes; `None` where there is none. Nobody waits: what had to wait would
    /// be memory, too.
    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.bytes).try_acquire_many_owned(bytes).ok()
    }
}

/// A whole body, and the room that it takes until this is dropped.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
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
    room: &Room,
) -> Result<Read, NotTaken> {
    let announced = announced(headers);
    let mut taking = Taking::new(coding, bounds.max, announced, room);
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
        .map_err(|why| not_taken(why, coding, bounds.max, room.max))
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

fn not_taken(why: Failure, coding: Coding, max: u64, room_max: usize) -> NotTaken {
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

/// A body on its way in.
struct Taking {
    into: Into,
    failure: Option<Failure>,
}

enum Into {
    Plain(Kept),
    Gzip(Box<MultiGzDecoder<Kept>>),
}

impl Taking {
    fn new(coding: Coding, max: u64, announced: Option<u64>, room: &Room) -> Self {
        let mut kept = Kept {
            bytes: Vec::new(),
            max: usize::try_from(max).unwrap_or(usize::MAX),
            room: room.clone(),
            taken: None,
            refused: None,
        };
        let into = match coding {
            Coding::Plain => {
                // Room for what is announced, and no more than may be kept; it costs nothing
                // until bytes arrive.
                let room = announced.unwrap_or(0).min(max);
                kept.bytes.reserve(usize::try_from(room).unwrap_or(0));
                Into::Plain(kept)
            }
            Coding::Gzip => Into::Gzip(Box::new(MultiGzDecoder::new(kept))),
        };
        Self {
            into,
            failure: None,
        }
    }

    async fn all(&mut self, mut chunks: impl Stream<Item = Result<Bytes, axum::Error>> + Unpin) {
        let mut seen = 0;
        while let Some(chunk) = chunks.next().await {
            let Ok(chunk) = chunk else {
                self.failure.get_or_insert(Failure::Cut);
                return;
            };
            seen += chunk.len() as u64;
            if self.failure.is_none() {
                self.failure = self.take(&chunk).err();
                if self.failure.is_some() {
                    self.let_go();
                }
            } else if seen > THROWN_AWAY_MAX {
                return;
            }
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        let written = match &mut self.into {
            Into::Plain(kept) => kept.write_all(chunk),
            Into::Gzip(decoder) => decoder.write_all(chunk),
        };
        written.map_err(|_| self.why())
    }

    /// What an error while writing means.
    fn why(&self) -> Failure {
        let kept = match &self.into {
            Into::Plain(kept) => kept,
            Into::Gzip(decoder) => decoder.get_ref(),
        };
        kept.refused.unwrap_or(Failure::NotGzip)
    }

    /// Frees what was kept of a body that is refused, while the rest of it is thrown away.
    fn let_go(&mut self) {
        let kept = self.kept();
        kept.bytes = Vec::new();
        kept.taken = None;
    }

    fn kept(&mut self) -> &mut Kept {
        match &mut self.into {
            Into::Plain(kept) => kept,
            Into::Gzip(decoder) => decoder.get_mut(),
        }
    }

    fn end(mut self) -> Result<Read, Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let ended = match &mut self.into {
            Into::Plain(_) => Ok(()),
            Into::Gzip(decoder) => decoder.try_finish(),
        };
        ended.map_err(|_| self.why())?;
        let kept = self.kept();
        Ok(Read {
            bytes: std::mem::take(&mut kept.bytes).into(),
            _room: kept.taken.take(),
        })
    }
}

/// Keeps what is written up to `max` bytes, and while there is room; what would pass that is an
/// error, so that whoever inflates stops there.
struct Kept {
    bytes: Vec<u8>,
    max: usize,
    room: Room,
    taken: Option<OwnedSemaphorePermit>,
    refused: Option<Failure>,
}

impl Kept {
    fn refuse(&mut self, why: Failure) -> io::Error {
        self.refused = Some(why);
        io::Error::other("more than may be kept")
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.max - self.bytes.len() {
            return Err(self.refuse(Failure::TooLong));
        }
        let Some(more) = self.room.take(bytes.len()) else {
            return Err(self.refuse(Failure::NoRoom));
        };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn taken(coding: Coding, max: u64, chunks: &[&[u8]]) -> Result<Vec<u8>, (u16, String)> {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok::<_, io::Error>(chunk.to_vec()))
            .collect();
        let body = Body::from_stream(futures_util::stream::iter(chunks));
        let bounds = Bounds {
            max,
            patience: Duration::from_secs(10),
        };
        match read(body, &HeaderMap::new(), coding, bounds, &Room::new(1 << 20)).await {
            Ok(read) => Ok(read.bytes.to_vec()),
            Err(not_taken) => {
                let response = not_taken.into_results();
                let status = response.status().as_u16();
                let text = axum::body::to_bytes(response.into_body(), 10_000).await;
                Err((status, String::from_utf8(text.unwrap().to_vec()).unwrap()))
            }
        }
    }

    #[tokio::test]
    async fn what_is_within_its_bounds_is_taken_whole() {
        let plain = taken(Coding::Plain, 6, &[b"abc", b"def"]).await;
        assert_eq!(plain.unwrap(), b"abcdef");
        let packed = gzip(b"abcdef");
        let halves = packed.split_at(11);
        let inflated = taken(Coding::Gzip, 6, &[halves.0, halves.1]).await;
        assert_eq!(inflated.unwrap(), b"abcdef");
        let two = [gzip(b"abc"), gzip(b"def")].concat();
        assert_eq!(taken(Coding::Gzip, 6, &[&two]).await.unwrap(), b"abcdef");
    }

    #[tokio::test]
    async fn what_is_too_long_names_the_limit() {
        let (status, text) = taken(Coding::Plain, 5, &[b"abc", b"def"])
            .await
            .unwrap_err();
        assert_eq!(status, 413);
        assert!(text.contains("longer than `server.body_max`, 5 bytes"));
        let packed = gzip(b"abcdef");
        let (status, text) = taken(Coding::Gzip, 5, &[&packed]).await.unwrap_err();
        assert_eq!(status, 413);
        assert!(text.contains("inflates beyond `server.body_max`, 5 bytes"));
    }

    #[test]
    fn a_bomb_is_cut_where_it_passes_the_bound() {
        let bomb = gzip(&vec![0; 10 << 20]);
        let mut taking = Taking::new(Coding::Gzip, 1_000_000, None, &Room::new(1 << 20));
        assert_eq!(taking.take(&bomb), Err(Failure::TooLong));
        let Into::Gzip(decoder) = &taking.into else {
            panic!()
        };
        assert!(decoder.get_ref().bytes.capacity() <= 2_000_000);
    }

    #[tokio::test]
    async fn half_gzip_and_no_gzip_are_refused() {
        let packed = gzip(b"abcdef");
        let mut wrong_sum = packed.clone();
        let at = packed.len() - 6;
        wrong_sum[at] ^= 1;
        let trailing = [&packed[..], b"more"].concat();
        for body in [
            &packed[..12],
            &packed[..4],
            b"",
            b"{}",
            &wrong_sum,
            &trailing,
        ] {
            let (status, text) = taken(Coding::Gzip, 100, &[body]).await.unwrap_err();
            assert_eq!(status, 400, "{body:?}");
            assert!(text.contains("not whole gzip"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_body_that_stops_is_late_and_one_that_is_too_long_stays_too_long() {
        for (first, expected) in [(&b"abc"[..], 408), (b"abcdef", 413)] {
            let first = futures_util::stream::iter([Ok::<_, io::Error>(first)]);
            let body = Body::from_stream(first.chain(futures_util::stream::pending()));
            let bounds = Bounds {
                max: 5,
                patience: Duration::from_millis(20),
            };
            let room = Room::new(100);
            let answer = read(body, &HeaderMap::new(), Coding::Plain, bounds, &room).await;
            let answer = answer.unwrap_err().into_results();
            assert_eq!(answer.status().as_u16(), expected);
            assert_eq!(answer.headers()[header::CONNECTION], "close");
        }
    }

    #[tokio::test]
    async fn bodies_share_their_room_until_they_are_answered() {
        let room = Room::new(10);
        let bounds = Bounds {
            max: 10,
            patience: Duration::from_secs(10),
        };
        let headers = HeaderMap::new();
        let take = |body: Vec<u8>, coding| read(body.into(), &headers, coding, bounds, &room);
        let first = take(b"123456".to_vec(), Coding::Plain).await.unwrap();
        for (body, coding) in [
            (b"12345".to_vec(), Coding::Plain),
            (gzip(b"12345"), Coding::Gzip),
        ] {
            let refused = take(body, coding).await.unwrap_err();
            assert_eq!(refused.status, 503);
            assert!(refused.why.contains("`server.bodies_max`, 10 bytes"));
        }
        assert!(take(b"1234".to_vec(), Coding::Plain).await.is_ok());
        drop(first);
        assert!(take(b"1234567890".to_vec(), Coding::Plain).await.is_ok());
        assert_eq!(room.taken(), 0, "all of it is given back");
    }
}

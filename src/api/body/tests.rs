//! Bodies within their bounds and beyond them.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;

use super::taking::Into;
use super::*;

/// The share of a sender in a room of so many bytes of its own.
fn share(bytes: u64) -> Share {
    Room::new(bytes).share(&"sender".into(), bytes)
}

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
    match read(body, &HeaderMap::new(), coding, bounds, share(1 << 20)).await {
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
    let mut taking = Taking::new(Coding::Gzip, 1_000_000, None, share(1 << 20));
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
        let answer = read(body, &HeaderMap::new(), Coding::Plain, bounds, share(100)).await;
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
    let take = |sender: &str, body: Vec<u8>, coding| {
        let share = room.share(&sender.into(), 6);
        read(body.into(), &headers, coding, bounds, share)
    };
    let first = take("one", b"123456".to_vec(), Coding::Plain)
        .await
        .unwrap();
    let refused = take("one", b"1".to_vec(), Coding::Plain).await.unwrap_err();
    assert_eq!(
        (refused.status.as_u16(), refused.reason),
        (429, TurnedAway::NoShare)
    );
    assert!(
        refused
            .why
            .contains("6 of the 10 bytes of `server.bodies_max`")
    );
    for (body, coding) in [
        (b"12345".to_vec(), Coding::Plain),
        (gzip(b"12345"), Coding::Gzip),
    ] {
        let refused = take("other", body, coding).await.unwrap_err();
        assert_eq!(refused.status, 503);
        assert!(refused.why.contains("`server.bodies_max`, 10 bytes"));
    }
    assert!(take("other", b"1234".to_vec(), Coding::Plain).await.is_ok());
    drop(first);
    assert!(take("one", b"123456".to_vec(), Coding::Plain).await.is_ok());
    assert_eq!(room.taken(), 0, "all of it is given back");
}

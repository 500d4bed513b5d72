//! A body as it comes: inflated, counted, and cut where it passes a bound.

use std::io::{self, Write};

use axum::Error;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::{Stream, StreamExt};

use super::room::{Full, Share, Taken};
use super::{Failure, Read, THROWN_AWAY_MAX};
use crate::api::content::Coding;

/// A body on its way in.
pub(super) struct Taking {
    pub(super) into: Into,
    pub(super) failure: Option<Failure>,
}

pub(super) enum Into {
    Plain(Kept),
    Gzip(Box<MultiGzDecoder<Kept>>),
}

impl Taking {
    pub(super) fn new(coding: Coding, max: u64, announced: Option<u64>, share: Share) -> Self {
        let mut kept = Kept {
            bytes: Vec::new(),
            max: usize::try_from(max).unwrap_or(usize::MAX),
            share,
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

    pub(super) async fn all(
        &mut self,
        mut chunks: impl Stream<Item = Result<Bytes, Error>> + Unpin,
    ) {
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

    pub(super) fn take(&mut self, chunk: &[u8]) -> Result<(), Failure> {
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

    pub(super) fn end(mut self) -> Result<Read, Failure> {
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
pub(super) struct Kept {
    pub(super) bytes: Vec<u8>,
    max: usize,
    share: Share,
    taken: Option<Taken>,
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
        match (self.share.take(bytes.len()), &mut self.taken) {
            (Ok(more), Some(taken)) => taken.merge(more),
            (Ok(more), none) => *none = Some(more),
            (Err(Full::Room), _) => return Err(self.refuse(Failure::NoRoom)),
            (Err(Full::Share), _) => return Err(self.refuse(Failure::NoShare)),
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! What people do, handed to the writer and the readers.

use async_trait::async_trait;

use super::SqliteJournal;
use super::cancel::{Cancelling, Expiring};
use super::pause::{self, Pausing};
use super::replay::Replaying;
use crate::journal::hand::check_step;
use crate::journal::{
    Cancel, Cancelled, Error, Expire, Expired, Hand, HandVerb, Hands, Pause, Paused, Replay,
};

#[async_trait]
impl Hands for SqliteJournal {
    async fn replay(&self, replay: Replay) -> Result<u64, Error> {
        check_step(replay.deliveries.len())?;
        self.ask(Replaying { replay }, true).await
    }

    async fn cancel(&self, cancel: Cancel) -> Result<Cancelled, Error> {
        check_step(cancel.deliveries.len())?;
        self.ask(Cancelling { cancel }, true).await
    }

    async fn pause(&self, sink: &str, mut hand: Hand) -> Result<Paused, Error> {
        hand.verb = HandVerb::Pause;
        let sink = sink.to_owned();
        self.ask(Pausing { sink, hand }, true).await
    }

    async fn resume(&self, sink: &str, mut hand: Hand) -> Result<Paused, Error> {
        hand.verb = HandVerb::Resume;
        let sink = sink.to_owned();
        self.ask(Pausing { sink, hand }, true).await
    }

    async fn expire(&self, expire: Expire) -> Result<Expired, Error> {
        self.ask(Expiring { expire }, true).await
    }

    async fn hands(&self, limit: u32) -> Result<Vec<Hand>, Error> {
        self.reader
            .read(move |reader| pause::hands(reader, limit))
            .await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, Error> {
        self.reader.read(pause::pauses).await
    }
}

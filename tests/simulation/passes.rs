//! What passes through the seam as it is.

use async_trait::async_trait;
use herald::journal::{
    Cancel, Cancelled, DeliveryFilter, DeliveryRow, EndpointRow, Error, EventFilter, EventNo,
    EventRow, Expire, Expired, GenerationNo, GenerationRow, Hand, Hands, Look, OperationFilter,
    OperationRow, Page, Pause, Paused, Refusals, RefusedFilter, RefusedNo, RefusedRow, Replay,
    SinkRow, Totals,
};
use herald_model::{DeliveryId, EventId};

use crate::planted::Bug;
use crate::seam::Seam;

#[async_trait]
impl Look for Seam {
    async fn events(&self, filter: EventFilter) -> Result<Page<EventRow>, Error> {
        self.journal.events(filter).await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRow>, Error> {
        self.journal.event(id).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Page<DeliveryRow>, Error> {
        self.journal.deliveries(filter).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>, Error> {
        self.journal.delivery(id).await
    }

    async fn deliveries_of(&self, event: EventNo) -> Result<Vec<DeliveryRow>, Error> {
        self.journal.deliveries_of(event).await
    }

    async fn operations(&self, filter: OperationFilter) -> Result<Page<OperationRow>, Error> {
        self.journal.operations(filter).await
    }

    async fn bookmark(&self, source: &str) -> Result<Option<String>, Error> {
        self.journal.bookmark(source).await
    }

    async fn generation(&self, number: GenerationNo) -> Result<Option<GenerationRow>, Error> {
        self.journal.generation(number).await
    }

    async fn sinks(&self) -> Result<Vec<SinkRow>, Error> {
        self.journal.sinks().await
    }

    async fn endpoints(&self) -> Result<Vec<EndpointRow>, Error> {
        self.journal.endpoints().await
    }

    async fn totals(&self) -> Result<Totals, Error> {
        let mut totals = self.journal.totals().await?;
        if self.world.lock().has(Bug::RemovedUncounted) {
            totals.removed = 0;
        }
        Ok(totals)
    }
}

#[async_trait]
impl Hands for Seam {
    async fn replay(&self, replay: Replay) -> Result<u64, Error> {
        self.journal.replay(replay).await
    }

    async fn cancel(&self, cancel: Cancel) -> Result<Cancelled, Error> {
        self.journal.cancel(cancel).await
    }

    async fn pause(&self, sink: &str, hand: Hand) -> Result<Paused, Error> {
        self.journal.pause(sink, hand).await
    }

    async fn resume(&self, sink: &str, hand: Hand) -> Result<Paused, Error> {
        self.journal.resume(sink, hand).await
    }

    async fn expire(&self, expire: Expire) -> Result<Expired, Error> {
        self.journal.expire(expire).await
    }

    async fn hands(&self, limit: u32) -> Result<Vec<Hand>, Error> {
        self.journal.hands(limit).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, Error> {
        self.journal.pauses().await
    }
}

#[async_trait]
impl Refusals for Seam {
    async fn refused(&self, filter: RefusedFilter) -> Result<Page<RefusedRow>, Error> {
        self.journal.refused(filter).await
    }

    async fn refusal(&self, number: RefusedNo) -> Result<Option<RefusedRow>, Error> {
        self.journal.refusal(number).await
    }

    async fn forget(&self, numbers: Vec<RefusedNo>, hand: Option<Hand>) -> Result<u64, Error> {
        self.journal.forget(numbers, hand).await
    }
}

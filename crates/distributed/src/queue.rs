//! The delivery queue: one stream for what is ready and what is due, one for what stands behind gates.
//!
//! A ready delivery is leased by the one consumer that all workers share; due ones are the server's schedules, which it turns
//! into ready ones; gated ones are handed out by whoever owns the gate's partition. A lease is a message that is not
//! acknowledged yet, and what this process holds is in a table that goes by its own monotonic clock.

mod depth;
mod encode;
mod forward;
mod gates;
mod lease;
mod leases;
pub(crate) mod overdue;
mod push;
mod quarantine;
mod settle;
mod withdraw;

use async_trait::async_trait;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{Delivery, Settlement};
use fanfare_core::ids::{DeliveryId, WebhookId};
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::delivery_queue::{
    BringForward, GateDepth, GatePosition, GateShare, Lease, LeaseToken, Push, QueueDepth, ReadyDepth, Settling,
    Withdrawal,
};
use fanfare_core::ports::{DeliveryQueue, StoreResult};
use parking_lot::Mutex;

use crate::Distributed;
use leases::Leases;

/// The queue's part in memory.
#[derive(Default)]
pub(crate) struct Queue {
    /// Held for no await.
    leases: Mutex<Leases>,
    /// One request for deliveries at a time: whoever waits keeps it across the wait.
    puller: tokio::sync::Mutex<lease::Puller>,
    /// Where the stream of deliveries ended, to tell how long something has been ready.
    ends: Mutex<depth::Ends>,
    /// Whether the streams are over their bound, as it was seen last.
    high_water: Mutex<Option<push::HighWater>>,
}

impl Queue {
    /// Nothing is leased any more by this process.
    pub(crate) fn forget_leases(&self) {
        *self.leases.lock() = Leases::default();
    }
}

/// Where tests cut an act of several steps off.
#[cfg(test)]
fn cut(engine: &Distributed, point: &'static str) -> StoreResult<()> {
    engine.shared.faults.cut(point)
}

#[cfg(not(test))]
#[allow(clippy::unnecessary_wraps, reason = "tests cut here")]
fn cut(_: &Distributed, _: &'static str) -> StoreResult<()> {
    Ok(())
}

#[async_trait]
impl DeliveryQueue for Distributed {
    async fn push(&self, pushes: Vec<Push>, entries: Vec<JournalEntry>) -> StoreResult<usize> {
        push::push(self, pushes, &entries).await
    }

    async fn lease(&self, max: usize) -> StoreResult<Vec<Lease>> {
        lease::lease(self, max).await
    }

    async fn renew(&self, tokens: &[LeaseToken]) -> StoreResult<Vec<LeaseToken>> {
        leases::renew(self, tokens).await
    }

    async fn settle(&self, lease: &Lease, settlement: Settlement) -> StoreResult<Settling> {
        settle::settle(self, lease, settlement).await
    }

    async fn abandon(&self, lease: &Lease) -> StoreResult<()> {
        leases::abandon(self, lease).await
    }

    async fn drop_copy(&self, lease: &Lease) -> StoreResult<()> {
        settle::drop_copy(self, lease).await
    }

    async fn bring_forward(
        &self,
        webhook: WebhookId,
        delivery: DeliveryId,
        now: Timestamp,
    ) -> StoreResult<BringForward> {
        forward::bring_forward(self, webhook, delivery, now).await
    }

    async fn depth(&self) -> StoreResult<QueueDepth> {
        depth::depth(self).await
    }

    async fn ready(&self) -> StoreResult<ReadyDepth> {
        depth::ready(self).await
    }

    async fn own_gates(&self) -> StoreResult<Box<dyn GateShare>> {
        Ok(Box::new(gates::owner::Share::join(self)))
    }

    async fn gate_depth(&self, webhook: WebhookId) -> StoreResult<GateDepth> {
        gates::depth(self, webhook).await
    }

    async fn gate_read(
        &self,
        webhook: WebhookId,
        after: GatePosition,
        max: usize,
    ) -> StoreResult<Vec<(GatePosition, Delivery)>> {
        gates::read(self, webhook, after, max).await
    }

    async fn withdraw(&self, webhook: WebhookId, delivery: DeliveryId) -> StoreResult<Withdrawal> {
        withdraw::withdraw(self, webhook, delivery).await
    }

    async fn discard(&self, webhook: WebhookId) -> StoreResult<u64> {
        Ok(gates::discard(self, webhook).await? + quarantine::discard(self, webhook).await?)
    }
}

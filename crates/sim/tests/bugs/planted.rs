//! Ports with a bug each.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{Delivery, DeliveryHeader, End, Next, Settlement};
use fanfare_core::ids::{DeliveryId, Hop, WebhookId};
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::dedup::{Claim, Fence, Standing};
use fanfare_core::ports::delivery_queue::{
    BringForward, DeliveryQueue, GateDepth, GatePartition, GatePosition, GateShare, Lease, LeaseToken, Push,
    QueueDepth, Settling, Withdrawal,
};
use fanfare_core::ports::{Dedup, StoreResult};
use fanfare_runtime::Registry;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A copy is acknowledged, then its next place is published.
    RemovesFirst,
    /// A put-off keeps the hop, so that its message id has been seen before.
    KeepsTheHop,
    /// The gates' owner does not hear of, nor look behind, a gate that is down.
    LooksOnlyBehindGatesThatAreUp,
    /// A worker takes its leases to last.
    TrustsItsLeases,
}

/// The queue, with its bug.
pub struct Queue {
    pub inner: Arc<dyn DeliveryQueue>,
    pub registry: Arc<Registry>,
    pub bug: Bug,
}

impl Queue {
    fn granted(&self, mut leases: Vec<Lease>) -> Vec<Lease> {
        if self.bug == Bug::TrustsItsLeases {
            leases.iter_mut().for_each(|lease| lease.until = lease.until.after(Duration::from_secs(3600)));
        }
        leases
    }

    /// The copy that a move puts somewhere.
    fn moved(lease: &Lease, settlement: &Settlement, hop: Hop) -> Option<Push> {
        let Next::Move(place) = settlement.next else { return None };
        let held = &lease.delivery.header;
        let attempts = held.attempts + u32::from(settlement.attempt.is_some());
        let header = DeliveryHeader { hop, attempts, ..held.clone() };
        let delivery = Delivery { header, body: lease.delivery.body.clone() };
        Some(Push { delivery, place, repeated: false })
    }
}

#[async_trait]
impl DeliveryQueue for Queue {
    async fn settle(&self, lease: &Lease, settlement: Settlement) -> StoreResult<Settling> {
        let held = lease.delivery.header.hop;
        let moved = match self.bug {
            Bug::RemovesFirst => Self::moved(lease, &settlement, held.next()),
            Bug::KeepsTheHop if settlement.attempt.is_none() => Self::moved(lease, &settlement, held),
            _ => None,
        };
        let Some(moved) = moved else { return self.inner.settle(lease, settlement).await };
        if self.bug == Bug::RemovesFirst {
            self.inner.drop_copy(lease).await?;
            self.inner.push(vec![moved], Vec::new()).await?;
        } else {
            self.inner.push(vec![moved], Vec::new()).await?;
            self.inner.drop_copy(lease).await?;
        }
        Ok(Settling::Applied)
    }

    async fn lease(&self, max: usize) -> StoreResult<Vec<Lease>> {
        Ok(self.granted(self.inner.lease(max).await?))
    }

    async fn own_gates(&self) -> StoreResult<Box<dyn GateShare>> {
        let share = self.inner.own_gates().await?;
        Ok(match self.bug {
            Bug::LooksOnlyBehindGatesThatAreUp => {
                Box::new(Share { inner: share, registry: Arc::clone(&self.registry) })
            }
            Bug::RemovesFirst | Bug::KeepsTheHop | Bug::TrustsItsLeases => share,
        })
    }

    async fn push(&self, pushes: Vec<Push>, entries: Vec<JournalEntry>) -> StoreResult<usize> {
        self.inner.push(pushes, entries).await
    }

    async fn renew(&self, tokens: &[LeaseToken]) -> StoreResult<Vec<LeaseToken>> {
        let lost = self.inner.renew(tokens).await?;
        Ok(if self.bug == Bug::TrustsItsLeases { Vec::new() } else { lost })
    }

    async fn abandon(&self, lease: &Lease) -> StoreResult<()> {
        self.inner.abandon(lease).await
    }

    async fn drop_copy(&self, lease: &Lease) -> StoreResult<()> {
        self.inner.drop_copy(lease).await
    }

    async fn bring_forward(&self, to: WebhookId, which: DeliveryId, now: Timestamp) -> StoreResult<BringForward> {
        self.inner.bring_forward(to, which, now).await
    }

    async fn withdraw(&self, webhook: WebhookId, delivery: DeliveryId) -> StoreResult<Withdrawal> {
        self.inner.withdraw(webhook, delivery).await
    }

    async fn depth(&self) -> StoreResult<QueueDepth> {
        self.inner.depth().await
    }

    async fn gate_depth(&self, webhook: WebhookId) -> StoreResult<GateDepth> {
        self.inner.gate_depth(webhook).await
    }

    async fn gate_read(
        &self,
        webhook: WebhookId,
        after: GatePosition,
        max: usize,
    ) -> StoreResult<Vec<(GatePosition, Delivery)>> {
        self.inner.gate_read(webhook, after, max).await
    }

    async fn discard(&self, webhook: WebhookId) -> StoreResult<u64> {
        self.inner.discard(webhook).await
    }
}

struct Share {
    inner: Box<dyn GateShare>,
    registry: Arc<Registry>,
}

#[async_trait]
impl GateShare for Share {
    async fn next(&mut self) -> StoreResult<Arc<dyn GatePartition>> {
        let inner = self.inner.next().await?;
        Ok(Arc::new(Partition { inner, registry: Arc::clone(&self.registry) }))
    }
}

struct Partition {
    inner: Arc<dyn GatePartition>,
    registry: Arc<Registry>,
}

#[async_trait]
impl GatePartition for Partition {
    async fn arrivals(&self) -> StoreResult<Vec<WebhookId>> {
        loop {
            let mut arrived = self.inner.arrivals().await?;
            arrived.retain(|webhook| self.registry.gate(*webhook).is_some());
            if !arrived.is_empty() {
                return Ok(arrived);
            }
        }
    }

    async fn take(&self, webhook: WebhookId, max: usize) -> StoreResult<Vec<Lease>> {
        if self.registry.gate(webhook).is_none() {
            return Ok(Vec::new());
        }
        self.inner.take(webhook, max).await
    }

    async fn take_expired(&self, now: Timestamp, held_before: Timestamp, max: usize) -> StoreResult<Vec<Lease>> {
        self.inner.take_expired(now, held_before, max).await
    }

    fn is_held(&self) -> bool {
        self.inner.is_held()
    }
}

/// Claims that are granted to everybody.
pub struct Claims(pub Arc<dyn Dedup>);

#[async_trait]
impl Dedup for Claims {
    async fn claim(&self, delivery: DeliveryId, hop: Hop, ttl: Duration, fence: Option<Fence>) -> StoreResult<Claim> {
        self.0.claim(delivery, hop, ttl, fence).await?;
        Ok(Claim::Claimed)
    }

    async fn release(&self, delivery: DeliveryId, hop: Hop) -> StoreResult<()> {
        self.0.release(delivery, hop).await
    }

    async fn complete(&self, delivery: DeliveryId, end: End, keep: Duration) -> StoreResult<()> {
        self.0.complete(delivery, end, keep).await
    }

    async fn standing(&self, deliveries: &[DeliveryId]) -> StoreResult<Vec<Standing>> {
        self.0.standing(deliveries).await
    }
}

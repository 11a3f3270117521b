//! Ports that misbehave: the engine's own, but for what a test changes about them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{Delivery, End, Settlement};
use fanfare_core::ids::{DeliveryId, Hop, WebhookId};
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::dedup::{Claim, Fence, Standing};
use fanfare_core::ports::delivery_queue::{
    BringForward, DeliveryQueue, GateDepth, GatePosition, GateShare, Lease, LeaseToken, Push, QueueDepth, Settling,
    Withdrawal,
};
use fanfare_core::ports::{Dedup, StoreError, StoreErrorKind, StoreResult};
use fanfare_embedded::Embedded;
use tokio::sync::Semaphore;

use super::rig::Rig;

/// The engine's queue, watched, and frozen if the test wants it so.
pub struct Doctored {
    engine: Embedded,
    /// As a frozen process sees it: it leases once, and renews nothing.
    frozen: bool,
    leased: AtomicBool,
    /// How often leases have been renewed.
    pub renewals: AtomicUsize,
    /// How many copies have been dropped.
    pub drops: AtomicUsize,
    /// How many leases have been given back.
    pub given_back: AtomicUsize,
    /// How many settlements have been asked for.
    pub settlements: AtomicUsize,
    settled: AtomicUsize,
    /// The most of them at once.
    pub most_settling: AtomicUsize,
    /// How many of them the store may take.
    pub settling: Semaphore,
}

impl Doctored {
    pub fn new(rig: &Rig, frozen: bool) -> Arc<Self> {
        let (leased, renewals, drops) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        let given_back = AtomicUsize::new(0);
        let (settlements, settling) = (AtomicUsize::new(0), Semaphore::new(Semaphore::MAX_PERMITS));
        let engine = rig.engine.clone();
        let (settled, most_settling) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self {
            engine,
            frozen,
            leased,
            renewals,
            drops,
            given_back,
            settlements,
            settled,
            most_settling,
            settling,
        })
    }

    /// One that takes no settlement before it is told how many.
    pub fn slow(rig: &Rig) -> Arc<Self> {
        let slow = Self::new(rig, false);
        slow.settling.forget_permits(Semaphore::MAX_PERMITS);
        slow
    }
}

#[async_trait]
impl DeliveryQueue for Doctored {
    async fn lease(&self, max: usize) -> StoreResult<Vec<Lease>> {
        if self.frozen && self.leased.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let leases = self.engine.lease(max).await?;
        self.leased.store(true, Ordering::SeqCst);
        Ok(leases)
    }

    async fn renew(&self, tokens: &[LeaseToken]) -> StoreResult<Vec<LeaseToken>> {
        if self.frozen {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "renew leases", "frozen"));
        }
        let lost = self.engine.renew(tokens).await?;
        self.renewals.fetch_add(1, Ordering::SeqCst);
        Ok(lost)
    }

    async fn push(&self, pushes: Vec<Push>, entries: Vec<JournalEntry>) -> StoreResult<usize> {
        self.engine.push(pushes, entries).await
    }

    async fn settle(&self, lease: &Lease, settlement: Settlement) -> StoreResult<Settling> {
        let asked = self.settlements.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_settling.fetch_max(asked - self.settled.load(Ordering::SeqCst), Ordering::SeqCst);
        self.settling.acquire().await.unwrap().forget();
        self.settled.fetch_add(1, Ordering::SeqCst);
        self.engine.settle(lease, settlement).await
    }

    async fn abandon(&self, lease: &Lease) -> StoreResult<()> {
        self.engine.abandon(lease).await?;
        self.given_back.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn drop_copy(&self, lease: &Lease) -> StoreResult<()> {
        self.drops.fetch_add(1, Ordering::SeqCst);
        self.engine.drop_copy(lease).await
    }

    async fn bring_forward(
        &self,
        webhook: WebhookId,
        delivery: DeliveryId,
        now: Timestamp,
    ) -> StoreResult<BringForward> {
        self.engine.bring_forward(webhook, delivery, now).await
    }

    async fn depth(&self) -> StoreResult<QueueDepth> {
        self.engine.depth().await
    }

    async fn own_gates(&self) -> StoreResult<Box<dyn GateShare>> {
        self.engine.own_gates().await
    }

    async fn gate_depth(&self, webhook: WebhookId) -> StoreResult<GateDepth> {
        self.engine.gate_depth(webhook).await
    }

    async fn gate_read(
        &self,
        webhook: WebhookId,
        after: GatePosition,
        max: usize,
    ) -> StoreResult<Vec<(GatePosition, Delivery)>> {
        self.engine.gate_read(webhook, after, max).await
    }

    async fn withdraw(&self, webhook: WebhookId, delivery: DeliveryId) -> StoreResult<Withdrawal> {
        self.engine.withdraw(webhook, delivery).await
    }

    async fn discard(&self, webhook: WebhookId) -> StoreResult<u64> {
        self.engine.discard(webhook).await
    }
}

type Answer = dyn Fn(DeliveryId) -> Option<StoreResult<Claim>> + Send + Sync;

/// The engine's claims, but for those that the test answers.
pub struct Claims {
    engine: Embedded,
    answer: Box<Answer>,
}

impl Claims {
    pub fn new(
        rig: &Rig,
        answer: impl Fn(DeliveryId) -> Option<StoreResult<Claim>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { engine: rig.engine.clone(), answer: Box::new(answer) })
    }
}

/// What a store of claims says that is away.
pub fn away() -> StoreResult<Claim> {
    Err(StoreError::new(StoreErrorKind::Unavailable, "claim a delivery", "away"))
}

#[async_trait]
impl Dedup for Claims {
    async fn claim(&self, delivery: DeliveryId, hop: Hop, ttl: Duration, fence: Option<Fence>) -> StoreResult<Claim> {
        match (self.answer)(delivery) {
            Some(answer) => answer,
            None => self.engine.claim(delivery, hop, ttl, fence).await,
        }
    }

    async fn release(&self, delivery: DeliveryId, hop: Hop) -> StoreResult<()> {
        self.engine.release(delivery, hop).await
    }

    async fn complete(&self, delivery: DeliveryId, end: End, keep: Duration) -> StoreResult<()> {
        self.engine.complete(delivery, end, keep).await
    }

    async fn standing(&self, deliveries: &[DeliveryId]) -> StoreResult<Vec<Standing>> {
        self.engine.standing(deliveries).await
    }
}

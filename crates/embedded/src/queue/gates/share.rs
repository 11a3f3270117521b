//! Owning the gates: waiting for arrivals, taking from the head.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::{DeliveryId, WebhookId};
use fanfare_core::ports::dedup::Fence;
use fanfare_core::ports::delivery_queue::{GatePartition, GateShare, Lease};
use fanfare_core::ports::{StoreError, StoreResult};
use tokio::sync::OwnedSemaphorePermit;

use super::super::quarantine::Gone;
use super::expired;
use super::pick::Picked;
use crate::codec::{Standing, webhook_column};
use crate::error::closed;
use crate::writer::{Failed, Tx};
use crate::{Embedded, Shared};

const WAITING: &str = "wait for arrivals behind gates";
const TAKING: &str = "take from behind a gate";

/// Takes part in owning gates; owns the partition once nobody else does.
pub(in crate::queue) struct Share {
    engine: Embedded,
    permit: Option<OwnedSemaphorePermit>,
    /// Whether the share has been dropped, and the partition with it.
    lost: Arc<AtomicBool>,
}

impl Share {
    pub(in crate::queue) fn new(engine: Embedded) -> Self {
        Self { engine, permit: None, lost: Arc::default() }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // First the partition is lost, then the next owner may get it.
        self.lost.store(true, Ordering::SeqCst);
        self.engine.shared.queue.arrived.notify_waiters();
    }
}

#[async_trait]
impl GateShare for Share {
    async fn next(&mut self) -> StoreResult<Arc<dyn GatePartition>> {
        const DOING: &str = "wait for a partition of gates";
        if self.permit.is_some() {
            // There is no second partition to come.
            self.engine.writer.ended().await;
            return Err(closed(DOING));
        }
        let owner = Arc::clone(&self.engine.shared.queue.gate_owner);
        let permit = tokio::select! {
            permit = owner.acquire_owned() => permit.map_err(|_| closed(DOING))?,
            () = self.engine.writer.ended() => return Err(closed(DOING)),
        };
        self.permit = Some(permit);
        // Whoever owned them before has given them back: no owner of this process outlives another, or dies before it.
        let token = self.engine.shared.queue.gate_owners.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Gates {
            engine: self.engine.clone(),
            fence: Fence(token),
            lost: Arc::clone(&self.lost),
            told_of_all: AtomicBool::new(false),
        }))
    }
}

/// All gates, owned by whoever holds the share.
struct Gates {
    engine: Embedded,
    fence: Fence,
    lost: Arc<AtomicBool>,
    /// Whether the owner has been told of everything that stood behind gates when it came.
    told_of_all: AtomicBool,
}

impl Gates {
    fn is_owned(&self, doing: &'static str) -> StoreResult<()> {
        if self.lost.load(Ordering::SeqCst) {
            return Err(StoreError::lost(doing));
        }
        if self.engine.writer.has_ended() { Err(closed(doing)) } else { Ok(()) }
    }
}

#[async_trait]
impl GatePartition for Gates {
    async fn arrivals(&self) -> StoreResult<Vec<WebhookId>> {
        let shared = &self.engine.shared;
        loop {
            let mut arrived = std::pin::pin!(shared.queue.arrived.notified());
            arrived.as_mut().enable();
            self.is_owned(WAITING)?;
            let standing: HashSet<WebhookId> = if self.told_of_all.load(Ordering::SeqCst) {
                HashSet::new()
            } else {
                self.engine.readers.read(WAITING, super::webhooks).await?.into_iter().collect()
            };
            // From here to the return nothing is awaited: what is taken is told.
            let now = shared.clock.monotonic();
            let (mut webhooks, next_end) = shared.queue.change(|state| {
                state.expire(now);
                (state.take_arrivals(), state.leases.next_end())
            });
            self.told_of_all.store(true, Ordering::SeqCst);
            webhooks.extend(standing);
            if !webhooks.is_empty() {
                return Ok(webhooks.into_iter().collect());
            }
            // A lease that runs out brings back what it held, and nobody else may be looking.
            let lease_ends = async {
                match next_end {
                    Some(end) => shared.clock.sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = arrived => {}
                () = lease_ends => {}
                () = self.engine.writer.ended() => {}
            }
        }
    }

    fn is_held(&self) -> bool {
        self.is_owned(TAKING).is_ok()
    }

    async fn take(&self, webhook: WebhookId, max: usize) -> StoreResult<Vec<Lease>> {
        self.is_owned(TAKING)?;
        let (before, after) = (Arc::clone(&self.engine.shared), Arc::clone(&self.engine.shared));
        let (lost, fence) = (Arc::clone(&self.lost), self.fence);
        self.engine
            .writer
            .write(
                TAKING,
                0,
                move |tx| {
                    // Another may own the gates by the time the writer comes to this.
                    if lost.load(Ordering::SeqCst) {
                        return Err(StoreError::lost(TAKING).into());
                    }
                    head(tx, &before, webhook, max)
                },
                move |picked| grant(&after, picked, fence),
            )
            .await
    }

    async fn take_expired(&self, now: Timestamp, held_before: Timestamp, max: usize) -> StoreResult<Vec<Lease>> {
        const DOING: &str = "take what has expired behind gates";
        self.is_owned(DOING)?;
        let (before, after) = (Arc::clone(&self.engine.shared), Arc::clone(&self.engine.shared));
        let (lost, fence) = (Arc::clone(&self.lost), self.fence);
        // By a reader first: most of the time there is nothing, and the writer need not know that anybody asked.
        let shared = Arc::clone(&self.engine.shared);
        let monotonic = shared.clock.monotonic();
        shared.queue.change(|state| state.expire(monotonic));
        let found = self.engine.readers.read(DOING, move |file| expired::find(file, &shared, now, held_before, max));
        let found = found.await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        self.engine
            .writer
            .write(
                DOING,
                0,
                move |tx| {
                    if lost.load(Ordering::SeqCst) {
                        return Err(StoreError::lost(DOING).into());
                    }
                    expired::pick(tx, &before, &found, now, held_before, max)
                },
                move |picked| grant(&after, picked, fence),
            )
            .await
    }
}

/// After the commit: leases what was picked.
fn grant(shared: &Shared, (rows, gone): (Vec<Standing>, Gone), fence: Fence) -> Vec<Lease> {
    gone.take_effect(shared);
    let until = shared.clock.monotonic().after(shared.config.lease.get());
    shared.queue.change(|state| rows.into_iter().map(|row| state.grant(row, until, Some(fence))).collect())
}

/// The first rows behind the gate that are not leased; those that may not be leased go into quarantine. An operation of the
/// writer, although it seldom writes: between reading a row and leasing it nobody can have settled it.
fn head(tx: &mut Tx<'_>, shared: &Shared, webhook: WebhookId, max: usize) -> Result<(Vec<Standing>, Gone), Failed> {
    let mut picked = Picked::new(TAKING, shared, max);
    let mut order = tx
        .connection
        .prepare_cached("SELECT seq, id FROM deliveries WHERE webhook = ?1 AND gate IS NOT NULL ORDER BY gate")?;
    let mut rows = order.query([webhook_column(&webhook)])?;
    while picked.has_room() {
        let Some(row) = rows.next()? else { break };
        picked.look_at(tx.connection, row.get(0)?, row.get(1).ok().map(DeliveryId::from_bytes))?;
    }
    drop(rows);
    drop(order);
    picked.settle_asides(tx)
}

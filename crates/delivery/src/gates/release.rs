//! Works off what stands behind one webhook's gate, from the head, through the webhook's lane; then lowers the gate.
//!
//! Deliveries are started in the order in which they stand, no more of them than the lane sends at once and as many again,
//! and at the gate's rate, if it has one. Lowering: nothing is left, the health record is changed by compare-and-set, and
//! then it is looked once more, since something may have arrived in between; what arrives later still is told by the
//! partition.
//!
//! Only so many gates are worked off at once, and one with a long backlog and a slow receiver may take hours. So each has
//! its turn, and goes to the end of the line after it.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::health::GateReason;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::delivery_queue::{GatePartition, Lease};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use fanfare_runtime::tasks::report;
use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pacing::Pacing;
use crate::context::Context;
use crate::health;

/// How long one gate's turn lasts, while others may be waiting for theirs. Long beside the moment for which the lane runs
/// empty at its end, short beside what the owner of a recovered webhook would call stuck.
pub(crate) const TURN: Duration = Duration::from_secs(5);

/// How long it is waited for what has been sent when a gate comes to hold everything. It may take longer, and is overtaken by
/// nothing.
const COMES_BACK: Duration = Duration::from_secs(5);

/// How long it is waited when all that may go have been leased and wait for their turn.
const PACED_PAUSE: Duration = Duration::from_millis(50);

/// How far a gate was worked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// Nothing stood behind it at the end.
    All,
    /// Something may.
    NotAll,
    /// Something may, and there is no use in looking before this time.
    NotBefore(Monotonic),
}

/// Works one gate off until nothing is behind it, its turn is over, or it holds everything.
pub(crate) async fn run(
    context: &Arc<Context>,
    partition: &Arc<dyn GatePartition>,
    webhook: WebhookId,
    pacing: Option<Arc<Pacing>>,
) -> (WebhookId, Released) {
    let hands = Hands::new(context.config.lane_limit);
    let released = match work_off(context, partition, webhook, pacing.as_ref(), &hands).await {
        Ok(released) => released,
        // There is nothing more for this owner to do: the partition's task says so, and ends.
        Err(error) if error.kind == StoreErrorKind::Lost => Released::All,
        Err(error) => {
            tracing::warn!(%webhook, error = %report(&error), "could not work a gate off; trying again");
            hands.come_back(context, partition, webhook).await;
            context.clock.sleep(Duration::from_secs(1)).await;
            Released::NotAll
        }
    };
    (webhook, released)
}

async fn work_off(
    context: &Arc<Context>,
    partition: &Arc<dyn GatePartition>,
    webhook: WebhookId,
    pacing: Option<&Arc<Pacing>>,
    hands: &Hands,
) -> StoreResult<Released> {
    let turn_ends = context.clock.monotonic().after(TURN);
    loop {
        if matches!(context.registry.gate(webhook), Some(GateReason::Paused | GateReason::BreakerOpen)) {
            hands.come_back(context, partition, webhook).await;
            return Ok(Released::NotAll);
        }
        let now = context.clock.monotonic();
        if now >= turn_ends {
            // First what is in hand comes back: the next turn begins with as many hands again.
            drop(hands.all().await?);
            return Ok(Released::NotAll);
        }
        // As many again as the lane sends at once wait in it while those are sent and settled.
        let width = context.lanes.lock().limit(webhook) * 2;
        let mut room = hands.some(width).await?;
        if let Some(pacing) = pacing {
            let now = context.clock.monotonic();
            let paced = pacing.room(now);
            if paced == 0 {
                drop(room);
                if let Some(turn) = pacing.far_ahead(now) {
                    drop(hands.all().await?);
                    return Ok(Released::NotBefore(turn));
                }
                context.clock.sleep(PACED_PAUSE).await;
                continue;
            }
            let beyond = room.num_permits().saturating_sub(usize::try_from(paced).unwrap_or(usize::MAX));
            drop(room.split(beyond));
        }
        let leases = partition.take(webhook, room.num_permits()).await?;
        if !leases.is_empty() {
            hands.admit(context, partition, leases, room, pacing);
            continue;
        }
        drop(room);
        // What is in hand may still be coming back.
        let room = hands.all().await?;
        let leases = partition.take(webhook, 1).await?;
        if !leases.is_empty() {
            hands.admit(context, partition, leases, room, pacing);
            continue;
        }
        if context.queue.gate_depth(webhook).await?.count > 0 {
            let leases = partition.take(webhook, 1).await?;
            if leases.is_empty() {
                // Leases of an earlier owner, or of this one from before it was frozen: they run out.
                context.clock.sleep(Duration::from_secs(1)).await;
            } else {
                // It has come just now.
                hands.admit(context, partition, leases, room, pacing);
            }
            continue;
        }
        if !health::lower(context, webhook).await? {
            // It holds everything by now, and this process has yet to hear of it: asked again at once, the store would say the
            // same.
            return Ok(Released::NotBefore(context.clock.monotonic().after(Duration::from_secs(1))));
        }
        let leases = partition.take(webhook, 1).await?;
        if leases.is_empty() {
            return Ok(Released::All);
        }
        hands.admit(context, partition, leases, room, pacing);
    }
}

/// What bounds the number of leases in hand.
struct Hands {
    free: Arc<Semaphore>,
    /// As many, of which those that have not been sent are in use.
    sent: Arc<Semaphore>,
    all: u32,
}

impl Hands {
    /// Twice the most that a lane sends at once.
    fn new(lane_limit: usize) -> Self {
        let all = lane_limit.clamp(1, 1 << 20) * 2;
        let semaphore = || Arc::new(Semaphore::new(all));
        Self { free: semaphore(), sent: semaphore(), all: u32::try_from(all).unwrap_or(u32::MAX) }
    }

    /// Waits until all are free.
    async fn all(&self) -> StoreResult<OwnedSemaphorePermit> {
        acquire(&self.free, self.all).await
    }

    /// Nothing is taken from behind the gate, or probed, before what is in hand is back in its place or has been sent: it would be
    /// overtaken.
    async fn come_back(&self, context: &Arc<Context>, partition: &Arc<dyn GatePartition>, webhook: WebhookId) {
        // Not what was taken since by a later turn, when the partition had been lost and come again.
        let waiting = context.lanes.lock().take_waiting(webhook, |work| work.hold.is_from(partition));
        join_all(waiting.into_iter().map(|work| context.give_back(work))).await;
        // What has left the lane and has not been sent is sent, or finds out and comes back, once its claim is answered.
        drop(acquire(&self.sent, self.all).await);
        tokio::select! {
            biased;
            all = self.all() => drop(all),
            () = context.clock.sleep(COMES_BACK) => {}
        }
    }

    /// Waits until fewer than `most` are in use, and takes those that may be.
    async fn some(&self, most: usize) -> StoreResult<OwnedSemaphorePermit> {
        let unused = self.all.saturating_sub(u32::try_from(most.max(1)).unwrap_or(u32::MAX));
        // Those that are not to be used are taken too, for a moment: then one of the rest is free.
        let mut room = acquire(&self.free, unused + 1).await?;
        let more = u32::try_from(self.free.available_permits()).unwrap_or(0);
        if let Ok(more) = Arc::clone(&self.free).try_acquire_many_owned(more) {
            room.merge(more);
        }
        drop(room.split(usize::try_from(unused).unwrap_or(0)));
        Ok(room)
    }

    /// Hands leases to the lane, each with its place among those in use.
    fn admit(
        &self,
        context: &Arc<Context>,
        partition: &Arc<dyn GatePartition>,
        leases: Vec<Lease>,
        mut room: OwnedSemaphorePermit,
        pacing: Option<&Arc<Pacing>>,
    ) {
        for lease in leases {
            let Some(room) = room.split(1) else { break };
            let mut work = context.take_from_gate(lease, partition, room);
            work.turn = pacing.map(Pacing::turn);
            // There are as many as may be in use.
            work.unsent = Arc::clone(&self.sent).try_acquire_owned().ok();
            context.admit(work);
        }
    }
}

async fn acquire(semaphore: &Arc<Semaphore>, count: u32) -> StoreResult<OwnedSemaphorePermit> {
    // It is never closed.
    Arc::clone(semaphore).acquire_many_owned(count).await.map_err(|_| StoreError::lost("work a gate off"))
}

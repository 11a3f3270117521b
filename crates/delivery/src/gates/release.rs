//! Works off what stands behind one webhook's gate, from the head, through the webhook's lane; then lowers the gate.
//!
//! Deliveries are started in the order in which they stand. Lowering: nothing is left, the health record is changed by
//! compare-and-set, and then it is looked once more, since something may have arrived in between; what arrives later still
//! is told by the partition.
//!
//! Only so many gates are worked off at once, and one with a long backlog and a slow receiver may take hours. So each has
//! its turn, and goes to the end of the line after it.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::health::GateReason;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::delivery_queue::{GatePartition, Lease};
use fanfare_core::ports::{StoreError, StoreResult};
use fanfare_runtime::tasks::report;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::context::Context;
use crate::health;

/// How long one gate's turn lasts, while others may be waiting for theirs. Long beside the moment for which the lane runs
/// empty at its end, short beside what the owner of a recovered webhook would call stuck.
pub(crate) const TURN: Duration = Duration::from_secs(5);

/// How far a gate was worked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// Nothing stood behind it at the end.
    All,
    /// Something may.
    NotAll,
}

/// Works one gate off until nothing is behind it, its turn is over, or the webhook is paused.
pub(crate) async fn run(
    context: &Arc<Context>,
    partition: &Arc<dyn GatePartition>,
    webhook: WebhookId,
) -> (WebhookId, Released) {
    let released = match work_off(context, partition, webhook).await {
        Ok(released) => released,
        Err(error) => {
            tracing::warn!(%webhook, error = %report(&error), "could not work a gate off; trying again");
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
) -> StoreResult<Released> {
    // Twice what the lane sends at once: the next ones wait in the lane while these are sent and settled.
    let width = context.config.lane_limit.clamp(1, 1 << 20) * 2;
    let all = u32::try_from(width).unwrap_or(u32::MAX);
    let hands = Arc::new(Semaphore::new(width));
    let turn_ends = context.clock.monotonic().after(TURN);
    loop {
        if context.registry.gate(webhook) == Some(GateReason::Paused) {
            return Ok(Released::NotAll);
        }
        if context.clock.monotonic() >= turn_ends {
            // First what is in hand comes back: the next turn begins with as many hands again.
            drop(acquire(&hands, all).await?);
            return Ok(Released::NotAll);
        }
        let mut room = acquire(&hands, 1).await?;
        let more = u32::try_from(hands.available_permits()).unwrap_or(0);
        if let Ok(more) = Arc::clone(&hands).try_acquire_many_owned(more) {
            room.merge(more);
        }
        let leases = partition.take(webhook, room.num_permits()).await?;
        if !leases.is_empty() {
            admit(context, partition, leases, room);
            continue;
        }
        if room.num_permits() < width {
            // What is in hand may still be coming back.
            drop(room);
            drop(acquire(&hands, all).await?);
            continue;
        }
        if context.queue.gate_depth(webhook).await?.count > 0 {
            // Leases of an earlier owner, or of this one from before it was frozen: they run out.
            context.clock.sleep(Duration::from_secs(1)).await;
            continue;
        }
        if !health::lower(context, webhook).await? {
            return Ok(Released::NotAll);
        }
        let leases = partition.take(webhook, room.num_permits()).await?;
        if leases.is_empty() {
            return Ok(Released::All);
        }
        admit(context, partition, leases, room);
    }
}

fn admit(
    context: &Arc<Context>,
    partition: &Arc<dyn GatePartition>,
    leases: Vec<Lease>,
    mut room: OwnedSemaphorePermit,
) {
    for lease in leases {
        let Some(room) = room.split(1) else { break };
        context.admit(context.take_from_gate(lease, partition, room));
    }
}

async fn acquire(hands: &Arc<Semaphore>, count: u32) -> StoreResult<OwnedSemaphorePermit> {
    // It is never closed.
    Arc::clone(hands).acquire_many_owned(count).await.map_err(|_| StoreError::lost("work a gate off"))
}

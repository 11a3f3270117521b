//! Ends what has stood behind gates for too long: deliveries that expire by themselves (`expirytime`), and those that have
//! stood behind their gate for longer than `hold_max_age`, whatever the gate is up for.
//!
//! The owner of a partition looks at once when it gets it, and from then on at an interval. A round takes so many, and the
//! next begins at once where there may be more, so that a hundred thousand that end together neither fill the memory nor keep
//! others from the store. What a lane is just sending is leased, and passed over: it ends by what comes of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::delivery::{End, Next};
use fanfare_core::ports::delivery_queue::{GatePartition, Lease};
use fanfare_core::ports::{StoreErrorKind, StoreResult};
use fanfare_runtime::tasks::report;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::Semaphore;

use crate::claim::{self, WhenBusy};
use crate::context::{Context, Work};
use crate::pass;

/// How many are taken in one round.
const ROUND: usize = 256;
/// How many of them are settled at once: enough for the store to group them.
const AT_ONCE: usize = 64;

/// Sweeps a partition until shutdown, or until it goes to another process. A round that has begun is finished: what it has
/// claimed would else be kept from the next owner.
pub(super) async fn run(context: Arc<Context>, partition: Arc<dyn GatePartition>) -> Result<(), Infallible> {
    // Zero would be a loop without a pause.
    let interval = context.config.expiry_interval.get().max(Duration::from_millis(10));
    while !context.shutdown.is_cancelled() {
        match round(&context, &partition).await {
            Ok(taken) if taken == ROUND => continue,
            Ok(_) => {}
            // The task that listens to the partition says so.
            Err(error) if error.kind == StoreErrorKind::Lost => return Ok(()),
            Err(error) => {
                let error = report(&error);
                tracing::warn!(%error, "could not look for what has expired behind gates; trying again");
            }
        }
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => {}
            () = context.clock.sleep(interval) => {}
        }
    }
    Ok(())
}

/// One round; returns how many were taken.
async fn round(context: &Arc<Context>, partition: &Arc<dyn GatePartition>) -> StoreResult<usize> {
    let now = context.clock.now();
    let held_before = now.before(context.config.hold_max_age.get());
    let leases = partition.take_expired(now, held_before, ROUND).await?;
    let (taken, room) = (leases.len(), Arc::new(Semaphore::new(leases.len())));
    let enter = |lease: Lease| {
        let room = Arc::clone(&room).try_acquire_owned().ok()?;
        Some(context.take_from_gate(lease, partition, room))
    };
    // All of them at once, so that those that wait for their turn are renewed meanwhile.
    let works: Vec<Work> = leases.into_iter().filter_map(enter).collect();
    stream::iter(works).for_each_concurrent(AT_ONCE, |work| end(context, work)).await;
    Ok(taken)
}

/// Ends one: 1. it is claimed, since a lease alone does not tell whether this copy is live; 2. it is settled. A crash before
/// 2 leaves it where it stood.
async fn end(context: &Context, work: Work) {
    if !work.hold.is_ours(context.clock.monotonic()) {
        return pass::note_lost(context, &work);
    }
    let Some((work, _)) = claim::claim(context, work, WhenBusy::LetGo).await else { return };
    pass::conclude(context, &work, Next::End { end: End::Expired }).await;
}

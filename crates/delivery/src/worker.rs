//! The lease loop: takes what is ready as long as there is room, and hands each delivery to its lane.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fanfare_runtime::tasks::report;
use futures_util::StreamExt as _;
use futures_util::stream;

use crate::context::{Context, Origin};

/// Leases until shutdown, then gives back what waits in the lanes.
pub(crate) async fn run(context: Arc<Context>) -> Result<(), Infallible> {
    tokio::select! {
        biased;
        () = context.shutdown.cancelled() => {}
        () = lease(&context) => {}
    }
    give_back(&context).await;
    Ok(())
}

async fn lease(context: &Arc<Context>) {
    context.registry.loaded().await;
    let batch = context.config.lease_batch.max(1);
    loop {
        lanes_have_room(context).await;
        let storing = context.storing.room().await;
        // The semaphore is never closed. A lease that is dropped while it waits loses nothing.
        let Ok(mut room) = Arc::clone(&context.room).acquire_owned().await else { return };
        let more = context.room.available_permits().min(batch.min(storing) - 1);
        if let Ok(more) = Arc::clone(&context.room).try_acquire_many_owned(u32::try_from(more).unwrap_or(0)) {
            room.merge(more);
        }
        let leases = match context.queue.lease(room.num_permits()).await {
            Ok(leases) => leases,
            Err(error) => {
                tracing::warn!(error = %report(&error), "could not lease deliveries; trying again");
                context.clock.sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        for lease in leases {
            // An engine that hands out more than it was asked for would break the bound; what is beyond it is left to expire.
            let Some(room) = room.split(1) else { break };
            context.admit(context.take(lease, Origin::Queue, room));
        }
    }
}

/// Waits while a lane has more than it has room for.
async fn lanes_have_room(context: &Context) {
    /// How often it is looked whether it is fast still.
    const LOOK_AGAIN: Duration = Duration::from_millis(50);
    while context.lanes.lock().is_crowded(context.clock.monotonic()) {
        tokio::select! {
            biased;
            () = context.lane_has_room.notified() => {}
            () = context.clock.sleep(LOOK_AGAIN) => {}
        }
    }
}

async fn give_back(context: &Context) {
    /// So many at once that the store can group them into few transactions.
    const AT_ONCE: usize = 64;
    let waiting = context.lanes.lock().close();
    stream::iter(waiting).for_each_concurrent(AT_ONCE, |work| context.give_back(work)).await;
}

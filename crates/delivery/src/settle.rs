//! Settling, until it is durable or the lease is over.

use std::time::Duration;

use fanfare_core::delivery::Settlement;
use fanfare_core::ports::delivery_queue::Settling;
use fanfare_runtime::tasks::report;

use crate::context::{Context, Work};

/// Says what comes next for a delivery. True if it was recorded so; false if the lease was lost, or ran out before the
/// store took it: then somebody else leases the delivery again.
pub(crate) async fn settle(context: &Context, work: &Work, settlement: Settlement) -> bool {
    const LONGEST_PAUSE: Duration = Duration::from_secs(1);
    let mut pause = Duration::from_millis(50);
    let _storing = context.storing(work);
    loop {
        let error = match context.queue.settle(&work.lease, settlement.clone()).await {
            Ok(Settling::Applied) => return true,
            Ok(Settling::Superseded) => {
                context.metrics.delivery_superseded.inc();
                let delivery = work.lease.delivery.header.id;
                tracing::warn!(%delivery, "a settlement came too late: the lease had been lost to another worker");
                return false;
            }
            Err(error) => error,
        };
        let ours = work.hold.is_ours(context.clock.monotonic());
        let (delivery, again) = (work.lease.delivery.header.id, ours && error.is_retryable());
        tracing::warn!(%delivery, error = %report(&error), again, "could not settle a delivery");
        if !again {
            return false;
        }
        context.clock.sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

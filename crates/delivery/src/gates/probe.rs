//! One probe through an open breaker: the delivery at the head is sent, to see whether the receiver works again.
//!
//! It uses up no attempt that was not due: whatever stands behind a gate was due when it came there, and a delivery whose
//! probe failed goes on by its own schedule and comes back behind the gate when it is due again.
//!
//! In order: the probe's delivery is settled, then the health record tells of the probe. A crash between the two costs one
//! probe more.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::GatePartition;
use fanfare_runtime::tasks::report;
use tokio::sync::{Semaphore, oneshot};

use super::pacing::Pacing;
use super::release::Released;
use crate::context::Context;
use crate::health;
use crate::pass::{self, Way};

/// How long it is waited when there was nothing to probe with, or the probe did not come to a request.
const AGAIN: Duration = Duration::from_secs(1);

/// Makes one probe.
pub(crate) async fn run(
    context: &Arc<Context>,
    partition: &Arc<dyn GatePartition>,
    webhook: WebhookId,
    pacing: Option<Arc<Pacing>>,
) -> (WebhookId, Released) {
    let released = match probe(context, partition, webhook, pacing.as_ref()).await {
        Ok(released) => released,
        Err(error) => {
            tracing::warn!(%webhook, error = %report(&error), "could not probe a webhook; trying again");
            again(context)
        }
    };
    (webhook, released)
}

fn again(context: &Context) -> Released {
    Released::NotBefore(context.clock.monotonic().after(AGAIN))
}

async fn probe(
    context: &Arc<Context>,
    partition: &Arc<dyn GatePartition>,
    webhook: WebhookId,
    pacing: Option<&Arc<Pacing>>,
) -> StoreResult<Released> {
    // A probe is a request like any other: where there is a rate, it takes its turn.
    if let Some(turn) = pacing.and_then(|pacing| pacing.far_ahead(context.clock.monotonic())) {
        return Ok(Released::NotBefore(turn));
    }
    let lease = partition.take(webhook, 1).await?.into_iter().next();
    // A probe has its room to itself: one for each webhook that is probed now.
    let room = Arc::new(Semaphore::new(1)).try_acquire_owned().ok();
    let (Some(lease), Some(room)) = (lease, room) else {
        let stands = context.queue.gate_depth(webhook).await?.count > 0;
        return Ok(if stands { again(context) } else { Released::All });
    };
    let mut work = context.take_from_gate(lease, partition, room);
    work.turn = pacing.map(Pacing::turn);
    // A task of its own: should the partition be lost or the process stop meanwhile, the request comes to its end all the
    // same, and no claim stays behind that keeps the next owner from this delivery.
    let (tell, told) = oneshot::channel();
    let passing = Arc::clone(context);
    context.tasks.spawn_work("delivery", async move {
        // Nobody may be waiting any more.
        let _ = tell.send(pass::run(&passing, work, Way::Probe).await);
    });
    let Some(sent) = told.await.ok().flatten() else { return Ok(again(context)) };
    let works = sent.outcome == OutcomeClass::Success;
    context.metrics.delivery_probes.with_label_values(&[if works { "success" } else { "failure" }]).inc();
    if works {
        health::close_breaker(context, webhook, sent.telling).await?;
    } else {
        health::probe_failed(context, webhook, sent.retry_after, sent.telling).await?;
    }
    Ok(Released::NotAll)
}

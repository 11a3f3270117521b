//! How deep the queue is, asked once a second for the metrics.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::health::{GateReason, WebhookState};
use fanfare_core::ports::delivery_queue::QueueDepth;
use fanfare_runtime::tasks::report;

use crate::context::Context;

const EVERY: Duration = Duration::from_secs(1);
/// The store is not asked again before that many times as long as it took to answer: it does something else as well.
const TIMES: u32 = 20;
const LONGEST: Duration = Duration::from_secs(10);

/// Samples until shutdown.
pub(crate) async fn run(context: Arc<Context>) -> Result<(), Infallible> {
    loop {
        let began = context.clock.monotonic();
        match context.queue.depth().await {
            Ok(depth) => show(&context, &depth),
            Err(error) => tracing::debug!(error = %report(&error), "could not ask for the queue's depth"),
        }
        show_webhooks(&context);
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => return Ok(()),
            () = context.clock.sleep((context.clock.monotonic().since(began) * TIMES).clamp(EVERY, LONGEST)) => {}
        }
    }
}

fn show(context: &Context, depth: &QueueDepth) {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let metrics = &context.metrics;
    metrics.delivery_ready.set(count(depth.ready));
    metrics.delivery_in_quarantine.set(count(depth.quarantined));
    metrics.delivery_gated.set(count(depth.gated));
    metrics.delivery_due.with_label_values(&["retry"]).set(count(depth.due_retry));
    metrics.delivery_due.with_label_values(&["retry_after"]).set(count(depth.due_retry_after));
    metrics.delivery_due.with_label_values(&["congested"]).set(count(depth.due_congested));
    let age = depth.oldest_ready.map_or(Duration::ZERO, |oldest| context.clock.now().since(oldest));
    metrics.delivery_oldest_ready_age.set(age.as_secs_f64());
}

fn show_webhooks(context: &Context) {
    let standing = context.registry.standing();
    let count = |count: Option<&u64>| i64::try_from(count.copied().unwrap_or(0)).unwrap_or(i64::MAX);
    for reason in GateReason::ALL {
        let up = count(standing.gates.get(&reason));
        context.metrics.gates_up.with_label_values(&[reason.as_str()]).set(up);
    }
    for state in WebhookState::ALL {
        let webhooks = count(standing.states.get(&state));
        context.metrics.webhooks.with_label_values(&[state.as_str()]).set(webhooks);
    }
}

//! Renewal: every lease that is held is prolonged three times in its length, waiting in a lane included.
//!
//! It goes on after the shutdown token until nothing is held, since what is in flight may finish. A lease that was lost is
//! taken out of its lane; if its request is under way, its settlement will be refused.

use std::convert::Infallible;
use std::sync::Arc;

use crate::context::Context;

/// How many leases are renewed by one call, so that the store's transactions stay short.
const BATCH: usize = 256;

/// Renews until shutdown, and then until nothing is held.
pub(crate) async fn run(context: Arc<Context>) -> Result<(), Infallible> {
    loop {
        let stopping = context.shutdown.is_cancelled();
        match context.held.lease_time() {
            None if stopping => return Ok(()),
            None => tokio::select! {
                biased;
                () = context.held.turned() => {}
                () = context.shutdown.cancelled() => {}
            },
            Some(lease_time) => {
                tokio::select! {
                    biased;
                    () = context.clock.sleep(lease_time / 3) => renew(&context).await,
                    () = context.held.turned() => {}
                    () = context.shutdown.cancelled(), if !stopping => {}
                }
            }
        }
    }
}

async fn renew(context: &Context) {
    let asked = context.clock.monotonic();
    let tokens = context.held.to_renew(asked);
    for tokens in tokens.chunks(BATCH) {
        match context.queue.renew(tokens).await {
            Ok(lost) => {
                context.metrics.delivery_leases_lost.inc_by(lost.len() as u64);
                for (token, webhook) in context.held.renewed(tokens, &lost, asked) {
                    let dropped = context.lanes.lock().take_waiting(webhook, |work| work.lease.token == token);
                    tracing::info!(%webhook, waiting = !dropped.is_empty(), "a lease was lost to another worker");
                }
            }
            Err(error) => {
                let error = fanfare_runtime::tasks::report(&error);
                tracing::warn!(%error, leases = tokens.len(), "could not renew leases; they run out unless the next try does");
            }
        }
    }
}

//! Lowers the gates that are to be worked off but have nothing behind them.
//!
//! A partition's owner goes by what stands behind gates, so of such a gate it never hears. Whoever sees it may lower it: the
//! change is by compare-and-set, and what arrives behind it afterwards is told to the owner, gate up or not.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::ids::WebhookId;
use fanfare_core::ports::StoreResult;
use fanfare_runtime::tasks::report;

use crate::context::Context;
use crate::health;

/// Watches until shutdown.
pub(crate) async fn run(context: Arc<Context>) -> Result<(), Infallible> {
    tokio::select! {
        biased;
        () = context.shutdown.cancelled() => {}
        () = watch(&context) => {}
    }
    Ok(())
}

async fn watch(context: &Context) {
    context.registry.loaded().await;
    let mut changes = context.registry.changes();
    // Looked at once: where something is behind the gate, its owner works it off and lowers it.
    let mut seen = BTreeSet::new();
    loop {
        let worked_off: BTreeSet<WebhookId> = context.registry.worked_off().into_iter().collect();
        seen.retain(|webhook| worked_off.contains(webhook));
        for webhook in worked_off {
            if seen.contains(&webhook) {
                continue;
            }
            match lower_if_empty(context, webhook).await {
                Ok(()) => {
                    seen.insert(webhook);
                }
                Err(error) => {
                    tracing::warn!(%webhook, error = %report(&error), "could not look behind a gate; trying again");
                    context.clock.sleep(Duration::from_secs(1)).await;
                }
            }
        }
        if context.registry.worked_off().iter().all(|webhook| seen.contains(webhook)) {
            changes.next().await;
        }
    }
}

async fn lower_if_empty(context: &Context, webhook: WebhookId) -> StoreResult<()> {
    if context.queue.gate_depth(webhook).await?.count == 0 {
        health::lower(context, webhook).await?;
    }
    Ok(())
}

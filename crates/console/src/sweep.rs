//! Finishes deletions that were cut off, by a crash or because the store went away half-way: a health record without its
//! webhook is the trace of one, a note of use without its API key of another, an event that the read model has erased of a third.
//! See [`webhooks::delete`](crate::webhooks::delete), [`api_keys::delete`](crate::api_keys::delete) and
//! [`events::delete`](crate::events::delete) for the orders.

use std::convert::Infallible;

use fanfare_core::clock::Clock;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::{Expected, Group, Key};
use fanfare_runtime::Shutdown;
use fanfare_runtime::tasks::report;

use crate::webhooks::{delete, stored};
use crate::{Console, events};

/// Looks at once, then again and again, until shutdown. What goes wrong is tried again at the next look.
pub(crate) async fn run(console: Console, clock: &dyn Clock, shutdown: &Shutdown) -> Result<(), Infallible> {
    loop {
        let looked = async {
            console.registry.loaded().await;
            if let Err(error) = sweep(&console, clock).await {
                tracing::warn!(error = %report(&error), "interrupted deletions could not be looked for; trying again");
            }
            if let Err(error) = events::delete::finish(&console, clock.now()).await {
                tracing::warn!(error = %report(&error), "deletions of events could not be finished; trying again");
            }
            clock.sleep(console.config.sweep_every.get()).await;
        };
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = looked => {}
        }
    }
}

/// Finishes every deletion that is not.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn sweep(console: &Console, clock: &dyn Clock) -> StoreResult<()> {
    console.registry.refresh(&*console.store, Group::State).await?;
    console.registry.refresh(&*console.store, Group::Config).await?;
    for id in console.registry.stray_health() {
        finish_one(console, clock, id).await?;
    }
    for id in console.registry.stray_key_uses() {
        // As below: what the store says counts, and a key that is gone stays gone.
        if console.store.get(&Key::ApiKey(id)).await?.is_none() {
            console.store.remove(&Key::KeyUse(id), Expected::Any).await?;
        }
    }
    Ok(())
}

async fn finish_one(console: &Console, clock: &dyn Clock, id: WebhookId) -> StoreResult<()> {
    // The copy in memory only suggests it; what the store says counts. Ids are never used again, so a webhook that is gone
    // stays gone.
    if console.store.get(&Key::Webhook(id)).await?.is_some() {
        return Ok(());
    }
    let Some((health, _)) = stored::health(&*console.store, id).await? else {
        return Ok(());
    };
    tracing::info!(webhook = %id, "finishing a deletion that was cut off");
    delete::finish(console, &health.project, id, clock.now()).await
}

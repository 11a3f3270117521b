//! The owner of gates: takes its share of their partitions and looks after each.

pub(crate) mod empty;
mod expiry;
pub(crate) mod pacing;
mod partition;
mod probe;
mod release;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::ports::StoreError;
use fanfare_runtime::tasks::report;

use crate::context::Context;

/// Owns gates until shutdown.
pub(crate) async fn run(context: Arc<Context>) -> Result<(), Infallible> {
    tokio::select! {
        biased;
        () = context.shutdown.cancelled() => {}
        () = own(&context) => {}
    }
    Ok(())
}

async fn own(context: &Arc<Context>) {
    context.registry.loaded().await;
    loop {
        let Err(error) = own_one_share(context).await;
        tracing::warn!(error = %report(&error), "could not own gates; trying again");
        context.clock.sleep(Duration::from_secs(1)).await;
    }
}

async fn own_one_share(context: &Arc<Context>) -> Result<Infallible, StoreError> {
    let mut share = context.queue.own_gates().await?;
    loop {
        let partition = share.next().await?;
        context.tasks.spawn_until_done("gate-expiry", expiry::run(Arc::clone(context), Arc::clone(&partition)));
        context.tasks.spawn_until_done("gate-partition", partition::run(Arc::clone(context), partition));
    }
}

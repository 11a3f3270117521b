//! Events that producers publish to the broker themselves: taken in or rejected, project by project.
//!
//! One task takes part in the partitions of the intake, one works each partition that is ours, and one looks at how much waits
//! in all, for the metrics.

mod judge;
mod line;
mod partition;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Clock;
use fanfare_core::ports::{ConfigStore, EventLog, Intake, StoreError};
use fanfare_runtime::tasks::report;
use fanfare_runtime::{Registry, Shutdown, Tasks};
use fanfare_telemetry::Metrics;

use crate::Ingest;
use crate::admission::Line as EventsLine;
use crate::counters::Counters;
use crate::quota::Quota;

/// How long to wait before the store is asked again that did not answer, or had no room.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a project waits at least that its quota allows no more at this moment: what it is allowed comes in small batches, not
/// one by one, and not in bursts that others would feel.
const PACE: Duration = Duration::from_millis(20);

/// How long a project waits of which too much waits to be fanned out already.
const CROWDED: Duration = Duration::from_millis(20);

/// What the tasks share.
pub(crate) struct Direct {
    intake: Arc<dyn Intake>,
    log: Arc<dyn EventLog>,
    store: Arc<dyn ConfigStore>,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    counters: Counters,
    /// Of what is published directly: a project is in one partition, so this process takes in all of it or none.
    quota: Quota,
    max_backlog: u64,
    events_line: EventsLine,
    shutdown: Shutdown,
}

/// Starts the tasks.
pub(crate) fn start(ingest: &Ingest, intake: Arc<dyn Intake>, clock: Arc<dyn Clock>, metrics: Metrics, tasks: &Tasks) {
    let direct = Arc::new(Direct {
        intake,
        log: Arc::clone(&ingest.log),
        store: Arc::clone(&ingest.store),
        registry: Arc::clone(&ingest.registry),
        clock,
        counters: Counters::new(&metrics),
        metrics,
        quota: Quota::new(&ingest.config),
        max_backlog: ingest.config.max_backlog,
        events_line: EventsLine::new(Arc::clone(&ingest.log), ingest.config.max_project_backlog),
        shutdown: tasks.shutdown(),
    });
    tasks.spawn("intake", take_part(Arc::clone(&direct), tasks.clone()));
    tasks.spawn("intake-depth", sample(direct));
}

async fn take_part(direct: Arc<Direct>, tasks: Tasks) -> Result<(), Infallible> {
    loop {
        let error = tokio::select! {
            biased;
            () = direct.shutdown.cancelled() => return Ok(()),
            Err(error) = share(&direct, &tasks) => error,
        };
        tracing::warn!(error = %report(&error), "could not take part in the intake; trying again");
        direct.clock.sleep(PAUSE).await;
    }
}

async fn share(direct: &Arc<Direct>, tasks: &Tasks) -> Result<Infallible, StoreError> {
    let mut share = direct.intake.take_part().await?;
    loop {
        let partition = share.next().await?;
        tasks.spawn_until_done("intake-partition", partition::run(Arc::clone(direct), partition));
    }
}

/// Looks once a second at how much waits.
async fn sample(direct: Arc<Direct>) -> Result<(), Infallible> {
    loop {
        match direct.intake.depth().await {
            Ok(depth) => {
                direct.metrics.intake_waiting.set(i64::try_from(depth.count).unwrap_or(i64::MAX));
                let age = depth.oldest.map_or(Duration::ZERO, |oldest| direct.clock.now().since(oldest));
                direct.metrics.intake_oldest_age.set(age.as_secs_f64());
            }
            Err(error) => tracing::debug!(error = %report(&error), "could not ask what waits in the intake"),
        }
        tokio::select! {
            () = direct.shutdown.cancelled() => return Ok(()),
            () = direct.clock.sleep(Duration::from_secs(1)) => {}
        }
    }
}

//! Fan-out: events in, deliveries out. It matches each accepted event against the webhooks of its project and pushes one
//! delivery for each match.
//!
//! One task per partition, in the order of the partition. What it promises: an event is matched against a configuration
//! at least as new as its acceptance (promise 2), and an event whose position has been passed has all its deliveries
//! standing in the queue (promise 1). Repeating the fan-out of an event after a crash makes the same deliveries.

mod matching;
mod partition;
mod room;

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Clock;
use fanfare_core::ports::{ConfigStore, Dedup, DeliveryQueue, EventLog, StoreError};
use fanfare_runtime::{Registry, Shutdown, Span, Tasks};
use fanfare_telemetry::Metrics;
use serde::{Deserialize, Serialize};
use tokio_util::task::TaskTracker;

use partition::Consumer;
use room::Room;

/// Fan-out's bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FanoutConfig {
    /// Most events matched at a time, 1 to 1000: more of them share a commit, fewer are held in memory. Default 256.
    pub batch_events: usize,
    /// Most deliveries in one push, 1 to 10000. An event with more matches is pushed in several. Default 1000.
    pub push_deliveries: usize,
    /// Ready deliveries above which fan-out pauses, so that the queue grows in the log of events, where it is cheap. Below it fan-out
    /// holds each batch back, a second at most, while workers take deliveries that have been ready for more than 0.1 s. Default 200000.
    pub max_ready: u64,
    /// How long a position may lag behind its pushes, at most, and five times as long while they are fewer than 16; after a crash
    /// that much is matched again, and recognised. Default 10ms: senders are held back by what no position has passed.
    pub advance_every: Span,
}

impl Default for FanoutConfig {
    fn default() -> Self {
        Self { batch_events: 256, push_deliveries: 1000, max_ready: 200_000, advance_every: Span::from_millis(10) }
    }
}

impl FanoutConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The option that is out of its range, and what is allowed.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=1000).contains(&self.batch_events) {
            return Err(format!("fanout.batch_events is {}; allowed is 1 to 1000", self.batch_events));
        }
        if !(1..=10_000).contains(&self.push_deliveries) {
            return Err(format!("fanout.push_deliveries is {}; allowed is 1 to 10000", self.push_deliveries));
        }
        if self.max_ready == 0 {
            return Err("fanout.max_ready is 0; allowed is 1 or more".to_owned());
        }
        Ok(())
    }
}

/// What fan-out works with.
#[derive(Clone, Debug)]
pub struct Fanout {
    /// Where events come from.
    pub log: Arc<dyn EventLog>,
    /// Where deliveries go.
    pub queue: Arc<dyn DeliveryQueue>,
    /// Asked before a redelivered event is pushed again.
    pub dedup: Arc<dyn Dedup>,
    /// Asked for its last revision.
    pub store: Arc<dyn ConfigStore>,
    /// Webhooks and gates.
    pub registry: Arc<Registry>,
    /// Its bounds.
    pub config: FanoutConfig,
}

impl Fanout {
    /// Starts consuming this process's share of the partitions.
    pub fn start(self, clock: Arc<dyn Clock>, metrics: Metrics, tasks: &Tasks) {
        let shutdown = tasks.shutdown();
        let (log, sampled, sampling) = (Arc::clone(&self.log), metrics.clone(), Arc::clone(&clock));
        tasks.spawn("fanout-share", share(self, clock, metrics, tasks.clone()));
        tasks.spawn("fanout-backlog", sample_backlog(log, sampling, sampled, shutdown));
    }
}

/// Takes each partition that comes to this process, and consumes it in a task of its own.
///
/// On shutdown: 1. the consumers finish their batch and advance their positions; 2. the share is dropped, and the partitions
/// with it. The other way round a consumer would find its partition lost, and every restart would match events again.
async fn share(fanout: Fanout, clock: Arc<dyn Clock>, metrics: Metrics, tasks: Tasks) -> Result<(), StoreError> {
    let shutdown = tasks.shutdown();
    tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(()),
        () = fanout.registry.loaded() => {}
    }
    let mut share =
        partition::persist(&*clock, &shutdown, "join the consumers of events", || fanout.log.consume()).await?;
    let consumers = TaskTracker::new();
    let room = Arc::new(Room::new(fanout.config.max_ready));
    while let Some(share) = &mut share {
        let reader = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            reader = share.next() => reader,
        };
        match reader {
            Ok(reader) => {
                let (clock, room) = (Arc::clone(&clock), Arc::clone(&room));
                let consumer = Consumer::new(fanout.clone(), clock, metrics.clone(), shutdown.clone(), room);
                tasks.spawn_until_done("fanout-partition", consumers.track_future(consumer.run(reader)));
            }
            Err(error) if error.is_retryable() => partition::pause(&*clock, &shutdown, &error).await,
            Err(error) => return Err(error),
        }
    }
    consumers.close();
    consumers.wait().await;
    drop(share);
    Ok(())
}

/// Keeps the backlog's gauge.
async fn sample_backlog(
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    shutdown: Shutdown,
) -> Result<(), StoreError> {
    const EVERY: Duration = Duration::from_secs(1);
    /// A count is not made again before that many times as long as it took: others wait for the store meanwhile.
    const TIMES: u32 = 500;
    const LONGEST: Duration = Duration::from_secs(30);
    loop {
        let began = clock.monotonic();
        // A store that does not answer is told of by the consumers; the gauge then keeps its last value.
        let mut pause = EVERY;
        if let Ok(backlog) = log.backlog().await {
            metrics.fanout_backlog.set(i64::try_from(backlog).unwrap_or(i64::MAX));
            pause = (clock.monotonic().since(began) * TIMES).clamp(EVERY, LONGEST);
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = clock.sleep(pause) => {}
        }
    }
}

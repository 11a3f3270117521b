//! The distributed engine: all ports over NATS JetStream and Redis, for any number of processes.
//!
//! What an operation has answered is acknowledged by JetStream. Acts of several steps have an order, written beside each, in
//! which a crash between any two repeats the act rather than losing it; message ids and claims recognise the repetition.
//! Redis holds claims alone: without it deliveries go on, and may be sent twice.

mod config;
mod config_store;
mod connect;
mod dedup;
mod error;
mod events;
mod follow;
mod intake;
mod journal;
mod links;
mod message;
mod names;
mod queue;
mod redis_link;
mod rejected;
mod sample;
mod shares;
mod store;
mod streams;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Clock;
use fanfare_runtime::tasks::Failures;
use fanfare_runtime::{TaskFailure, Tasks};
use fanfare_telemetry::Metrics;
use parking_lot::Mutex;
use ulid::Ulid;

pub use config::{DistributedConfig, NatsConfig, RedisConfig};
pub use error::{ConnectError, Difference, Differences};
pub use links::Link;

use dedup::Claims;
use events::Events;
use names::Names;
use queue::Queue;
use store::Store;

/// How long tasks may take to give back what they hold.
const GRACE: Duration = Duration::from_secs(5);

/// The engine: implements every port. Cloning shares it.
#[derive(Clone)]
pub struct Distributed {
    pub(crate) shared: Arc<Shared>,
}

/// What the ports' operations share.
pub(crate) struct Shared {
    config: DistributedConfig,
    names: Names,
    clock: Arc<dyn Clock>,
    /// This process among others, for as long as it runs.
    instance: String,
    /// Which others there are.
    presence: shares::Presence,
    store: Store,
    claims: Claims,
    metrics: Metrics,
    events: Events,
    journal: journal::Group,
    queue: Queue,
    /// What the engine runs for those who hold partitions.
    tasks: Tasks,
    failures: Mutex<Option<Failures>>,
    #[cfg(test)]
    faults: tests::Faults,
}

impl fmt::Debug for Distributed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Distributed")
    }
}

impl Distributed {
    /// Waits for NATS, checks its version, and makes or checks streams, buckets and consumers. Redis is asked once and not
    /// waited for.
    ///
    /// TLS needs rustls' provider to be installed in the process.
    ///
    /// # Errors
    /// When waiting cannot help: a server that is too old or refuses, options that make no sense, streams that are not as
    /// configured.
    pub async fn connect(
        config: &DistributedConfig,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Result<Self, ConnectError> {
        if let Some(refusal) = config.refusal() {
            return Err(ConnectError::Config(refusal));
        }
        let names = Names::new(&config.prefix, config.partitions, config.gate_partitions);
        let claims = Claims::new(&config.redis, &metrics)?;
        let prefix = config.prefix.to_ascii_lowercase();
        let (context, ()) =
            tokio::try_join!(Box::pin(connect::connect(config, &names, &clock)), claims.check(&prefix))?;
        let failures = Failures::new();
        let shared = Shared {
            config: config.clone(),
            store: Store::new(context, config.publish_window, config.nats.timeout.get(), &names, &metrics),
            names,
            clock,
            instance: Ulid::generate().to_string(),
            presence: shares::Presence::default(),
            claims,
            metrics,
            events: Events::default(),
            journal: journal::Group::default(),
            queue: Queue::default(),
            tasks: failures.group(),
            failures: Mutex::new(Some(failures)),
            #[cfg(test)]
            faults: tests::Faults::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Starts what the engine does by itself: removing what is past its retention, moving what is overdue, and watching over its own tasks.
    pub fn start(&self, tasks: &Tasks) {
        shares::Kind::show_all(self);
        let (engine, shutdown) = (self.clone(), tasks.shutdown());
        tasks.spawn("event-retention", async move { engine.tend(&shutdown).await });
        let (engine, shutdown) = (self.clone(), tasks.shutdown());
        tasks.spawn("overdue-sweep", async move { engine.sweep(&shutdown).await });
        let (engine, shutdown) = (self.clone(), tasks.shutdown());
        tasks.spawn("stream-sample", async move { engine.sample(&shutdown).await });
        let Some(mut failures) = self.shared.failures.lock().take() else { return };
        let shutdown = tasks.shutdown();
        tasks.spawn("distributed-engine", async move {
            tokio::select! {
                () = shutdown.cancelled() => Ok(()),
                failure = failures.first() => Err::<(), TaskFailure>(failure),
            }
        });
    }

    /// Gives back every partition and waits until that is known. Leases end.
    pub async fn close(&self) {
        if let Err(running) = self.shared.tasks.stop(GRACE).await {
            tracing::warn!(
                ?running,
                "partitions could not be given back in time; others take them over when they run out"
            );
        }
        self.shared.store.flush().await;
        // They know the gates they come from, which know the engine.
        self.shared.queue.forget_leases();
    }
}

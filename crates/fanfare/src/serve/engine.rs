//! The engine under the services: embedded in this process, or distributed over NATS and Redis.
//!
//! Only this file knows which it is; the services get ports.

use std::sync::Arc;

use fanfare_core::clock::Clock;
use fanfare_core::ports::{ConfigStore, Intake};
use fanfare_delivery::DedupOnUnavailable;
use fanfare_distributed::{ConnectError, Distributed, Link};
use fanfare_embedded::{DirectoryLock, Embedded, OpenError};
use fanfare_runtime::Tasks;
use fanfare_telemetry::admin::Condition;
use fanfare_telemetry::{Metrics, Readiness};

use super::patient::Patient;
use super::ports::Ports;
use super::private_file;
use super::roles::Roles;
use crate::config::Config;
use crate::report::Report;

/// An open engine.
pub(super) enum Engine {
    /// One SQLite file, for this process alone.
    Embedded(Embedded),
    /// Streams and claims that other processes share. The read model of a console is in a directory of its own.
    Distributed {
        /// The engine.
        engine: Distributed,
        /// Whether NATS is there.
        nats: Condition,
        /// Whether Redis is, where this process uses it.
        redis: Option<Condition>,
        /// The directory of this process, if it keeps one.
        _directory: Option<DirectoryLock>,
    },
}

impl Engine {
    /// Opens the embedded engine, or connects the distributed one, waiting for its servers for as long as it takes.
    ///
    /// # Errors
    /// When waiting cannot help.
    pub(super) async fn open(
        config: &Config,
        roles: Roles,
        clock: &Arc<dyn Clock>,
        metrics: &Metrics,
        readiness: &Readiness,
    ) -> Result<Self, Report> {
        if !config.is_distributed() {
            private_file::make_directory(&config.data_dir)?;
            return open_embedded(config, clock, metrics).map(Engine::Embedded);
        }
        let directory = if roles.console {
            private_file::make_directory(&config.data_dir)?;
            Some(DirectoryLock::acquire(&config.data_dir).map_err(|error| {
                Report::because(format_args!("cannot use the data directory {}", config.data_dir.display()), &error)
            })?)
        } else {
            None
        };
        let nats = readiness.condition("NATS");
        let redis = redis_condition(config, roles, readiness);
        let mut distributed = config.distributed.clone();
        // What may come up again after so long has to be recognised by then.
        let held = config.delivery.hold_max_age;
        distributed.gated_done_retention = distributed.gated_done_retention.max(held);
        distributed.live_retention = distributed.live_retention.max(held);
        let connected = Distributed::connect(&distributed, Arc::clone(clock), metrics.clone()).await;
        let engine = connected.map_err(|error| match error {
            ConnectError::Config(what) => Report::new(format!("distributed: {what}")),
            error => Report::because("cannot start on NATS and Redis", &error),
        })?;
        nats.met();
        Ok(Engine::Distributed { engine, nats, redis, _directory: directory })
    }

    /// The ports.
    pub(super) fn ports(&self) -> Ports {
        match self {
            Engine::Embedded(engine) => Ports::of(engine),
            Engine::Distributed { engine, .. } => Ports::of(engine),
        }
    }

    /// What producers publish to a broker themselves, where there is one.
    pub(super) fn intake(&self) -> Option<Arc<dyn Intake>> {
        match self {
            Engine::Embedded(_) => None,
            Engine::Distributed { engine, .. } => Some(Arc::new(engine.clone())),
        }
    }

    /// The records as the start asks for them: servers may go away again, or elect a leader, right after they were reached;
    /// a file that cannot be read will not be by waiting.
    pub(super) fn records_at_start(&self, clock: &Arc<dyn Clock>) -> Arc<dyn ConfigStore> {
        match self {
            Engine::Embedded(engine) => Arc::new(engine.clone()),
            Engine::Distributed { engine, .. } => Arc::new(Patient::new(Arc::new(engine.clone()), Arc::clone(clock))),
        }
    }

    /// Starts what the engine does by itself.
    pub(super) fn start(&self, tasks: &Tasks) {
        match self {
            Engine::Embedded(engine) => engine.start(tasks),
            Engine::Distributed { engine, nats, redis, .. } => {
                engine.start(tasks);
                follow("nats-readiness", engine.watch_nats(tasks), nats.clone(), tasks);
                if let Some(redis) = redis {
                    follow("redis-readiness", engine.watch_redis(tasks), redis.clone(), tasks);
                }
            }
        }
    }

    /// Writes what it was given, gives back what it holds, and closes.
    pub(super) async fn close(&self) {
        match self {
            Engine::Embedded(engine) => engine.close().await,
            Engine::Distributed { engine, .. } => engine.close().await,
        }
    }
}

/// Ingest does not use Redis; the others go on without it, but for a delivery service that is told to wait.
fn redis_condition(config: &Config, roles: Roles, readiness: &Readiness) -> Option<Condition> {
    match config.delivery.dedup_on_unavailable {
        DedupOnUnavailable::Wait if roles.delivery => Some(readiness.condition("Redis")),
        DedupOnUnavailable::Wait | DedupOnUnavailable::Deliver => {
            (roles.fanout || roles.delivery || roles.console).then(|| readiness.wish("Redis"))
        }
    }
}

/// Keeps a condition of readiness as the server is.
fn follow(name: &'static str, mut link: Link, condition: Condition, tasks: &Tasks) {
    let shutdown = tasks.shutdown();
    tasks.spawn(name, async move {
        let following = async {
            let mut wanted = true;
            while link.becomes(wanted).await {
                if wanted {
                    condition.met();
                } else {
                    condition.unmet();
                }
                wanted = !wanted;
            }
            shutdown.cancelled().await;
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = following => {}
        }
        Ok::<(), std::convert::Infallible>(())
    });
}

/// Opening reads and may migrate files: other tasks of this thread go on elsewhere meanwhile.
fn open_embedded(config: &Config, clock: &Arc<dyn Clock>, metrics: &Metrics) -> Result<Embedded, Report> {
    let open = || Embedded::open(&config.data_dir, &config.queue, Arc::clone(clock), metrics.clone());
    let opened = tokio::task::block_in_place(open);
    opened.map_err(|error| {
        let report = Report::because("cannot open the queue", &error);
        match error {
            OpenError::Path { .. } | OpenError::InUse { .. } => {
                report.advise("another one is named with --data-dir or FANFARE_DATA_DIR")
            }
            OpenError::Config(_)
            | OpenError::Damaged { .. }
            | OpenError::Newer { .. }
            | OpenError::Sqlite { .. }
            | OpenError::Thread(_) => report,
        }
    })
}

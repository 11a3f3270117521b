//! The engine in a temporary directory, on a manual clock.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::clock::Clock;
use fanfare_core::ids::{DeliveryId, EventId, ProjectId, WebhookId};
use fanfare_runtime::Span;
use fanfare_telemetry::Metrics;
use fanfare_testkit::ManualClock;
use fanfare_testkit::conformance::{Engine, Harness};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::writer::{Cut, Faults, Tx};
use crate::{Embedded, EmbeddedConfig, OpenError};

/// A data directory with all that an engine in it needs.
pub(super) struct Place {
    _temporary: TempDir,
    pub(super) directory: PathBuf,
    pub(super) clock: ManualClock,
    pub(super) config: EmbeddedConfig,
    pub(super) metrics: Metrics,
    pub(super) faults: Faults,
}

impl Place {
    pub(super) fn new(config: EmbeddedConfig) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Self {
            directory: temporary.path().to_owned(),
            _temporary: temporary,
            clock: ManualClock::new(),
            config,
            metrics: Metrics::new("test"),
            faults: Faults::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.directory
    }

    pub(super) fn try_open(&self) -> Result<Embedded, OpenError> {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        Embedded::open_with(self.path(), &self.config, clock, self.metrics.clone(), self.faults.clone())
    }

    pub(super) fn open(&self) -> Embedded {
        self.try_open().unwrap()
    }
}

/// Keeps the writer busy, inside a batch, until it is dropped.
pub(super) struct Busy {
    _release: mpsc::Sender<()>,
}

impl Busy {
    /// Waits until the writer is busy.
    pub(super) async fn keep(engine: &Embedded) -> Self {
        let (busy, begun) = Self::queue(engine).await;
        begun.await.unwrap();
        busy
    }

    /// Queues what will keep the writer busy, behind what waits already; the second half says when it does.
    pub(super) async fn queue(engine: &Embedded) -> (Self, oneshot::Receiver<()>) {
        let (release, released) = mpsc::channel::<()>();
        let (begins, begun) = oneshot::channel();
        let writer = engine.writer.clone();
        tokio::spawn(async move {
            let statements = move |_: &mut Tx<'_>| {
                let _ = begins.send(());
                let _ = released.recv();
                Ok(())
            };
            writer.write("keep the writer busy", 0, statements, |()| ()).await
        });
        // On the one thread of these tests this lets the task send.
        tokio::task::yield_now().await;
        (Self { _release: release }, begun)
    }
}

/// The ports of an engine.
pub(super) fn ports(engine: Embedded) -> Engine {
    let engine = Arc::new(engine);
    Engine { log: engine.clone(), queue: engine.clone(), store: engine.clone(), journal: engine.clone(), dedup: engine }
}

/// Everything fits into memory.
pub(super) struct Ordinary(Place);

/// Hardly anything fits into memory, so that nearly everything goes by way of the file.
pub(super) struct Tiny(Place);

macro_rules! harness {
    ($name:ident, $config:expr) => {
        impl $name {
            #[allow(dead_code, reason = "for those tests that look behind the ports")]
            pub(super) fn place(&self) -> &Place {
                &self.0
            }
        }

        #[async_trait]
        impl Harness for $name {
            async fn start() -> Self {
                Self(Place::new($config))
            }

            async fn open(&self) -> Engine {
                ports(self.0.open())
            }

            fn kill(&self, _: &Engine) {
                // What a process leaves behind here is what it has committed.
            }

            async fn crash(&self, engine: Engine) {
                // The directory stays locked until the last clone is gone: opening it again fails if one was kept.
                drop(engine);
            }

            async fn spoil(&self, _: WebhookId, delivery: DeliveryId) {
                let file = Connection::open(self.0.path().join("queue.db")).unwrap();
                let spoil = "UPDATE bodies SET header = x'00' WHERE seq = (SELECT seq FROM deliveries WHERE id = ?1)";
                assert_eq!(file.execute(spoil, [delivery.as_bytes()]).unwrap(), 1);
            }

            async fn spoil_event(&self, project: &ProjectId, event: &EventId) {
                let file = Connection::open(self.0.path().join("queue.db")).unwrap();
                let spoil = "UPDATE events SET header = x'00' WHERE project = ?1 AND id = ?2";
                assert_eq!(file.execute(spoil, (project.as_str(), event.as_str())).unwrap(), 1);
            }

            async fn spoil_last_entry(&self) {
                let file = Connection::open(self.0.path().join("queue.db")).unwrap();
                let spoil = "UPDATE journal SET entry = x'00' WHERE position = (SELECT max(position) FROM journal)";
                assert_eq!(file.execute(spoil, ()).unwrap(), 1);
            }

            fn clock(&self) -> Arc<dyn Clock> {
                Arc::new(self.0.clock.clone())
            }

            async fn pass(&self, time: Duration) {
                self.0.clock.advance(time);
            }

            fn lease_time(&self) -> Duration {
                self.0.config.lease.get()
            }

            fn settle_cuts(&self) -> Vec<&'static str> {
                vec!["before the commit", "after the commit"]
            }

            async fn cut_next_settle(&self, _: &Engine, cut: &'static str) {
                self.0.faults.plan(match cut {
                    "before the commit" => Cut::BeforeCommit,
                    _ => Cut::AfterCommit,
                });
            }
        }
    };
}

harness!(Ordinary, EmbeddedConfig::default());
harness!(Tiny, tiny());

/// Windows of two.
pub(super) fn tiny() -> EmbeddedConfig {
    EmbeddedConfig {
        window_items: 2,
        commit_operations: 3,
        writer_queue: 4,
        read_connections: 1,
        lease: Span::from_secs(5),
        ..EmbeddedConfig::default()
    }
}

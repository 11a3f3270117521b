//! The conformance suite on the model engine: servers that no crash touches, and a client for each process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::clock::Clock;
use fanfare_core::ids::{DeliveryId, EventId, ProjectId, WebhookId};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use fanfare_runtime::tasks::Failures;
use fanfare_testkit::ManualClock;
use fanfare_testkit::conformance::{Engine, Harness};
use parking_lot::Mutex;

use crate::client::{COMPLETE, Call, Client, JOURNAL, PUBLISH, RELEASE, REMOVE, Weather};
use crate::model::{Bounds, Servers};

/// Fair weather, until a settlement is cut off; nothing arrives after that.
#[derive(Default)]
struct Cuttable {
    cut: Mutex<Option<&'static str>>,
    /// How many steps the settlement has done.
    steps: AtomicU32,
    dead: AtomicBool,
}

#[async_trait]
impl Weather for Cuttable {
    async fn before(&self, call: Call) -> StoreResult<()> {
        let settles = [JOURNAL, PUBLISH, RELEASE, COMPLETE, REMOVE].contains(&call.doing);
        let cut = *self.cut.lock();
        if settles && let Some(cut) = cut {
            let steps = self.steps.fetch_add(1, Ordering::SeqCst);
            let here = match cut {
                "before step 1" => steps == 0,
                "after step 1" => steps == 1,
                "after step 2" => steps == 2,
                _ => call.doing == REMOVE,
            };
            if here {
                self.dead.store(true, Ordering::SeqCst);
            }
        }
        if self.dead.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, call.doing, "the process is dead"));
        }
        Ok(())
    }

    async fn after(&self, _: Call) -> StoreResult<()> {
        Ok(())
    }
}

struct Model {
    servers: Arc<Servers>,
    clock: ManualClock,
    weather: Mutex<Arc<Cuttable>>,
    opened: AtomicU32,
    failures: Failures,
}

fn bounds() -> Bounds {
    // Nothing drives the clock between two steps of a test, so no renewal would come in time.
    Bounds { partition_lease: Duration::from_secs(24 * 60 * 60), ..Bounds::default() }
}

#[async_trait]
impl Harness for Model {
    async fn start() -> Self {
        let clock = ManualClock::new();
        let servers = Servers::new(bounds(), Arc::new(clock.clone()));
        Self { servers, clock, weather: Mutex::default(), opened: AtomicU32::new(0), failures: Failures::new() }
    }

    async fn open(&self) -> Engine {
        let weather = Arc::<Cuttable>::default();
        *self.weather.lock() = Arc::clone(&weather);
        let id = self.opened.fetch_add(1, Ordering::SeqCst);
        let client = Client::new(&self.servers, self.clock(), self.failures.group(), weather, id);
        let client = Arc::new(client);
        Engine {
            log: client.clone(),
            queue: client.clone(),
            store: client.clone(),
            journal: client.clone(),
            dedup: client,
        }
    }

    fn kill(&self, _: &Engine) {
        self.weather.lock().dead.store(true, Ordering::SeqCst);
    }

    async fn crash(&self, engine: Engine) {
        self.kill(&engine);
        drop(engine);
        // As when the partitions' leases have run out.
        self.servers.change(|data, _| data.shares.all_leave());
        self.servers.free();
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn lease_time(&self) -> Duration {
        bounds().lease
    }

    fn partitions(&self) -> usize {
        bounds().event_partitions.into()
    }

    fn gate_partitions(&self) -> usize {
        bounds().gate_partitions.into()
    }

    fn settle_cuts(&self) -> Vec<&'static str> {
        vec!["before step 1", "after step 1", "after step 2", "before the copy is removed"]
    }

    async fn cut_next_settle(&self, _: &Engine, cut: &'static str) {
        let weather = self.weather.lock();
        weather.steps.store(0, Ordering::SeqCst);
        *weather.cut.lock() = Some(cut);
    }

    async fn spoil(&self, _: WebhookId, delivery: DeliveryId) {
        self.servers.change(|data, _| data.copies.spoil(delivery));
    }

    async fn spoil_event(&self, project: &ProjectId, event: &EventId) {
        self.servers.change(|data, _| data.events.erase(project, event));
    }

    async fn spoil_last_entry(&self) {
        self.servers.change(|data, _| data.journal.spoil_last());
    }
}

fanfare_testkit::conformance_suite!(Model);

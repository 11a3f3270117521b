//! Processes: delivery and fan-out as they are, on the model engine, each on clocks of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanfare_core::clock::Clock;
use fanfare_core::ports::ConfigStore;
use fanfare_delivery::Delivery;
use fanfare_fanout::Fanout;
use fanfare_runtime::tasks::Failures;
use fanfare_runtime::{Chance, Registry, Tasks};

use super::{NOBODY, World};
use crate::client::Client;
use crate::doctor::Ports;
use crate::receiver::Wire;
use crate::skies::Skies;
use crate::stage::{ProcessId, StageClock};
use crate::trace::Fact;

/// How long a process that was told to stop may take.
const GRACE: Duration = Duration::from_secs(20);

/// Where a process runs, and another after it.
pub(super) struct Slot {
    process: Option<ProcessId>,
    tasks: Option<Tasks>,
    pub(super) clock: StageClock,
    /// How many calls about deliveries have been made from here.
    pub(super) calls: u32,
}

impl World {
    pub(crate) fn make_slots(self: &Arc<Self>) {
        for slot in 0..self.plan.slots {
            let clock = StageClock::new(&self.stage);
            self.slots.lock().push(Slot { process: None, tasks: None, clock, calls: 0 });
            self.start(slot);
        }
    }

    /// Starts a process where none runs.
    pub(crate) fn start(self: &Arc<Self>, slot: usize) {
        let process = {
            let mut slots = self.slots.lock();
            if slots[slot].process.is_some() {
                return;
            }
            let number = self.processes.fetch_add(1, Ordering::Relaxed) + 1;
            let process = ProcessId(u32::try_from(number).unwrap_or(u32::MAX));
            slots[slot].process = Some(process);
            process
        };
        self.note(Fact::Started { process, slot });
        let mut failures = Failures::new();
        let tasks = failures.group_on(Some(self.stage.executor(process)));
        let clock = {
            let mut slots = self.slots.lock();
            slots[slot].tasks = Some(tasks.clone());
            slots[slot].clock.clone()
        };
        self.run(process, slot, &tasks, Arc::new(clock));
        let world = Arc::clone(self);
        self.stage.spawn(NOBODY, async move {
            let failure = failures.first().await;
            if !world.stage.is_dead(process) {
                world.note(Fact::Failed { process, how: failure.to_string() });
            }
        });
    }

    fn run(self: &Arc<Self>, process: ProcessId, slot: usize, tasks: &Tasks, clock: Arc<dyn Clock>) {
        let weather = Arc::new(Skies { world: Arc::clone(self), process, slot });
        let client = Client::new(&self.servers, Arc::clone(&clock), tasks.clone(), weather, process.0);
        // Not among its tasks: it lasts until they have ended, or the process.
        self.stage.spawn(process, client.clone().be_present());
        let client = Arc::new(client);
        let registry = Registry::new(self.key.clone());
        let ports = Ports {
            queue: client.clone(),
            dedup: client.clone(),
            store: client.clone(),
            journal: client.clone(),
            log: client,
            registry: Arc::clone(&registry),
        };
        let ports = (self.doctor)(ports);
        let store: Arc<dyn ConfigStore> = Arc::clone(&ports.store);
        registry.start(&store, &clock, tasks);
        let wire = Wire { world: Arc::clone(self), process, registry: Arc::clone(&registry) };
        let delivery = Delivery {
            queue: Arc::clone(&ports.queue),
            dedup: Arc::clone(&ports.dedup),
            store: Arc::clone(&store),
            journal: ports.journal,
            log: Arc::clone(&ports.log),
            registry: Arc::clone(&registry),
            egress: Arc::new(wire),
            chance: Chance::seeded(self.plan.seed ^ u64::from(process.0)),
            config: self.plan.delivery.clone(),
        };
        delivery.start(Arc::clone(&clock), self.metrics.clone(), tasks);
        let (log, queue, dedup) = (ports.log, ports.queue, ports.dedup);
        let config = self.plan.fanout.clone();
        Fanout { log, queue, dedup, store, registry, config }.start(clock, self.metrics.clone(), tasks);
    }

    pub(crate) fn running(&self, slot: usize) -> Option<ProcessId> {
        self.slots.lock()[slot].process
    }

    /// A process dies; another takes its place after a while.
    pub(crate) fn crash(self: &Arc<Self>, process: ProcessId, down: Duration) {
        self.note(Fact::Crashed { process });
        self.stage.kill(process);
        self.replace(process, down);
    }

    /// The slot of a process that is over is free, and filled again after a while.
    fn replace(self: &Arc<Self>, process: ProcessId, down: Duration) {
        let slot = {
            let mut slots = self.slots.lock();
            let Some(slot) = slots.iter().position(|slot| slot.process == Some(process)) else { return };
            slots[slot].process = None;
            slots[slot].tasks = None;
            slot
        };
        let world = Arc::clone(self);
        self.stage.spawn(NOBODY, async move {
            world.stage.sleep(down).await;
            world.start(slot);
        });
    }

    /// A process is told to stop, and given some time.
    pub(crate) fn restart(self: &Arc<Self>, process: ProcessId) {
        let tasks =
            self.slots.lock().iter().find(|slot| slot.process == Some(process)).and_then(|slot| slot.tasks.clone());
        let Some(tasks) = tasks else { return };
        self.note(Fact::Stopping { process });
        tasks.shutdown().cancel();
        let world = Arc::clone(self);
        self.stage.spawn(NOBODY, async move {
            let deadline = world.stage.now().after(GRACE);
            while !tasks.is_empty() && world.stage.now() < deadline {
                world.stage.sleep(Duration::from_millis(100)).await;
            }
            world.stage.kill(process);
            world.replace(process, Duration::from_millis(200));
        });
    }

    /// A process stands still for a while.
    pub(crate) fn freeze(self: &Arc<Self>, process: ProcessId, lasting: Duration) {
        self.note(Fact::Froze { process, lasting });
        self.stage.freeze(process);
        let world = Arc::clone(self);
        self.stage.spawn(NOBODY, async move {
            world.stage.sleep(lasting).await;
            world.stage.thaw(process);
            world.note(Fact::Thawed { process });
        });
    }
}

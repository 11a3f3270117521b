//! What the tasks of delivery share, and how a leased delivery gets into its pass.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Clock;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::delivery_queue::{GatePartition, Lease};
use fanfare_core::ports::{ConfigStore, Dedup, DeliveryQueue, EventLog, Journal};
use fanfare_egress::Post;
use fanfare_runtime::{Chance, Registry, Shutdown, Tasks};
use fanfare_telemetry::Metrics;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::breakers::Breakers;
use crate::claim::answering::Answering;
use crate::config::DeliveryConfig;
use crate::gates::pacing::Turn;
use crate::health::HealthNotes;
use crate::held::{Held, Hold};
use crate::lanes::{Admission, Bounds, Lanes};
use crate::pass::{self, Way};
use crate::storing::{Stored, Storing};

pub(crate) use crate::lanes::Origin;

/// A leased delivery on its way to its end or its next place.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) lease: Lease,
    pub(crate) hold: Hold,
    pub(crate) origin: Origin,
    /// Its turn by the rate that its gate is worked off at, if there is one.
    pub(crate) turn: Option<Turn>,
    /// Its place among those taken from behind its gate that have not been sent.
    pub(crate) unsent: Option<OwnedSemaphorePermit>,
    /// Its share of what may be held at once: of the worker's, or of its gate's.
    _room: OwnedSemaphorePermit,
}

impl Work {
    pub(crate) fn webhook(&self) -> WebhookId {
        self.lease.delivery.header.webhook
    }
}

/// What the tasks share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) queue: Arc<dyn DeliveryQueue>,
    pub(crate) dedup: Arc<dyn Dedup>,
    pub(crate) store: Arc<dyn ConfigStore>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) egress: Arc<dyn Post>,
    pub(crate) chance: Chance,
    pub(crate) config: DeliveryConfig,
    pub(crate) clock: Time,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: Tasks,
    pub(crate) shutdown: Shutdown,
    /// Leases that may be taken from the queue.
    pub(crate) room: Arc<Semaphore>,
    /// Of those, how many wait for the stores.
    pub(crate) storing: Arc<Storing>,
    pub(crate) lanes: Mutex<Lanes<Work>>,
    /// Something has left a crowded lane.
    pub(crate) lane_has_room: Notify,
    pub(crate) held: Arc<Held>,
    pub(crate) health: HealthNotes,
    pub(crate) breakers: Breakers,
    /// Whoever raises a gate for a full lane: one at a time.
    pub(crate) raising: tokio::sync::Mutex<()>,
    /// Whether the store of claims answers.
    pub(crate) claims_answering: Answering,
}

/// The clock port, which has no `Debug` of its own.
#[derive(Clone)]
pub(crate) struct Time(Arc<dyn Clock>);

impl std::ops::Deref for Time {
    type Target = dyn Clock;
    fn deref(&self) -> &(dyn Clock + 'static) {
        &*self.0
    }
}

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Context {
    pub(crate) fn new(delivery: crate::Delivery, clock: Arc<dyn Clock>, metrics: Metrics, tasks: Tasks) -> Arc<Self> {
        let config = delivery.config;
        let batch = config.lease_batch.max(1);
        let max_in_flight = config.max_in_flight.clamp(batch + 1, Semaphore::MAX_PERMITS);
        let bounds = Bounds {
            limit: config.lane_limit,
            // One batch is kept for what needs no lane: without it the worker could not even put deliveries aside.
            held: max_in_flight - batch,
        };
        Arc::new(Self {
            queue: delivery.queue,
            dedup: delivery.dedup,
            store: delivery.store,
            journal: delivery.journal,
            log: delivery.log,
            registry: delivery.registry,
            egress: delivery.egress,
            chance: delivery.chance,
            config,
            clock: Time(clock),
            metrics,
            shutdown: tasks.shutdown(),
            tasks,
            room: Arc::new(Semaphore::new(max_in_flight)),
            storing: Storing::new(max_in_flight / 4),
            lanes: Mutex::new(Lanes::new(bounds)),
            lane_has_room: Notify::new(),
            held: Arc::default(),
            health: HealthNotes::default(),
            breakers: Breakers::default(),
            raising: tokio::sync::Mutex::default(),
            claims_answering: Answering::default(),
        })
    }

    /// Enters a lease among those that are held.
    pub(crate) fn take(&self, lease: Lease, origin: Origin, room: OwnedSemaphorePermit) -> Work {
        let hold = self.held.enter(&lease, &*self.clock);
        Work { lease, hold, origin, turn: None, unsent: None, _room: room }
    }

    /// The same of one that was taken from behind a gate.
    pub(crate) fn take_from_gate(
        &self,
        lease: Lease,
        gate: &Arc<dyn GatePartition>,
        room: OwnedSemaphorePermit,
    ) -> Work {
        let mut work = self.take(lease, Origin::Gate, room);
        work.hold.taken_from(gate);
        work
    }

    /// Counts a delivery from the queue while a store is asked about it; those from behind gates have bounds of their own. While
    /// claims are not answered each waits for a timeout, and nothing is to be held up by that.
    pub(crate) fn storing(&self, work: &Work) -> Option<Stored> {
        (work.origin == Origin::Queue && self.claims_answering.is_well()).then(|| self.storing.enter())
    }

    /// Hands a delivery to its webhook's lane, or aside if it is not to be sent now.
    pub(crate) fn admit(self: &Arc<Self>, work: Work) {
        let webhook = work.webhook();
        let project = work.lease.delivery.header.project.clone();
        let admission = match work.origin {
            // It goes behind the gate, for which it needs no lane.
            Origin::Queue if self.registry.gate(webhook).is_some() => Admission::Surplus(work),
            Origin::Queue => {
                let ready_for = self.clock.now().since(work.lease.ready_at);
                self.lanes.lock().admit(webhook, &project, (ready_for, self.clock.monotonic()), work)
            }
            Origin::Gate => self.lanes.lock().admit_from_gate(webhook, &project, work),
        };
        match admission {
            Admission::Start(work) => self.start(work),
            Admission::Waits => {}
            Admission::Surplus(work) => {
                let context = Arc::clone(self);
                self.tasks.spawn_work("delivery", async move {
                    pass::run(&context, work, Way::Aside).await;
                });
            }
            Admission::Closed(work) => {
                let context = Arc::clone(self);
                self.tasks.spawn_work("delivery", async move { context.give_back(work).await });
            }
        }
    }

    fn start(self: &Arc<Self>, work: Work) {
        let webhook = work.webhook();
        let seat = Seat { context: Arc::clone(self), webhook, origin: work.origin };
        let slot = Slot { context: Arc::clone(self), webhook };
        let context = Arc::clone(self);
        self.tasks.spawn_work("delivery", async move {
            pass::run(&context, work, Way::Lane { slot, seat }).await;
        });
    }

    /// Its receiver wants no request for so long: the webhook's lane starts none, though not for longer than probes are apart at
    /// most; then one request asks again. Its gate's owner probes it as it does.
    pub(crate) fn hold_back(self: &Arc<Self>, webhook: WebhookId, wanted: Duration) {
        let until = self.clock.monotonic().after(wanted.min(self.config.probe_longest.get()));
        if !self.lanes.lock().hold_back(webhook, until) {
            return;
        }
        let context = Arc::clone(self);
        self.tasks.spawn_work("lane-held-back", async move {
            context.show_held_back();
            loop {
                // It may have come to be later meanwhile.
                let until = context.lanes.lock().held_back_until(webhook);
                let Some(until) = until.filter(|until| context.clock.monotonic() < *until) else { break };
                tokio::select! {
                    biased;
                    () = context.shutdown.cancelled() => break,
                    () = context.clock.sleep_until(until) => {}
                }
            }
            context.go_on(webhook);
        });
    }

    /// A lane that was held back goes on; after closing it starts nothing.
    pub(crate) fn go_on(self: &Arc<Self>, webhook: WebhookId) {
        let next = self.lanes.lock().go_on(webhook);
        self.show_held_back();
        for work in next {
            self.start(work);
        }
    }

    fn show_held_back(&self) {
        let lanes = i64::try_from(self.lanes.lock().held_back()).unwrap_or(i64::MAX);
        self.metrics.delivery_lanes_held_back.set(lanes);
    }

    /// Gives a lease up unchanged. Where that fails it runs out by itself.
    pub(crate) async fn give_back(&self, work: Work) {
        self.give_up(&work).await;
    }

    /// The same of what is held a moment longer; a claim that was got under the lease ends with it.
    pub(crate) async fn give_up(&self, work: &Work) {
        if let Err(error) = self.queue.abandon(&work.lease).await {
            let error = fanfare_runtime::tasks::report(&error);
            tracing::warn!(%error, "could not give a delivery back; its lease runs out by itself");
        }
    }
}

/// A request's place among those that its lane makes at once. Dropping it, by a panic too, starts the next.
#[derive(Debug)]
pub(crate) struct Slot {
    context: Arc<Context>,
    webhook: WebhookId,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let next = self.context.lanes.lock().sent(self.webhook);
        for work in next {
            self.context.start(work);
        }
    }
}

/// A delivery's place among those that its lane holds. It outlives the slot, and ends before the settlement: what waits for the
/// store says nothing of the receiver.
#[derive(Debug)]
pub(crate) struct Seat {
    context: Arc<Context>,
    webhook: WebhookId,
    origin: Origin,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.context.lanes.lock().left(self.webhook, self.origin) {
            self.context.lane_has_room.notify_one();
        }
    }
}

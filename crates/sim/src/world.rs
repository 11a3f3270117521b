//! A simulated world: servers, processes, receivers, owners of webhooks, and what befalls them.

mod operator;
mod process;
mod script;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fanfare_core::clock::{Clock as _, Monotonic};
use fanfare_core::ids::{DeliveryId, EventId, Hop, IdempotencyKey, ProjectId, Run, WebhookId};
use fanfare_core::seal::SealingKey;
use fanfare_runtime::Registry;
use fanfare_telemetry::Metrics;
use parking_lot::Mutex;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use uuid::Uuid;

use crate::client::Server;
use crate::doctor::Doctor;
use crate::model::{Bounds, Servers};
use crate::plan::{Behaviour, Plan, Then, Trigger};
use crate::stage::{ProcessId, Stage, StageClock};
use crate::trace::{Fact, LeaseOf, Sent, Trace};

use process::Slot;

/// Whoever is not a process: the script, the receivers' side.
pub(crate) const NOBODY: ProcessId = ProcessId(0);

/// See the [module](self).
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) stage: Stage,
    pub(crate) servers: Arc<Servers>,
    server_clock: StageClock,
    doctor: Arc<Doctor>,
    chance: Mutex<StdRng>,
    trace: Mutex<Trace>,
    posts: AtomicUsize,
    healed: AtomicBool,
    /// Until when each server is away.
    away: Mutex<BTreeMap<u8, Monotonic>>,
    slots: Mutex<Vec<Slot>>,
    processes: AtomicUsize,
    triggers: Mutex<Vec<Trigger>>,
    serving: Vec<Arc<AtomicUsize>>,
    metrics: Metrics,
    key: SealingKey,
    /// Which event to which webhook an idempotency key stands for.
    keys: BTreeMap<String, (usize, usize, DeliveryId)>,
    /// Which copy each task has asked the claim of last.
    asked: Mutex<BTreeMap<u64, (DeliveryId, Hop)>>,
}

/// The one project.
pub(crate) fn project() -> ProjectId {
    ProjectId::new("acme").expect("a valid id")
}

/// The webhook of that number.
pub(crate) fn webhook_id(number: usize) -> WebhookId {
    WebhookId::from_uuid(Uuid::from_u128(0x0199_e1a0_0000_7000_8000_0000_0000_0000 + number as u128))
}

/// The id of the event of that number.
pub(crate) fn event_id(number: usize) -> EventId {
    EventId::new(format!("order-{number}")).expect("a valid id")
}

impl World {
    pub(crate) fn new(plan: Plan, doctor: Arc<Doctor>, metrics: Metrics) -> Arc<Self> {
        let stage = Stage::new(plan.seed ^ 0x5747_4745);
        let server_clock = StageClock::new(&stage);
        let bounds = Bounds { gate_partitions: plan.gate_partitions, ..Bounds::default() };
        let servers = Servers::new(bounds, Arc::new(server_clock.clone()));
        let mut chance = StdRng::seed_from_u64(plan.seed ^ 0x6368_616e);
        let (key, _) = SealingKey::generate(&mut chance);
        let mut keys = BTreeMap::new();
        for event in 0..plan.events.len() {
            for webhook in 0..plan.webhooks.len() {
                let (to, what) = (webhook_id(webhook), event_id(event));
                let delivery = DeliveryId::derive(to, &what, &Run::Original);
                keys.insert(IdempotencyKey::derive(to, &what).to_string(), (webhook, event, delivery));
            }
        }
        let triggers = Mutex::new(plan.triggers.clone());
        let serving = plan.webhooks.iter().map(|_| Arc::default()).collect();
        Arc::new(Self {
            stage,
            servers,
            server_clock,
            doctor,
            chance: Mutex::new(chance),
            trace: Mutex::default(),
            posts: AtomicUsize::new(0),
            healed: AtomicBool::new(false),
            away: Mutex::default(),
            slots: Mutex::default(),
            processes: AtomicUsize::new(0),
            triggers,
            serving,
            metrics,
            key,
            keys,
            asked: Mutex::default(),
            plan,
        })
    }

    pub(crate) fn note(&self, fact: Fact) {
        if self.plan.requests_only && !matches!(fact, Fact::Sent(_) | Fact::Answered { .. } | Fact::Failed { .. }) {
            return;
        }
        let at = self.stage.now().0;
        self.trace.lock().0.push((at, fact));
    }

    pub(crate) fn take_trace(&self) -> Trace {
        std::mem::take(&mut *self.trace.lock())
    }

    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.chance.lock())
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.healed.load(Ordering::Relaxed)
    }

    pub(crate) fn is_away(&self, server: Server) -> bool {
        self.away.lock().get(&(server as u8)).is_some_and(|until| *until > self.stage.now())
    }

    /// What is to befall a process at its present call, once.
    pub(crate) fn trigger(&self, slot: usize, after: bool) -> Option<Then> {
        let calls = self.slots.lock()[slot].calls;
        let mut triggers = self.triggers.lock();
        let here = triggers.iter().position(|at| (at.slot, at.call, at.after) == (slot, calls, after))?;
        Some(triggers.remove(here).then)
    }

    pub(crate) fn count_call(&self, slot: usize) {
        self.slots.lock()[slot].calls += 1;
    }

    /// A receiver's behaviour now.
    pub(crate) fn behaviour(&self, webhook: usize) -> Behaviour {
        let now = self.stage.now().0;
        let behaves = &self.plan.webhooks[webhook].behaves;
        let present = behaves.iter().rev().find(|(from, _)| *from <= now);
        match present {
            Some((_, behaviour)) if !self.is_healed() => *behaviour,
            Some(_) | None => Behaviour::Well(Duration::from_millis(20)),
        }
    }

    pub(crate) fn serving(&self, webhook: usize) -> Arc<AtomicUsize> {
        Arc::clone(&self.serving[webhook])
    }

    /// The present task asks for the claim of a delivery at a hop: what it sends next is that copy.
    pub(crate) fn asks_for(&self, delivery: DeliveryId, hop: Hop) {
        self.asked.lock().insert(self.stage.present(), (delivery, hop));
    }

    /// What the servers know of a POST that goes out.
    pub(crate) fn sent(&self, process: ProcessId, key: &str, registry: &Registry) -> Sent {
        let (webhook, event, delivery) = self.keys[key];
        let (lease, claimed) = self.servers.read(|data, now| {
            // Of several copies it is the one that the same task has asked the claim of.
            let asked = self.asked.lock().get(&self.stage.present()).copied();
            let hop = asked.filter(|(which, _)| *which == delivery).map(|(_, hop)| hop);
            let claimed = hop.is_some_and(|hop| data.claims.holds(delivery, hop, process.0, now.monotonic));
            let mut all = data.copies.held_by(process.0, delivery);
            all.retain(|(_, held)| Some(held.hop) == hop);
            // Of two copies at one hop nobody can tell which it is: it is taken for the one from behind the gate, whose place and
            // token say something.
            let held = all.iter().find(|(_, held)| held.is_from_gate()).or(all.first()).copied();
            let lease = held.map(|(token, held)| LeaseOf {
                token,
                hop: held.hop,
                place: held.sequence,
                from_gate: held.is_from_gate(),
                held: all.iter().any(|(_, other)| other.until > now.monotonic),
            });
            (lease, claimed)
        });
        let gate = registry.gate(webhook_id(webhook));
        let post = self.posts.fetch_add(1, Ordering::Relaxed);
        Sent { post, process, webhook, event, delivery, lease, claimed, gate, wall: self.server_clock.now() }
    }
}

//! Delivery: deliveries in, HTTP out. Lanes, gates, signing, settling.
//!
//! A worker leases what is ready and hands it to the webhook's lane; from there each delivery makes one pass: claim, checks,
//! POST, settlement. The owner of a webhook's gate sends what stands behind it through the same lane and the same pass. What
//! is held is renewed until it is settled; what is lost on the way is picked up by whoever leases it next.

mod breakers;
mod claim;
mod config;
mod context;
mod decide;
mod gates;
mod health;
mod held;
mod lanes;
mod operational;
mod pass;
mod renew;
mod sample;
mod settle;
mod storing;
mod worker;

use std::sync::Arc;

use fanfare_core::clock::Clock;
use fanfare_core::ports::{ConfigStore, Dedup, DeliveryQueue, EventLog, Journal};
use fanfare_egress::Post;
use fanfare_runtime::{Chance, Registry, Tasks};
use fanfare_telemetry::Metrics;

pub use config::{DedupOnUnavailable, DeliveryConfig};

use context::Context;

/// What delivery works with.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The queue.
    pub queue: Arc<dyn DeliveryQueue>,
    /// The claims.
    pub dedup: Arc<dyn Dedup>,
    /// For health records.
    pub store: Arc<dyn ConfigStore>,
    /// For what happens to health records.
    pub journal: Arc<dyn Journal>,
    /// For what projects are told of their webhooks.
    pub log: Arc<dyn EventLog>,
    /// Webhooks, projects, health.
    pub registry: Arc<Registry>,
    /// The guarded client.
    pub egress: Arc<dyn Post>,
    /// For jitter and ids.
    pub chance: Chance,
    /// Its bounds.
    pub config: DeliveryConfig,
}

impl Delivery {
    /// Starts the workers and the gate owner. On shutdown they lease no more, finish what is in flight, give back the rest.
    pub fn start(self, clock: Arc<dyn Clock>, metrics: Metrics, tasks: &Tasks) {
        let context = Context::new(self, clock, metrics, tasks.clone());
        tasks.spawn("delivery-worker", worker::run(Arc::clone(&context)));
        tasks.spawn("delivery-renewal", renew::run(Arc::clone(&context)));
        tasks.spawn("delivery-gates", gates::run(Arc::clone(&context)));
        tasks.spawn("delivery-empty-gates", gates::empty::run(Arc::clone(&context)));
        tasks.spawn("delivery-depth", sample::run(context));
    }
}

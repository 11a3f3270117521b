//! Delivery: deliveries in, HTTP out. Lanes, gates, signing, settling.

use std::sync::Arc;

use fanfare_core::clock::Clock;
use fanfare_core::ports::{ConfigStore, Dedup, DeliveryQueue};
use fanfare_egress::Egress;
use fanfare_runtime::{Registry, Tasks};
use fanfare_telemetry::Metrics;
use serde::{Deserialize, Serialize};

/// Delivery's bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryConfig {}

/// What delivery works with.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The queue.
    pub queue: Arc<dyn DeliveryQueue>,
    /// The claims.
    pub dedup: Arc<dyn Dedup>,
    /// For health records.
    pub store: Arc<dyn ConfigStore>,
    /// Webhooks, projects, health.
    pub registry: Arc<Registry>,
    /// The guarded client.
    pub egress: Egress,
    /// Its bounds.
    pub config: DeliveryConfig,
}

impl Delivery {
    /// Starts the workers and the gate owner. On shutdown they lease no more, finish what is in flight, give back the rest.
    pub fn start(self, clock: Arc<dyn Clock>, metrics: Metrics, tasks: &Tasks) {
        let _ = (clock, metrics, tasks);
        todo!()
    }
}

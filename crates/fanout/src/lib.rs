//! Fan-out: events in, deliveries out.

use std::sync::Arc;

use fanfare_core::clock::Clock;
use fanfare_core::ports::{ConfigStore, Dedup, DeliveryQueue, EventLog};
use fanfare_runtime::{Registry, Tasks};
use fanfare_telemetry::Metrics;
use serde::{Deserialize, Serialize};

/// Fan-out's bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FanoutConfig {}

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
        let _ = (clock, metrics, tasks);
        todo!()
    }
}

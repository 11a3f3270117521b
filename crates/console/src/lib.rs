//! The management API: webhooks, event types, events, deliveries, retries.

use std::sync::Arc;

use axum::Router;
use fanfare_core::clock::Clock;
use fanfare_core::ports::{ConfigStore, DeliveryQueue, EventLog, Journal};
use fanfare_core::seal::SealingKey;
use fanfare_egress::Egress;
use fanfare_history::History;
use fanfare_runtime::Registry;
use fanfare_telemetry::Metrics;
use serde::{Deserialize, Serialize};

/// The console's bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleConfig {}

/// What the console works with.
#[derive(Clone, Debug)]
pub struct Console {
    /// Webhooks, projects, keys, health.
    pub store: Arc<dyn ConfigStore>,
    /// Its own watched copy of them.
    pub registry: Arc<Registry>,
    /// For retries and discards.
    pub queue: Arc<dyn DeliveryQueue>,
    /// For an event's data.
    pub log: Arc<dyn EventLog>,
    /// For what it does itself.
    pub journal: Arc<dyn Journal>,
    /// The read model.
    pub history: History,
    /// For test deliveries.
    pub egress: Egress,
    /// Seals secrets.
    pub key: SealingKey,
    /// Its bounds.
    pub config: ConsoleConfig,
}

impl Console {
    /// The routes under `/v1` but `POST /v1/events`.
    pub fn router(self, clock: Arc<dyn Clock>, metrics: Metrics) -> Router {
        let _ = (clock, metrics);
        todo!()
    }
}

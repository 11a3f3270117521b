//! What a process is given to work with, and whoever changes it to see what comes of it.

use std::sync::Arc;

use fanfare_core::ports::{ConfigStore, Dedup, DeliveryQueue, EventLog, Journal};
use fanfare_runtime::Registry;

/// The ports of one process, and its registry.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Deliveries.
    pub queue: Arc<dyn DeliveryQueue>,
    /// Claims.
    pub dedup: Arc<dyn Dedup>,
    /// Configuration and health.
    pub store: Arc<dyn ConfigStore>,
    /// What happened.
    pub journal: Arc<dyn Journal>,
    /// Accepted events.
    pub log: Arc<dyn EventLog>,
    /// What the process knows of webhooks.
    pub registry: Arc<Registry>,
}

/// Changes the ports of each process that starts: so are bugs planted.
pub type Doctor = dyn Fn(Ports) -> Ports + Send + Sync;

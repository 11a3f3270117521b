//! The ports of one process, all of them by the same engine.

use std::sync::Arc;

use fanfare_core::ports::{ConfigStore, Dedup, DeliveryQueue, EventLog, Journal};
use fanfare_embedded::Embedded;

/// The ports.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) queue: Arc<dyn DeliveryQueue>,
    pub(super) store: Arc<dyn ConfigStore>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) dedup: Arc<dyn Dedup>,
}

impl Ports {
    /// The ports of the embedded engine.
    pub(super) fn of(engine: &Embedded) -> Self {
        Self {
            log: Arc::new(engine.clone()),
            queue: Arc::new(engine.clone()),
            store: Arc::new(engine.clone()),
            journal: Arc::new(engine.clone()),
            dedup: Arc::new(engine.clone()),
        }
    }
}

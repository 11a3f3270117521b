//! The ports of one process, all of them by the same engine.

use std::sync::Arc;

use fanfare_core::ports::{ConfigStore, Dedup, DeliveryQueue, EventLog, Journal, Rejections};

/// The ports.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) queue: Arc<dyn DeliveryQueue>,
    pub(super) store: Arc<dyn ConfigStore>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) dedup: Arc<dyn Dedup>,
    pub(super) rejections: Arc<dyn Rejections>,
}

impl Ports {
    /// The ports of an engine.
    pub(super) fn of<E>(engine: &E) -> Self
    where
        E: EventLog + DeliveryQueue + ConfigStore + Journal + Dedup + Rejections + Clone + 'static,
    {
        Self {
            log: Arc::new(engine.clone()),
            rejections: Arc::new(engine.clone()),
            queue: Arc::new(engine.clone()),
            store: Arc::new(engine.clone()),
            journal: Arc::new(engine.clone()),
            dedup: Arc::new(engine.clone()),
        }
    }
}

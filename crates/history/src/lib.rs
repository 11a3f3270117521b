//! The read model: `history.db`, fed by the journal, and its queries.
//!
//! What is shown of events, deliveries and attempts comes from here, never from the queue.

pub mod query;

use std::path::Path;
use std::sync::Arc;

use fanfare_core::attempt::Attempt;
use fanfare_core::clock::Clock;
use fanfare_core::ids::{DeliveryId, EventId, ProjectId};
use fanfare_core::ports::{ConfigStore, Journal};
use fanfare_runtime::{Span, Tasks};
use fanfare_telemetry::Metrics;
use serde::{Deserialize, Serialize};

pub use query::{DeliveryFilter, DeliveryPage, DeliveryRow, EventRow, HistoryError};

/// The read model's bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// How long events that are done with, and their deliveries, are shown.
    pub retention: Span,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { retention: Span::from_secs(30 * 24 * 60 * 60) }
    }
}

/// The read model. Cloning shares it.
#[derive(Clone, Debug)]
pub struct History {}

impl History {
    /// Opens or creates the database, migrating it if it is older.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged, or was written by a newer version.
    pub fn open(path: &Path, config: &HistoryConfig, metrics: Metrics) -> Result<Self, HistoryError> {
        let _ = (path, config, metrics);
        todo!()
    }

    /// Starts the tasks that apply the journal, keep the webhooks' versions, and remove what is past retention.
    pub fn start(&self, journal: Arc<dyn Journal>, store: Arc<dyn ConfigStore>, clock: Arc<dyn Clock>, tasks: &Tasks) {
        let _ = (journal, store, clock, tasks);
        todo!()
    }

    /// An event with its deliveries and non-matches (at most 100 of each; the totals say whether there are more).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn event(&self, project: &ProjectId, id: &EventId) -> Result<Option<EventRow>, HistoryError> {
        let _ = (project, id);
        todo!()
    }

    /// Deliveries of a project, most recent first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn deliveries(&self, project: &ProjectId, filter: DeliveryFilter) -> Result<DeliveryPage, HistoryError> {
        let _ = (project, filter);
        todo!()
    }

    /// A delivery with its attempts, first to last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn delivery(
        &self,
        project: &ProjectId,
        id: DeliveryId,
    ) -> Result<Option<(DeliveryRow, Vec<Attempt>)>, HistoryError> {
        let _ = (project, id);
        todo!()
    }
}

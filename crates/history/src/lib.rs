//! The read model: `history.db`, fed by the journal, and its queries.
//!
//! What is shown of events, deliveries and attempts comes from here, never from the queue. It is a little behind the queue,
//! and can be built again from the journal as far as that reaches back.

mod apply;
mod columns;
mod database;
mod deletions;
mod error;
mod follow;
pub mod query;
mod retention;
mod standing;
#[cfg(test)]
mod tests;
mod versions;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_core::attempt::Attempt;
use fanfare_core::clock::{Clock, Timestamp};
use fanfare_core::ids::{DeliveryId, EventId, ProjectId, WebhookId};
use fanfare_core::ports::journal::JournalPosition;
use fanfare_core::ports::{ConfigStore, Journal};
use fanfare_runtime::{Span, Tasks};
use fanfare_telemetry::Metrics;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use database::Database;
pub use error::HistoryError;
use follow::Follower;
pub use query::windows::{DeliveryWindow, MAX_COUNTED, WindowStart};
pub use query::{
    DeliveryFilter, DeliveryPage, DeliveryRow, EventFilter, EventPage, EventRow, EventSummary, OpenDeletion,
};

/// The read model's bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// How long events that are done with, and their deliveries, are shown: counted from when the last of an event's
    /// deliveries ended. 30 days, so that a month's report can still be looked into.
    pub retention: Span,
    /// Queries that run at the same time; further ones wait. At least 1. 4, since each keeps a thread and up to 2 MiB of
    /// cached pages, and most take less than a millisecond.
    pub readers: usize,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { retention: Span::from_secs(30 * 24 * 60 * 60), readers: 4 }
    }
}

/// The read model. Cloning shares it.
#[derive(Clone, Debug)]
pub struct History {
    database: Arc<Database>,
    config: HistoryConfig,
    metrics: Metrics,
    applied: watch::Sender<JournalPosition>,
}

impl History {
    /// Opens or creates the database, migrating it if it is older.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged, or was written by a newer version.
    pub fn open(path: &Path, config: &HistoryConfig, metrics: Metrics) -> Result<Self, HistoryError> {
        let database = Arc::new(Database::open(path, config.readers.max(1))?);
        let applied = watch::Sender::new(JournalPosition::default());
        Ok(Self { database, config: config.clone(), metrics, applied })
    }

    /// Starts the tasks that apply the journal, keep the webhooks' versions, and remove what is past retention.
    pub fn start(&self, journal: Arc<dyn Journal>, store: Arc<dyn ConfigStore>, clock: Arc<dyn Clock>, tasks: &Tasks) {
        let follower = Follower {
            database: Arc::clone(&self.database),
            journal,
            clock: Arc::clone(&clock),
            metrics: self.metrics.clone(),
            applied: self.applied.clone(),
        };
        tasks.spawn("history-journal", follower.run(tasks.shutdown()));
        let database = Arc::clone(&self.database);
        tasks.spawn("history-webhooks", versions::run(database, store, Arc::clone(&clock), tasks.shutdown()));
        let (database, retention) = (Arc::clone(&self.database), self.config.retention.get());
        tasks.spawn("history-retention", retention::run(database, retention, clock, tasks.shutdown()));
    }

    /// Tells the journal's position up to which everything is applied and can be read; zero until the journal is followed.
    pub fn applied(&self) -> watch::Receiver<JournalPosition> {
        self.applied.subscribe()
    }

    /// An event with its deliveries and non-matches (at most 100 of each; the totals say whether there are more). `None`
    /// until it has been fanned out.
    ///
    /// `data` is the event's, if it is still retained: the read model keeps none, and needs it to say at which condition of
    /// a filter the event ended.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn event(
        &self,
        project: &ProjectId,
        id: &EventId,
        data: Option<Bytes>,
    ) -> Result<Option<EventRow>, HistoryError> {
        let (project, id) = (project.clone(), id.clone());
        self.database
            .read("read an event", move |transaction| query::event::one(transaction, &project, &id, data.as_deref()))
            .await
    }

    /// Events of a project that have been fanned out, most recent first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn events(&self, project: &ProjectId, filter: EventFilter) -> Result<EventPage, HistoryError> {
        let project = project.clone();
        self.database.read("read events", move |transaction| query::events::page(transaction, &project, &filter)).await
    }

    /// The deliveries of an event that may still be delivered, with their webhooks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_deliveries(
        &self,
        project: &ProjectId,
        event: &EventId,
    ) -> Result<Vec<(WebhookId, DeliveryId)>, HistoryError> {
        let (project, event) = (project.clone(), event.clone());
        self.database
            .read("read an event's open deliveries", move |transaction| {
                deletions::open_deliveries(transaction, &project, &event)
            })
            .await
    }

    /// Some deletions of events that are not finished, the oldest first; those that were made after `before` are left for later.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_deletions(&self, before: Timestamp) -> Result<Vec<OpenDeletion>, HistoryError> {
        self.database.read("read deletions of events", move |transaction| deletions::open(transaction, before)).await
    }

    /// Notes that a deletion is finished.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn finish_deletion(&self, deletion: &OpenDeletion) -> Result<(), HistoryError> {
        let (project, event) = (deletion.project.clone(), deletion.event.clone());
        self.database
            .write("finish a deletion of an event", move |transaction| deletions::finish(transaction, &project, &event))
            .await
    }

    /// Deliveries of a project, most recent first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn deliveries(&self, project: &ProjectId, filter: DeliveryFilter) -> Result<DeliveryPage, HistoryError> {
        let project = project.clone();
        self.database
            .read("read deliveries", move |transaction| query::deliveries::page(transaction, &project, &filter))
            .await
    }

    /// Some of a project's deliveries with how many there are, most recent first: at most the filter's `limit`; its `after` is not
    /// looked at, `start` stands for it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn delivery_window(
        &self,
        project: &ProjectId,
        filter: DeliveryFilter,
        start: WindowStart,
    ) -> Result<DeliveryWindow, HistoryError> {
        let project = project.clone();
        self.database
            .read("count deliveries", move |transaction| {
                query::windows::window(transaction, &project, &filter, start, MAX_COUNTED)
            })
            .await
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
        let project = project.clone();
        self.database
            .read("read a delivery", move |transaction| query::deliveries::one(transaction, &project, id))
            .await
    }
}

//! Ingest: events in over HTTP, normalised, durable in the event log before the answer.

use std::sync::Arc;

use axum::Router;
use fanfare_core::clock::Clock;
use fanfare_core::ports::{ConfigStore, EventLog};
use fanfare_runtime::Registry;
use fanfare_telemetry::Metrics;
use serde::{Deserialize, Serialize};

/// Ingest's bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {}

/// What ingest works with.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// Where events go.
    pub log: Arc<dyn EventLog>,
    /// Asked for its last revision when a key is not known yet.
    pub store: Arc<dyn ConfigStore>,
    /// Keys and projects.
    pub registry: Arc<Registry>,
    /// Its bounds.
    pub config: IngestConfig,
}

impl Ingest {
    /// The routes: `POST /v1/events`.
    pub fn router(self, clock: Arc<dyn Clock>, metrics: Metrics) -> Router {
        let _ = (clock, metrics);
        todo!()
    }
}

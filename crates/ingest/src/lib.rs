//! Ingest: events in over HTTP, normalised, durable in the event log before the answer.
//!
//! A request passes, in this order: its key and scope, its content type, the backlog, the project's quota, the bounds on
//! its body, the rules for its events; then everything that is left is appended in one call. Whatever is answered with 429
//! or 503 has changed nothing, and can be sent again as it was.

mod admission;
mod answer;
mod config;
mod counters;
mod form;
mod intake;
mod publish;
mod quota;

use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use fanfare_core::clock::Clock;
use fanfare_core::ports::{ConfigStore, EventLog};
use fanfare_runtime::Registry;
use fanfare_telemetry::Metrics;

pub use config::IngestConfig;

use publish::Publisher;

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
    /// The routes: `POST /v1/events`. There are no fallbacks, so that it can be merged with others for the same path.
    #[expect(clippy::needless_pass_by_value, reason = "all services are started in the same way")]
    pub fn router(self, clock: Arc<dyn Clock>, metrics: Metrics) -> Router {
        let publisher = Arc::new(Publisher::new(self, clock, &metrics));
        Router::new().route("/v1/events", post(publish::publish)).with_state(publisher)
    }
}

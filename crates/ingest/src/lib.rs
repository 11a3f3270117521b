//! Ingest: events in over HTTP and, where the engine has a broker, straight from it; normalised, durable in the event log before the answer.
//!
//! A request passes, in this order: its key and scope, its content type, the backlog, the project's quota, the bounds on
//! its body, the rules for its events; then everything that is left is appended in one call. Whatever is answered with 429
//! or 503 has changed nothing, and can be sent again as it was.

mod admission;
mod answer;
mod config;
mod counters;
mod direct;
mod form;
mod intake;
mod openapi;
mod publish;
mod quota;
mod strict;

use std::sync::Arc;

use axum::Router;
use fanfare_core::api_key::{AdminKey, Scope};
use fanfare_core::clock::Clock;
use fanfare_core::ports::{ConfigStore, EventLog, Intake};
use fanfare_http::openapi::Part;
use fanfare_http::{Access, Route, RouteInfo};
use fanfare_runtime::{Registry, Tasks};
use fanfare_telemetry::Metrics;
use http::Method;

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
    /// Known only to be refused with a clear word: it does not publish.
    pub admin_key: Option<AdminKey>,
    /// Its bounds.
    pub config: IngestConfig,
}

fn table() -> Vec<Route<Arc<Publisher>>> {
    vec![Route::new(Method::POST, "/v1/events", Access::Key(Scope::Publish), publish::publish)]
}

/// Every route that ingest serves.
pub fn routes() -> Vec<RouteInfo> {
    Route::infos(&table())
}

/// What ingest serves, for `GET /openapi.json`.
pub fn openapi() -> Part {
    openapi::part()
}

impl Ingest {
    /// Starts to take in what producers publish to the broker themselves. On shutdown the batch that is being taken in is given
    /// up, for whoever comes next to take in again.
    pub fn start(&self, intake: Arc<dyn Intake>, clock: Arc<dyn Clock>, metrics: Metrics, tasks: &Tasks) {
        direct::start(self, intake, clock, metrics, tasks);
    }

    /// The routes: `POST /v1/events`. There are no fallbacks, so that it can be merged with others for the same path.
    #[expect(clippy::needless_pass_by_value, reason = "all services are started in the same way")]
    pub fn router(self, clock: Arc<dyn Clock>, metrics: Metrics) -> Router {
        let publisher = Arc::new(Publisher::new(self, clock, &metrics));
        Route::router(table()).with_state(publisher)
    }
}

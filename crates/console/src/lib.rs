//! The management API: webhooks, event types, events, deliveries, retries, API keys, projects.
//!
//! What is read of webhooks is as new as every change that was answered before, by whichever process; what is read of
//! events and deliveries comes from the read model, which follows by moments. Everything of another project is 404.

pub mod config;

mod api;
mod api_keys;
mod audit;
mod deliveries;
mod event_types;
mod events;
mod filters;
mod input;
mod kapso;
mod openapi;
mod operational;
mod paging;
mod projects;
mod rejections;
mod retry;
mod routes;
mod stored;
mod sweep;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use fanfare_core::api_key::AdminKey;
use fanfare_core::clock::Clock;
use fanfare_core::ports::{ConfigStore, DeliveryQueue, EventLog, Journal, Rejections};
use fanfare_core::seal::SealingKey;
use fanfare_egress::Egress;
use fanfare_history::History;
use fanfare_http::openapi::Part;
use fanfare_http::{Route, RouteInfo};
use fanfare_runtime::{Registry, Tasks};
use fanfare_telemetry::Metrics;

pub use config::ConsoleConfig;

/// What the console works with.
#[derive(Clone, Debug)]
pub struct Console {
    /// Webhooks, projects, keys, health.
    pub store: Arc<dyn ConfigStore>,
    /// Its own watched copy of them.
    pub registry: Arc<Registry>,
    /// For retries and discards.
    pub queue: Arc<dyn DeliveryQueue>,
    /// For an event's data, and for what projects are told of their webhooks.
    pub log: Arc<dyn EventLog>,
    /// For what it does itself.
    pub journal: Arc<dyn Journal>,
    /// For what was published and could not become an event.
    pub rejections: Arc<dyn Rejections>,
    /// The read model.
    pub history: History,
    /// For test deliveries.
    pub egress: Egress,
    /// Seals secrets.
    pub key: SealingKey,
    /// What the operator has set.
    pub operator: Operator,
    /// Its bounds.
    pub config: ConsoleConfig,
}

/// What the operator has set by options: the admin key, and what is therefore not to be changed through the API.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    /// Manages projects and API keys; `None`: nobody does.
    pub admin_key: Option<AdminKey>,
    /// Whether an option sets the first project's networks at every start.
    pub egress_by_option: bool,
    /// Whether an option makes the first project's first key at every start.
    pub first_key_by_option: bool,
}

/// Every route that the console serves.
pub fn routes() -> Vec<RouteInfo> {
    Route::infos(&routes::table())
}

/// What the console serves, for `GET /openapi.json`.
pub fn openapi() -> Part {
    openapi::part()
}

/// Answers the errors of Kapso's paths in Kapso's shape. To be called on the whole router, its fallbacks included.
pub fn with_kapso_errors(router: Router) -> Router {
    kapso::errors::reshaped(router)
}

impl Console {
    /// The routes under `/v1` and `/platform/v1` but `POST /v1/events`.
    ///
    /// Its test deliveries are counted by the egress.
    pub fn router(self, clock: Arc<dyn Clock>, metrics: Metrics) -> Router {
        Route::router(routes::table()).with_state(api::Api::new(self, clock, metrics))
    }

    /// Starts the task that finishes deletions which a crash cut off.
    pub fn start(&self, clock: Arc<dyn Clock>, tasks: &Tasks) {
        let (console, shutdown) = (self.clone(), tasks.shutdown());
        tasks.spawn("console-sweep", async move { sweep::run(console, &*clock, &shutdown).await });
    }
}

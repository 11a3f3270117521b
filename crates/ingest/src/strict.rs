//! Strict projects: events of known types alone, whose data meets their type's schema.
//!
//! A type is known if it is the project's own or the catalogue's, or that of raw Meta bodies. What would be refused is looked at again once the registry is as
//! new as the store, so that a type that was added, or a schema that was relaxed, holds from the answer to that change on. What was
//! made stricter holds within moments.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fanfare_core::catalogue::Catalogue;
use fanfare_core::clock::Clock;
use fanfare_core::event::{Event, EventType};
use fanfare_core::meta;
use fanfare_core::ports::ConfigStore;
use fanfare_core::ports::config_store::Group;
use fanfare_core::schema::Schema;
use fanfare_http::Problem;
use fanfare_http::problem::FieldError;
use fanfare_runtime::Registry;

/// How long the registry may take to catch up before the sender is told to come back.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);

/// The catalogue's schemas, compiled when a strict project first sends one of its types.
static CATALOGUE: LazyLock<HashMap<EventType, Schema>> = LazyLock::new(|| {
    let compiled = Catalogue::builtin().entries().iter().filter_map(|entry| {
        // That each compiles is proven by this module's test; the files are part of the build.
        Schema::compile(&entry.schema).ok().map(|schema| (entry.event_type.clone(), schema))
    });
    compiled.collect()
});

/// Judges events of strict projects.
pub(crate) struct Strict {
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<dyn ConfigStore>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Where in the request an event's parts stand.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Its type: a JSON path or a header.
    pub(crate) event_type: String,
    /// Its data.
    pub(crate) data: String,
}

impl Strict {
    /// Lets an event pass.
    ///
    /// # Errors
    /// 422 for a type that is not known or data that breaks its schema, 503 when the store cannot be asked whether that is still so.
    pub(crate) async fn check(&self, event: &Event, places: &Places) -> Result<(), Problem> {
        if judge(&self.registry, event, places).is_ok() {
            return Ok(());
        }
        tokio::select! {
            refreshed = self.registry.refresh(&*self.store, Group::Config) => {
                refreshed.map_err(|error| Problem::unavailable(&error))?;
            }
            () = self.clock.sleep(CATCH_UP_WITHIN) => {
                return Err(Problem::overloaded("the event types are not up to date yet; try again", 1));
            }
        }
        judge(&self.registry, event, places)
    }
}

/// Lets an event pass by what the registry knows now.
///
/// # Errors
/// 422, as [`Strict::check`], but without asking the store.
pub(crate) fn judge(registry: &Registry, event: &Event, places: &Places) -> Result<(), Problem> {
    let name = &event.header.event_type;
    // Known, though in no list: what Meta posted is passed on as it is, and need not even be JSON.
    if meta::is_raw(name) {
        return Ok(());
    }
    if let Some(served) = registry.event_type(&event.header.project, name) {
        return served.schema.as_ref().map_or(Ok(()), |schema| meets(schema, event, places));
    }
    match CATALOGUE.get(name) {
        Some(schema) => meets(schema, event, places),
        None => {
            let message = "is not a known event type, and this project accepts no others: see GET /v1/event-types";
            Err(Problem::unprocessable("unknown-event-type", vec![FieldError::new(&places.event_type, message)]))
        }
    }
}

fn meets(schema: &Schema, event: &Event, places: &Places) -> Result<(), Problem> {
    let data = serde_json::from_slice(&event.data).map_err(|error| {
        tracing::error!(%error, "an event's normalised data is not JSON");
        Problem::internal()
    })?;
    schema.check(&data, &places.data).map_err(|broken| {
        Problem::unprocessable("schema-violation", vec![FieldError::new(broken.path, broken.message)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_of_the_catalogue_compiles_and_its_sample_meets_it() {
        for entry in Catalogue::builtin().entries() {
            let schema = Schema::compile(&entry.schema).unwrap_or_else(|error| panic!("{}: {error}", entry.event_type));
            schema.check(&entry.sample, "$").unwrap_or_else(|broken| panic!("{}: {broken:?}", entry.event_type));
        }
    }
}

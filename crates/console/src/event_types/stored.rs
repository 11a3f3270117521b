//! An event type's record as the store has it.

use fanfare_core::catalogue::Catalogue;
use fanfare_core::event::EventType;
use fanfare_core::ids::ProjectId;
use fanfare_core::meta;
use fanfare_core::own_type::OwnType;
use fanfare_core::ports::config_store::{ConfigStore, Key, Record, Revision};
use fanfare_http::Problem;
use http::StatusCode;

use crate::stored::mismatch;

/// Reads a type's name; what is not one names no type.
///
/// # Errors
/// 404.
pub(crate) fn name(text: &str) -> Result<EventType, Problem> {
    EventType::new(text).map_err(|_| no_type())
}

/// 404 for an event type.
pub(crate) fn no_type() -> Problem {
    Problem::not_found("event type")
}

/// Refuses what would change one of the catalogue's, or make a type of raw Meta bodies.
///
/// # Errors
/// 409.
pub(crate) fn not_built_in(name: &EventType) -> Result<(), Problem> {
    if Catalogue::builtin().get(name).is_none() && !meta::is_raw(name) {
        return Ok(());
    }
    let detail = format!("{name} is one of Fanfare's types, which cannot be changed");
    Err(Problem::new(StatusCode::CONFLICT, "built-in-event-type", "The type comes with Fanfare", detail))
}

/// The project's own type.
///
/// # Errors
/// 404 when there is none, 503 when the store does not answer.
pub(crate) async fn own(
    store: &dyn ConfigStore,
    project: &ProjectId,
    name: &EventType,
) -> Result<(OwnType, Revision), Problem> {
    let key = Key::EventType(project.clone(), name.clone());
    let found = store.get(&key).await.map_err(|error| Problem::unavailable(&error))?;
    match found.map(|versioned| (versioned.record, versioned.revision)) {
        Some((Record::EventType(own), revision)) => Ok((own, revision)),
        None => Err(no_type()),
        Some((
            Record::Webhook(_) | Record::Project(_) | Record::ApiKey(_) | Record::Health(_) | Record::KeyUse(_),
            _,
        )) => Err(Problem::unavailable(&mismatch(&key))),
    }
}

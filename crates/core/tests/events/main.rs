//! Events as they arrive, as JSON and in binary mode.

mod batch;
mod binary;
mod content;
mod json;
mod raw;

use std::cell::Cell;

use fanfare_core::catalogue::Catalogue;
use fanfare_core::clock::Timestamp;
use fanfare_core::event::{Event, EventError, EventErrorKind, Reading, binary as binary_mode, json as json_mode};
use fanfare_core::ids::{EventId, ProjectId};
use ulid::Ulid;

/// The time of acceptance.
const NOW: Timestamp = Timestamp::EPOCH;

/// Calls `read` with a project, a fixed time, and ids that count from 1.
fn reading<T>(read: impl FnOnce(&Reading<'_>) -> T) -> T {
    let project = ProjectId::new("acme").expect("it is allowed");
    let count = Cell::new(0u128);
    let new_id = || {
        count.set(count.get() + 1);
        EventId::generated(Ulid::from(count.get()))
    };
    read(&Reading { project: &project, now: NOW, catalogue: Catalogue::builtin(), event_type: None, new_id: &new_id })
}

fn parse(json: &str) -> Result<Event, EventError> {
    reading(|reading| json_mode::parse(json.as_bytes(), reading))
}

fn parse_binary(headers: &[(&str, &str)], body: &str) -> Result<Event, EventError> {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    reading(|reading| binary_mode::parse(headers, Some("application/json"), body.as_bytes(), reading))
}

/// The place and the message of a refusal as no JSON.
fn malformed(result: Result<Event, EventError>) -> (String, String) {
    let error = result.expect_err("it was accepted");
    assert_eq!(error.kind, EventErrorKind::Malformed, "{error}");
    (error.path, error.message)
}

/// The place and the message of a refusal as not allowed.
fn refusal(result: Result<Event, EventError>) -> (String, String) {
    let error = result.expect_err("it was accepted");
    assert_eq!(error.kind, EventErrorKind::Invalid, "{error}");
    (error.path, error.message)
}

//! What the management API says of itself for `GET /openapi.json`, a file for each resource.
//!
//! The tests hold it to the code both ways: every answer that they get and every request that is accepted must be as it says,
//! and it must have every route, every parameter and every field that may be set.

mod api_keys;
mod deliveries;
mod event_types;
mod events;
mod kapso;
mod projects;
mod rejections;
mod webhooks;

use fanfare_http::openapi::schema::{one_of, text, uuid, whole};
use fanfare_http::openapi::{Operation, Parameter, Part};
use serde_json::Value;

use crate::paging::MAX_LIMIT;

/// What a resource brings: its operations, and the schemas they name.
type Documented = (Vec<Operation>, Vec<(&'static str, Value)>);

/// The console's part of the document.
pub(crate) fn part() -> Part {
    let mut part = Part { routes: crate::routes(), ..Part::default() };
    for (operations, schemas) in [
        webhooks::documented(),
        event_types::documented(),
        events::documented(),
        rejections::documented(),
        deliveries::documented(),
        api_keys::documented(),
        projects::documented(),
        kapso::documented(),
    ] {
        part.operations.extend(operations);
        part.schemas.extend(schemas);
    }
    part
}

/// What the examples show.
const WEBHOOK_ID: &str = "0199e1a0-7b5c-7000-8000-000000000001";
const DELIVERY_ID: &str = "6f0c2f8e-93b5-5a58-9f0d-3d6f5ac1b7e2";
const MADE_AT: &str = "2026-11-02T09:30:00Z";

/// The parameters of a page.
fn paging() -> [Parameter; 2] {
    [
        Parameter::query("limit", whole(1, MAX_LIMIT as u64), "How many items at most; 20 if not given."),
        Parameter::query("after", text(), "The `next` of the page before."),
    ]
}

/// A truth value in a query.
fn boolean() -> Value {
    one_of(&["true", "false", "1", "0"])
}

/// The id of a webhook or a delivery in the path.
fn id(description: &'static str) -> Parameter {
    Parameter::path("id", uuid(), description)
}

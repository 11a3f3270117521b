//! `POST /v1/filters/preview`: whether a filter matches some data, and if not, at which condition it ends.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use fanfare_core::api_key::Scope;
use fanfare_core::catalogue::Catalogue;
use fanfare_core::event::EventType;
use fanfare_core::filter::{Filter, FilterData};
use fanfare_core::ids::ProjectId;
use fanfare_core::normalise::normalise;
use fanfare_core::ports::config_store::Group;
use fanfare_http::Problem;
use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;

use crate::api::Api;
use crate::input::body::{kind, member, take, text};
use crate::input::{Given, Object, Wrong};
use crate::webhooks::fields;

/// What a preview takes.
const KNOWN: [&str; 3] = ["filter", "data", "event_type"];

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Preview {
    matches: bool,
    /// The path of the first condition that is not met, such as `message.type`; null if all are.
    failed_condition: Option<String>,
}

/// What a filter is asked about.
enum Asked {
    Data(Value),
    SampleOf(EventType),
}

/// Asks a filter about data, or about the sample of a type, the catalogue's or the project's own.
///
/// # Errors
/// 400 with every wrong field, 401, 403, 413, 415, 503 when the store does not tell the project's own types.
pub(crate) async fn preview(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Preview>, Problem> {
    let caller = api.caller(&headers, Scope::Read).await?;
    let object = Object::read(&headers, body, api.console.config.max_body_bytes).await?;
    let (filter, asked) = read(&object)?;
    let data = match asked {
        Asked::Data(data) => data,
        Asked::SampleOf(event_type) => sample_of(&api, caller.project(), &event_type).await?,
    };
    // As an event's data is when a filter is asked about it.
    let data = normalise(data.to_string().as_bytes(), "$.data")
        .map_err(|error| Problem::invalid(error.path, error.message))?;
    let failed = filter.failing(&FilterData::new(&data)).map(str::to_owned);
    Ok(Json(Preview { matches: failed.is_none(), failed_condition: failed }))
}

fn read(object: &Object) -> Result<(Filter, Asked), Problem> {
    let mut wrong = Wrong::new();
    let (mut filter, mut data, mut sample) = (Given::Absent, Given::Absent, Given::Absent);
    for (name, value) in object.fields() {
        match name {
            "filter" => filter = fields::filter(value, &mut wrong),
            "data" => data = take(value, "$.data", &mut wrong, own_data),
            "event_type" => sample = take(value, "$.event_type", &mut wrong, named),
            name => wrong.unknown(member("$", name), name, &KNOWN),
        }
    }
    if matches!(filter, Given::Null) || !object.has("filter") {
        wrong.at("$.filter", "is required");
    }
    match (object.has("data"), object.has("event_type")) {
        (true, true) => wrong.at("$.event_type", "must not be given beside `data`"),
        (false, false) => wrong.at("$.data", "is required, or an `event_type` whose sample is looked at"),
        (true, false) | (false, true) => {}
    }
    wrong.refuse()?;
    match (filter.value(), data.value().map(Asked::Data).or(sample.value().map(Asked::SampleOf))) {
        (Some(filter), Some(asked)) => Ok((filter, asked)),
        (None, _) | (_, None) => Err(Problem::invalid("$.data", "must not be null")),
    }
}

fn own_data(value: &Value) -> Result<Value, String> {
    match value {
        Value::Object(_) | Value::Array(_) => Ok(value.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(format!("must be an object or an array, not {}", kind(value)))
        }
    }
}

fn named(value: &Value) -> Result<EventType, String> {
    EventType::new(text(value)?).map_err(|_| format!("must be {}", EventType::ALLOWED))
}

/// The sample of a type.
///
/// # Errors
/// 400 when no such type is known, 503.
async fn sample_of(api: &Api, project: &ProjectId, event_type: &EventType) -> Result<Value, Problem> {
    if let Some(entry) = Catalogue::builtin().get(event_type) {
        return Ok(entry.sample.clone());
    }
    api.fresh(Group::Config).await?;
    let own = api.console.registry.event_type(project, event_type);
    own.map(|served| served.own.sample.clone()).ok_or_else(|| {
        let message = "is neither in the catalogue nor one of the project's own types; give `data` instead";
        Problem::invalid("$.event_type", message)
    })
}

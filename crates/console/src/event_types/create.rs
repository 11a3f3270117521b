//! `POST /v1/event-types`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use fanfare_core::api_key::Scope;
use fanfare_core::operational::{self, is_operational};
use fanfare_core::own_type::OwnType;
use fanfare_core::ports::config_store::{Changed, Expected, Group, Record};
use fanfare_http::Problem;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use super::fields::{Purpose, TypeFields};
use super::stored;
use super::view::OwnTypeView;
use crate::api::Api;
use crate::audit::{self, Act, Actor};
use crate::input::{Given, Object};
use crate::projects;

/// Makes a type. From the answer on, a strict project's events of it are accepted.
///
/// # Errors
/// 400 with every wrong field, 401, 403, 409 for a type that is there or too many of them, 413, 503.
pub(crate) async fn create(State(api): State<Arc<Api>>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let caller = api.caller(&headers, Scope::Manage).await?;
    let project = caller.project();
    let object = Object::read(&headers, body, api.console.config.max_body_bytes).await?;
    let fields = TypeFields::read(&object, Purpose::Create)?;
    let Given::Value(name) = &fields.name else { return Err(Problem::invalid("$.type", "is required")) };
    stored::not_built_in(name)?;
    if is_operational(name) {
        return Err(Problem::invalid("$.type", operational::RESERVED));
    }
    let now = api.clock.now();
    let own = fields.merged(&OwnType {
        project: project.clone(),
        event_type: name.clone(),
        title: String::new(),
        description: None,
        schema: None,
        sample: Value::Null,
        created_at: now,
        updated_at: now,
    })?;

    // Under the project's lock, so that none is made in a project that is being deleted.
    let _held = api.targets.hold(project).await;
    api.fresh(Group::Config).await?;
    projects::stored::exists(&api, project)?;
    let (registry, most) = (&api.console.registry, api.console.config.max_event_types_per_project);
    if registry.event_type_count(project) >= most && registry.event_type(project, name).is_none() {
        let detail =
            format!("a project has at most {most} event types of its own; delete one that is not needed any more");
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "too-many-event-types",
            "There are too many event types",
            detail,
        ));
    }
    let put = api.console.store.put(Record::EventType(own.clone()), Expected::Absent).await;
    match put.map_err(|error| Problem::unavailable(&error))? {
        Changed::Done(_) => {}
        Changed::Conflict => {
            let detail = format!("there is a type {name} already; change that one");
            return Err(Problem::conflict("event-type-exists", detail, name.as_str()));
        }
    }
    let view = OwnTypeView::new(&own);
    audit::change(&Actor::from(&caller), Act::TypeCreated, project, name, None, Some(&view));
    let location = [(header::LOCATION, format!("/v1/event-types/{name}"))];
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}

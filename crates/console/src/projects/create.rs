//! `POST /v1/projects`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use fanfare_core::ids::ProjectId;
use fanfare_core::ports::config_store::{Changed, Expected, Group, Record};
use fanfare_core::project::Project;
use fanfare_http::Problem;
use http::{HeaderMap, StatusCode, header};

use super::fields::{ProjectFields, Purpose};
use super::view::ProjectView;
use crate::api::Api;
use crate::audit::{self, Act, Actor};
use crate::input::{Given, Object};

/// Makes a project. It has no keys yet: `POST /v1/api-keys?project=` makes the first.
///
/// # Errors
/// 400 with every wrong field, 401, 403, 409 for an id that is taken or too many projects, 413, 503.
pub(crate) async fn create(State(api): State<Arc<Api>>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    api.admin(&headers).await?;
    let object = Object::read(&headers, body, api.console.config.max_body_bytes).await?;
    let fields = ProjectFields::read(&object, Purpose::Create)?;
    let Given::Value(id) = &fields.id else { return Err(Problem::invalid("$.id", "is required")) };
    let project = fields.merged(&Project::new(id.clone(), api.clock.now()));
    api.fresh(Group::Config).await?;
    let (registry, most) = (&api.console.registry, api.console.config.max_projects);
    if registry.project_count() >= most && registry.project(id).is_none() {
        let detail = format!("there are at most {most} projects; delete one that is not needed any more");
        return Err(Problem::new(StatusCode::CONFLICT, "too-many-projects", "There are too many projects", detail));
    }
    let put = api.console.store.put(Record::Project(project.clone()), Expected::Absent).await;
    match put.map_err(|error| Problem::unavailable(&error))? {
        Changed::Done(_) => {}
        Changed::Conflict => return Err(taken(id)),
    }
    let view = ProjectView::new(&project);
    audit::change(&Actor::Admin, Act::ProjectCreated, id, id, None, Some(&view));
    let location = [(header::LOCATION, format!("/v1/projects/{id}"))];
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}

fn taken(id: &ProjectId) -> Problem {
    Problem::conflict("project-exists", format!("there is a project {id} already; change that one"), id.as_str())
}

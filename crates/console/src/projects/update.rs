//! `PATCH /v1/projects/{id}`: JSON merge patch. Absent fields stay, null resets, `egress_allow` replaces the whole list.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use fanfare_core::ports::config_store::{Changed, Expected, Record};
use fanfare_http::Problem;
use http::HeaderMap;

use super::fields::{ProjectFields, Purpose};
use super::stored::{self, project_id};
use super::view::ProjectView;
use crate::api::{Api, contended, set_by_option};
use crate::audit::{self, Act, Actor};
use crate::input::{Given, Object};
use crate::webhooks::stored::TRIES;

/// Changes a project. Networks that are taken away are not reached any more once each worker has heard of it, within moments,
/// also by webhooks that were made under them.
///
/// # Errors
/// 400 with every wrong field, 401, 403, 404, 409 for the first project's networks while an option sets them, 413, 503.
pub(crate) async fn patch(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<ProjectView>, Problem> {
    api.admin(&headers).await?;
    let id = project_id(&id)?;
    let store = &*api.console.store;
    stored::project(store, &id).await?;
    let object = Object::read(&headers, body, api.console.config.max_body_bytes).await?;
    let fields = ProjectFields::read(&object, Purpose::Update)?;
    for _ in 0..TRIES {
        let (current, revision) = stored::project(store, &id).await?;
        if current.is_first() && api.console.operator.egress_by_option && !matches!(fields.egress_allow, Given::Absent)
        {
            let what = "the option `egress_allow` sets this project's networks, at every start; change the option, or take \
                        it away first";
            return Err(set_by_option(what));
        }
        let changed = fields.merged(&current);
        let view = ProjectView::new(&changed);
        if changed == current {
            return Ok(Json(view));
        }
        let put = store.put(Record::Project(changed), Expected::At(revision)).await;
        match put.map_err(|error| Problem::unavailable(&error))? {
            Changed::Done(_) => {
                api.take_up().await;
                let before = ProjectView::new(&current);
                audit::change(&Actor::Admin, Act::ProjectUpdated, &id, &id, Some(&before), Some(&view));
                return Ok(Json(view));
            }
            Changed::Conflict => {}
        }
    }
    Err(contended("project"))
}

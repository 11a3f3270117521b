//! `GET /v1/projects` and `GET /v1/projects/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use fanfare_core::ports::config_store::Group;
use fanfare_http::Problem;
use http::HeaderMap;

use super::stored::{no_project, project_id};
use super::view::ProjectView;
use crate::api::Api;
use crate::input::Query;
use crate::paging::{self, AfterProject, Cursor as _, Page};

/// One project.
///
/// # Errors
/// 401, 403, 404, 503.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<ProjectView>, Problem> {
    api.admin(&headers).await?;
    api.fresh(Group::Config).await?;
    let served = api.console.registry.project(&project_id(&id)?).ok_or_else(no_project)?;
    Ok(Json(ProjectView::new(&served.project)))
}

/// All projects, in order of their id.
///
/// # Errors
/// 400 with every wrong parameter, 401, 403, 503.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ProjectView>>, Problem> {
    api.admin(&headers).await?;
    let mut query = Query::read(query.as_deref(), &["limit", "after"]);
    let limit = paging::limit(&mut query);
    let after: Option<AfterProject> = paging::after(&mut query);
    query.refuse()?;
    api.fresh(Group::Config).await?;

    // One more than is shown tells whether there is a next page.
    let mut projects = api.console.registry.projects(after.as_ref().map(|after| &after.0), limit + 1);
    let more = projects.len() > limit;
    projects.truncate(limit);
    let next = projects.last().filter(|_| more).map(|last| AfterProject(last.project.id.clone()).encode());
    Ok(Json(Page { data: projects.iter().map(|served| ProjectView::new(&served.project)).collect(), next }))
}

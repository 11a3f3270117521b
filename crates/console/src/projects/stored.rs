//! A project's record as the store has it.

use fanfare_core::ids::ProjectId;
use fanfare_core::ports::config_store::{ConfigStore, Key, Record, Revision};
use fanfare_core::project::Project;
use fanfare_http::Problem;

use crate::api::Api;
use crate::stored::mismatch;

/// Reads a project's id; what is not one names no project.
///
/// # Errors
/// 404.
pub(crate) fn project_id(text: &str) -> Result<ProjectId, Problem> {
    ProjectId::new(text).map_err(|_| no_project())
}

/// 404 for a project.
pub(crate) fn no_project() -> Problem {
    let mut problem = Problem::not_found("project");
    problem.detail = "there is no such project".to_owned();
    problem
}

/// Whether the project is there, in this process's copy, which the caller has made fresh.
///
/// # Errors
/// 404 when it is not.
pub(crate) fn exists(api: &Api, project: &ProjectId) -> Result<(), Problem> {
    api.console.registry.project(project).map(|_| ()).ok_or_else(no_project)
}

/// The project.
///
/// # Errors
/// 404 when there is none, 503 when the store does not answer.
pub(crate) async fn project(store: &dyn ConfigStore, id: &ProjectId) -> Result<(Project, Revision), Problem> {
    let key = Key::Project(id.clone());
    let found = store.get(&key).await.map_err(|error| Problem::unavailable(&error))?;
    match found.map(|versioned| (versioned.record, versioned.revision)) {
        Some((Record::Project(project), revision)) => Ok((project, revision)),
        None => Err(no_project()),
        Some((
            Record::Webhook(_) | Record::ApiKey(_) | Record::Health(_) | Record::EventType(_) | Record::KeyUse(_),
            _,
        )) => Err(Problem::unavailable(&mismatch(&key))),
    }
}

//! An API key as the API shows it: never its text, never its hash.

use fanfare_core::api_key::{ApiKey, Scope};
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::ProjectId;
use serde::Serialize;

/// See the [module](self).
#[derive(Debug, Serialize)]
pub(crate) struct ApiKeyView {
    id: String,
    project: ProjectId,
    name: String,
    scopes: Vec<Scope>,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

impl ApiKeyView {
    /// A key, and when it was last used, if ever.
    pub(crate) fn new(key: &ApiKey, last_used_at: Option<Timestamp>) -> Self {
        Self {
            id: key.id.to_string(),
            project: key.project.clone(),
            name: key.name.clone(),
            scopes: key.scopes.clone(),
            created_at: key.created_at,
            last_used_at,
        }
    }
}

//! Who calls: the API key in `X-API-Key` or `Authorization: Bearer`, and what it may do.

use std::sync::Arc;

use fanfare_core::api_key::{ApiKey, Scope};
use fanfare_core::ids::ProjectId;
use fanfare_runtime::Registry;
use http::HeaderMap;

use crate::problem::Problem;

/// An authenticated caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key used.
    pub key: Arc<ApiKey>,
}

impl Caller {
    /// The project that the key belongs to.
    pub fn project(&self) -> &ProjectId {
        &self.key.project
    }

    /// Authenticates a request and requires a scope.
    ///
    /// # Errors
    /// 401 without a key or with an unknown one, 403 when the key lacks the scope.
    pub fn authenticate(registry: &Registry, headers: &HeaderMap, scope: Scope) -> Result<Self, Problem> {
        let _ = (registry, headers, scope);
        todo!()
    }
}

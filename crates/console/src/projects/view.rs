//! A project as the API shows it.

use std::num::NonZeroU32;

use fanfare_core::clock::Timestamp;
use fanfare_core::ids::ProjectId;
use fanfare_core::project::Project;
use serde::Serialize;

/// See the [module](self).
#[derive(Debug, Serialize)]
pub(crate) struct ProjectView {
    id: ProjectId,
    egress_allow: Vec<String>,
    secrets_in_reads: bool,
    quotas: QuotasView,
    strict_event_types: bool,
    created_at: Timestamp,
}

/// Null stands for what ingest's options say.
#[derive(Debug, Serialize)]
struct QuotasView {
    events_per_second: Option<NonZeroU32>,
    burst: Option<NonZeroU32>,
}

impl ProjectView {
    /// A project.
    pub(crate) fn new(project: &Project) -> Self {
        let quotas = QuotasView {
            events_per_second: NonZeroU32::new(project.quotas.events_per_second),
            burst: NonZeroU32::new(project.quotas.burst),
        };
        Self {
            id: project.id.clone(),
            egress_allow: project.egress_allow.iter().map(ToString::to_string).collect(),
            secrets_in_reads: project.secrets_in_reads,
            quotas,
            strict_event_types: project.strict_event_types,
            created_at: project.created_at,
        }
    }
}

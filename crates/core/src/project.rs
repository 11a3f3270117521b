//! A project: the tenant whose events, webhooks and keys are kept apart from everybody else's.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::ProjectId;

/// The id of the project that every installation has from its first start.
pub const FIRST_PROJECT: &str = "default";
/// The most networks of a project's [`Project::egress_allow`]: each differing list has an HTTP client of its own, whose every
/// connection is checked against all of it.
pub const MAX_EGRESS_NETWORKS: usize = 100;

/// How much a project may send to each ingest process. Zero stands for what ingest's options say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Quotas {
    /// Events per second on average, 1 to [`Quotas::MAX_EVENTS_PER_SECOND`]; 0 for the option.
    pub events_per_second: u32,
    /// Events at once after a pause, [`Quotas::MIN_BURST`] to [`Quotas::MAX_BURST`]; 0 for the option.
    pub burst: u32,
}

impl Quotas {
    /// The most events per second.
    pub const MAX_EVENTS_PER_SECOND: u32 = 1_000_000;
    /// The least burst: one full batch, which would never pass below that.
    pub const MIN_BURST: u32 = 500;
    /// The largest burst.
    pub const MAX_BURST: u32 = 100_000_000;
}

/// A project as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Networks its webhooks may target although they are not public unicast, over http too. Set by the operator alone.
    #[serde(default)]
    pub egress_allow: Vec<IpNet>,
    /// Whether the networks were set through the API. The first project's are the option's otherwise, at every start.
    #[serde(default)]
    pub egress_set_by_api: bool,
    /// Whether Kapso's API shows signing secrets in reads, to who may manage webhooks.
    #[serde(default)]
    pub secrets_in_reads: bool,
    /// How much it may send.
    #[serde(default)]
    pub quotas: Quotas,
    /// Whether only known event types are accepted, and only data that meets their schemas.
    #[serde(default)]
    pub strict_event_types: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Project {
    /// A project with nothing set.
    pub fn new(id: ProjectId, created_at: Timestamp) -> Self {
        Self {
            id,
            egress_allow: Vec::new(),
            egress_set_by_api: false,
            secrets_in_reads: false,
            quotas: Quotas::default(),
            strict_event_types: false,
            created_at,
        }
    }

    /// Whether it is the one that every installation has.
    pub fn is_first(&self) -> bool {
        self.id.as_str() == FIRST_PROJECT
    }
}

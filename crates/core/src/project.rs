//! A project: the tenant whose events, webhooks and keys are kept apart from everybody else's.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::ProjectId;

/// A project as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Networks its webhooks may target although they are not public unicast, over http too. Set by the operator alone.
    #[serde(default)]
    pub egress_allow: Vec<IpNet>,
    /// When it was made.
    pub created_at: Timestamp,
}

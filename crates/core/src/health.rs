//! A webhook's health: whether a gate is up in front of it, and since when it has been failing.
//!
//! The record is shared by all processes: changed by compare-and-set, watched by everybody. While a gate is up, fan-out
//! pushes behind it, workers put what they meet behind it, and only the gate's owner delivers.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{ProjectId, WebhookId};

/// Why a webhook is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// Its receiver answered 410 Gone.
    Gone,
    /// Its owner deactivated it.
    Owner,
}

/// Why a gate is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateReason {
    /// Nothing is delivered until the webhook is activated.
    Paused,
    /// Activated: the gate's owner works off, in order, what stands behind it, then lowers the gate.
    Releasing,
    /// More has come than the webhook's lane can work off: the gate's owner works it off as the lane frees, then lowers the
    /// gate. Until then nothing of it stands in front of others among those that are ready.
    Congested,
}

impl GateReason {
    /// Whether the gate's owner sends what stands behind it.
    pub fn is_worked_off(self) -> bool {
        match self {
            GateReason::Releasing | GateReason::Congested => true,
            GateReason::Paused => false,
        }
    }
}

/// A gate that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Gate {
    /// Holds everything.
    Paused {
        /// Who or what paused it.
        by: PauseReason,
        /// Since when.
        since: Timestamp,
    },
    /// Works off what stands behind it.
    Releasing {
        /// Since when.
        since: Timestamp,
    },
    /// Works off what the lane had no room for.
    Congested {
        /// Since when.
        since: Timestamp,
    },
}

impl Gate {
    /// The reason without its details.
    pub fn reason(&self) -> GateReason {
        match self {
            Gate::Paused { .. } => GateReason::Paused,
            Gate::Releasing { .. } => GateReason::Releasing,
            Gate::Congested { .. } => GateReason::Congested,
        }
    }
}

/// The health record of one webhook. A webhook without a record is healthy and has no gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The webhook.
    pub webhook: WebhookId,
    /// Its project.
    pub project: ProjectId,
    /// The gate in front of it, if one is up.
    #[serde(default)]
    pub gate: Option<Gate>,
    /// When the first of the failures came that no success has followed.
    #[serde(default)]
    pub failing_since: Option<Timestamp>,
}

impl Health {
    /// Healthy, no gate.
    pub fn new(webhook: WebhookId, project: ProjectId) -> Self {
        Self { webhook, project, gate: None, failing_since: None }
    }
}

/// What the API calls a webhook's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    /// The last attempt succeeded, or there was none.
    Healthy,
    /// The last attempt failed.
    Failing,
    /// Nothing is sent until it is activated.
    Paused,
}

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
    /// Every attempt has failed for as long as `delivery.pause_after` says.
    Failing,
    /// Its owner deactivated it.
    Owner,
}

/// Why a gate is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateReason {
    /// Nothing is delivered until the webhook is activated.
    Paused,
    /// Activated, or found to be working again: the gate's owner works off, in order, what stands behind it, then lowers the
    /// gate.
    Releasing,
    /// More has come than the webhook's lane can work off: the gate's owner works it off as the lane frees, then lowers the
    /// gate. Until then nothing of it stands in front of others among those that are ready.
    Congested,
    /// Its receiver fails: the gate's owner probes it, one delivery at a time at growing intervals.
    BreakerOpen,
    /// It has a rate limit: the gate's owner delivers all of it, so that the rate is exact however many workers there are.
    RateLimit,
}

impl GateReason {
    /// All of them.
    pub const ALL: [GateReason; 5] = [
        GateReason::Paused,
        GateReason::Releasing,
        GateReason::Congested,
        GateReason::BreakerOpen,
        GateReason::RateLimit,
    ];

    /// Its name in the API, in metrics and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            GateReason::Paused => "paused",
            GateReason::Releasing => "releasing",
            GateReason::Congested => "congested",
            GateReason::BreakerOpen => "breaker_open",
            GateReason::RateLimit => "rate_limit",
        }
    }

    /// Whether the gate's owner sends what stands behind it, one after the other.
    pub fn is_worked_off(self) -> bool {
        match self {
            GateReason::Releasing | GateReason::Congested | GateReason::RateLimit => true,
            GateReason::Paused | GateReason::BreakerOpen => false,
        }
    }
}

/// A gate that the health record says is up.
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
        /// At most so many a second, if whoever activated it wants that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate: Option<u32>,
    },
    /// Works off what the lane had no room for.
    Congested {
        /// Since when.
        since: Timestamp,
    },
    /// Holds everything but one probe at a time.
    BreakerOpen {
        /// Since when.
        since: Timestamp,
        /// How many probes have failed.
        probes: u32,
        /// Where in the row of growing intervals it began: further than at 0 where it opened again soon.
        #[serde(default, skip_serializing_if = "is_zero")]
        from: u32,
        /// When the next one may be made.
        next_probe: Timestamp,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How the last outage ended: where in the row of growing intervals the probe stood that closed the breaker, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// When.
    pub at: Timestamp,
    /// The probe's place in the row.
    pub probes: u32,
}

impl Gate {
    /// The reason without its details.
    pub fn reason(&self) -> GateReason {
        match self {
            Gate::Paused { .. } => GateReason::Paused,
            Gate::Releasing { .. } => GateReason::Releasing,
            Gate::Congested { .. } => GateReason::Congested,
            Gate::BreakerOpen { .. } => GateReason::BreakerOpen,
        }
    }

    /// Since when it is up for this reason.
    pub fn since(&self) -> Timestamp {
        match self {
            Gate::Paused { since, .. }
            | Gate::Releasing { since, .. }
            | Gate::Congested { since }
            | Gate::BreakerOpen { since, .. } => *since,
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
    /// How its breaker closed last, if it was not activated by its owner since: should it open again soon, its probes go on from
    /// there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered: Option<Recovered>,
}

impl Health {
    /// Healthy, no gate.
    pub fn new(webhook: WebhookId, project: ProjectId) -> Self {
        Self { webhook, project, gate: None, failing_since: None, recovered: None }
    }
}

/// What the API calls a webhook's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    /// The last attempt succeeded, or there was none.
    Healthy,
    /// The last attempt failed, or its breaker is open.
    Failing,
    /// Nothing is sent until it is activated.
    Paused,
}

impl WebhookState {
    /// All of them.
    pub const ALL: [WebhookState; 3] = [WebhookState::Healthy, WebhookState::Failing, WebhookState::Paused];

    /// Its name in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            WebhookState::Healthy => "healthy",
            WebhookState::Failing => "failing",
            WebhookState::Paused => "paused",
        }
    }
}

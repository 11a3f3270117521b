//! A delivery: one event on its way to one webhook, and the places it can be in.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::attempt::Attempt;
use crate::clock::Timestamp;
use crate::event::{EventType, Source, Subject};
use crate::health::GateReason;
use crate::ids::{DeliveryId, EventId, Hop, IdempotencyKey, ProjectId, Run, WebhookId};

/// Everything about a delivery but its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryHeader {
    /// Derived from webhook, event and run.
    pub id: DeliveryId,
    /// The project of both.
    pub project: ProjectId,
    /// Where it goes.
    pub webhook: WebhookId,
    /// What it brings.
    pub event: EventId,
    /// The event's type.
    pub event_type: EventType,
    /// The event's source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The event's ordering key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// Not to be delivered after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When the event was accepted, or the retry or replay was asked for: what end-to-end time is counted from.
    pub accepted_at: Timestamp,
    /// The original passage, or one asked for later.
    #[serde(default)]
    pub run: Run,
    /// How often it has moved.
    pub hop: Hop,
    /// How many POSTs have been made for it.
    pub attempts: u32,
}

impl DeliveryHeader {
    /// What the receiver de-duplicates by.
    pub fn idempotency_key(&self) -> IdempotencyKey {
        IdempotencyKey::derive(self.webhook, &self.event)
    }
}

/// A delivery as it stands in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Everything but the body.
    pub header: DeliveryHeader,
    /// What is sent, byte for byte.
    pub body: Bytes,
}

/// Where a delivery stands, or is to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Any worker may lease it.
    Ready,
    /// Any worker may lease it from that time on.
    Due {
        /// When.
        at: Timestamp,
        /// Why it waits.
        reason: DueReason,
    },
    /// Behind its webhook's gate, in order of arrival.
    Gated {
        /// Why the gate is up.
        reason: GateReason,
    },
}

/// Why a delivery waits for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DueReason {
    /// An attempt failed, and the webhook's schedule says when to try again.
    Retry,
    /// An attempt failed, and the receiver's `Retry-After` is later than the schedule.
    RetryAfter,
    /// Nothing was tried: its webhook's lane has as many as its share allows, and others would have to wait behind it.
    Congested,
}

impl DueReason {
    /// All of them.
    pub const ALL: [DueReason; 3] = [DueReason::Retry, DueReason::RetryAfter, DueReason::Congested];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            DueReason::Retry => "retry",
            DueReason::RetryAfter => "retry_after",
            DueReason::Congested => "congested",
        }
    }
}

/// How a delivery ended. All of these are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The receiver answered 2xx.
    Delivered,
    /// Every attempt of the schedule failed.
    Exhausted,
    /// Its time ran out before it could be delivered.
    Expired,
    /// Its webhook was deleted.
    Discarded,
}

/// Why a delivery was taken out of the queue, to wait for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineReason {
    /// It was leased again and again and never settled: whoever works on it may die of it.
    LeasedTooOften,
    /// What is stored of it cannot be read.
    Unreadable,
}

impl QuarantineReason {
    /// All of them.
    pub const ALL: [QuarantineReason; 2] = [QuarantineReason::LeasedTooOften, QuarantineReason::Unreadable];

    /// Its name in metrics, logs and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            QuarantineReason::LeasedTooOften => "leased_too_often",
            QuarantineReason::Unreadable => "unreadable",
        }
    }
}

/// What comes next for a delivery that a worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// It moves; its hop rises by one.
    Move(Place),
    /// It is over.
    End {
        /// How.
        end: End,
    },
}

/// What a worker says of a delivery it holds: what it tried, and what comes next.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// The POST that was made; `None` if there was none.
    pub attempt: Option<Attempt>,
    /// What comes next.
    pub next: Next,
    /// When the worker decided so.
    pub at: Timestamp,
}

/// What the API calls a delivery's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Ready or in flight.
    Pending,
    /// Due at a later time.
    Waiting,
    /// Behind its webhook's gate.
    Gated,
    /// See [`End::Delivered`].
    Delivered,
    /// See [`End::Exhausted`].
    Exhausted,
    /// See [`End::Expired`].
    Expired,
    /// See [`End::Discarded`].
    Discarded,
    /// Taken out of the queue until an operator retries it: see [`QuarantineReason`].
    Quarantined,
}

impl From<Place> for DeliveryStatus {
    fn from(place: Place) -> Self {
        match place {
            Place::Ready => DeliveryStatus::Pending,
            Place::Due { .. } => DeliveryStatus::Waiting,
            Place::Gated { .. } => DeliveryStatus::Gated,
        }
    }
}

impl From<End> for DeliveryStatus {
    fn from(end: End) -> Self {
        match end {
            End::Delivered => DeliveryStatus::Delivered,
            End::Exhausted => DeliveryStatus::Exhausted,
            End::Expired => DeliveryStatus::Expired,
            End::Discarded => DeliveryStatus::Discarded,
        }
    }
}

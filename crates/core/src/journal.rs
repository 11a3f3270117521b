//! What the journal says: one entry for each thing that happened to an event or a delivery.
//!
//! The read model is built from these entries alone. An entry may be written twice (a crash between the act and its
//! acknowledgement repeats both) and a delivery's entries may overtake its event's: each carries what a reader needs to
//! place it, and applying one again changes nothing.

use serde::{Deserialize, Serialize};

use crate::attempt::Attempt;
use crate::clock::Timestamp;
use crate::delivery::{DeliveryHeader, Next, Place, QuarantineReason};
use crate::event::EventHeader;
use crate::health::Health;
use crate::ids::{DeliveryId, EventId, Hop, ProjectId, WebhookId};
use crate::ports::config_store::Revision;

/// One entry. Neither it nor what is in it has its tag among its fields: to find one there a reader would have to keep all of them
/// aside first, and there are several entries for each delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "entries are written once and read once; boxing would only cost")]
pub enum JournalEntry {
    /// Fan-out matched an event and pushed its deliveries.
    FannedOut(FannedOut),
    /// A retry or replay pushed a delivery of a new run.
    Pushed(Pushed),
    /// A worker settled a delivery.
    Settled(Settled),
    /// A worker made an attempt, and had lost the delivery by the time it could settle it: the attempt was made, and moved nothing.
    AttemptedLate(AttemptedLate),
    /// A waiting delivery was brought forward by a retry request: it is ready, at this hop.
    BroughtForward(BroughtForward),
    /// A delivery was taken out of the queue: it is in quarantine.
    Quarantined(Quarantined),
    /// A webhook was deleted: its open deliveries are discarded.
    WebhookDeleted(WebhookDeleted),
    /// An event was deleted by its owner: what is known of its content is erased, and its open deliveries are discarded.
    EventDeleted(EventDeleted),
    /// A webhook's health record changed.
    HealthChanged(HealthChanged),
}

/// See [`JournalEntry::FannedOut`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FannedOut {
    /// The event's attributes.
    pub event: EventHeader,
    /// The size of its data in bytes.
    pub data_bytes: u64,
    /// The configuration it was matched against: from the webhooks as they were at this revision, the non-matches and
    /// their reasons follow.
    pub revision: Revision,
    /// When it was matched.
    pub at: Timestamp,
    /// The deliveries it became.
    pub deliveries: Vec<FannedOutTo>,
}

/// One delivery that fan-out made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FannedOutTo {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its webhook.
    pub webhook: WebhookId,
    /// Where it was put.
    pub place: Place,
}

/// See [`JournalEntry::Pushed`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pushed {
    /// The delivery.
    pub delivery: DeliveryHeader,
    /// Where it was put.
    pub place: Place,
    /// When.
    pub at: Timestamp,
}

/// See [`JournalEntry::Settled`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// The delivery as the worker held it: the hop and attempts before this settlement.
    pub delivery: DeliveryHeader,
    /// The POST that was made, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// What comes next.
    pub next: Next,
    /// When.
    pub at: Timestamp,
}

/// See [`JournalEntry::AttemptedLate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptedLate {
    /// The delivery as the worker held it.
    pub delivery: DeliveryHeader,
    /// The POST that was made.
    pub attempt: Attempt,
    /// When.
    pub at: Timestamp,
}

/// See [`JournalEntry::BroughtForward`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BroughtForward {
    /// The project.
    pub project: ProjectId,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its hop from now on.
    pub hop: Hop,
    /// When.
    pub at: Timestamp,
}

/// See [`JournalEntry::Quarantined`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The delivery. Nothing more is said of it: of one that cannot be read nothing more may be known.
    pub delivery: DeliveryId,
    /// Its hop from now on.
    pub hop: Hop,
    /// Why.
    pub reason: QuarantineReason,
    /// When.
    pub at: Timestamp,
}

/// See [`JournalEntry::WebhookDeleted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WebhookDeleted {
    /// The project.
    pub project: ProjectId,
    /// The webhook.
    pub webhook: WebhookId,
    /// When.
    pub at: Timestamp,
}

/// See [`JournalEntry::EventDeleted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventDeleted {
    /// The project.
    pub project: ProjectId,
    /// The event.
    pub event: EventId,
    /// When.
    pub at: Timestamp,
}

/// See [`JournalEntry::HealthChanged`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthChanged {
    /// The record as it is now.
    pub health: Health,
    /// When.
    pub at: Timestamp,
}

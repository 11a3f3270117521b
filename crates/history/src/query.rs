//! What the read model answers.

pub(crate) mod deliveries;
pub(crate) mod event;
pub(crate) mod events;
pub(crate) mod windows;

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::DeliveryStatus;
use fanfare_core::event::{EventHeader, EventType, Source, Subject};
use fanfare_core::ids::{DeliveryId, EventId, Hop, ProjectId, Run, WebhookId};
use fanfare_core::matching::NonMatch;

/// One delivery as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryRow {
    /// The delivery.
    pub id: DeliveryId,
    /// Its webhook.
    pub webhook: WebhookId,
    /// The webhook's URL: as it is now, or as it last was if the webhook has been deleted. Empty only while the read model has
    /// not yet heard of the webhook.
    pub webhook_url: String,
    /// Its event.
    pub event: EventId,
    /// The event's type.
    pub event_type: EventType,
    /// The event's source.
    pub source: Option<Source>,
    /// The original passage, or one asked for later.
    pub run: Run,
    /// Where it stands or how it ended.
    pub status: DeliveryStatus,
    /// Why it waits, if it does: `retry`, `retry_after`, `congested`, the reason of its webhook's gate, or that of its quarantine.
    pub waiting_reason: Option<String>,
    /// When its event was accepted, or the retry or replay that it belongs to was asked for.
    pub created_at: Timestamp,
    /// When the next attempt is due, if it waits for a time.
    pub next_attempt_at: Option<Timestamp>,
    /// How many POSTs have been made.
    pub attempt_count: u32,
    /// When the last of them began.
    pub last_attempt_at: Option<Timestamp>,
    /// The last answer's status.
    pub response_status: Option<u16>,
    /// What came of the last POST.
    pub last_outcome: Option<OutcomeClass>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How often it has moved.
    pub hop: Hop,
}

/// An event as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// Its attributes.
    pub event: EventHeader,
    /// The size of its data in bytes.
    pub data_bytes: u64,
    /// When it was matched.
    pub fanned_out_at: Timestamp,
    /// Its deliveries, most recent first, at most 100.
    pub deliveries: Vec<DeliveryRow>,
    /// How many deliveries there are in all.
    pub deliveries_total: u64,
    /// The webhooks that its project had when it was matched and that it did not go to, and why, in order of their id, at
    /// most 100. Those that were made later are not among them.
    pub non_matches: Vec<(WebhookId, NonMatch)>,
    /// How many of those there are in all.
    pub non_matches_total: u64,
}

/// Which deliveries are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeliveryFilter {
    /// Of this webhook.
    pub webhook: Option<WebhookId>,
    /// Of this event.
    pub event: Option<EventId>,
    /// Of this type.
    pub event_type: Option<EventType>,
    /// In one of these; empty for any.
    pub statuses: Vec<DeliveryStatus>,
    /// Created at or after this.
    pub since: Option<Timestamp>,
    /// Created before this.
    pub until: Option<Timestamp>,
    /// Only those that failed, or whose last attempt did.
    pub errors_only: bool,
    /// Only those after this cursor, which an earlier page gave.
    pub after: Option<u64>,
    /// How many, 1 to 100.
    pub limit: usize,
}

/// A page of deliveries.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryPage {
    /// The deliveries. There may be fewer than were asked for, even none, although more follow, when what is wanted is rare.
    pub rows: Vec<DeliveryRow>,
    /// The cursor of the next page; `None` if this is the last. Stable while deliveries are added. It is above 2^53, more than
    /// a JSON number holds for everybody: hand it out as a text.
    pub next: Option<u64>,
}

/// An event in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSummary {
    /// Its attributes.
    pub event: EventHeader,
    /// The size of its data in bytes.
    pub data_bytes: u64,
    /// When it was matched.
    pub fanned_out_at: Timestamp,
    /// How many deliveries it has.
    pub deliveries_total: u64,
}

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventFilter {
    /// Of this type.
    pub event_type: Option<EventType>,
    /// Of this source.
    pub source: Option<Source>,
    /// Of this ordering key.
    pub subject: Option<Subject>,
    /// Accepted at or after this.
    pub since: Option<Timestamp>,
    /// Accepted before this.
    pub until: Option<Timestamp>,
    /// Only those after this cursor, which an earlier page gave.
    pub after: Option<u64>,
    /// How many, 1 to 100.
    pub limit: usize,
}

/// A page of events, most recent first.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPage {
    /// The events. There may be fewer than were asked for, even none, although more follow, when what is wanted is rare.
    pub rows: Vec<EventSummary>,
    /// As [`DeliveryPage::next`].
    pub next: Option<u64>,
}

/// A deletion of an event that is not finished: the log and the queue are to be looked through once more.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenDeletion {
    /// The event's project.
    pub project: ProjectId,
    /// The event.
    pub event: EventId,
    /// When it was deleted.
    pub at: Timestamp,
    /// Its deliveries that ended as discarded, with their webhooks.
    pub deliveries: Vec<(WebhookId, DeliveryId)>,
}

//! From an event and the webhooks it matches to the deliveries and the journal's entries that tell of them.

use std::sync::Arc;

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{Delivery, DeliveryHeader, Place};
use fanfare_core::event::Event;
use fanfare_core::health::GateReason;
use fanfare_core::ids::{DeliveryId, Hop, Run, WebhookId};
use fanfare_core::journal::{FannedOut, FannedOutTo, JournalEntry};
use fanfare_core::ports::config_store::Revision;
use fanfare_core::ports::delivery_queue::Push;
use fanfare_core::ports::event_log::LoggedEvent;
use fanfare_runtime::registry::ServedWebhook;

/// An event with what it becomes.
#[derive(Debug)]
pub(crate) struct Matched {
    pub(crate) event: Event,
    pub(crate) revision: Revision,
    pub(crate) pushes: Vec<Push>,
}

/// Makes the deliveries of an event: one for each webhook, ready, or behind the webhook's gate if one is up.
pub(crate) fn matched(
    logged: LoggedEvent,
    revision: Revision,
    webhooks: &[Arc<ServedWebhook>],
    gate: impl Fn(WebhookId) -> Option<GateReason>,
) -> Matched {
    let LoggedEvent { event, redelivered: repeated, .. } = logged;
    let pushes = webhooks
        .iter()
        .map(|served| {
            let webhook = served.webhook.id;
            let place = gate(webhook).map_or(Place::Ready, |reason| Place::Gated { reason });
            Push { delivery: delivery(&event, webhook), place, repeated }
        })
        .collect();
    Matched { event, revision, pushes }
}

fn delivery(event: &Event, webhook: WebhookId) -> Delivery {
    let header = &event.header;
    let run = Run::Original;
    Delivery {
        header: DeliveryHeader {
            id: DeliveryId::derive(webhook, &header.id, &run),
            project: header.project.clone(),
            webhook,
            event: header.id.clone(),
            event_type: header.event_type.clone(),
            source: header.source.clone(),
            subject: header.subject.clone(),
            expires_at: header.expires_at,
            accepted_at: header.accepted_at,
            run,
            hop: Hop::default(),
            attempts: 0,
        },
        body: event.data.clone(),
    }
}

impl Matched {
    /// Splits the event into pushes of at most `max` deliveries, each with the journal entry that tells of them. An event
    /// that no webhook matches has one empty push, so that its entry is written all the same.
    pub(crate) fn into_parts(self, max: usize, at: Timestamp) -> Vec<(Vec<Push>, JournalEntry)> {
        let Matched { event, revision, mut pushes } = self;
        let mut parts = Vec::with_capacity(pushes.len() / max + 1);
        loop {
            let rest = pushes.split_off(pushes.len().min(max));
            let part = std::mem::replace(&mut pushes, rest);
            let entry = JournalEntry::FannedOut(FannedOut {
                event: event.header.clone(),
                data_bytes: event.data.len() as u64,
                revision,
                at,
                deliveries: part.iter().map(told).collect(),
            });
            parts.push((part, entry));
            if pushes.is_empty() {
                return parts;
            }
        }
    }
}

fn told(push: &Push) -> FannedOutTo {
    FannedOutTo { delivery: push.delivery.header.id, webhook: push.delivery.header.webhook, place: push.place }
}

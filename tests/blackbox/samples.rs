//! Events and webhooks that several tests use.

use fanfare_core::catalogue::Catalogue;
use serde_json::{Value, json};

/// The five events of a WhatsApp platform that everything began with.
pub(crate) const FIVE: [&str; 5] = [
    "whatsapp.message.received",
    "whatsapp.message.delivered",
    "whatsapp.message.read",
    "whatsapp.message.failed",
    "whatsapp.conversation.created",
];

/// A breaker that stays closed, where failures are a part of the story.
pub(crate) const NO_BREAKER: [(&str, &str); 2] =
    [("FANFARE_DELIVERY_BREAKER_FAILURES", "10000"), ("FANFARE_DELIVERY_BREAKER_WINDOW_ATTEMPTS", "100000")];

/// The catalogue's sample of a type.
pub(crate) fn sample(event_type: &str) -> Value {
    let entries = Catalogue::builtin().entries();
    let entry = entries.iter().find(|entry| entry.event_type.as_str() == event_type);
    entry.unwrap_or_else(|| panic!("the catalogue has no {event_type}")).sample.clone()
}

/// An event with the catalogue's sample.
pub(crate) fn event(event_type: &str) -> Value {
    json!({"type": event_type, "data": sample(event_type)})
}

/// An event of a type of one's own.
pub(crate) fn order(id: &str) -> Value {
    json!({"id": id, "type": "order.paid", "data": {"order": id, "total": 12.5}})
}

/// A webhook for everything that tests publish, tried again every second, three times. What Fanfare tells of webhooks itself is
/// left out: it would be counted with the rest.
pub(crate) fn webhook(url: &str) -> Value {
    json!({"url": url, "events": ["order.**", "whatsapp.**"], "retry_schedule": [1, 1, 1]})
}

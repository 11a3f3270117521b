//! Who plays in the demo: the receivers with their webhooks, and the events that are published.

use fanfare_core::catalogue::Catalogue;
use fanfare_core::event::EventType;
use serde_json::{Value, json};

use crate::report::Report;

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// 200.
    Succeeds,
    /// To each event 500, then 503, then 200.
    FailsTwice,
    /// 204 if both signatures verify, else 401.
    Verifies,
}

/// A receiver and the webhook that points at it.
#[derive(Debug)]
pub(super) struct Part {
    /// What it is called on the screen; at most 7 letters.
    pub(super) name: &'static str,
    /// How it answers.
    pub(super) role: Role,
    /// The same in words.
    pub(super) says: &'static str,
    /// What its webhook subscribes to.
    pub(super) events: &'static [&'static str],
    /// The delays of its webhook's retries in seconds; empty for the standard schedule.
    pub(super) retries: &'static [u32],
    /// How many attempts each delivery to it takes.
    pub(super) attempts: u32,
}

/// The receivers.
pub(super) const RECEIVERS: [Part; 4] = [
    Part { name: "plain", role: Role::Succeeds, says: "answers 200", events: &["**"], retries: &[], attempts: 1 },
    Part {
        name: "flaky",
        role: Role::FailsTwice,
        says: "answers 500, then 503, then 200",
        events: &["whatsapp.message.received", "order.*"],
        retries: &[1, 1, 2],
        attempts: 3,
    },
    Part {
        name: "strict",
        role: Role::Verifies,
        says: "answers 401 unless both signatures verify",
        events: &["whatsapp.message.*"],
        retries: &[],
        attempts: 1,
    },
    Part {
        name: "tested",
        role: Role::Succeeds,
        says: "answers 200; is sent a test payload first",
        events: &["whatsapp.conversation.created"],
        retries: &[],
        attempts: 1,
    },
];

/// The receiver whose webhook is tested, by its place in [`RECEIVERS`].
pub(super) const TESTED: usize = 3;

/// The event that is not in the catalogue.
pub(super) const CUSTOM_EVENT: &str = "order.paid";

const WHATSAPP_EVENTS: [&str; 5] = [
    "whatsapp.message.received",
    "whatsapp.message.delivered",
    "whatsapp.message.read",
    "whatsapp.message.failed",
    "whatsapp.conversation.created",
];

/// An event that the demo publishes.
#[derive(Clone, Debug)]
pub(super) struct DemoEvent {
    /// Its id.
    pub(super) id: String,
    /// Its type.
    pub(super) event_type: String,
    /// Its data.
    pub(super) data: Value,
}

/// The events: five of WhatsApp's, with the catalogue's samples, and one that only this demo knows.
///
/// # Errors
/// When the catalogue lacks one of them.
pub(super) fn events() -> Result<Vec<DemoEvent>, Report> {
    let mut events = Vec::with_capacity(WHATSAPP_EVENTS.len() + 1);
    for name in WHATSAPP_EVENTS {
        let entry = EventType::new(name).ok().and_then(|event_type| Catalogue::builtin().get(&event_type));
        let data = entry.map(|entry| entry.sample.clone());
        events.push((name, data.ok_or_else(|| Report::new(format!("the catalogue has no {name}")))?));
    }
    let order = json!({"id": "A-1001", "total": "59.90", "currency": "EUR"});
    events.push((CUSTOM_EVENT, json!({"order": order, "paid_at": "2025-12-06T05:50:00Z"})));
    let numbered = events.into_iter().enumerate();
    Ok(numbered
        .map(|(at, (name, data))| DemoEvent { id: format!("demo-{}", at + 1), event_type: name.to_owned(), data })
        .collect())
}

impl Part {
    /// Whether its webhook gets events of this type, by the rule of patterns: `*` is one segment, a last `**` the rest.
    pub(super) fn gets(&self, event_type: &str) -> bool {
        self.events.iter().any(|pattern| matches(pattern, event_type))
    }
}

fn matches(pattern: &str, event_type: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('.'), event_type.split('.'));
    loop {
        match (wanted.next(), given.next()) {
            (Some("**"), Some(_)) | (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == "*" || wanted == given => {}
            (Some(_) | None, _) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_receiver_gets_what_its_patterns_say() {
        let got = |name: &str| -> Vec<&str> {
            RECEIVERS.iter().filter(|part| part.gets(name)).map(|part| part.name).collect()
        };
        assert_eq!(got("whatsapp.message.received"), ["plain", "flaky", "strict"]);
        assert_eq!(got("whatsapp.message.read"), ["plain", "strict"]);
        assert_eq!(got("whatsapp.conversation.created"), ["plain", "tested"]);
        assert_eq!(got("order.paid"), ["plain", "flaky"]);
        assert_eq!(got("whatsapp.message"), ["plain"]);
        assert_eq!(got("order.paid.twice"), ["plain"]);
    }

    #[test]
    fn names_fit_their_column() {
        assert!(RECEIVERS.iter().all(|part| part.name.len() <= 7));
        assert!(WHATSAPP_EVENTS.iter().all(|name| name.len() <= 29));
    }
}

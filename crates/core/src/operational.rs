//! Operational events: what Fanfare tells a project about its own webhooks, as events like any other.
//!
//! Their ids follow from what they tell, so that telling it again after a crash is a duplicate. Nothing is told about
//! deliveries of operational events themselves: a receiver that is down would be told so without end.

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::clock::Timestamp;
use crate::delivery::DeliveryHeader;
use crate::event::{ContentHash, Event, EventHeader, EventType, Extensions, Subject};
use crate::ids::{DeliveryId, EventId, ProjectId, WebhookId};

/// What the types of operational events begin with. Nobody else may publish a type that begins so.
const PREFIX: &str = "fanfare.";

/// Why a type that begins so is refused, in words for an error message.
pub const RESERVED: &str = "must not begin with fanfare., under which Fanfare tells of webhooks and deliveries itself";

/// The types of operational events.
pub const TYPES: [&str; 5] = [
    "fanfare.webhook.failing",
    "fanfare.webhook.recovered",
    "fanfare.webhook.paused",
    "fanfare.webhook.activated",
    "fanfare.delivery.exhausted",
];

/// Whether a type is reserved for operational events.
pub fn is_operational(event_type: &EventType) -> bool {
    event_type.as_str().starts_with(PREFIX)
}

/// What happened to a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transition {
    /// Its receiver fails, one attempt after another.
    Failing,
    /// It receives again.
    Recovered,
    /// Nothing is sent until it is activated.
    Paused,
    /// It was activated.
    Activated,
}

impl Transition {
    /// The type of the event that tells of it.
    pub fn type_name(self) -> &'static str {
        match self {
            Transition::Failing => TYPES[0],
            Transition::Recovered => TYPES[1],
            Transition::Paused => TYPES[2],
            Transition::Activated => TYPES[3],
        }
    }
}

/// What is told of a webhook.
#[derive(Clone, Debug)]
pub struct WebhookTold<'a> {
    /// Its project.
    pub project: &'a ProjectId,
    /// The webhook.
    pub webhook: WebhookId,
    /// What happened.
    pub transition: Transition,
    /// Why, in one word of the API's.
    pub reason: &'a str,
    /// Since when it is so.
    pub since: Timestamp,
    /// When the failures began that no success has followed, or of [`Transition::Recovered`] had followed until now.
    pub failing_since: Option<Timestamp>,
}

#[derive(Serialize)]
struct WebhookData<'a> {
    webhook_id: WebhookId,
    reason: &'a str,
    since: Timestamp,
    failing_since: Option<Timestamp>,
}

impl WebhookTold<'_> {
    /// The event, accepted now. Of one webhook, transition and time there is one: for failing and recovered the time at which
    /// the failures began, since several processes may see the same.
    pub fn event(&self, now: Timestamp) -> Event {
        let one = match self.transition {
            Transition::Failing | Transition::Recovered => self.failing_since.unwrap_or(self.since),
            Transition::Paused | Transition::Activated => self.since,
        };
        let name = self.transition.type_name();
        let data = WebhookData {
            webhook_id: self.webhook,
            reason: self.reason,
            since: self.since,
            failing_since: self.failing_since,
        };
        let id = format!("{name}:{}:{}", self.webhook, one.as_millis());
        event(self.project, name, &id, self.webhook, self.since, now, &data)
    }
}

/// What is told of a delivery whose attempts are used up.
#[derive(Clone, Debug)]
pub struct Exhausted<'a> {
    /// The delivery, as it was before its last attempt.
    pub delivery: &'a DeliveryHeader,
    /// How many attempts were made, the last one included.
    pub attempts: u32,
    /// What came of the last one, in one word of the API's.
    pub outcome: &'a str,
    /// The status that the receiver answered it with, if it did.
    pub status: Option<u16>,
    /// When it ended.
    pub at: Timestamp,
}

#[derive(Serialize)]
struct ExhaustedData<'a> {
    webhook_id: WebhookId,
    delivery_id: DeliveryId,
    event_id: &'a EventId,
    event_type: &'a EventType,
    attempts: u32,
    last_outcome: &'a str,
    last_status: Option<u16>,
}

impl Exhausted<'_> {
    /// The event, accepted now. Of one delivery there is one.
    pub fn event(&self, now: Timestamp) -> Event {
        let name = TYPES[4];
        let held = self.delivery;
        let data = ExhaustedData {
            webhook_id: held.webhook,
            delivery_id: held.id,
            event_id: &held.event,
            event_type: &held.event_type,
            attempts: self.attempts,
            last_outcome: self.outcome,
            last_status: self.status,
        };
        event(&held.project, name, &format!("{name}:{}", held.id), held.webhook, self.at, now, &data)
    }
}

/// All that is told of one webhook has one ordering key, and so comes in order.
fn event(
    project: &ProjectId,
    name: &str,
    id: &str,
    webhook: WebhookId,
    time: Timestamp,
    now: Timestamp,
    data: &impl Serialize,
) -> Event {
    let data = serde_json::to_vec(data).expect("what is told is a map with text keys, which always has a JSON form");
    let mut hash = Sha256::new();
    for part in [name.as_bytes(), &time.as_millis().to_be_bytes(), &data] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let header = EventHeader {
        project: project.clone(),
        id: EventId::new(id).expect("a type, a UUID and a number are printable and short"),
        event_type: EventType::new(name).expect("the names above are types"),
        source: None,
        subject: Some(Subject::new(webhook.to_string()).expect("a UUID is a subject")),
        time,
        expires_at: None,
        accepted_at: now,
        extensions: Extensions::new(),
    };
    Event { header, data: Bytes::from(data), content: ContentHash(hash.finalize().into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::ids::{Hop, Run};
    use crate::normalise::normalise;
    use crate::schema::Schema;

    const AT: Timestamp = Timestamp::EPOCH;

    fn told(transition: Transition, since: Timestamp, failing_since: Option<Timestamp>) -> Event {
        let (project, webhook) = (ProjectId::new("acme").unwrap(), WebhookId::from_bytes([7; 16]));
        let told = WebhookTold { project: &project, webhook, transition, reason: "gone", since, failing_since };
        told.event(since)
    }

    fn exhausted(attempts: u32) -> Event {
        let event = EventId::new("order-1").unwrap();
        let webhook = WebhookId::from_bytes([7; 16]);
        let delivery = DeliveryHeader {
            id: DeliveryId::derive(webhook, &event, &Run::Original),
            project: ProjectId::new("acme").unwrap(),
            webhook,
            event,
            event_type: EventType::new("order.paid").unwrap(),
            source: None,
            subject: None,
            expires_at: None,
            accepted_at: AT,
            run: Run::Original,
            hop: Hop(3),
            attempts: attempts - 1,
        };
        Exhausted { delivery: &delivery, attempts, outcome: "server_error", status: Some(503), at: AT }.event(AT)
    }

    #[test]
    fn what_is_told_is_what_the_catalogue_says() {
        let transitions = [Transition::Failing, Transition::Recovered, Transition::Paused, Transition::Activated];
        let mut events: Vec<Event> = transitions.map(|transition| told(transition, AT, Some(AT))).into();
        events.extend(transitions.map(|transition| told(transition, AT, None)));
        events.push(exhausted(5));
        for event in events {
            let name = &event.header.event_type;
            assert!(is_operational(name) && TYPES.contains(&name.as_str()));
            let entry = Catalogue::builtin().get(name).unwrap_or_else(|| panic!("{name}"));
            let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
            Schema::compile(&entry.schema).unwrap().check(&data, "$").unwrap_or_else(|broken| panic!("{broken:?}"));
            assert_eq!(normalise(&event.data, "$").unwrap(), &event.data[..]);
            assert_eq!(event.header.subject.as_ref().unwrap().as_str(), data["webhook_id"].as_str().unwrap());
            assert_eq!(entry.subject_pointer.as_deref(), Some("/webhook_id"));
            let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&data), keys(&entry.sample));
        }
    }

    #[test]
    fn the_same_told_twice_is_one_event_and_another_time_another() {
        let later = AT.after(std::time::Duration::from_secs(60));
        for transition in [Transition::Failing, Transition::Recovered] {
            let (first, again) = (told(transition, AT, Some(AT)), told(transition, later, Some(AT)));
            assert_eq!(first.header.id, again.header.id);
            assert_ne!(first.header.id, told(transition, later, Some(later)).header.id);
        }
        for transition in [Transition::Paused, Transition::Activated] {
            let (first, again) = (told(transition, AT, Some(AT)), told(transition, AT, Some(AT)));
            assert_eq!((&first.header.id, first.content), (&again.header.id, again.content));
            assert_ne!(first.header.id, told(transition, later, Some(AT)).header.id);
        }
        assert_eq!(exhausted(5).header.id, exhausted(6).header.id);
        assert_ne!(exhausted(5).content, exhausted(6).content);
        assert!(!is_operational(&EventType::new("fanfares.webhook").unwrap()));
    }
}

//! Whether a published message is an event: pure.

use fanfare_core::catalogue::Catalogue;
use fanfare_core::event::{Event, EventType, Reading, binary, json};
use fanfare_core::ids::{EventId, ProjectId};
use fanfare_core::operational::{self, is_operational};
use fanfare_core::ports::intake::{Published, Rejection};
use fanfare_http::Problem;
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use crate::answer;

/// Where the subject's parts are, in what a producer is told of them.
const PROJECT: &str = "subject (project)";
pub(super) const TYPE: &str = "subject (type)";
const HEADERS: &str = "headers";

/// The project that a message was published to.
///
/// # Errors
/// What is wrong with its name.
pub(super) fn project(message: &Published) -> Result<ProjectId, Problem> {
    ProjectId::new(&*message.project)
        .map_err(|invalid| Problem::invalid(PROJECT, format!("the project must be {invalid}")))
}

/// The problem of a message to a project that there is not.
pub(super) fn unknown(project: &ProjectId) -> Problem {
    Problem::invalid(PROJECT, format!("there is no project {project}"))
}

/// Reads the event. The subject says its type; what it says itself must agree with that.
///
/// An event without an id gets the one that its producer gave the broker, which does not compare them for longer than a
/// moment; else one that follows from where and when it was published. Read again after a crash it is the same event.
///
/// # Errors
/// What is wrong with it.
pub(super) fn event(message: &Published, project: &ProjectId) -> Result<Event, Problem> {
    let event_type = EventType::new(&*message.event_type)
        .map_err(|invalid| Problem::invalid(TYPE, format!("the type must be {invalid}")))?;
    if let Some(wrong) = message.malformed {
        return Err(Problem::invalid(HEADERS, wrong));
    }
    if is_operational(&event_type) {
        return Err(Problem::invalid(TYPE, format!("the type {}", operational::RESERVED)));
    }
    let new_id = || message_id(message).unwrap_or_else(|| EventId::generated(id_of(message)));
    let reading = Reading {
        project,
        // The broker's answer was its acceptance.
        now: message.at,
        catalogue: Catalogue::builtin(),
        event_type: Some(&event_type),
        new_id: &new_id,
    };
    let read = if binary::is_binary(message.headers.iter().map(|(name, _)| name.as_str())) {
        let all = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let content_type = message.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        binary::parse(all, content_type.map(|(_, value)| value.as_str()), &message.body, &reading)
    } else {
        json::parse(&message.body, &reading)
    };
    read.map_err(answer::refusal)
}

/// The rejection of a message with this problem.
pub(super) fn rejection(message: Published, problem: &Problem) -> Rejection {
    let (field, reason) = match problem.errors.first() {
        Some(error) => (error.field.as_str(), &error.message),
        None => ("$", &problem.detail),
    };
    Rejection { message, code: problem.code, field: field.to_owned(), reason: reason.clone() }
}

/// The message id (`Nats-Msg-Id`), without the project that it should begin with; `None` if that is no event's id.
fn message_id(message: &Published) -> Option<EventId> {
    let (_, id) = message.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("nats-msg-id"))?;
    let own = id.strip_prefix(&*message.project).and_then(|rest| rest.strip_prefix(':'));
    EventId::new(own.unwrap_or(id)).ok()
}

fn id_of(message: &Published) -> Ulid {
    let mut hash = Sha256::new();
    hash.update(message.position.0.to_be_bytes());
    hash.update(message.at.as_millis().to_be_bytes());
    hash.update(message.project.as_bytes());
    let digest = hash.finalize();
    let mut random = [0; 16];
    random[6..].copy_from_slice(&digest[..10]);
    Ulid::from_parts(u64::try_from(message.at.as_millis()).unwrap_or(0), u128::from_be_bytes(random))
}

#[cfg(test)]
mod tests {
    use fanfare_core::clock::Timestamp;
    use fanfare_core::ports::intake::IntakePosition;

    use super::*;

    fn message(event_type: &str, headers: &[(&str, &str)], body: &str) -> Published {
        Published {
            position: IntakePosition(7),
            at: Timestamp::from_seconds(1_765_000_000),
            project: "shop".into(),
            event_type: event_type.to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            raw_headers: bytes::Bytes::new(),
            malformed: None,
            body: body.to_owned().into(),
        }
    }

    fn read(message: &Published) -> Result<Event, String> {
        event(message, &project(message).unwrap()).map_err(|problem| {
            let rejection = rejection(message.clone(), &problem);
            format!("{}: {}", rejection.field, rejection.reason)
        })
    }

    #[test]
    fn the_subject_says_the_type() {
        let event = read(&message("order.paid", &[], r#"{"id": "order-1", "data": {"a": 1}}"#)).unwrap();
        assert_eq!((event.header.id.as_str(), event.header.event_type.as_str()), ("order-1", "order.paid"));
        let wrong = read(&message("order.paid", &[], r#"{"type": "order.sent", "data": {}}"#)).unwrap_err();
        assert_eq!(wrong, "$.type: must be order.paid, under which it was published");
        assert!(read(&message("order.paid", &[], r#"{"type": "order.paid", "data": {}}"#)).is_ok());
        let wrong = read(&message("order.päid", &[], r#"{"data": {}}"#)).unwrap_err();
        assert!(wrong.starts_with("subject (type): the type must be 1 to 16"), "{wrong}");
        let wrong = read(&message("fanfare.webhook.paused", &[], r#"{"data": {}}"#)).unwrap_err();
        assert!(wrong.starts_with("subject (type): the type must not begin with fanfare."), "{wrong}");
    }

    #[test]
    fn an_event_without_an_id_has_the_same_one_however_often_it_is_read() {
        let published = message("order.paid", &[], r#"{"data": {}}"#);
        let (first, again) = (read(&published).unwrap(), read(&published).unwrap());
        assert!(first.header.id.as_str().starts_with("evt_"));
        assert_eq!(first.header.id, again.header.id);
        let other = Published { position: IntakePosition(8), ..published };
        assert_ne!(read(&other).unwrap().header.id, first.header.id);
    }

    #[test]
    fn the_id_given_to_the_broker_is_that_of_an_event_without_one() {
        let id = |header: &str, body| read(&message("order.paid", &[("Nats-Msg-Id", header)], body)).unwrap().header.id;
        assert_eq!(id("shop:order-1", r#"{"data": {}}"#).as_str(), "order-1");
        assert_eq!(id("order-1", r#"{"data": {}}"#).as_str(), "order-1");
        assert_eq!(id("shop:order-1", r#"{"id": "order-2", "data": {}}"#).as_str(), "order-2");
        assert!(id("order 1", r#"{"data": {}}"#).as_str().starts_with("evt_"));
    }

    #[test]
    fn binary_mode_is_read_from_headers() {
        let headers = [("ce-id", "order-1"), ("CE-Subject", "a%20b%0D%0A"), ("Nats-Msg-Id", "shop:order-1")];
        let wrong = read(&message("order.paid", &headers, "{}")).unwrap_err();
        assert!(wrong.starts_with("ce-subject: must be 1 to 256"), "{wrong}");
        let headers =
            [("ce-id", "order-1"), ("ce-subject", "a%20b%20%F0%9F%99%82"), ("content-type", "application/json")];
        let event = read(&message("order.paid", &headers, "{}")).unwrap();
        assert_eq!(event.header.subject.unwrap().as_str(), "a b \u{1F642}");
        let wrong = read(&message("order.paid", &[("ce-id", "1"), ("Content-Type", "text/plain")], "{}")).unwrap_err();
        assert!(wrong.starts_with("content-type: data must be JSON"), "{wrong}");
    }

    #[test]
    fn a_message_whose_headers_are_not_well_formed_is_no_event() {
        let message =
            Published { malformed: Some("headers must be UTF-8"), ..message("order.paid", &[], "{\"data\": {}}") };
        assert_eq!(read(&message).unwrap_err(), "headers: headers must be UTF-8");
    }

    #[test]
    fn what_is_no_json_is_rejected_with_the_place() {
        assert!(read(&message("order.paid", &[], "{\"data\": ")).unwrap_err().starts_with("$: "));
        assert!(read(&message("order.paid", &[], "{}")).unwrap_err().starts_with("$.data: required"));
    }
}

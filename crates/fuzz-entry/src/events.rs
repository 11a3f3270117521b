//! Events as JSON, in batches and in binary mode, and the normal form of their data.

use fanfare_core::catalogue::Catalogue;
use fanfare_core::clock::Timestamp;
use fanfare_core::event::{Event, EventHeader, MAX_BATCH_EVENTS, MAX_DATA_BYTES, Reading, binary as mode, json};
use fanfare_core::ids::{EventId, ProjectId};
use fanfare_core::normalise;
use serde::de::IgnoredAny;
use ulid::Ulid;

use crate::halves;

fn reading<T>(read: impl FnOnce(&Reading<'_>) -> T) -> T {
    let project = ProjectId::new("acme").expect("it is allowed");
    let now = Timestamp::from_seconds(1_765_000_000);
    read(&Reading {
        project: &project,
        now,
        catalogue: Catalogue::builtin(),
        event_type: None,
        new_id: &|| EventId::generated(Ulid::from(7)),
    })
}

/// What holds for every event that was accepted.
fn check(event: &Event) {
    assert_eq!(normalise::normalise(&event.data, "$").expect("it is JSON"), event.data, "not the normal form");
    assert!(event.data.len() <= MAX_DATA_BYTES);
    let stored = serde_json::to_vec(&event.header).expect("it can be stored");
    let read: EventHeader = serde_json::from_slice(&stored).expect("what is stored can be read");
    assert_eq!(read, event.header);
}

/// One event is read the same again, and the same in a batch of one.
pub(crate) fn one(bytes: &[u8]) -> bool {
    let Ok(event) = reading(|reading| json::parse(bytes, reading)) else { return false };
    check(&event);
    let batch = [b"[", bytes, b"]"].concat();
    let mut batch = reading(|reading| json::parse_batch(&batch, reading)).expect("a batch of one event");
    let same = batch.pop().expect("there is one").expect("it is accepted alone");
    assert!(batch.is_empty());
    assert_eq!((&same.header, &same.data, same.content), (&event.header, &event.data, event.content));
    true
}

/// A batch has as many events as it may, each of which is well or says why not.
pub(crate) fn batch(bytes: &[u8]) -> bool {
    let Ok(events) = reading(|reading| json::parse_batch(bytes, reading)) else { return false };
    assert!(events.len() <= MAX_BATCH_EVENTS);
    for (index, event) in events.iter().enumerate() {
        match event {
            Ok(event) => check(event),
            Err(error) => assert!(error.path.starts_with(&format!("$[{index}]")), "{error} is about event {index}"),
        }
    }
    serde_json::from_slice::<IgnoredAny>(bytes).expect("a batch is JSON");
    events.iter().any(Result::is_ok)
}

/// Headers, one a line, then `---`, then the body.
pub(crate) fn binary(bytes: &[u8]) -> bool {
    let (head, body) = halves(bytes);
    let headers = || {
        let lines = head.split(|byte| *byte == b'\n');
        lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()))
        })
    };
    let read = || reading(|reading| mode::parse(headers(), Some("application/json"), body, reading));
    let Ok(event) = read() else { return false };
    assert!(mode::is_binary(headers().map(|(name, _)| name)), "accepted without an attribute");
    check(&event);
    let again = read().expect("it was accepted once");
    assert_eq!((&again.header, &again.data, again.content), (&event.header, &event.data, event.content));
    true
}

/// The normal form is JSON that means as much, no deeper than allowed, and its own normal form.
pub(crate) fn normalise(bytes: &[u8]) -> bool {
    let Ok(normal) = normalise::normalise(bytes, "$") else { return false };
    serde_json::from_slice::<IgnoredAny>(bytes).expect("what was accepted is JSON");
    serde_json::from_slice::<IgnoredAny>(&normal).expect("the normal form is JSON");
    assert_eq!(normalise::normalise(&normal, "$").as_ref(), Ok(&normal), "the normal form has another one");
    let text = std::str::from_utf8(&normal).expect("it is text");
    assert!(!text.contains(['\n', '\r', '\t']), "it is compact, and controls are escaped");
    true
}

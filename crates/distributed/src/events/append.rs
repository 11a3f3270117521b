//! Appending: published in order and in windows; repetitions are compared with the first of their kind.

use fanfare_core::event::Event;
use fanfare_core::ports::event_log::Appended;
use fanfare_core::ports::{StoreErrorKind, StoreResult};
use futures_util::future::try_join_all;

use super::{CONTENT, EVENT, content};
use crate::Distributed;
use crate::error::unavailable;
use crate::message::Draft;

const DOING: &str = "append events";

pub(super) async fn append(engine: &Distributed, events: &[Event]) -> StoreResult<Vec<Appended>> {
    let drafts = events.iter().map(|event| draft(engine, event)).collect();
    let published = engine.shared.store.publish_all(DOING, drafts).await;
    let answers = published.inspect_err(|error| {
        if error.kind == StoreErrorKind::Full {
            engine.shared.events.full.notify_one();
        }
    })?;
    for (event, answer) in events.iter().zip(&answers).filter(|(_, answer)| !answer.duplicate) {
        engine.shared.events.lines.grew(partition(engine, event), &event.header.project, answer.sequence);
    }
    let new = answers.iter().filter(|answer| !answer.duplicate).count();
    engine.shared.events.grew(new);
    let compared = events.iter().zip(answers).map(|(event, answer)| async move {
        if answer.duplicate { compare(engine, event, answer.sequence).await } else { Ok(Appended::Accepted) }
    });
    try_join_all(compared).await
}

/// Events without an ordering key are in one line per project: nothing says that their order does not matter.
pub(super) fn partition(engine: &Distributed, event: &Event) -> u16 {
    let key = event.header.subject.as_ref().map_or("", |subject| subject.as_str());
    engine.shared.names.partition_of(&event.header.project, key)
}

fn draft(engine: &Distributed, event: &Event) -> Draft {
    let (names, attributes) = (&engine.shared.names, &event.header);
    Draft::new(names.event(partition(engine, event), &attributes.project, &attributes.id), event.data.clone())
        // De-duplication is of the stream as a whole: two projects may use the same event id.
        .id(&format!("{}:{}", attributes.project, attributes.id))
        .describe(EVENT, attributes)
        .header(CONTENT, &format!("{:?}", event.content))
}

/// Compares an event with the one that was accepted under its id.
async fn compare(engine: &Distributed, event: &Event, first: u64) -> StoreResult<Appended> {
    if first == 0 {
        return Err(unavailable(DOING, "the first event under this id is still being stored"));
    }
    let (store, stream) = (&engine.shared.store, engine.shared.names.events());
    // One that is not retained any more was accepted nevertheless; what it said is not known.
    let Some(stored) = store.message(DOING, &stream, first).await? else { return Ok(Appended::Duplicate) };
    // Neither is what it said if it cannot be read; whoever reads the partition says so.
    let Ok(content) = content(DOING, Some(&stored.headers)) else { return Ok(Appended::Duplicate) };
    Ok(if content == event.content { Appended::Duplicate } else { Appended::Conflict })
}

//! The event log: one stream, whose subjects carry the partition, and the event's identity as a hash.
//!
//! A repetition is recognised by its message id, which holds the project and the event's id: JetStream says under which
//! sequence the first one stands, and its content hash tells a duplicate from a conflict. The stream refuses rather than
//! drops when it is full; what has been processed is removed by [`retention`]. A position follows the log's end where nothing
//! waits in its partition, so that others who look for what waits, or may be removed, do not begin days ago.

mod append;
mod aside;
mod backlog;
mod lines;
pub(crate) mod position;
mod reader;
mod retention;

use async_trait::async_trait;
use fanfare_core::event::{ContentHash, Event, EventHeader};
use fanfare_core::ids::{EventId, ProjectId};
use fanfare_core::ports::event_log::{Appended, PartitionShare};
use fanfare_core::ports::{EventLog, StoreResult};

use crate::Distributed;
use crate::error::corrupt;
use crate::message::{described, header};
use bytes::Bytes;

pub(crate) use backlog::Events;

/// The event's attributes, as JSON.
const EVENT: &str = "Fanfare-Event";
/// Its content hash, in hexadecimal.
const CONTENT: &str = "Fanfare-Content";

#[async_trait]
impl EventLog for Distributed {
    async fn append(&self, events: Vec<Event>) -> StoreResult<Vec<Appended>> {
        append::append(self, &events).await
    }

    async fn get(&self, project: &ProjectId, id: &EventId) -> StoreResult<Option<Event>> {
        const DOING: &str = "read an event";
        let (stream, subject) = (self.shared.names.events(), self.shared.names.event_anywhere(project, id));
        let Some(stored) = self.shared.store.last(DOING, &stream, &subject).await? else { return Ok(None) };
        let event = event(DOING, Some(&stored.headers), stored.payload)?;
        Ok(Some(event).filter(|event| event.header.project == *project && event.header.id == *id))
    }

    async fn erase(&self, project: &ProjectId, id: &EventId) -> StoreResult<()> {
        const DOING: &str = "erase an event";
        let (stream, subject) = (self.shared.names.events(), self.shared.names.event_anywhere(project, id));
        // Should one id have been accepted twice, outside the window in which repetitions are recognised, all of it goes.
        while let Some(stored) = self.shared.store.last(DOING, &stream, &subject).await? {
            self.shared.store.erase(DOING, &stream, stored.sequence).await?;
        }
        Ok(())
    }

    async fn backlog(&self) -> StoreResult<u64> {
        backlog::backlog(self).await
    }

    async fn backlog_above(&self, max: u64) -> StoreResult<Option<u64>> {
        backlog::above(self, max).await
    }

    async fn is_crowded(&self, events: &[Event], max: u64) -> StoreResult<bool> {
        lines::is_crowded(self, events, max).await
    }

    async fn consume(&self) -> StoreResult<Box<dyn PartitionShare>> {
        Ok(Box::new(reader::Share::join(self)))
    }
}

/// An event from its message.
fn event(doing: &'static str, headers: Option<&async_nats::HeaderMap>, data: Bytes) -> StoreResult<Event> {
    let attributes: EventHeader = described(doing, headers, EVENT)?;
    Ok(Event { header: attributes, data, content: content(doing, headers)? })
}

fn content(doing: &'static str, headers: Option<&async_nats::HeaderMap>) -> StoreResult<ContentHash> {
    let text = header(headers, CONTENT).ok_or_else(|| corrupt(doing, "an event without its content hash"))?;
    let mut hash = [0; 32];
    for (at, byte) in hash.iter_mut().enumerate() {
        let digits = text.get(2 * at..2 * at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        *byte = digits.ok_or_else(|| corrupt(doing, "a content hash that is none"))?;
    }
    Ok(ContentHash(hash))
}

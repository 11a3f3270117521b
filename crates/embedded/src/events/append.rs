//! Appending: one event, one row; of two with the same project and id the first one stays.

use fanfare_core::event::Event;
use fanfare_core::ports::event_log::Appended;

use crate::codec::to_json;
use crate::writer::Tx;

/// Events in the form in which they are written.
pub(super) struct Append {
    events: Vec<(Event, Vec<u8>)>,
}

/// What became of them.
pub(super) struct Written {
    pub(super) accepted: Vec<(i64, Event)>,
    pub(super) answers: Vec<Appended>,
}

impl Append {
    /// Encodes events, on the caller's thread.
    pub(super) fn new(events: Vec<Event>) -> Self {
        let encode = |event: Event| {
            let header = to_json(&event.header);
            (event, header)
        };
        Self { events: events.into_iter().map(encode).collect() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.events.iter().map(|(event, header)| event.data.len() + header.len()).sum()
    }

    pub(super) fn write(self, tx: &mut Tx<'_>) -> rusqlite::Result<Written> {
        let mut insert = tx.connection.prepare_cached(
            "INSERT INTO events (position, project, id, accepted_at, content, header, data) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (project, id) DO NOTHING",
        )?;
        let mut written = Written { accepted: Vec::new(), answers: Vec::with_capacity(self.events.len()) };
        for (event, header) in self.events {
            let position = tx.counters.event + 1;
            let (project, id) = (event.header.project.as_str(), event.header.id.as_str());
            let accepted_at = event.header.accepted_at.as_millis();
            let inserted =
                insert.execute((position, project, id, accepted_at, &event.content.0[..], &header, &event.data[..]))?;
            if inserted == 1 {
                // Only now is the position used up: without gaps, the backlog is a subtraction.
                tx.counters.event = position;
                written.answers.push(Appended::Accepted);
                written.accepted.push((position, event));
            } else {
                written.answers.push(compare(tx, &event)?);
            }
        }
        Ok(written)
    }
}

fn compare(tx: &Tx<'_>, event: &Event) -> rusqlite::Result<Appended> {
    let (project, id) = (event.header.project.as_str(), event.header.id.as_str());
    let mut select = tx.connection.prepare_cached("SELECT content FROM events WHERE project = ?1 AND id = ?2")?;
    let same = select.query_row((project, id), |row| Ok(row.get_ref(0)?.as_blob()? == event.content.0))?;
    Ok(if same { Appended::Duplicate } else { Appended::Conflict })
}

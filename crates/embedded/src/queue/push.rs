//! Pushing: one row and one body for each delivery that is not known yet, and the journal's entries, in one
//! transaction.

use std::sync::Arc;

use fanfare_core::clock::Timestamp;
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::Push;

use crate::Embedded;
use crate::codec::{FIRST_GATED, Standing, delivery_column, place_columns, to_json, webhook_column};
use crate::journal::{Encoded, Written};
use crate::writer::Tx;

/// A push in the form in which it is written.
struct Row {
    push: Push,
    header: Vec<u8>,
    place: i64,
    at: i64,
}

impl Row {
    fn new(push: Push, now: Timestamp) -> Self {
        let (place, at) = place_columns(push.place, now);
        Self { header: to_json(&push.delivery.header), push, place, at }
    }
}

pub(super) async fn push(engine: &Embedded, pushes: Vec<Push>, entries: Vec<JournalEntry>) -> StoreResult<usize> {
    if pushes.is_empty() && entries.is_empty() {
        return Ok(0);
    }
    let now = engine.shared.clock.now();
    let rows: Vec<Row> = pushes.into_iter().map(|push| Row::new(push, now)).collect();
    let entries = Encoded::new(entries);
    let bytes = rows.iter().map(|row| row.header.len() + row.push.delivery.body.len()).sum::<usize>() + entries.bytes();
    let shared = Arc::clone(&engine.shared);
    engine
        .writer
        .write(
            "push deliveries",
            bytes,
            move |tx| Ok((insert(tx, rows)?, entries.write(tx)?)),
            move |(new, written): (Vec<Standing>, Written)| {
                let count = new.len();
                shared.queue.change(|state| new.into_iter().for_each(|row| state.enter(row)));
                shared.journal.extend(written);
                count
            },
        )
        .await
}

/// Inserts what is not known; returns what was inserted.
fn insert(tx: &mut Tx<'_>, rows: Vec<Row>) -> rusqlite::Result<Vec<Standing>> {
    let mut delivery = tx.connection.prepare_cached(
        "INSERT INTO deliveries (seq, id, webhook, hop, attempts, place, at, gate, expires) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING",
    )?;
    let mut body = tx.connection.prepare_cached("INSERT INTO bodies (seq, header, body) VALUES (?1, ?2, ?3)")?;
    let mut new = Vec::with_capacity(rows.len());
    for Row { push, header, place, at } in rows {
        let seq = tx.counters.delivery + 1;
        let gate = (place >= FIRST_GATED).then_some(tx.counters.gate + 1);
        let known = &push.delivery.header;
        let (id, webhook) = (delivery_column(&known.id), webhook_column(&known.webhook));
        let expires = known.expires_at.map(Timestamp::as_millis);
        if delivery.execute((seq, id, webhook, known.hop.0, known.attempts, place, at, gate, expires))? == 0 {
            continue;
        }
        body.execute((seq, &header, &push.delivery.body[..]))?;
        tx.counters.delivery = seq;
        tx.counters.gate = gate.unwrap_or(tx.counters.gate);
        new.push(Standing { seq, at, place: push.place, delivery: push.delivery });
    }
    Ok(new)
}

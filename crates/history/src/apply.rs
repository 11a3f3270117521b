//! Applies a batch of the journal to the tables.
//!
//! The entries of a batch are folded by delivery in memory first, so that one that was made, sent and delivered within the
//! batch is written once, in its final state, and never enters the indexes of what is not delivered. Applying an entry again
//! changes nothing, and so does applying an older one.

mod events;
mod rows;
mod seqs;

use std::collections::HashMap;

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DeliveryHeader, End, Next, Place};
use fanfare_core::ids::{DeliveryId, EventId, Hop, ProjectId};
use fanfare_core::journal::{
    AttemptedLate, BroughtForward, EventDeleted, FannedOut, JournalEntry, Pushed, Quarantined, Settled, WebhookDeleted,
};
use fanfare_core::ports::journal::JournalPosition;
use rusqlite::{Transaction, params};

use crate::columns::from_count;
use crate::standing::Standing;
use rows::{Early, Made, Touched};
use seqs::{Seqs, Table};

/// The most open deliveries of a deleted webhook that one transaction closes.
const CLOSE_STEP: usize = 1000;

/// Applies entries in order, and notes the position that they reach, all in the caller's transaction.
pub(crate) fn apply(
    transaction: &Transaction<'_>,
    entries: &[(JournalPosition, JournalEntry)],
) -> rusqlite::Result<()> {
    let Some((reached, _)) = entries.last() else { return Ok(()) };
    let mut batch = Batch {
        transaction,
        events: HashMap::new(),
        event_seqs: Seqs::new(transaction, Table::Events)?,
        any_early: rows::any_early_move(transaction)?,
        index: HashMap::new(),
        touched: Vec::with_capacity(entries.len()),
    };
    for (_, entry) in entries {
        batch.fold(entry)?;
    }
    let mut delivery_seqs = Seqs::new(transaction, Table::Deliveries)?;
    let any_deleted = events::any_deleted(transaction)?;
    for touched in &batch.touched {
        rows::write(transaction, touched, &mut delivery_seqs, any_deleted)?;
    }
    transaction
        .prepare_cached("UPDATE progress SET journal = ?1 WHERE only = 1")?
        .execute([from_count(reached.0)])
        .map(drop)
}

/// The position that the tables have reached.
pub(crate) fn position(transaction: &Transaction<'_>) -> rusqlite::Result<JournalPosition> {
    let stored = transaction.query_row("SELECT journal FROM progress WHERE only = 1", [], |row| row.get(0))?;
    Ok(JournalPosition(crate::columns::to_count(stored)))
}

/// When what an entry tells of happened.
pub(crate) fn happened_at(entry: &JournalEntry) -> Timestamp {
    match entry {
        JournalEntry::FannedOut(entry) => entry.at,
        JournalEntry::Pushed(entry) => entry.at,
        JournalEntry::Settled(entry) => entry.at,
        JournalEntry::AttemptedLate(entry) => entry.at,
        JournalEntry::BroughtForward(entry) => entry.at,
        JournalEntry::Quarantined(entry) => entry.at,
        JournalEntry::WebhookDeleted(entry) => entry.at,
        JournalEntry::EventDeleted(entry) => entry.at,
        JournalEntry::HealthChanged(entry) => entry.at,
    }
}

/// Closes some open deliveries of a deleted webhook; answers whether there may be more to close.
///
/// The webhook's row says `closed = 0` until a step finds nothing more, so a crash between two steps goes on with them.
pub(crate) fn close_some(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    use rusqlite::OptionalExtension as _;
    let webhook: Option<([u8; 16], i64)> = transaction
        .prepare_cached("SELECT webhook, at FROM deleted_webhooks WHERE closed = 0 LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((webhook, at)) = webhook else { return Ok(false) };
    let closed = transaction
        .prepare_cached(
            "UPDATE deliveries SET status = 6, ended_at = ?2, waiting_reason = NULL, next_attempt_at = NULL
             WHERE seq IN (SELECT seq FROM deliveries INDEXED BY deliveries_by_webhook_and_status
                           WHERE webhook = ?1 AND status IN (0, 1, 2, 7) AND status <> 3 LIMIT ?3)",
        )?
        .execute(params![webhook, at, from_count(CLOSE_STEP as u64)])?;
    if closed < CLOSE_STEP {
        transaction.prepare_cached("UPDATE deleted_webhooks SET closed = 1 WHERE webhook = ?1")?.execute([webhook])?;
    }
    Ok(true)
}

/// Erases some of what is known of a deleted event: what was sent and answered; and closes its open deliveries. Answers whether
/// there may be more to erase.
///
/// The event's row says `deletion = 0` until a step finds nothing more, so a crash between two steps goes on with them.
pub(crate) fn erase_some(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    use rusqlite::OptionalExtension as _;
    let event: Option<(i64, i64)> = transaction
        .prepare_cached("SELECT seq, deleted_at FROM events INDEXED BY events_in_deletion WHERE deletion = 0 AND deletion < 2 LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((event, at)) = event else { return Ok(false) };
    let step = from_count(CLOSE_STEP as u64);
    let closed = transaction
        .prepare_cached(
            "UPDATE deliveries SET status = 6, ended_at = ?2, waiting_reason = NULL, next_attempt_at = NULL
             WHERE seq IN (SELECT seq FROM deliveries INDEXED BY deliveries_by_event
                           WHERE event = ?1 AND status IN (0, 1, 2, 7) LIMIT ?3)",
        )?
        .execute(params![event, at, step])?;
    let erased = transaction
        .prepare_cached(
            "DELETE FROM attempts WHERE rowid IN (
                 SELECT a.rowid FROM deliveries AS d INDEXED BY deliveries_by_event
                 JOIN attempts AS a ON a.delivery = d.seq WHERE d.event = ?1 LIMIT ?2)",
        )?
        .execute(params![event, step])?;
    if closed.max(erased) < CLOSE_STEP {
        transaction.prepare_cached("UPDATE events SET deletion = 1 WHERE seq = ?1")?.execute([event])?;
    }
    Ok(true)
}

/// The deliveries and events that the entries of one batch tell of.
struct Batch<'t, 'e> {
    transaction: &'t Transaction<'t>,
    /// The `seq`s of the events that have rows.
    events: HashMap<(&'e ProjectId, &'e EventId), i64>,
    event_seqs: Seqs,
    /// Whether a delivery that is first heard of may have moved before.
    any_early: bool,
    /// Where in `touched` a delivery is.
    index: HashMap<DeliveryId, usize>,
    /// In order of their first entry, which is the order in which new ones are shown.
    touched: Vec<Touched<'e>>,
}

impl<'e> Batch<'_, 'e> {
    fn fold(&mut self, entry: &'e JournalEntry) -> rusqlite::Result<()> {
        match entry {
            JournalEntry::FannedOut(entry) => self.fanned_out(entry),
            JournalEntry::Pushed(entry) => self.pushed(entry),
            JournalEntry::Settled(entry) => self.settled(entry),
            JournalEntry::AttemptedLate(entry) => self.attempted_late(entry),
            JournalEntry::BroughtForward(entry) => self.brought_forward(entry),
            JournalEntry::Quarantined(entry) => self.quarantined(entry),
            JournalEntry::WebhookDeleted(entry) => self.webhook_deleted(entry),
            JournalEntry::EventDeleted(entry) => self.event_deleted(entry),
            // A webhook's health is shown from its record; a delivery's place comes with the delivery's own entries.
            JournalEntry::HealthChanged(_) => Ok(()),
        }
    }

    fn fanned_out(&mut self, entry: &'e FannedOut) -> rusqlite::Result<()> {
        let event = &entry.event;
        let seq = match self.known_event(&event.project, &event.id)? {
            Some(seq) => seq,
            None => self.event_seqs.next(self.transaction, event.accepted_at)?,
        };
        events::complete(self.transaction, seq, entry)?;
        self.events.insert((&event.project, &event.id), seq);
        for to in &entry.deliveries {
            let made = Made {
                project: &event.project,
                webhook: to.webhook,
                event: seq,
                run: None,
                created_at: event.accepted_at,
            };
            self.stands(to.delivery, made, Hop::default(), to.place)?;
        }
        Ok(())
    }

    fn pushed(&mut self, entry: &'e Pushed) -> rusqlite::Result<()> {
        let made = self.made(&entry.delivery)?;
        self.stands(entry.delivery.id, made, entry.delivery.hop, entry.place)
    }

    fn settled(&mut self, entry: &'e Settled) -> rusqlite::Result<()> {
        let delivery = &entry.delivery;
        let made = self.made(delivery)?;
        match entry.next {
            Next::Move(place) => self.stands(delivery.id, made, delivery.hop.next(), place)?,
            Next::End { end } => self.ends(delivery.id, made, delivery.hop, end, entry.at)?,
        }
        if let Some(touched) = self.known(delivery.id)? {
            touched.now.attempted(delivery.attempts, entry.attempt.as_ref());
            touched.attempts.extend(&entry.attempt);
        }
        Ok(())
    }

    /// The attempt is shown; where the delivery stands others tell. One that is first
    /// heard of by it stands, as far as is known, where it was sent from.
    fn attempted_late(&mut self, entry: &'e AttemptedLate) -> rusqlite::Result<()> {
        let delivery = &entry.delivery;
        let made = self.made(delivery)?;
        self.stands(delivery.id, made, delivery.hop, Place::Ready)?;
        if let Some(touched) = self.known(delivery.id)? {
            touched.now.attempted(delivery.attempts, Some(&entry.attempt));
            touched.attempts.push(&entry.attempt);
        }
        Ok(())
    }

    /// The entry says only which delivery: one that nothing else has told of yet is remembered until something does.
    fn brought_forward(&mut self, entry: &'e BroughtForward) -> rusqlite::Result<()> {
        match self.known(entry.delivery)? {
            Some(touched) => touched.now.stand(entry.hop, Place::Ready),
            None => {
                rows::remember_move(
                    self.transaction,
                    entry.delivery,
                    &Early { hop: entry.hop, quarantined: None },
                    entry.at,
                )?;
                self.any_early = true;
            }
        }
        Ok(())
    }

    /// Likewise.
    fn quarantined(&mut self, entry: &'e Quarantined) -> rusqlite::Result<()> {
        match self.known(entry.delivery)? {
            Some(touched) => touched.now.quarantine(entry.hop, entry.reason),
            None => {
                let early = Early { hop: entry.hop, quarantined: Some(entry.reason) };
                rows::remember_move(self.transaction, entry.delivery, &early, entry.at)?;
                self.any_early = true;
            }
        }
        Ok(())
    }

    /// Notes the deletion. Deliveries that are open, or will be told of as open, are closed when they are written or by
    /// [`close_some`], whichever is first.
    fn webhook_deleted(&mut self, entry: &'e WebhookDeleted) -> rusqlite::Result<()> {
        self.transaction
            .prepare_cached("INSERT OR IGNORE INTO deleted_webhooks (webhook, at, closed) VALUES (?1, ?2, 0)")?
            .execute(params![entry.webhook.as_bytes(), entry.at.as_millis()])
            .map(drop)
    }

    /// Notes the deletion, and erases the event's own row at once. Its attempts and open deliveries follow when they are written,
    /// or by [`erase_some`], whichever is first. Of an event that the tables do not hold there is nothing to erase.
    fn event_deleted(&mut self, entry: &'e EventDeleted) -> rusqlite::Result<()> {
        match self.known_event(&entry.project, &entry.event)? {
            Some(seq) => events::delete(self.transaction, seq, entry.at),
            None => Ok(()),
        }
    }

    fn stands(&mut self, id: DeliveryId, made: Made<'e>, hop: Hop, place: Place) -> rusqlite::Result<()> {
        match self.known(id)? {
            Some(touched) => touched.now.stand(hop, place),
            None => self.add(id, made, Standing::placed(hop, place))?,
        }
        Ok(())
    }

    fn ends(&mut self, id: DeliveryId, made: Made<'e>, hop: Hop, end: End, at: Timestamp) -> rusqlite::Result<()> {
        match self.known(id)? {
            Some(touched) => touched.now.end(hop, end, at),
            None => self.add(id, made, Standing::ended(hop, end, at))?,
        }
        Ok(())
    }

    /// A delivery that this batch has touched or the tables hold.
    fn known(&mut self, id: DeliveryId) -> rusqlite::Result<Option<&mut Touched<'e>>> {
        if let Some(at) = self.index.get(&id) {
            return Ok(self.touched.get_mut(*at));
        }
        let Some(stored) = rows::load(self.transaction, id)? else { return Ok(None) };
        self.index.insert(id, self.touched.len());
        self.touched.push(stored);
        Ok(self.touched.last_mut())
    }

    fn add(&mut self, id: DeliveryId, made: Made<'e>, mut now: Standing) -> rusqlite::Result<()> {
        if self.any_early
            && let Some(early) = rows::take_early_move(self.transaction, id)?
        {
            match early.quarantined {
                Some(reason) => now.quarantine(early.hop, reason),
                None => now.stand(early.hop, Place::Ready),
            }
        }
        self.index.insert(id, self.touched.len());
        self.touched.push(Touched::new(id, made, now));
        Ok(())
    }

    fn made(&mut self, delivery: &'e DeliveryHeader) -> rusqlite::Result<Made<'e>> {
        let (project, id) = (&delivery.project, &delivery.event);
        let event = match self.known_event(project, id)? {
            Some(seq) => seq,
            None => {
                let seq = self.event_seqs.next(self.transaction, delivery.accepted_at)?;
                events::begin(self.transaction, seq, project, id, &delivery.event_type)?;
                self.events.insert((project, id), seq);
                seq
            }
        };
        Ok(Made {
            project,
            webhook: delivery.webhook,
            event,
            run: rows::run_id(&delivery.run),
            created_at: delivery.accepted_at,
        })
    }

    fn known_event(&mut self, project: &'e ProjectId, id: &'e EventId) -> rusqlite::Result<Option<i64>> {
        if let Some(seq) = self.events.get(&(project, id)) {
            return Ok(Some(*seq));
        }
        let found = events::find(self.transaction, project, id)?;
        if let Some(seq) = found {
            self.events.insert((project, id), seq);
        }
        Ok(found)
    }
}

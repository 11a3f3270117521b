//! The deliveries' rows: loaded when a batch first touches them, written once at its end.

use fanfare_core::attempt::Attempt;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{End, QuarantineReason};
use fanfare_core::ids::{DeliveryId, Hop, ProjectId, Run, WebhookId};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::events;
use super::seqs::Seqs;
use crate::columns::{self, status_code, to_json};
use crate::standing::{LastAttempt, Standing};

/// What a delivery is, as its first entry tells; it never changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made<'e> {
    pub(super) project: &'e ProjectId,
    pub(super) webhook: WebhookId,
    /// The event's `seq`.
    pub(super) event: i64,
    pub(super) run: Option<&'e str>,
    pub(super) created_at: Timestamp,
}

/// A delivery that the batch tells of.
#[derive(Debug)]
pub(super) struct Touched<'e> {
    id: DeliveryId,
    record: Record<'e>,
    pub(super) now: Standing,
    pub(super) attempts: Vec<&'e Attempt>,
}

/// Whether the delivery has a row yet.
#[derive(Debug)]
enum Record<'e> {
    New(Made<'e>),
    Stored { seq: i64, webhook: WebhookId, event: i64, before: Standing },
}

impl<'e> Touched<'e> {
    pub(super) fn new(id: DeliveryId, made: Made<'e>, now: Standing) -> Self {
        Self { id, record: Record::New(made), now, attempts: Vec::new() }
    }
}

pub(super) fn run_id(run: &Run) -> Option<&str> {
    match run {
        Run::Original => None,
        Run::Again(id) => Some(id.as_str()),
    }
}

/// The delivery as the table has it.
pub(super) fn load<'e>(transaction: &Transaction<'_>, id: DeliveryId) -> rusqlite::Result<Option<Touched<'e>>> {
    let stored = transaction
        .prepare_cached(
            "SELECT seq, webhook, status, hop, waiting_reason, next_attempt_at, ended_at, attempt_count, last_attempt_at,
                    last_outcome, response_status, event
             FROM deliveries WHERE id = ?1",
        )?
        .query_row([id.as_bytes()], |row| Ok((row.get(0)?, columns::webhook_id(row, 1)?, row.get(11)?, standing(row)?)))
        .optional()?;
    Ok(stored.map(|(seq, webhook, event, before)| Touched {
        id,
        now: before.clone(),
        record: Record::Stored { seq, webhook, event, before },
        attempts: Vec::new(),
    }))
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    let last_attempt = match (columns::optional_time(row, 8)?, columns::outcome(row, 9)?) {
        (Some(at), Some(outcome)) => Some(LastAttempt { at, outcome, status: row.get(10)? }),
        (None, _) | (_, None) => None,
    };
    Ok(Standing {
        status: columns::status(row, 2)?,
        hop: Hop(row.get(3)?),
        waiting_reason: columns::waiting_reason(row, 4)?,
        next_attempt_at: columns::optional_time(row, 5)?,
        ended_at: columns::optional_time(row, 6)?,
        attempt_count: row.get(7)?,
        last_attempt,
    })
}

/// Writes what has changed of a delivery, and its new attempts. Of a deleted event's no attempt is kept; whether there is such an
/// event at all is asked once for a batch, since there seldom is.
pub(super) fn write(
    transaction: &Transaction<'_>,
    touched: &Touched<'_>,
    seqs: &mut Seqs,
    any_deleted_event: bool,
) -> rusqlite::Result<()> {
    let mut now = touched.now.clone();
    let (webhook, event) = match &touched.record {
        Record::New(made) => (made.webhook, made.event),
        Record::Stored { webhook, event, .. } => (*webhook, *event),
    };
    let event_deleted_at = if any_deleted_event { events::deleted_at(transaction, event)? } else { None };
    if now.is_open()
        && let Some(at) = deleted_at(transaction, webhook)?.or(event_deleted_at)
    {
        now.end(now.hop, End::Discarded, at);
    }
    let seq = match &touched.record {
        Record::New(made) => {
            let seq = seqs.next(transaction, made.created_at)?;
            insert(transaction, seq, touched.id, made, &now)?;
            seq
        }
        Record::Stored { seq, before, .. } => {
            if *before != now {
                update(transaction, *seq, &now)?;
            }
            *seq
        }
    };
    if event_deleted_at.is_some() {
        return Ok(());
    }
    for attempt in &touched.attempts {
        transaction
            .prepare_cached("INSERT OR IGNORE INTO attempts (delivery, id, record) VALUES (?1, ?2, ?3)")?
            .execute(params![seq, attempt.id.0.to_bytes(), to_json(attempt)?])?;
    }
    Ok(())
}

fn deleted_at(transaction: &Transaction<'_>, webhook: WebhookId) -> rusqlite::Result<Option<Timestamp>> {
    transaction
        .prepare_cached("SELECT at FROM deleted_webhooks WHERE webhook = ?1")?
        .query_row([webhook.as_bytes()], |row| columns::time(row, 0))
        .optional()
}

fn insert(
    transaction: &Transaction<'_>,
    seq: i64,
    id: DeliveryId,
    made: &Made<'_>,
    now: &Standing,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO deliveries (seq, id, project, webhook, event, run, created_at, status, hop, waiting_reason,
                                     next_attempt_at, ended_at, attempt_count, last_attempt_at, last_outcome,
                                     response_status)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            seq,
            id.as_bytes(),
            made.project.as_str(),
            made.webhook.as_bytes(),
            made.event,
            made.run,
            made.created_at.as_millis(),
            status_code(now.status),
            now.hop.0,
            now.waiting_reason,
            now.next_attempt_at.map(Timestamp::as_millis),
            now.ended_at.map(Timestamp::as_millis),
            now.attempt_count,
            now.last_attempt.map(|last| last.at.as_millis()),
            now.last_attempt.map(|last| last.outcome.as_str()),
            now.last_attempt.and_then(|last| last.status),
        ])
        .map(drop)
}

fn update(transaction: &Transaction<'_>, seq: i64, now: &Standing) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE deliveries SET status = ?2, hop = ?3, waiting_reason = ?4, next_attempt_at = ?5, ended_at = ?6,
                                   attempt_count = ?7, last_attempt_at = ?8, last_outcome = ?9, response_status = ?10
             WHERE seq = ?1",
        )?
        .execute(params![
            seq,
            status_code(now.status),
            now.hop.0,
            now.waiting_reason,
            now.next_attempt_at.map(Timestamp::as_millis),
            now.ended_at.map(Timestamp::as_millis),
            now.attempt_count,
            now.last_attempt.map(|last| last.at.as_millis()),
            now.last_attempt.map(|last| last.outcome.as_str()),
            now.last_attempt.and_then(|last| last.status),
        ])
        .map(drop)
}

/// What an entry that names only the delivery told of one before it was heard of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Early {
    pub(super) hop: Hop,
    /// Why it went into quarantine; `None`: it was brought forward.
    pub(super) quarantined: Option<QuarantineReason>,
}

/// Of several the one of the highest hop is remembered.
pub(super) fn remember_move(
    transaction: &Transaction<'_>,
    delivery: DeliveryId,
    early: &Early,
    at: Timestamp,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO brought_forward (delivery, hop, at, quarantined) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (delivery) DO UPDATE SET
                 quarantined = CASE WHEN excluded.hop > hop THEN excluded.quarantined ELSE quarantined END,
                 hop = max(hop, excluded.hop), at = max(at, excluded.at)",
        )?
        .execute(params![
            delivery.as_bytes(),
            early.hop.0,
            at.as_millis(),
            early.quarantined.map(QuarantineReason::as_str)
        ])
        .map(drop)
}

/// Whether any delivery moved before it was heard of.
pub(super) fn any_early_move(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    transaction.prepare_cached("SELECT EXISTS (SELECT 1 FROM brought_forward)")?.query_row([], |row| row.get(0))
}

/// Where a delivery moved before it was heard of; forgets it.
pub(super) fn take_early_move(transaction: &Transaction<'_>, id: DeliveryId) -> rusqlite::Result<Option<Early>> {
    let found = transaction
        .prepare_cached("SELECT hop, quarantined FROM brought_forward WHERE delivery = ?1")?
        .query_row([id.as_bytes()], |row| {
            Ok(Early { hop: Hop(row.get(0)?), quarantined: columns::quarantine_reason(row, 1)? })
        })
        .optional()?;
    if found.is_some() {
        transaction.prepare_cached("DELETE FROM brought_forward WHERE delivery = ?1")?.execute([id.as_bytes()])?;
    }
    Ok(found)
}

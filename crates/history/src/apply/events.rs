//! The events' rows: begun by whichever entry names the event first, complete once the event's own entry has come.

use fanfare_core::clock::Timestamp;
use fanfare_core::event::EventType;
use fanfare_core::ids::{EventId, ProjectId};
use fanfare_core::journal::FannedOut;
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::columns::{self, from_count, to_json};

/// The event's `seq`, if it has a row.
pub(super) fn find(transaction: &Transaction<'_>, project: &ProjectId, id: &EventId) -> rusqlite::Result<Option<i64>> {
    transaction
        .prepare_cached("SELECT seq FROM events WHERE project = ?1 AND id = ?2")?
        .query_row([project.as_str(), id.as_str()], |row| row.get(0))
        .optional()
}

/// Begins a row with what a delivery's entry tells of its event.
pub(super) fn begin(
    transaction: &Transaction<'_>,
    seq: i64,
    project: &ProjectId,
    id: &EventId,
    event_type: &EventType,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT INTO events (seq, project, id, event_type) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![seq, project.as_str(), id.as_str(), event_type.as_str()])
        .map(drop)
}

/// Adds a complete row, or completes one that there is. Of several entries, for a fan-out that was repeated after a crash,
/// the one at the newest configuration tells the non-matches, and the earliest tells when.
pub(super) fn complete(transaction: &Transaction<'_>, seq: i64, entry: &FannedOut) -> rusqlite::Result<()> {
    let event = &entry.event;
    let (revision, at): (i64, Timestamp) = (from_count(entry.revision.0), entry.at);
    transaction
        .prepare_cached(
            "INSERT INTO events (seq, project, id, event_type, header, data_bytes, revision, fanned_out_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (seq) DO UPDATE SET
                 header = excluded.header, data_bytes = excluded.data_bytes, deleted_at = NULL, deletion = NULL,
                 revision = max(coalesce(revision, excluded.revision), excluded.revision),
                 fanned_out_at = min(coalesce(fanned_out_at, excluded.fanned_out_at), excluded.fanned_out_at)
             -- An older entry, applied again, does not bring back what was deleted; another event under its id is one.
             WHERE deleted_at IS NULL OR deleted_at < ?9",
        )?
        .execute(params![
            seq,
            event.project.as_str(),
            event.id.as_str(),
            event.event_type.as_str(),
            to_json(event)?,
            from_count(entry.data_bytes),
            revision,
            at.as_millis(),
            event.accepted_at.as_millis()
        ])
        .map(drop)
}

/// Notes that the event was deleted, and erases what its row says of it but for its id and type, by which its deliveries are
/// still told apart.
pub(super) fn delete(transaction: &Transaction<'_>, seq: i64, at: Timestamp) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE events SET header = NULL, data_bytes = NULL, deleted_at = ?2, deletion = 0
             WHERE seq = ?1 AND deleted_at IS NULL",
        )?
        .execute(params![seq, at.as_millis()])
        .map(drop)
}

/// Whether any event is known to be deleted.
pub(super) fn any_deleted(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM events WHERE deleted_at IS NOT NULL)")?
        .query_row([], |row| row.get(0))
}

/// When the event was deleted, if it was.
pub(super) fn deleted_at(transaction: &Transaction<'_>, seq: i64) -> rusqlite::Result<Option<Timestamp>> {
    transaction
        .prepare_cached("SELECT deleted_at FROM events WHERE seq = ?1")?
        .query_row([seq], |row| columns::optional_time(row, 0))
        .optional()
        .map(Option::flatten)
}

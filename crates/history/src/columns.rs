//! How values stand in the tables: statuses as small numbers, outcomes and reasons by their names, identities as bytes.
//!
//! What cannot be read back is an error that names the column, never a guess.

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DeliveryStatus, DueReason, QuarantineReason};
use fanfare_core::health::GateReason;
use fanfare_core::ids::{DeliveryId, WebhookId};
use rusqlite::Row;
use rusqlite::types::Type;

/// Bits of a `seq` below the milliseconds.
const SEQ_BITS: u32 = 20;
/// The latest time that a `seq` holds, in milliseconds: in the year 2248.
const SEQ_MAX_MILLIS: i64 = (1 << (63 - SEQ_BITS)) - 1;

/// The lowest `seq` of what was made at that time.
pub(crate) fn first_seq_at(time: Timestamp) -> i64 {
    time.as_millis().clamp(0, SEQ_MAX_MILLIS) << SEQ_BITS
}

/// The `seq` of a new row made at `time`, when `last` is the highest one up to the end of that millisecond; `None` if the
/// millisecond is full.
pub(crate) fn seq_after(last: Option<i64>, time: Timestamp) -> Option<i64> {
    let next = last.map_or(i64::MIN, |last| last.saturating_add(1)).max(first_seq_at(time));
    (next <= last_seq_at(time)).then_some(next)
}

/// The highest `seq` of what was made at that time.
pub(crate) fn last_seq_at(time: Timestamp) -> i64 {
    first_seq_at(time) | ((1 << SEQ_BITS) - 1)
}

/// The number of a status, as the migration lists them.
pub(crate) fn status_code(status: DeliveryStatus) -> i64 {
    match status {
        DeliveryStatus::Pending => 0,
        DeliveryStatus::Waiting => 1,
        DeliveryStatus::Gated => 2,
        DeliveryStatus::Delivered => 3,
        DeliveryStatus::Exhausted => 4,
        DeliveryStatus::Expired => 5,
        DeliveryStatus::Discarded => 6,
        DeliveryStatus::Quarantined => 7,
    }
}

const STATUSES: [DeliveryStatus; 8] = [
    DeliveryStatus::Pending,
    DeliveryStatus::Waiting,
    DeliveryStatus::Gated,
    DeliveryStatus::Delivered,
    DeliveryStatus::Exhausted,
    DeliveryStatus::Expired,
    DeliveryStatus::Discarded,
    DeliveryStatus::Quarantined,
];

/// The names of the reasons why a delivery waits: until it is due, behind a gate, or in quarantine.
fn waiting_reasons() -> impl Iterator<Item = &'static str> {
    let due = DueReason::ALL.into_iter().map(DueReason::as_str);
    let gated = GateReason::ALL.into_iter().map(GateReason::as_str);
    due.chain(gated).chain(QuarantineReason::ALL.into_iter().map(QuarantineReason::as_str))
}

pub(crate) fn status(row: &Row<'_>, column: usize) -> rusqlite::Result<DeliveryStatus> {
    let code: i64 = row.get(column)?;
    STATUSES.into_iter().find(|status| status_code(*status) == code).ok_or_else(|| unreadable(column, Type::Integer))
}

pub(crate) fn waiting_reason(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<&'static str>> {
    let Some(name) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    let known = waiting_reasons().find(|reason| *reason == name);
    known.map(Some).ok_or_else(|| unreadable(column, Type::Text))
}

pub(crate) fn quarantine_reason(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<QuarantineReason>> {
    let Some(name) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    let known = QuarantineReason::ALL.into_iter().find(|reason| reason.as_str() == name);
    known.map(Some).ok_or_else(|| unreadable(column, Type::Text))
}

pub(crate) fn outcome(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<OutcomeClass>> {
    let Some(name) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    let known = OutcomeClass::ALL.into_iter().find(|class| class.as_str() == name);
    known.map(Some).ok_or_else(|| unreadable(column, Type::Text))
}

pub(crate) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

pub(crate) fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

pub(crate) fn delivery_id(row: &Row<'_>, column: usize) -> rusqlite::Result<DeliveryId> {
    row.get(column).map(DeliveryId::from_bytes)
}

pub(crate) fn webhook_id(row: &Row<'_>, column: usize) -> rusqlite::Result<WebhookId> {
    row.get(column).map(WebhookId::from_bytes)
}

/// Reads a text that a parser checks, such as an id.
pub(crate) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.get_ref(column)?.as_str()?.parse().map_err(|error| conversion(column, Type::Text, error))
}

/// Reads a JSON text.
pub(crate) fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| conversion(column, Type::Text, error))
}

/// Writes a JSON text.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// A position, revision or size as SQLite holds it. All of them count what happened, and so stay far below 2^63.
pub(crate) fn from_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The reverse of [`from_count`].
pub(crate) fn to_count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

fn unreadable(column: usize, kind: Type) -> rusqlite::Error {
    conversion(column, kind, UnknownValue)
}

fn conversion(column: usize, kind: Type, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}

/// A stored value that no version so far has written.
#[derive(Debug, thiserror::Error)]
#[error("the stored value is none of those that this version knows")]
struct UnknownValue;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seq_orders_by_time_and_says_when_a_millisecond_is_full() {
        let (time, later) = (Timestamp::from_seconds(1_765_000_000), Timestamp::from_millis(1_765_000_000_001));
        let first = seq_after(None, time).unwrap();
        let second = seq_after(Some(first), time).unwrap();
        assert!(first < second && second < seq_after(Some(second), later).unwrap());
        assert!(last_seq_at(time) < first_seq_at(later));
        assert_eq!(seq_after(Some(last_seq_at(time)), time), None);
    }

    #[test]
    fn times_outside_what_a_seq_holds_do_not_overflow() {
        for time in [Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX)] {
            assert!(first_seq_at(time) >= 0 && first_seq_at(time) <= last_seq_at(time));
        }
    }
}

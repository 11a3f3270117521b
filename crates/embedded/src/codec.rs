//! How places and identities stand in columns, and how a row becomes a delivery again.

use bytes::Bytes;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{Delivery, DeliveryHeader, DueReason, End, Place};
use fanfare_core::health::GateReason;
use fanfare_core::ids::{DeliveryId, Hop, WebhookId};
use fanfare_core::ports::{StoreError, StoreResult};
use rusqlite::Row;

use crate::error::corrupt;

/// The code of a delivery of which only the hop is known: it moved on without a copy in this queue.
pub(crate) const MOVED: i64 = 20;
/// The code of a delivery that is in quarantine.
pub(crate) const QUARANTINED: i64 = 40;
/// Codes below this one are of deliveries that may be leased from their time on.
pub(crate) const FIRST_GATED: i64 = 10;

/// What the columns of a delivery's row say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// It stands in the queue.
    Live(Place),
    /// Nothing stands here; lower hops than the row's are stale.
    Moved,
    /// In quarantine: it stands in the queue, and is not leased.
    Quarantined,
    /// It is over.
    Ended(End),
}

/// The columns `place` and `at` of a delivery that stands in the queue; `since` is when it came to stand there.
pub(crate) fn place_columns(place: Place, since: Timestamp) -> (i64, i64) {
    match place {
        Place::Ready => (0, since.as_millis()),
        Place::Due { at, reason } => (due_code(reason), at.as_millis()),
        Place::Gated { reason } => (gate_code(reason), since.as_millis()),
    }
}

fn due_code(reason: DueReason) -> i64 {
    match reason {
        DueReason::Retry => 1,
        DueReason::RetryAfter => 2,
        DueReason::Congested => 3,
    }
}

fn gate_code(reason: GateReason) -> i64 {
    match reason {
        GateReason::Paused => 10,
        GateReason::Releasing => 11,
        GateReason::Congested => 12,
        GateReason::BreakerOpen => 13,
        GateReason::RateLimit => 14,
    }
}

/// The column `place` of a delivery that has ended.
pub(crate) fn end_code(end: End) -> i64 {
    match end {
        End::Delivered => 30,
        End::Exhausted => 31,
        End::Expired => 32,
        End::Discarded => 33,
    }
}

/// Reads the columns `place` and `at` back.
pub(crate) fn stand(doing: &'static str, place: i64, at: i64) -> StoreResult<Stand> {
    let time = Timestamp::from_millis(at);
    Ok(match place {
        0 => Stand::Live(Place::Ready),
        1 => Stand::Live(Place::Due { at: time, reason: DueReason::Retry }),
        2 => Stand::Live(Place::Due { at: time, reason: DueReason::RetryAfter }),
        3 => Stand::Live(Place::Due { at: time, reason: DueReason::Congested }),
        10 => Stand::Live(Place::Gated { reason: GateReason::Paused }),
        11 => Stand::Live(Place::Gated { reason: GateReason::Releasing }),
        12 => Stand::Live(Place::Gated { reason: GateReason::Congested }),
        13 => Stand::Live(Place::Gated { reason: GateReason::BreakerOpen }),
        14 => Stand::Live(Place::Gated { reason: GateReason::RateLimit }),
        MOVED => Stand::Moved,
        QUARANTINED => Stand::Quarantined,
        30 => Stand::Ended(End::Delivered),
        31 => Stand::Ended(End::Exhausted),
        32 => Stand::Ended(End::Expired),
        33 => Stand::Ended(End::Discarded),
        other => return Err(corrupt(doing, format!("a delivery's place is {other}, which is none"))),
    })
}

/// A row of a delivery that stands in the queue, as it is kept in memory.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// The row.
    pub(crate) seq: i64,
    /// The column `at`: since when it is ready or gated, or when it will be due.
    pub(crate) at: i64,
    /// Where it stands.
    pub(crate) place: Place,
    /// The delivery, its hop and attempts as they are now.
    pub(crate) delivery: Delivery,
}

/// What [`standing`] reads, in its order; `d` is `deliveries`, `b` is `bodies`.
macro_rules! standing_columns {
    () => {
        "d.seq, d.at, d.place, d.hop, d.attempts, b.header, b.body"
    };
}
pub(crate) use standing_columns;

/// Reads a row of the columns above.
///
/// # Errors
/// `Corrupt` when it makes no sense.
pub(crate) fn standing(doing: &'static str, row: &Row<'_>) -> StoreResult<Standing> {
    let read = || -> rusqlite::Result<_> {
        let (seq, at, place) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (hop, attempts): (u32, u32) = (row.get(3)?, row.get(4)?);
        let header = row.get_ref(5)?.as_blob()?;
        let body = Bytes::copy_from_slice(row.get_ref(6)?.as_blob()?);
        Ok((seq, at, place, hop, attempts, header, body))
    };
    // The row is at hand: what fails here is that a column says what it cannot mean.
    let (seq, at, place, hop, attempts, header, body) = read().map_err(|error| corrupt(doing, error))?;
    assemble(doing, seq, at, place, Hop(hop), attempts, header, body)
}

#[allow(clippy::too_many_arguments, reason = "one for each column, in their order, called from one place")]
fn assemble(
    doing: &'static str,
    seq: i64,
    at: i64,
    place: i64,
    hop: Hop,
    attempts: u32,
    header: &[u8],
    body: Bytes,
) -> StoreResult<Standing> {
    let Stand::Live(place) = stand(doing, place, at)? else {
        return Err(corrupt(doing, format!("delivery row {seq} does not stand in the queue and has a body")));
    };
    let mut header: DeliveryHeader = from_json(doing, header)?;
    header.hop = hop;
    header.attempts = attempts;
    Ok(Standing { seq, at, place, delivery: Delivery { header, body } })
}

/// The JSON that a column holds.
///
/// # Panics
/// Never: what is stored are maps with text keys and numbers, which always have a JSON form.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("what is stored are maps with text keys, which always have a JSON form")
}

/// Reads a column's JSON back.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(doing: &'static str, json: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(json).map_err(|error| corrupt(doing, error))
}

/// About how many bytes a delivery takes up in memory.
pub(crate) fn weight(delivery: &Delivery) -> usize {
    512 + delivery.body.len()
}

/// A webhook's id as a column.
pub(crate) fn webhook_column(id: &WebhookId) -> &[u8] {
    id.as_bytes()
}

/// A delivery's id as a column.
pub(crate) fn delivery_column(id: &DeliveryId) -> &[u8] {
    id.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_and_end_reads_back_as_itself() {
        let at = Timestamp::from_seconds(1_765_000_000);
        let places = [
            Place::Ready,
            Place::Due { at, reason: DueReason::Retry },
            Place::Due { at, reason: DueReason::RetryAfter },
            Place::Due { at, reason: DueReason::Congested },
            Place::Gated { reason: GateReason::Paused },
            Place::Gated { reason: GateReason::Releasing },
            Place::Gated { reason: GateReason::Congested },
            Place::Gated { reason: GateReason::BreakerOpen },
            Place::Gated { reason: GateReason::RateLimit },
        ];
        for place in places {
            let (code, column) = place_columns(place, at);
            assert_eq!(stand("test", code, column).unwrap(), Stand::Live(place));
            assert_eq!(code < FIRST_GATED, !matches!(place, Place::Gated { .. }));
        }
        for end in [End::Delivered, End::Exhausted, End::Expired, End::Discarded] {
            assert_eq!(stand("test", end_code(end), 0).unwrap(), Stand::Ended(end));
            assert!(end_code(end) >= MOVED);
        }
        assert!(stand("test", 99, 0).is_err());
    }
}

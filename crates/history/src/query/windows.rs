//! Lists of deliveries with a count: the pages of clients that go by numbers, with cursors beside them.
//!
//! What is wanted is counted from the newest down, by the indexes that [`super::deliveries`] pages by; the rows of the page alone
//! are read whole. At most [`MAX_COUNTED`] rows are looked at for the count, which keeps a query well under a second; past
//! them, cursors go on.

use fanfare_core::ids::ProjectId;
use rusqlite::types::Value;
use rusqlite::{Transaction, params_from_iter};

use super::deliveries::{self, MAX_ROWS, Range, is_wanted};
use super::{DeliveryFilter, DeliveryRow};
use crate::columns::{first_seq_at, from_count, to_count};

/// The most rows that are looked at for a count.
pub const MAX_COUNTED: usize = 100_000;

/// Where a window begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowStart {
    /// After this many of the newest.
    Skip(usize),
    /// With those older than this cursor.
    After(u64),
    /// With those just newer than this cursor.
    Before(u64),
}

/// Some deliveries out of all that are wanted, most recent first.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryWindow {
    /// The deliveries.
    pub rows: Vec<DeliveryRow>,
    /// The cursors of the first and the last of them.
    pub cursors: Option<(u64, u64)>,
    /// How many newer ones there are.
    pub newer: usize,
    /// Whether there are older ones.
    pub older: bool,
    /// How many are wanted in all, as far as they were counted.
    pub total: usize,
    /// Whether all were counted.
    pub complete: bool,
}

/// The keys that are wanted, in the order they were looked at.
struct Seqs {
    found: Vec<i64>,
    complete: bool,
}

/// How keys are looked for.
struct Walk {
    /// From, and until, exclusive.
    bounds: (i64, i64),
    direction: Direction,
    /// How many are enough.
    most: usize,
    /// How many may be looked at.
    examine: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Down,
    Up,
}

/// A window on a project's deliveries.
pub(crate) fn window(
    transaction: &Transaction<'_>,
    project: &ProjectId,
    filter: &DeliveryFilter,
    start: WindowStart,
    most_counted: usize,
) -> rusqlite::Result<DeliveryWindow> {
    let limit = filter.limit.clamp(1, MAX_ROWS);
    let look = |bounds, direction, most| {
        walk(transaction, project, filter, &Walk { bounds, direction, most, examine: most_counted })
    };
    let (from, until) = (filter.since.map_or(0, first_seq_at), filter.until.map_or(i64::MAX, first_seq_at));
    let counted = look((from, until), Direction::Down, usize::MAX)?;
    let all = &counted.found;
    let (page, newer, older) = match start {
        WindowStart::Skip(skip) => slice(all, skip, limit),
        WindowStart::After(cursor) => {
            let cursor = from_count(cursor);
            let newer = all.partition_point(|seq| *seq >= cursor);
            if newer == all.len() && !counted.complete {
                // Deeper than what was counted.
                let found = look((from, until.min(cursor)), Direction::Down, limit + 1)?.found;
                let (page, _, older) = slice(&found, 0, limit);
                (page, newer, older)
            } else {
                slice(all, newer, limit)
            }
        }
        WindowStart::Before(cursor) => {
            let cursor = from_count(cursor);
            let newer = all.partition_point(|seq| *seq > cursor);
            if newer == all.len() && !counted.complete {
                let mut found = look((from.max(cursor.saturating_add(1)), until), Direction::Up, limit)?.found;
                found.reverse();
                (found, newer, true)
            } else {
                let start = newer.saturating_sub(limit);
                let (page, newer, _) = slice(all, start, newer - start);
                let older = newer + page.len() < all.len() || !counted.complete;
                (page, newer, older)
            }
        }
    };
    let cursors = page.first().zip(page.last()).map(|(first, last)| (to_count(*first), to_count(*last)));
    let rows = deliveries::rows(transaction, &page)?;
    Ok(DeliveryWindow { rows, cursors, newer, older, total: all.len(), complete: counted.complete })
}

/// `limit` of them after `skip`, how many are before, and whether more follow.
fn slice(all: &[i64], skip: usize, limit: usize) -> (Vec<i64>, usize, bool) {
    let start = skip.min(all.len());
    let end = start.saturating_add(limit).min(all.len());
    (all[start..end].to_vec(), start, end < all.len())
}

/// The keys of what is wanted.
fn walk(
    transaction: &Transaction<'_>,
    project: &ProjectId,
    filter: &DeliveryFilter,
    how: &Walk,
) -> rusqlite::Result<Seqs> {
    let ranges = deliveries::ranges(transaction, project, filter)?.unwrap_or_default();
    let each = (how.examine / ranges.len().max(1)).max(1);
    let how = &Walk { examine: each, ..*how };
    let mut seqs = Seqs { found: Vec::new(), complete: true };
    let mut stopped_at: Option<i64> = None;
    for range in &ranges {
        let (found, stopped) = walk_range(transaction, project, filter, range, how)?;
        seqs.found.extend(found);
        stopped_at = match (how.direction, stopped_at, stopped) {
            (_, None, stopped) | (_, stopped, None) => stopped,
            (Direction::Down, Some(one), Some(other)) => Some(one.max(other)),
            (Direction::Up, Some(one), Some(other)) => Some(one.min(other)),
        };
    }
    match how.direction {
        Direction::Down => seqs.found.sort_unstable_by_key(|seq| std::cmp::Reverse(*seq)),
        Direction::Up => seqs.found.sort_unstable(),
    }
    if let Some(stopped_at) = stopped_at {
        // Past the place where one range stopped, another's rows would come before rows that have not been seen.
        seqs.complete = false;
        seqs.found.retain(|seq| if how.direction == Direction::Down { *seq >= stopped_at } else { *seq <= stopped_at });
    }
    seqs.found.truncate(how.most);
    Ok(seqs)
}

/// The keys of one range, and where looking stopped if it did before there were enough and before the end.
fn walk_range(
    transaction: &Transaction<'_>,
    project: &ProjectId,
    filter: &DeliveryFilter,
    range: &Range,
    how: &Walk,
) -> rusqlite::Result<(Vec<i64>, Option<i64>)> {
    let order = if how.direction == Direction::Down { "DESC" } else { "ASC" };
    // The places of the columns are those that `is_wanted` looks at; the event is looked up only for its type.
    let (event_type, join) = match &filter.event_type {
        Some(_) => ("e.event_type", "CROSS JOIN events AS e ON e.seq = d.event"),
        None => ("NULL", ""),
    };
    let sql = format!(
        "SELECT d.seq, NULL, d.project, d.webhook, NULL, {event_type}, NULL, d.status, NULL, NULL, NULL, NULL, NULL, NULL,
                d.last_outcome
         FROM deliveries AS d INDEXED BY {} {join}
         WHERE {} AND d.seq >= ?1 AND d.seq < ?2 ORDER BY d.seq {order}",
        range.index, range.condition
    );
    let bounds = [Value::from(how.bounds.0), Value::from(how.bounds.1)];
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut cursor = statement.query(params_from_iter(bounds.iter().chain(&range.values)))?;
    let (mut found, mut examined) = (Vec::new(), 0);
    while let Some(row) = cursor.next()? {
        if examined == how.examine {
            // What was looked at last is where it stopped; the one at hand is beyond.
            return Ok((found, Some(last_examined(row.get(0)?, how.direction))));
        }
        examined += 1;
        if is_wanted(row, project, filter)? {
            found.push(row.get(0)?);
            if found.len() == how.most {
                return Ok((found, None));
            }
        }
    }
    Ok((found, None))
}

/// The bound of what has been looked at before the row at `seq`.
fn last_examined(seq: i64, direction: Direction) -> i64 {
    match direction {
        Direction::Down => seq.saturating_add(1),
        Direction::Up => seq.saturating_sub(1),
    }
}

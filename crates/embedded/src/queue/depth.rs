//! How many deliveries stand where, kept up with every change instead of being counted.
//!
//! Nothing happens to a delivery when it falls due, so those that are due are counted by the second in which they will
//! be: what that second has passed counts as ready. There is at most one counter for each second up to the longest
//! wait.

use std::collections::BTreeMap;

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DueReason, Place};
use rusqlite::Connection;

use crate::codec::{Stand, stand};

/// One number for each reason to be due later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ByReason {
    pub(crate) retry: u64,
    pub(crate) retry_after: u64,
    pub(crate) congested: u64,
}

impl ByReason {
    fn of(&mut self, reason: DueReason) -> &mut u64 {
        match reason {
            DueReason::Retry => &mut self.retry,
            DueReason::RetryAfter => &mut self.retry_after,
            DueReason::Congested => &mut self.congested,
        }
    }

    fn sum(self) -> u64 {
        self.retry + self.retry_after + self.congested
    }
}

/// Those that are not leased.
#[derive(Debug, Default)]
pub(crate) struct Depth {
    pub(crate) ready: u64,
    pub(crate) gated: u64,
    pub(crate) due: ByReason,
    pub(crate) quarantined: u64,
    by_second: BTreeMap<i64, ByReason>,
    /// Every second up to this one has passed.
    passed: i64,
}

/// The second at whose end, or before, `at` has passed.
fn second(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000) + i64::from(at.as_millis().rem_euclid(1000) > 0)
}

impl Depth {
    /// Counts what stands in the file.
    pub(crate) fn load(connection: &Connection, now: Timestamp) -> rusqlite::Result<Self> {
        let mut depth = Depth { passed: now.as_seconds(), ..Depth::default() };
        let mut statement = connection.prepare(
            "SELECT place, (at + 999) / 1000 * 1000, count(*) FROM deliveries WHERE place < 10 GROUP BY 1, 2",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let count: i64 = row.get(2)?;
            // A place that makes no sense is reported when the row itself is read.
            if let Ok(Stand::Live(place)) = stand("count the queue", row.get(0)?, row.get(1)?) {
                depth.add(place, count.unsigned_abs());
            }
        }
        let gated: i64 =
            connection.query_row("SELECT count(*) FROM deliveries WHERE gate IS NOT NULL", [], |row| row.get(0))?;
        depth.gated = gated.unsigned_abs();
        depth.quarantined = super::quarantine::count(connection)?;
        Ok(depth)
    }

    /// One more stands there.
    pub(crate) fn enter(&mut self, place: Place) {
        self.add(place, 1);
    }

    fn add(&mut self, place: Place, count: u64) {
        match place {
            Place::Ready => self.ready += count,
            Place::Gated { .. } => self.gated += count,
            Place::Due { at, .. } if second(at) <= self.passed => self.ready += count,
            Place::Due { at, reason } => {
                *self.by_second.entry(second(at)).or_default().of(reason) += count;
                *self.due.of(reason) += count;
            }
        }
    }

    /// One less stands there.
    pub(crate) fn leave(&mut self, place: Place) {
        match place {
            Place::Ready => take_one(&mut self.ready),
            Place::Gated { .. } => take_one(&mut self.gated),
            Place::Due { at, .. } if second(at) <= self.passed => take_one(&mut self.ready),
            Place::Due { at, reason } => {
                take_one(self.due.of(reason));
                if let Some(counts) = self.by_second.get_mut(&second(at)) {
                    take_one(counts.of(reason));
                    if counts.sum() == 0 {
                        self.by_second.remove(&second(at));
                    }
                }
            }
        }
    }

    /// One less stands behind a gate.
    pub(crate) fn leave_gate(&mut self) {
        take_one(&mut self.gated);
    }

    /// Counts as ready what has come due.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        self.passed = self.passed.max(now.as_seconds());
        while let Some(first) = self.by_second.first_entry().filter(|first| *first.key() <= self.passed) {
            let counts = first.remove();
            self.ready += counts.sum();
            self.due.retry -= counts.retry;
            self.due.retry_after -= counts.retry_after;
            self.due.congested -= counts.congested;
        }
    }
}

fn take_one(count: &mut u64) {
    debug_assert!(*count > 0, "more deliveries left a place than had entered it");
    *count = count.saturating_sub(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_due_counts_as_ready_once_its_time_has_passed_and_leaves_from_where_it_is_counted() {
        let start = Timestamp::from_seconds(1_000);
        let mut depth = Depth { passed: start.as_seconds(), ..Depth::default() };
        let soon = Place::Due { at: start.after(Duration::from_millis(1_500)), reason: DueReason::Retry };
        let late = Place::Due { at: start.after(Duration::from_secs(60)), reason: DueReason::Congested };
        for place in [Place::Ready, soon, soon, late] {
            depth.enter(place);
        }
        assert_eq!((depth.ready, depth.due.retry, depth.due.congested), (1, 2, 1));
        depth.leave(soon);
        depth.pass(start.after(Duration::from_secs(1)));
        assert_eq!((depth.ready, depth.due.retry), (1, 1));
        depth.pass(start.after(Duration::from_secs(2)));
        assert_eq!((depth.ready, depth.due.retry, depth.due.congested), (2, 0, 1));
        depth.leave(soon);
        depth.leave(late);
        assert_eq!((depth.ready, depth.due.congested), (1, 0));
        assert!(depth.by_second.is_empty());
    }
}

//! How many events wait to be fanned out, and since when.
//!
//! To count what matches a subject the server walks over all that it keeps, processed long ago or not. So nothing is counted
//! where the log's end is near enough to what every partition is done with: positions follow the end, where nothing waits.

use std::time::Duration;

use fanfare_core::clock::{Monotonic, Timestamp};
use fanfare_core::ports::StoreResult;
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::lines::Lines;
use super::position;
use crate::Distributed;
use crate::store::{BatchRequest, Stored};

const DOING: &str = "count the backlog";

/// For how long what was seen is good: what other processes do meanwhile is not in it.
const FRESH: Duration = Duration::from_millis(500);
/// A count is good for that many times as long as it took, if that is longer: the server does something else as well.
const TIMES: u32 = 20;
/// For how long what was seen is good enough while somebody looks again.
const STALE: Duration = Duration::from_secs(10);
/// A partition whose position has not moved for that many leases of a partition, though the log has gone on, may have something
/// that waits: those of others follow the log's end once in a lease.
const LEASES: u32 = 3;

/// What is known of the log.
#[derive(Debug, Default)]
pub(crate) struct Events {
    looked: Mutex<Option<Looked>>,
    /// Whoever looks: one at a time, however many ask.
    looking: tokio::sync::Mutex<()>,
    positions: Mutex<Vec<Moved>>,
    pub(super) lines: Lines,
    /// There was no room for an event.
    pub(super) full: Notify,
}

/// What was seen of the backlog: how much may wait, or exactly does.
#[derive(Clone, Copy, Debug)]
struct Looked {
    most: u64,
    /// Whether it was counted, event by event.
    is_exact: bool,
    at: Monotonic,
    good_for: Duration,
}

/// A position as it was seen last, and since when it has been there.
#[derive(Clone, Copy, Debug)]
struct Moved {
    position: u64,
    since: Monotonic,
}

impl Events {
    /// This process has appended.
    pub(super) fn grew(&self, by: usize) {
        if let Some(looked) = self.looked.lock().as_mut() {
            looked.most += by as u64;
        }
    }

    /// This process has moved a position past so many.
    pub(super) fn shrank(&self, by: usize) {
        if let Some(looked) = self.looked.lock().as_mut() {
            looked.most = looked.most.saturating_sub(by as u64);
        }
    }

    /// What was seen, if it answers whether more than `max` wait and is not older than it may be.
    fn known(&self, max: u64, now: Monotonic, is_good: impl Fn(&Looked, Duration) -> bool) -> Option<Looked> {
        let looked = *self.looked.lock();
        looked.filter(|looked| is_good(looked, now.since(looked.at)) && (looked.is_exact || looked.most <= max))
    }
}

impl Looked {
    fn above(self, max: u64) -> Option<u64> {
        (self.most > max).then_some(self.most)
    }
}

/// How many wait, if they are more than `max`.
pub(super) async fn above(engine: &Distributed, max: u64) -> StoreResult<Option<u64>> {
    let (clock, events) = (&engine.shared.clock, &engine.shared.events);
    let fresh = |looked: &Looked, age: Duration| age < looked.good_for;
    if let Some(looked) = events.known(max, clock.monotonic(), fresh) {
        return Ok(looked.above(max));
    }
    let stale = |looked: &Looked, age: Duration| age < STALE.max(looked.good_for);
    let _looking = match (events.looking.try_lock(), events.known(max, clock.monotonic(), stale)) {
        (Ok(looking), _) => looking,
        // Somebody looks at this moment, and may take long where the server is busy. It is not asked once more for that.
        (Err(_), Some(looked)) => return Ok(looked.above(max)),
        (Err(_), None) => events.looking.lock().await,
    };
    if let Some(looked) = events.known(max, clock.monotonic(), fresh) {
        return Ok(looked.above(max));
    }
    let at = clock.monotonic();
    let positions = position::all(engine, DOING).await?;
    // After the positions: what was appended in between counts, what was passed in between counts as well.
    let end = engine.shared.store.end(DOING, &engine.shared.names.events()).await?;
    let most = end - positions.iter().copied().min().unwrap_or(0).min(end);
    let mut looked = Looked { most, is_exact: false, at, good_for: FRESH };
    if most > max {
        let most = count(engine, &positions).await?;
        let took = clock.monotonic().since(at);
        looked = Looked { most, is_exact: true, good_for: FRESH.max(took * TIMES), ..looked };
    }
    *events.looked.lock() = Some(looked);
    Ok(looked.above(max))
}

/// How many wait, counted event by event.
pub(super) async fn backlog(engine: &Distributed) -> StoreResult<u64> {
    count(engine, &position::all(engine, DOING).await?).await
}

async fn count(engine: &Distributed, positions: &[u64]) -> StoreResult<u64> {
    let counted = try_join_all((0_u16..).zip(positions).map(|(partition, position)| async move {
        // Where nothing waits it is not counted either.
        let Some(first) = first_after(engine, partition, *position).await? else { return StoreResult::Ok(0) };
        let (names, subject) = (&engine.shared.names, engine.shared.names.partition(partition));
        let request = BatchRequest { from: Some(first.sequence), next: Some(&subject), last_of: &[], batch: 1 };
        let first = engine.shared.store.batch(DOING, &names.events(), &request).await?.pop();
        Ok(first.map_or(0, |first| first.count()))
    }));
    Ok(counted.await?.into_iter().sum())
}

impl Distributed {
    /// Since when the oldest event that no position has passed has been in the log. Of a partition whose position moves it is not
    /// asked: what waits there has not waited for long.
    pub(crate) async fn oldest_unprocessed(&self) -> StoreResult<Option<Timestamp>> {
        let end = self.shared.store.end(DOING, &self.shared.names.events()).await?;
        let positions = position::all(self, DOING).await?;
        let long = self.shared.config.partition_lease.get() * LEASES;
        let now = self.shared.clock.monotonic();
        let standing = standing(&mut self.shared.events.positions.lock(), &positions, now, long);
        let behind = standing.into_iter().filter(|(_, position)| *position < end);
        let firsts = try_join_all(behind.map(|(partition, position)| first_after(self, partition, position))).await?;
        Ok(firsts.into_iter().flatten().map(|first| first.at).min())
    }
}

/// The partitions whose positions have not moved for so long, or are seen for the first time.
fn standing(seen: &mut Vec<Moved>, positions: &[u64], now: Monotonic, long: Duration) -> Vec<(u16, u64)> {
    let is_new = seen.len() != positions.len();
    if is_new {
        *seen = positions.iter().map(|position| Moved { position: *position, since: now }).collect();
    }
    let mut standing = Vec::new();
    for ((partition, position), seen) in (0_u16..).zip(positions).zip(seen) {
        if seen.position != *position {
            *seen = Moved { position: *position, since: now };
        } else if is_new || now.since(seen.since) >= long {
            standing.push((partition, *position));
        }
    }
    standing
}

/// The first event of a partition after a sequence.
async fn first_after(engine: &Distributed, partition: u16, after: u64) -> StoreResult<Option<Stored>> {
    let names = &engine.shared.names;
    engine.shared.store.next(DOING, &names.events(), &names.partition(partition), after + 1).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_that_stand_are_told_from_those_that_move() {
        let (mut seen, long) = (Vec::new(), Duration::from_secs(15));
        let mut standing =
            |positions: &[u64], seconds| standing(&mut seen, positions, Monotonic(Duration::from_secs(seconds)), long);
        assert_eq!(standing(&[5, 7], 0), [(0, 5), (1, 7)], "nothing is known of them");
        assert_eq!(standing(&[5, 8], 5), []);
        assert_eq!(standing(&[5, 8], 15), [(0, 5)]);
        assert_eq!(standing(&[6, 8], 20), [(1, 8)]);
        assert_eq!(standing(&[6, 8], 34), [(1, 8)]);
        assert_eq!(standing(&[6, 8], 35), [(0, 6), (1, 8)]);
    }

    #[test]
    fn a_bound_answers_only_what_lies_above_it() {
        let (events, now) = (Events::default(), Monotonic::default());
        let known = |max| events.known(max, now, |_, _| true).map(|looked| looked.above(max));
        assert_eq!(known(9), None);
        let bound = Looked { most: 5, is_exact: false, at: now, good_for: FRESH };
        *events.looked.lock() = Some(bound);
        assert_eq!((known(5), known(4)), (Some(None), None));
        *events.looked.lock() = Some(Looked { is_exact: true, ..bound });
        assert_eq!((known(5), known(4)), (Some(None), Some(Some(5))));
        events.grew(2);
        events.shrank(1);
        assert_eq!(known(5), Some(Some(6)));
    }
}

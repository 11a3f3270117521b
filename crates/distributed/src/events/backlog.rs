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
/// But for so long at the most.
const LONGEST: Duration = Duration::from_secs(2);
/// For how long what was seen is good enough while somebody looks again.
const STALE: Duration = Duration::from_secs(10);
/// For that many leases of a partition a position may be behind the log's end where nothing waits: it follows once in a lease, to
/// where the end was a lease before.
const LEASES: u32 = 3;

/// What is known of the log.
#[derive(Debug, Default)]
pub(crate) struct Events {
    looked: Mutex<Option<Looked>>,
    /// Whoever looks: one at a time, however many ask.
    looking: tokio::sync::Mutex<()>,
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
        looked = Looked { most, is_exact: true, good_for: (took * TIMES).clamp(FRESH, LONGEST), ..looked };
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
    /// Since when the oldest event that no position has passed has been in the log, if that is longer than some leases of a
    /// partition: as long as what comes next after the lowest position is younger, nothing that waits is older.
    pub(crate) async fn oldest_unprocessed(&self) -> StoreResult<Option<Timestamp>> {
        let shared = &self.shared;
        let end = shared.store.end(DOING, &shared.names.events()).await?;
        let positions = position::all(self, DOING).await?;
        let long_ago = shared.clock.now().before(shared.config.partition_lease.get() * LEASES);
        let lowest = positions.iter().copied().min().unwrap_or(end);
        if lowest >= end {
            return Ok(None);
        }
        let next = shared.store.next(DOING, &shared.names.events(), &shared.names.all_events(), lowest + 1).await?;
        if next.is_none_or(|next| next.at > long_ago) {
            return Ok(None);
        }
        let behind = (0_u16..).zip(positions).filter(|(_, position)| *position < end);
        let firsts = try_join_all(behind.map(|(partition, position)| first_after(self, partition, position))).await?;
        Ok(firsts.into_iter().flatten().map(|first| first.at).min())
    }
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

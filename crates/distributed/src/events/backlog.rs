//! How many events wait to be fanned out: counted seldom, and kept up in between by what this process does itself.

use std::collections::HashMap;
use std::time::Duration;

use fanfare_core::clock::{Monotonic, Timestamp};
use fanfare_core::ports::StoreResult;
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::lines::Lines;
use super::position;
use crate::Distributed;
use crate::error::nats_error;
use crate::store::{BatchRequest, Stored};

const DOING: &str = "count the backlog";

/// For how long a count is good: what other processes do meanwhile is not in it.
const FRESH: Duration = Duration::from_millis(500);

/// For how long one is good enough while the next is being made.
const STALE: Duration = Duration::from_secs(10);

/// What is known of the backlog.
#[derive(Debug, Default)]
pub(crate) struct Events {
    counted: Mutex<Option<Counted>>,
    /// Whoever counts: one at a time, however many ask.
    counting: tokio::sync::Mutex<()>,
    empty: Mutex<Empty>,
    pub(super) lines: Lines,
    /// There was no room for an event.
    pub(super) full: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    count: u64,
    at: Monotonic,
}

/// Up to where in the log each partition has been seen to hold nothing that waits. To find the first event of a partition the
/// server looks at every event from there on: one that gets none would have the whole log looked at each time.
#[derive(Debug, Default)]
struct Empty {
    up_to: HashMap<u16, u64>,
    /// The log's end at an earlier look: a replica that answers knows what came before it.
    end: u64,
    looked: Option<Monotonic>,
}

impl Empty {
    fn up_to(&self, partition: u16) -> u64 {
        self.up_to.get(&partition).copied().unwrap_or(0)
    }

    /// These partitions were found to hold nothing; the log had that end before they were looked at.
    fn found(&mut self, partitions: &[u16], end: u64, now: Monotonic) {
        if end < self.end {
            // It has been made anew.
            *self = Self::default();
        }
        for partition in partitions {
            let up_to = self.up_to.entry(*partition).or_default();
            *up_to = self.end.max(*up_to);
        }
        if self.looked.is_none_or(|looked| now.since(looked) >= FRESH) {
            (self.end, self.looked) = (end, Some(now));
        }
    }
}

impl Events {
    /// This process has appended.
    pub(super) fn grew(&self, by: usize) {
        if let Some(counted) = self.counted.lock().as_mut() {
            counted.count += by as u64;
        }
    }

    /// This process has moved a position past so many.
    pub(super) fn shrank(&self, by: usize) {
        if let Some(counted) = self.counted.lock().as_mut() {
            counted.count = counted.count.saturating_sub(by as u64);
        }
    }
}

pub(super) async fn backlog(engine: &Distributed) -> StoreResult<u64> {
    let (clock, events) = (&engine.shared.clock, &engine.shared.events);
    let known = || *events.counted.lock();
    let fresh = |counted: &Counted| clock.monotonic().since(counted.at) < FRESH;
    if let Some(counted) = known().filter(fresh) {
        return Ok(counted.count);
    }
    let _counting = match (events.counting.try_lock(), known()) {
        (Ok(counting), _) => counting,
        // Somebody counts at this moment, and may take long where the server is busy. It is not asked once more for that.
        (Err(_), Some(counted)) if clock.monotonic().since(counted.at) < STALE => return Ok(counted.count),
        (Err(_), _) => events.counting.lock().await,
    };
    if let Some(counted) = known().filter(fresh) {
        return Ok(counted.count);
    }
    let at = clock.monotonic();
    let count = first_of_each(engine).await?.iter().map(Stored::count).sum();
    *events.counted.lock() = Some(Counted { count, at });
    Ok(count)
}

impl Distributed {
    /// Since when the oldest event that no position has passed has been in the log.
    pub(crate) async fn oldest_unprocessed(&self) -> StoreResult<Option<Timestamp>> {
        Ok(first_of_each(self).await?.iter().map(|first| first.at).min())
    }
}

/// The first event that waits of each partition that has one.
async fn first_of_each(engine: &Distributed) -> StoreResult<Vec<Stored>> {
    let (shared, empty) = (&engine.shared, &engine.shared.events.empty);
    let stream = shared.store.stream(DOING, &shared.names.events()).await?;
    let end = stream.get_info().await.map_err(|error| nats_error(DOING, error))?.state.last_sequence;
    let positions = position::all(engine, DOING).await?;
    let looking = try_join_all((0_u16..).zip(positions).map(|(partition, position)| async move {
        let after = empty.lock().up_to(partition).max(position);
        StoreResult::Ok((partition, first_after(engine, DOING, partition, after).await?))
    }));
    let found = looking.await?;
    let none: Vec<u16> = found.iter().filter(|(_, first)| first.is_none()).map(|(partition, _)| *partition).collect();
    empty.lock().found(&none, end, shared.clock.monotonic());
    Ok(found.into_iter().filter_map(|(_, first)| first).collect())
}

/// The first event of a partition after a sequence, with the number of those behind it.
pub(super) async fn first_after(
    engine: &Distributed,
    doing: &'static str,
    partition: u16,
    after: u64,
) -> StoreResult<Option<Stored>> {
    let names = &engine.shared.names;
    let subject = names.partition(partition);
    let request = BatchRequest { from: Some(after + 1), next: Some(&subject), last_of: &[], batch: 1 };
    Ok(engine.shared.store.batch(doing, &names.events(), &request).await?.pop())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_holds_nothing_is_looked_at_from_the_end_of_an_earlier_look() {
        let (mut empty, at) = (Empty::default(), |millis| Monotonic(Duration::from_millis(millis)));
        empty.found(&[1, 2], 100, at(0));
        assert_eq!([1, 2].map(|partition| empty.up_to(partition)), [0, 0], "nothing is known of an earlier look");
        empty.found(&[1], 180, at(100));
        assert_eq!([1, 2].map(|partition| empty.up_to(partition)), [100, 0]);
        empty.found(&[1, 2], 250, at(600));
        assert_eq!(
            [1, 2].map(|partition| empty.up_to(partition)),
            [100, 100],
            "the end of the last look but so long ago"
        );
        empty.found(&[1, 2], 300, at(1200));
        assert_eq!([1, 2].map(|partition| empty.up_to(partition)), [250, 250]);
        empty.found(&[1], 20, at(1800));
        assert_eq!([1, 2].map(|partition| empty.up_to(partition)), [0, 0], "it is another log");
        assert_eq!(empty.end, 20);
    }
}

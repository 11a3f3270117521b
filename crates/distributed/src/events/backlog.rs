//! How many events wait to be fanned out: counted seldom, and kept up in between by what this process does itself.

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

/// For how long a count is good: what other processes do meanwhile is not in it.
const FRESH: Duration = Duration::from_millis(500);

/// What is known of the backlog.
#[derive(Debug, Default)]
pub(crate) struct Events {
    counted: Mutex<Option<Counted>>,
    pub(super) lines: Lines,
    /// There was no room for an event.
    pub(super) full: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    count: u64,
    at: Monotonic,
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
    let shared = &engine.shared;
    let now = shared.clock.monotonic();
    let fresh = |counted: &Counted| now.since(counted.at) < FRESH;
    if let Some(counted) = shared.events.counted.lock().filter(fresh) {
        return Ok(counted.count);
    }
    let positions = position::all(engine, DOING).await?;
    let waiting = try_join_all((0_u16..).zip(positions).map(|(partition, after)| async move {
        let first = first_after(engine, DOING, partition, after).await?;
        StoreResult::Ok(first.map_or(0, |first| first.count()))
    }));
    let count = waiting.await?.into_iter().sum();
    *shared.events.counted.lock() = Some(Counted { count, at: now });
    Ok(count)
}

impl Distributed {
    /// Since when the oldest event that no position has passed has been in the log.
    pub(crate) async fn oldest_unprocessed(&self) -> StoreResult<Option<Timestamp>> {
        let positions = position::all(self, DOING).await?;
        let waiting = try_join_all((0_u16..).zip(positions).map(|(partition, after)| async move {
            let first = first_after(self, DOING, partition, after).await?;
            StoreResult::Ok(first.map(|first| first.at))
        }));
        Ok(waiting.await?.into_iter().flatten().min())
    }
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

//! How many deliveries stand where, asked of the server.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream::consumer::Info;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DueReason, Place};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::{QueueDepth, ReadyDepth};

use super::encode;
use crate::Distributed;
use crate::error::nats_error;
use crate::store::BatchRequest;
use crate::streams::WORKERS;

const DOING: &str = "count the queue";
/// Of more than so many that are due later, those that wait for a retry are not counted but what is left over: to count what
/// matches a subject the server walks over all of it.
const MANY: u64 = 10_000;
/// How many looks are remembered: if none is over by then, it is the first that counts.
const LOOKS: usize = 1024;
const APART: Duration = Duration::from_millis(10);

pub(super) async fn depth(engine: &Distributed) -> StoreResult<QueueDepth> {
    let shared = &engine.shared;
    let workers = workers(engine).await?;
    let messages = async |stream: String| StoreResult::Ok(shared.store.state(DOING, &stream).await?.messages);
    let gated = messages(shared.names.gated()).await?;
    let ours = shared.queue.leases.lock().gated(shared.clock.monotonic()) as u64;
    let (ready, leased) = (workers.num_pending, workers.num_ack_pending as u64);
    let due = messages(shared.names.deliveries()).await?.saturating_sub(ready + leased);
    let because = async |reason| if due == 0 { Ok(0) } else { count(engine, reason).await };
    let (due_retry_after, due_congested) =
        (because(DueReason::RetryAfter).await?, because(DueReason::Congested).await?);
    let due_retry = match due.saturating_sub(due_retry_after + due_congested) {
        rest if rest > MANY => rest,
        _ => because(DueReason::Retry).await?,
    };
    let oldest_ready = oldest(engine, &workers).await?;
    Ok(QueueDepth {
        ready,
        due_retry,
        due_retry_after,
        due_congested,
        gated: gated.saturating_sub(ours),
        quarantined: messages(shared.names.quarantined()).await?,
        in_flight: leased + ours,
        oldest_ready,
    })
}

/// What is ready.
pub(super) async fn ready(engine: &Distributed) -> StoreResult<ReadyDepth> {
    let (shared, workers) = (&engine.shared, workers(engine).await?);
    let end = shared.store.end(DOING, &shared.names.deliveries()).await?;
    let handed_out = if workers.num_pending == 0 { end } else { workers.delivered.stream_sequence };
    let oldest = shared.queue.ends.lock().looked(handed_out, end, shared.clock.now());
    Ok(ReadyDepth { count: workers.num_pending, oldest })
}

/// Where the stream ended when it was looked at, as far back as not all of it had been handed out. How long something has been
/// ready is told by these looks, and not by the server's clock: by how much that is wrong, fan-out would hold back for nothing.
#[derive(Debug, Default)]
pub(super) struct Ends(VecDeque<(u64, Timestamp)>);

impl Ends {
    /// Up to one sequence everything has been handed out, and the stream ends at another. Since when something has been ready, if
    /// something is.
    fn looked(&mut self, handed_out: u64, end: u64, now: Timestamp) -> Option<Timestamp> {
        while self.0.front().is_some_and(|(end, _)| *end <= handed_out) {
            self.0.pop_front();
        }
        let is_news = self.0.back().is_none_or(|(last, at)| *last < end && now.since(*at) >= APART);
        if end > handed_out && is_news && self.0.len() < LOOKS {
            self.0.push_back((end, now));
        }
        self.0.front().map(|(_, since)| *since)
    }
}

async fn workers(engine: &Distributed) -> StoreResult<Info> {
    let stream = engine.shared.store.stream(DOING, &engine.shared.names.deliveries()).await?;
    stream.consumer_info(WORKERS).await.map_err(|error| nats_error(DOING, error))
}

/// Since when the first one that has not been handed out has been ready.
async fn oldest(engine: &Distributed, workers: &Info) -> StoreResult<Option<Timestamp>> {
    if workers.num_pending == 0 {
        return Ok(None);
    }
    let (store, names, from) = (&engine.shared.store, &engine.shared.names, workers.delivered.stream_sequence + 1);
    let Some(first) = store.next(DOING, &names.deliveries(), &names.all_ready(), from).await? else { return Ok(None) };
    // One that cannot be read is on its way into quarantine.
    let place = encode::place(DOING, Some(&first.headers)).unwrap_or(Place::Ready);
    Ok(Some(encode::ready_at(place, first.at)))
}

async fn count(engine: &Distributed, reason: DueReason) -> StoreResult<u64> {
    let subject = engine.shared.names.due_because(reason);
    let request = BatchRequest { from: Some(1), next: Some(&subject), last_of: &[], batch: 1 };
    let first = engine.shared.store.batch(DOING, &engine.shared.names.deliveries(), &request).await?.pop();
    Ok(first.map_or(0, |first| first.count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_has_been_ready_since_the_first_look_at_what_is_not_handed_out() {
        let (mut ends, at) = (Ends::default(), |millis| Timestamp::EPOCH.after(Duration::from_millis(millis)));
        assert_eq!(ends.looked(7, 7, at(0)), None);
        assert_eq!(ends.looked(7, 9, at(50)), Some(at(50)));
        assert_eq!(ends.looked(8, 12, at(100)), Some(at(50)));
        assert_eq!(ends.looked(9, 12, at(150)), Some(at(100)));
        assert_eq!(ends.looked(12, 12, at(200)), None);
        assert_eq!(ends.looked(12, 13, at(250)), Some(at(250)));
    }
}

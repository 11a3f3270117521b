//! How many deliveries stand where, asked of the server.

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

pub(super) async fn depth(engine: &Distributed) -> StoreResult<QueueDepth> {
    let shared = &engine.shared;
    let workers = workers(engine).await?;
    let messages = async |stream: String| {
        let info = shared.store.stream(DOING, &stream).await?.get_info().await;
        StoreResult::Ok(info.map_err(|error| nats_error(DOING, error))?.state.messages)
    };
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
    let workers = workers(engine).await?;
    Ok(ReadyDepth { count: workers.num_pending, oldest: oldest(engine, &workers).await? })
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

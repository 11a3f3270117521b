//! How many deliveries stand where, asked of the server.

use async_nats::jetstream::consumer::Info;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DueReason, Place};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::QueueDepth;

use super::encode;
use crate::Distributed;
use crate::error::nats_error;
use crate::store::{BatchRequest, Stored};
use crate::streams::WORKERS;

const DOING: &str = "count the queue";

pub(super) async fn depth(engine: &Distributed) -> StoreResult<QueueDepth> {
    let shared = &engine.shared;
    let workers = workers(engine).await?;
    let gated = shared.store.stream(DOING, &shared.names.gated()).await?.get_info().await;
    let gated = gated.map_err(|error| nats_error(DOING, error))?.state.messages;
    let ours = shared.queue.leases.lock().gated(shared.clock.monotonic()) as u64;
    let due = async |reason| {
        let first = first(engine, &shared.names.due_because(reason), 1).await?;
        StoreResult::Ok(first.map_or(0, |first| first.count()))
    };
    let oldest_ready = match workers.num_pending {
        0 => None,
        _ => oldest(engine, workers.delivered.stream_sequence + 1).await?,
    };
    Ok(QueueDepth {
        ready: workers.num_pending,
        due_retry: due(DueReason::Retry).await?,
        due_retry_after: due(DueReason::RetryAfter).await?,
        due_congested: due(DueReason::Congested).await?,
        gated: gated.saturating_sub(ours),
        quarantined: super::quarantine::count(engine).await?,
        in_flight: workers.num_ack_pending as u64 + ours,
        oldest_ready,
    })
}

/// How many are ready.
pub(super) async fn ready(engine: &Distributed) -> StoreResult<u64> {
    Ok(workers(engine).await?.num_pending)
}

async fn workers(engine: &Distributed) -> StoreResult<Info> {
    let stream = engine.shared.store.stream(DOING, &engine.shared.names.deliveries()).await?;
    stream.consumer_info(WORKERS).await.map_err(|error| nats_error(DOING, error))
}

/// Since when the first one that has not been handed out has been ready.
async fn oldest(engine: &Distributed, from: u64) -> StoreResult<Option<Timestamp>> {
    let Some(first) = first(engine, &engine.shared.names.all_ready(), from).await? else { return Ok(None) };
    // One that cannot be read is on its way into quarantine.
    let place = encode::place(DOING, Some(&first.headers)).unwrap_or(Place::Ready);
    Ok(Some(encode::ready_at(place, first.at)))
}

async fn first(engine: &Distributed, subject: &str, from: u64) -> StoreResult<Option<Stored>> {
    let request = BatchRequest { from: Some(from), next: Some(subject), last_of: &[], batch: 1 };
    Ok(engine.shared.store.batch(DOING, &engine.shared.names.deliveries(), &request).await?.pop())
}

//! Gates: what stands behind them is in a stream of its own, a subject for each webhook, in order of arrival.

mod hand_out;
mod index;
pub(super) mod owner;

use fanfare_core::delivery::Delivery;
use fanfare_core::ids::{DeliveryId, WebhookId};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::{GateDepth, GatePosition};

use super::encode;
use crate::Distributed;
use crate::store::{BatchRequest, Stored};

/// How many are read by one request.
const PAGE: usize = 500;

/// What stands behind the webhook's gate after a sequence.
async fn page(
    engine: &Distributed,
    doing: &'static str,
    webhook: WebhookId,
    after: u64,
    max: usize,
) -> StoreResult<Vec<Stored>> {
    let names = &engine.shared.names;
    let subject = names.gate(webhook);
    let request = BatchRequest { from: Some(after + 1), next: Some(&subject), last_of: &[], batch: max };
    engine.shared.store.batch(doing, &names.gated(), &request).await
}

pub(super) async fn depth(engine: &Distributed, webhook: WebhookId) -> StoreResult<GateDepth> {
    let first = page(engine, "count what stands behind a gate", webhook, 0, 1).await?.pop();
    Ok(first.map_or(GateDepth::default(), |first| GateDepth { count: first.count(), oldest: Some(first.at) }))
}

pub(super) async fn read(
    engine: &Distributed,
    webhook: WebhookId,
    after: GatePosition,
    max: usize,
) -> StoreResult<Vec<(GatePosition, Delivery)>> {
    const DOING: &str = "read what stands behind a gate";
    let (mut found, mut after) = (Vec::new(), after.0);
    while found.len() < max {
        let stored = page(engine, DOING, webhook, after, PAGE.min(max - found.len())).await?;
        let Some(last) = stored.last() else { break };
        after = last.sequence;
        for stored in stored {
            // What cannot be read goes into quarantine when its turn comes.
            if let Ok(delivery) = encode::delivery(DOING, Some(&stored.headers), stored.payload) {
                found.push((GatePosition(stored.sequence), delivery));
            }
        }
    }
    Ok(found)
}

/// Whether a delivery stands behind the webhook's gate.
pub(super) async fn holds(engine: &Distributed, webhook: WebhookId, delivery: DeliveryId) -> StoreResult<bool> {
    const DOING: &str = "look for a delivery behind a gate";
    Ok(next_copy(engine, DOING, webhook, delivery, 0).await?.is_some())
}

/// Removes every copy of a delivery that stands behind the webhook's gate; returns how many there were. The gate's owner finds
/// them gone when it comes to take them.
pub(super) async fn remove(engine: &Distributed, webhook: WebhookId, delivery: DeliveryId) -> StoreResult<u64> {
    const DOING: &str = "remove a delivery from behind a gate";
    let (mut after, mut removed) = (0, 0);
    while let Some(sequence) = next_copy(engine, DOING, webhook, delivery, after).await? {
        engine.shared.store.delete(DOING, &engine.shared.names.gated(), sequence).await?;
        (after, removed) = (sequence, removed + 1);
    }
    Ok(removed)
}

/// The first copy of a delivery behind the webhook's gate after a sequence. Reads all that stands there until it is found.
async fn next_copy(
    engine: &Distributed,
    doing: &'static str,
    webhook: WebhookId,
    delivery: DeliveryId,
    mut after: u64,
) -> StoreResult<Option<u64>> {
    loop {
        let stored = page(engine, doing, webhook, after, PAGE).await?;
        let Some(last) = stored.last() else { return Ok(None) };
        after = last.sequence;
        let is_copy = |stored: &&Stored| encode::copy(Some(&stored.headers)).is_some_and(|(id, _)| id == delivery);
        if let Some(copy) = stored.iter().find(is_copy) {
            return Ok(Some(copy.sequence));
        }
    }
}

pub(super) async fn discard(engine: &Distributed, webhook: WebhookId) -> StoreResult<u64> {
    let names = &engine.shared.names;
    engine.shared.store.purge("discard what stands behind a gate", &names.gated(), &names.gate(webhook)).await
}

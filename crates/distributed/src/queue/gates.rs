//! Gates: what stands behind them is in a stream of its own, a subject for each webhook, in order of arrival.

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

/// Whether a delivery stands behind the webhook's gate. Reads all that does.
pub(super) async fn holds(engine: &Distributed, webhook: WebhookId, delivery: DeliveryId) -> StoreResult<bool> {
    const DOING: &str = "look for a delivery behind a gate";
    let mut after = 0;
    loop {
        let stored = page(engine, DOING, webhook, after, PAGE).await?;
        let Some(last) = stored.last() else { return Ok(false) };
        after = last.sequence;
        for stored in &stored {
            if encode::copy(Some(&stored.headers)).is_some_and(|(id, _)| id == delivery) {
                return Ok(true);
            }
        }
    }
}

pub(super) async fn discard(engine: &Distributed, webhook: WebhookId) -> StoreResult<u64> {
    let names = &engine.shared.names;
    engine.shared.store.purge("discard what stands behind a gate", &names.gated(), &names.gate(webhook)).await
}

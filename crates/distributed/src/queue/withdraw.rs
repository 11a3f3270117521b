//! Withdrawing one delivery wherever it stands: its event has been deleted.
//!
//! In this order:
//!
//! 1. It is marked as ended. Whoever leases a copy from here on recognises it and only removes it.
//! 2. Its copies are removed: schedules, what stands behind the gate, quarantine.
//!
//! A copy that is ready is left: a worker may hold it, and whoever gets it next removes it by itself. A holder who is sending at
//! this moment may still put it somewhere: then it is there to be removed when the caller looks again. A crash in between leaves
//! copies that nobody sends, until the caller repeats this.

use fanfare_core::delivery::End;
use fanfare_core::ids::{DeliveryId, WebhookId};
use fanfare_core::ports::dedup::Standing;
use fanfare_core::ports::delivery_queue::Withdrawal;
use fanfare_core::ports::{Dedup, StoreResult};

use super::gates;
use crate::Distributed;

const DOING: &str = "withdraw a delivery";

pub(super) async fn withdraw(
    engine: &Distributed,
    webhook: WebhookId,
    delivery: DeliveryId,
) -> StoreResult<Withdrawal> {
    let (shared, names) = (&engine.shared, &engine.shared.names);
    let had_ended = matches!(engine.standing(&[delivery]).await?.as_slice(), [Standing::Done(_)]);
    engine.complete(delivery, End::Discarded, shared.config.done_retention.get()).await?;
    let (store, deliveries) = (&shared.store, names.deliveries());
    let mut removed = store.purge(DOING, &deliveries, &names.due_anytime(webhook, delivery)).await?;
    removed += gates::remove(engine, webhook, delivery).await?;
    removed += store.purge(DOING, &names.quarantined(), &names.quarantine(webhook, delivery)).await?;
    if store.last(DOING, &deliveries, &names.ready(webhook, delivery)).await?.is_some() {
        return Ok(Withdrawal::InFlight);
    }
    Ok(if removed == 0 && had_ended { Withdrawal::Gone } else { Withdrawal::Discarded })
}

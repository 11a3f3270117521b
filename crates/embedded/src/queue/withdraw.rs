//! Withdrawing one delivery wherever it stands: its event has been deleted.

use std::sync::Arc;

use fanfare_core::delivery::{End, Place};
use fanfare_core::ids::{DeliveryId, WebhookId};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::Withdrawal;
use rusqlite::OptionalExtension;

use super::move_on::Withdrawn;
use super::window::Order;
use crate::codec::{Stand, delivery_column, end_code, stand, webhook_column};
use crate::writer::{Failed, Tx};
use crate::{Embedded, Shared};

const DOING: &str = "withdraw a delivery";

/// Where it stood, and is to be taken from in memory.
enum From {
    Queue { withdrawn: Box<Withdrawn>, order: Order, place: Place },
    Gate,
    Quarantine,
}

/// One transaction ends the row and removes the body; after its commit what is in memory follows.
pub(super) async fn withdraw(engine: &Embedded, webhook: WebhookId, delivery: DeliveryId) -> StoreResult<Withdrawal> {
    let (before, after) = (Arc::clone(&engine.shared), Arc::clone(&engine.shared));
    let effects = move |done: Result<From, Withdrawal>| match done {
        Err(answer) => answer,
        Ok(from) => {
            after.queue.change(|state| match from {
                From::Queue { mut withdrawn, order, place } => {
                    withdrawn.row = None;
                    state.leave(order, place);
                    state.conclude(delivery);
                }
                From::Gate => state.leave_gate(delivery),
                From::Quarantine => state.leave_quarantine(),
            });
            Withdrawal::Discarded
        }
    };
    engine.writer.write(DOING, 0, move |tx| end(tx, &before, webhook, delivery), effects).await
}

/// The inner error is the answer when nothing was to be done.
fn end(
    tx: &mut Tx<'_>,
    shared: &Arc<Shared>,
    webhook: WebhookId,
    delivery: DeliveryId,
) -> Result<Result<From, Withdrawal>, Failed> {
    let found: Option<(i64, i64, i64)> = tx
        .connection
        .prepare_cached("SELECT seq, place, at FROM deliveries WHERE id = ?1 AND webhook = ?2")?
        .query_row((delivery_column(&delivery), webhook_column(&webhook)), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((seq, place, at)) = found else { return Ok(Err(Withdrawal::Gone)) };
    let from = match stand(DOING, place, at)? {
        Stand::Moved | Stand::Ended(_) => return Ok(Err(Withdrawal::Gone)),
        Stand::Quarantined => From::Quarantine,
        Stand::Live(place) => {
            if shared.queue.state.lock().is_taken(delivery) {
                return Ok(Err(Withdrawal::InFlight));
            }
            match place {
                Place::Gated { .. } => From::Gate,
                Place::Ready | Place::Due { .. } => {
                    let order = Order { at, seq };
                    match Withdrawn::take(shared, delivery, order) {
                        Some(withdrawn) => From::Queue { withdrawn: Box::new(withdrawn), order, place },
                        None => return Ok(Err(Withdrawal::InFlight)),
                    }
                }
            }
        }
    };
    let forget = shared.clock.now().after(shared.config.done_retention.get());
    tx.connection
        .prepare_cached("UPDATE deliveries SET place = ?1, at = ?2, gate = NULL WHERE seq = ?3")?
        .execute((end_code(End::Discarded), forget.as_millis(), seq))?;
    tx.connection.prepare_cached("DELETE FROM bodies WHERE seq = ?1")?.execute([seq])?;
    Ok(Ok(from))
}

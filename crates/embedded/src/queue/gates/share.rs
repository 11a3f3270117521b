//! Owning the gates: waiting for arrivals, taking from the head.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use fanfare_core::delivery::QuarantineReason;
use fanfare_core::ids::{DeliveryId, WebhookId};
use fanfare_core::ports::delivery_queue::{GatePartition, GateShare, Lease};
use fanfare_core::ports::{StoreError, StoreResult};
use fanfare_runtime::tasks::report;
use rusqlite::OptionalExtension;
use tokio::sync::OwnedSemaphorePermit;

use super::super::quarantine::{self, Aside, Gone};
use crate::codec::{Standing, standing, standing_columns, webhook_column};
use crate::error::closed;
use crate::writer::{Failed, Tx};
use crate::{Embedded, Shared};

const WAITING: &str = "wait for arrivals behind gates";
const TAKING: &str = "take from behind a gate";

/// Takes part in owning gates; owns the partition once nobody else does.
pub(in crate::queue) struct Share {
    engine: Embedded,
    permit: Option<OwnedSemaphorePermit>,
    /// Whether the share has been dropped, and the partition with it.
    lost: Arc<AtomicBool>,
}

impl Share {
    pub(in crate::queue) fn new(engine: Embedded) -> Self {
        Self { engine, permit: None, lost: Arc::default() }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // First the partition is lost, then the next owner may get it.
        self.lost.store(true, Ordering::SeqCst);
        self.engine.shared.queue.arrived.notify_waiters();
    }
}

#[async_trait]
impl GateShare for Share {
    async fn next(&mut self) -> StoreResult<Arc<dyn GatePartition>> {
        const DOING: &str = "wait for a partition of gates";
        if self.permit.is_some() {
            // There is no second partition to come.
            self.engine.writer.ended().await;
            return Err(closed(DOING));
        }
        let owner = Arc::clone(&self.engine.shared.queue.gate_owner);
        let permit = tokio::select! {
            permit = owner.acquire_owned() => permit.map_err(|_| closed(DOING))?,
            () = self.engine.writer.ended() => return Err(closed(DOING)),
        };
        self.permit = Some(permit);
        Ok(Arc::new(Gates {
            engine: self.engine.clone(),
            lost: Arc::clone(&self.lost),
            told_of_all: AtomicBool::new(false),
        }))
    }
}

/// All gates, owned by whoever holds the share.
struct Gates {
    engine: Embedded,
    lost: Arc<AtomicBool>,
    /// Whether the owner has been told of everything that stood behind gates when it came.
    told_of_all: AtomicBool,
}

impl Gates {
    fn is_owned(&self, doing: &'static str) -> StoreResult<()> {
        if self.lost.load(Ordering::SeqCst) {
            return Err(StoreError::lost(doing));
        }
        if self.engine.writer.has_ended() { Err(closed(doing)) } else { Ok(()) }
    }
}

#[async_trait]
impl GatePartition for Gates {
    async fn arrivals(&self) -> StoreResult<Vec<WebhookId>> {
        let shared = &self.engine.shared;
        loop {
            let mut arrived = std::pin::pin!(shared.queue.arrived.notified());
            arrived.as_mut().enable();
            self.is_owned(WAITING)?;
            let standing: HashSet<WebhookId> = if self.told_of_all.load(Ordering::SeqCst) {
                HashSet::new()
            } else {
                self.engine.readers.read(WAITING, super::webhooks).await?.into_iter().collect()
            };
            // From here to the return nothing is awaited: what is taken is told.
            let now = shared.clock.monotonic();
            let (mut webhooks, next_end) = shared.queue.change(|state| {
                state.expire(now);
                (state.take_arrivals(), state.leases.next_end())
            });
            self.told_of_all.store(true, Ordering::SeqCst);
            webhooks.extend(standing);
            if !webhooks.is_empty() {
                return Ok(webhooks.into_iter().collect());
            }
            // A lease that runs out brings back what it held, and nobody else may be looking.
            let lease_ends = async {
                match next_end {
                    Some(end) => shared.clock.sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = arrived => {}
                () = lease_ends => {}
                () = self.engine.writer.ended() => {}
            }
        }
    }

    fn is_held(&self) -> bool {
        self.is_owned(TAKING).is_ok()
    }

    async fn take(&self, webhook: WebhookId, max: usize) -> StoreResult<Vec<Lease>> {
        self.is_owned(TAKING)?;
        let (before, after) = (Arc::clone(&self.engine.shared), Arc::clone(&self.engine.shared));
        let lost = Arc::clone(&self.lost);
        self.engine
            .writer
            .write(
                TAKING,
                0,
                move |tx| {
                    // Another may own the gates by the time the writer comes to this.
                    if lost.load(Ordering::SeqCst) {
                        return Err(StoreError::lost(TAKING).into());
                    }
                    head(tx, &before, webhook, max)
                },
                move |(rows, gone): (Vec<Standing>, Gone)| {
                    gone.take_effect(&after);
                    let until = after.clock.monotonic().after(after.config.lease.get());
                    after.queue.change(|state| rows.into_iter().map(|row| state.grant(row, until)).collect())
                },
            )
            .await
    }
}

/// The first rows behind the gate that are not leased; those that may not be leased go into quarantine. An operation of the
/// writer, although it seldom writes: between reading a row and leasing it nobody can have settled it.
fn head(tx: &mut Tx<'_>, shared: &Shared, webhook: WebhookId, max: usize) -> Result<(Vec<Standing>, Gone), Failed> {
    let now = shared.clock.monotonic();
    shared.queue.change(|state| state.expire(now));
    let mut order = tx
        .connection
        .prepare_cached("SELECT seq, id FROM deliveries WHERE webhook = ?1 AND gate IS NOT NULL ORDER BY gate")?;
    let mut whole = tx.connection.prepare_cached(concat!(
        "SELECT ",
        standing_columns!(),
        " FROM deliveries d JOIN bodies b ON b.seq = d.seq WHERE d.seq = ?1"
    ))?;
    let mut rows = order.query([webhook_column(&webhook)])?;
    let (mut found, mut asides) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    while found.len() < max && bytes < shared.config.window_bytes {
        let Some(row) = rows.next()? else { break };
        let seq: i64 = row.get(0)?;
        let id = row.get(1).ok().map(DeliveryId::from_bytes);
        let (is_leased, is_spoiled) = {
            let state = shared.queue.state.lock();
            id.map_or((false, false), |id| (state.leases.of(id).is_some(), state.is_spoiled(id)))
        };
        if is_leased {
            continue;
        }
        if is_spoiled {
            asides.push(Aside { seq, reason: QuarantineReason::LeasedTooOften });
            continue;
        }
        match whole.query_row([seq], |row| Ok(standing(TAKING, row))).optional()? {
            Some(Ok(row)) => {
                bytes += row.delivery.body.len();
                found.push(row);
            }
            unreadable => {
                let error = unreadable.and_then(Result::err).map(|error| report(&error));
                tracing::error!(row = seq, error, "a delivery behind a gate cannot be read");
                asides.push(Aside { seq, reason: QuarantineReason::Unreadable });
            }
        }
    }
    drop(rows);
    drop((order, whole));
    let gone = quarantine::put(tx, shared, &asides)?;
    Ok((found, gone))
}

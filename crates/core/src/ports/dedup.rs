//! Who may work on a delivery now, and which deliveries are done: by delivery and hop.
//!
//! [`settle`](super::DeliveryQueue::settle) releases and completes as part of settling; services call [`Dedup::claim`] and
//! [`Dedup::standing`] alone. The other two operations are in the port because an engine may keep claims in another store
//! than its queue.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreResult;
use crate::delivery::End;
use crate::ids::{DeliveryId, Hop};

/// The answer to a claim. Each is decided before the next is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The delivery has ended so: journal that outcome again, remove the copy.
    Done(End),
    /// The hop is below the lowest live one: this copy has been overtaken. Remove it, count it.
    Stale,
    /// It is ours; a holder at a lower hop was displaced, since this copy proves that it has moved on.
    TakenOver,
    /// Somebody holds it at this very hop: neither move nor acknowledge, let the lease run out.
    Busy,
    /// It is ours.
    Claimed,
}

/// What is known of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: it was never claimed, or that is forgotten.
    Unknown,
    /// It is live; no hop below this one is.
    Live(Hop),
    /// It has ended so.
    Done(End),
}

/// Claims on deliveries.
#[async_trait]
pub trait Dedup: Send + Sync {
    /// Claims the delivery at this hop for `ttl`.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer: whether to deliver all the same is the worker's policy.
    async fn claim(&self, delivery: DeliveryId, hop: Hop, ttl: Duration) -> StoreResult<Claim>;

    /// Gives up the claim after the delivery has moved: the lowest live hop is `hop + 1` from now on.
    ///
    /// # Errors
    /// When the store does not answer; the claim then runs out, or is taken over.
    async fn release(&self, delivery: DeliveryId, hop: Hop) -> StoreResult<()>;

    /// Marks the delivery as ended, for `keep`. An end once recorded stays as it is.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn complete(&self, delivery: DeliveryId, end: End, keep: Duration) -> StoreResult<()>;

    /// What is known of each delivery, in order.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn standing(&self, deliveries: &[DeliveryId]) -> StoreResult<Vec<Standing>>;
}

impl fmt::Debug for dyn Dedup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dedup")
    }
}

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

/// Under which ownership of a partition of gates a delivery was taken: a token that rises with every owner of the partition.
///
/// A process that dies leaves claims behind, and each would keep others from its delivery until it has run out, while nothing
/// behind it may be sent. The store of claims knows better than the claim, by this order:
///
/// 1. The lease under which it was claimed runs out, on the delivery or on the partition of its gate; or the owner of the gate
///    gives the partition back. From then on nothing is begun under it: both are looked at, and the process's own clock, right
///    before each request.
/// 2. Somebody else leases the delivery; as an owner of its gate, with a token that is higher.
/// 3. It claims it. If the process that holds a claim at the same hop is known to be gone, since it has given no sign of life for
///    as long as a lease on a partition lasts, that claim is displaced; not if it was made under a higher token, for then it is
///    the claimer who has been away. One that lives ends what it has begun, and is waited for.
/// 4. What the first still says of the delivery is refused or changes nothing, since its lease is over: it can neither move it
///    nor end the newer claim. That it was received, it may say.
///
/// A request that was under way when its process was taken to be gone, or of a process that was frozen between looking at its
/// clock and sending, reaches the receiver beside the next one's: of a gate's owner at most as many as its lane made at once,
/// and each is a repetition of what the next owner sends, so the order in which deliveries first arrive stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub u64);

/// The answer to a claim. Each is decided before the next is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The delivery has ended so: journal that outcome again, remove the copy.
    Done(End),
    /// The hop is below the lowest live one: this copy has been overtaken. Remove it, count it.
    Stale,
    /// It is ours. A holder at a lower hop was displaced, since this copy proves that it has moved on; or one at this hop that
    /// is known to be gone, as [`Fence`] says.
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
    /// Claims the delivery at this hop for `ttl`; under a fence if it was taken from behind a gate.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer: whether to deliver all the same is the worker's policy.
    async fn claim(&self, delivery: DeliveryId, hop: Hop, ttl: Duration, fence: Option<Fence>) -> StoreResult<Claim>;

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

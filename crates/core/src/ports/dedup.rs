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

/// Under which ownership of a partition of gates a delivery was taken.
///
/// An owner that dies leaves claims behind, and each would keep the next owner from its delivery until it has run out, while
/// later ones overtake it. The next owner knows better than the claim: the lease of the one before has ended, and whoever
/// held it sends nothing any more that it had not begun to send by then. So it takes such a claim over at once, in this order:
///
/// 1. The owner's lease on the partition runs out. The owner stops before that, by its own clock, which it looks at right
///    before each request.
/// 2. The next owner takes the partition, with a token that is higher.
/// 3. It claims the delivery with that token: the older one's claim at the same hop is displaced.
/// 4. What the older one still says of the delivery is refused or changes nothing, since its lease is over: it can neither move
///    it nor end the newer one's claim. That it was received, it may say.
///
/// A request that was under way at 1, or of a process that was frozen between looking at its clock and sending, reaches the
/// receiver beside the next owner's: at most as many as the owner's lane made at once, and each is a repetition of what the
/// next owner sends, so the order in which deliveries first arrive stays.
///
/// An owner that gave its partition back is alive, and ends what it has begun: its claims are not taken over, but waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Rises with every owner of the partition.
    pub token: u64,
    /// Whether the owner before was found to be gone, since its lease had run out; false where it gave the partition back.
    pub is_takeover: bool,
}

impl Fence {
    /// Whether a claim under this fence displaces one at the same hop that was made under `held`.
    pub fn displaces(self, held: Option<u64>) -> bool {
        self.is_takeover && held.is_some_and(|held| held < self.token)
    }
}

/// The answer to a claim. Each is decided before the next is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The delivery has ended so: journal that outcome again, remove the copy.
    Done(End),
    /// The hop is below the lowest live one: this copy has been overtaken. Remove it, count it.
    Stale,
    /// It is ours. A holder at a lower hop was displaced, since this copy proves that it has moved on; or one at this hop whose
    /// ownership of the gate is known to have ended, as [`Fence`] says.
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

//! Deliveries: pushed, leased, settled; and the gates that some of them stand behind.
//!
//! A delivery stands in exactly one place. A worker that holds it says what comes next by one operation,
//! [`settle`](DeliveryQueue::settle), which also writes the journal and closes the claim: an engine makes that atomic, or orders its
//! steps so that a crash between any two repeats the act rather than losing it. No copy is removed except by the holder of
//! its lease or of its gate, and only after its successor or its end is durable.
//!
//! **Quarantine.** A delivery that was leased more often than the engine's bound at one hop, without having been settled, and
//! one that cannot be read, is not handed out: it is put into quarantine at its next hop, journaled, and then removed from
//! where it stood, so that it holds up nobody. It is counted in [`QueueDepth::quarantined`], and
//! [`bring_forward`](DeliveryQueue::bring_forward) puts it back while it is retained. Its expiry is not looked at there: an
//! operator is to see what went wrong. One that has expired by the time it is put back ends then.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::StoreResult;
use super::dedup::Fence;
use crate::clock::{Monotonic, Timestamp};
use crate::delivery::{Delivery, Place, Settlement};
use crate::ids::{DeliveryId, Hop, WebhookId};
use crate::journal::JournalEntry;

/// A delivery to be pushed, and where.
#[derive(Clone, Debug)]
pub struct Push {
    /// The delivery, at hop 0.
    pub delivery: Delivery,
    /// Where it is to stand.
    pub place: Place,
    /// Whether it may have been pushed before: an engine may skip looking for one that was not.
    pub repeated: bool,
}

/// Names a lease while it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseToken(pub u64);

/// A delivery that this process may work on until the lease runs out.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Names the lease.
    pub token: LeaseToken,
    /// What is leased.
    pub delivery: Delivery,
    /// Until when, unless it is renewed.
    pub until: Monotonic,
    /// When it became ready (for a due one, its due time): what queue wait is counted from.
    pub ready_at: Timestamp,
    /// How often this hop had been leased before: 0 the first time.
    pub redeliveries: u32,
    /// The ownership under which it was taken, if it was taken from behind a gate; its claim is made under it.
    pub fence: Option<Fence>,
}

/// What became of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling {
    /// It is as the worker said.
    Applied,
    /// The lease was not the worker's any more: nothing was moved, and somebody else has it. That it was received may have
    /// been noted all the same.
    Superseded,
}

/// What became of bringing a delivery forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BringForward {
    /// It is ready, at this hop.
    Ready(Hop),
    /// It is ready or in flight already.
    AlreadyReady,
    /// It stands behind its webhook's gate.
    Gated,
    /// There is no such delivery in the queue: it has ended; or it is in quarantine and cannot be read, or no longer retained.
    Gone,
}

/// What became of withdrawing a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// It has ended as discarded.
    Discarded,
    /// Somebody works on it, or may: it ends by what they are doing, or stands elsewhere afterwards. Look again later.
    InFlight,
    /// There is no such delivery in the queue: it has ended.
    Gone,
}

/// How many deliveries stand where; approximate while the queue moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Ready, not leased.
    pub ready: u64,
    /// Due at a later time, because an attempt failed and the schedule says when to try again.
    pub due_retry: u64,
    /// Due at a later time, because the receiver's `Retry-After` says so.
    pub due_retry_after: u64,
    /// Due at a later time, because their webhook's lane is full.
    pub due_congested: u64,
    /// Behind gates.
    pub gated: u64,
    /// Leased.
    pub in_flight: u64,
    /// In quarantine.
    pub quarantined: u64,
    /// When the oldest ready one became ready.
    pub oldest_ready: Option<Timestamp>,
}

/// What is ready and not leased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadyDepth {
    /// How many deliveries.
    pub count: u64,
    /// When the oldest of them became ready, or was first seen to be; by this process's clock.
    pub oldest: Option<Timestamp>,
}

/// What stands behind one gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateDepth {
    /// How many deliveries.
    pub count: u64,
    /// When the one at the head was put there.
    pub oldest: Option<Timestamp>,
}

/// A delivery's place in the order behind its gate; rises strictly, gaps allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GatePosition(pub u64);

/// The queue of deliveries.
#[async_trait]
pub trait DeliveryQueue: Send + Sync {
    /// Pushes deliveries and appends the journal entries that tell of them.
    ///
    /// A delivery that stands in the queue already, anywhere, or that has ended is not pushed again: pushing is
    /// idempotent by delivery id. Returns how many were new.
    ///
    /// # Errors
    /// When the store did not take all of it; repeating the whole call is safe.
    async fn push(&self, pushes: Vec<Push>, entries: Vec<JournalEntry>) -> StoreResult<usize>;

    /// Waits for deliveries that are ready or whose time has come: at least one, at most `max`. Oldest first. What belongs
    /// into quarantine goes there instead of being handed out.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn lease(&self, max: usize) -> StoreResult<Vec<Lease>>;

    /// Prolongs leases to the full lease time from now. Returns those that were not held any more.
    ///
    /// # Errors
    /// When the store does not answer; then each lease runs out at its `until`.
    async fn renew(&self, tokens: &[LeaseToken]) -> StoreResult<Vec<LeaseToken>>;

    /// Settles a leased delivery: journals the attempt, moves or ends the delivery, closes its claim, gives up the lease.
    ///
    /// A move stores the hop plus one, and the attempts plus one if an attempt was made. An end removes the delivery and
    /// makes every later claim of it answer `done`.
    ///
    /// # Errors
    /// When the store did not take it; then the delivery is unchanged and the lease still held: try again until it runs out.
    async fn settle(&self, lease: &Lease, settlement: Settlement) -> StoreResult<Settling>;

    /// Gives up a lease without a settlement: the delivery is ready again at once, unchanged, in its old place.
    ///
    /// # Errors
    /// When the store does not answer; then the lease runs out by itself.
    async fn abandon(&self, lease: &Lease) -> StoreResult<()>;

    /// Gives up a lease of a delivery that was recognised as done or stale, without a journal entry: removes this copy only.
    ///
    /// # Errors
    /// When the store did not take it; then the lease runs out and the copy is recognised again.
    async fn drop_copy(&self, lease: &Lease) -> StoreResult<()>;

    /// Makes a delivery that is due later, or in quarantine, ready now, at its next hop, and journals it.
    ///
    /// # Errors
    /// When the store did not take it.
    async fn bring_forward(
        &self,
        webhook: WebhookId,
        delivery: DeliveryId,
        now: Timestamp,
    ) -> StoreResult<BringForward>;

    /// How many deliveries stand where.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn depth(&self) -> StoreResult<QueueDepth>;

    /// What is ready alone: what fan-out asks several times a second, while there may be any number of others to count.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn ready(&self) -> StoreResult<ReadyDepth> {
        let QueueDepth { ready, oldest_ready, .. } = self.depth().await?;
        Ok(ReadyDepth { count: ready, oldest: oldest_ready })
    }

    /// Takes part in owning gates: this process will be given its share of their partitions.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn own_gates(&self) -> StoreResult<Box<dyn GateShare>>;

    /// What stands behind the webhook's gate.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn gate_depth(&self, webhook: WebhookId) -> StoreResult<GateDepth>;

    /// Reads, without taking, what stands behind the webhook's gate after a position, in order.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn gate_read(
        &self,
        webhook: WebhookId,
        after: GatePosition,
        max: usize,
    ) -> StoreResult<Vec<(GatePosition, Delivery)>>;

    /// Ends a delivery as discarded wherever it stands, in quarantine too, and removes what is stored of it. One that is being
    /// worked on is left to its holder. Nothing is journaled: that its event was deleted says it of all its deliveries.
    ///
    /// # Errors
    /// When the store did not take it; repeating it is safe.
    async fn withdraw(&self, webhook: WebhookId, delivery: DeliveryId) -> StoreResult<Withdrawal>;

    /// Removes everything behind the gate of a webhook that has been deleted, what is leased too: its settlement comes too
    /// late; and what is in quarantine. Returns how many there were.
    ///
    /// # Errors
    /// When the store did not take it; repeating it is safe.
    async fn discard(&self, webhook: WebhookId) -> StoreResult<u64>;
}

impl fmt::Debug for dyn DeliveryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeliveryQueue")
    }
}

/// This process's share of the gates' partitions. Dropping it gives them all back.
#[async_trait]
pub trait GateShare: Send {
    /// Waits until this process comes to own one more partition.
    ///
    /// # Errors
    /// When the store cannot be asked any more.
    async fn next(&mut self) -> StoreResult<Arc<dyn GatePartition>>;
}

/// One partition of gates, owned by this process alone.
#[async_trait]
pub trait GatePartition: Send + Sync {
    /// Waits until something stands behind gates that this owner has not been told of: webhooks with arrivals since the
    /// last call, each once. The first call tells of every webhook with anything behind its gate. A lease from behind a
    /// gate that is given up or runs out is an arrival too: what it held can be taken again.
    ///
    /// # Errors
    /// `Lost` when the partition has gone to another process.
    async fn arrivals(&self) -> StoreResult<Vec<WebhookId>>;

    /// Leases from the head of one webhook's gate, in order, skipping what is leased already; may be empty.
    ///
    /// The leases are settled, renewed and abandoned like any other. One that moves out of the gate by `Place::Ready` or
    /// `Place::Due` leaves its place; one that moves to `Place::Gated` goes to the end.
    ///
    /// # Errors
    /// `Lost` when the partition has gone to another process.
    async fn take(&self, webhook: WebhookId, max: usize) -> StoreResult<Vec<Lease>>;

    /// Leases what has stood long enough, from anywhere behind any gate of the partition, whatever the gate is up for: first
    /// deliveries that expire by themselves at `now` or before, then those that came to stand where they do before
    /// `held_before`. At most `max`; may be empty; skips what is leased already.
    ///
    /// The leases are as those of [`take`](Self::take); what stays behind a gate keeps its order. What has come to stand there
    /// in this moment may be missed, to be found by a later call.
    ///
    /// # Errors
    /// `Lost` when the partition has gone to another process.
    async fn take_expired(&self, now: Timestamp, held_before: Timestamp, max: usize) -> StoreResult<Vec<Lease>>;

    /// Whether the partition is still this process's, by its own clock, as it has renewed it. Asked right before each request
    /// for what was taken from it: a process that was frozen must not send what another owner has by now.
    fn is_held(&self) -> bool;
}

impl fmt::Debug for dyn GatePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatePartition")
    }
}

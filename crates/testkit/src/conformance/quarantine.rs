//! What the queue promises about deliveries that cannot be worked on: they stand aside, visibly, hold up nobody, and can be
//! put back.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::delivery::{End, Place, QuarantineReason};
use fanfare_core::ids::{DeliveryId, Hop, WebhookId};
use fanfare_core::journal::{JournalEntry, Quarantined};
use fanfare_core::ports::delivery_queue::{BringForward, GatePartition, GateShare, Lease, Push};
use fanfare_core::ports::journal::JournalPosition;

use super::fixtures::{delivery, depth_in_flight, ended, events, gated, lease_one, nothing_else, push, soon, webhook};
use super::{Engine, Harness};

/// How often one hop is leased by default.
const OFTEN: u32 = 20;

/// The journal's entry that tells of a delivery's quarantine; waits for it.
async fn told(engine: &Engine, delivery: DeliveryId) -> Quarantined {
    let mut reader = engine.journal.read(JournalPosition(0)).await.expect("a reader");
    soon(async {
        loop {
            for (_, entry) in reader.next(100).await.expect("entries") {
                if let JournalEntry::Quarantined(entry) = entry
                    && entry.delivery == delivery
                {
                    return entry;
                }
            }
        }
    })
    .await
}

/// Waits until so many are in quarantine.
pub(super) async fn quarantined<H: Harness>(harness: &H, engine: &Engine, count: u64) {
    soon(async {
        while engine.queue.depth().await.expect("counted").quarantined != count {
            harness.pass(Duration::from_millis(10)).await;
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Leases a delivery and gives it back, as often as it may be leased.
pub(super) async fn wear_out(engine: &Engine, delivery: DeliveryId) {
    for times in 0..OFTEN {
        let held = lease_one(engine).await;
        assert_eq!((held.delivery.header.id, held.redeliveries), (delivery, times));
        engine.queue.abandon(&held).await.expect("given back");
    }
}

/// A delivery of which every worker dies is taken out of the queue, told of, counted, and waits for an operator.
pub async fn what_is_leased_too_often_goes_into_quarantine_and_can_be_put_back<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let worn = push(&harness, &engine, webhook(1), "worn", Place::Ready).await.header.id;
    wear_out(&engine, worn).await;
    nothing_else(&harness, &engine).await;
    quarantined(&harness, &engine, 1).await;
    let entry = told(&engine, worn).await;
    assert_eq!((entry.hop, entry.reason), (Hop(1), QuarantineReason::LeasedTooOften));
    assert_eq!(depth_in_flight(&harness, &engine, 0).await.ready, 0);
    // It is known all the same, and not pushed again.
    let known = delivery(webhook(1), "worn", harness.clock().now());
    let again = Push { delivery: known, place: Place::Ready, repeated: true };
    assert_eq!(engine.queue.push(vec![again], Vec::new()).await.expect("answered"), 0);

    harness.crash(engine).await;
    harness.pass(harness.lease_time()).await;
    let engine = harness.open().await;
    nothing_else(&harness, &engine).await;
    quarantined(&harness, &engine, 1).await;
    let now = harness.clock().now();
    let back = engine.queue.bring_forward(webhook(1), worn, now).await.expect("put back");
    assert_eq!(back, BringForward::Ready(Hop(2)));
    let held = lease_one(&engine).await;
    assert_eq!((held.delivery.header.id, held.delivery.header.hop, held.redeliveries), (worn, Hop(2), 0));
    assert_eq!(engine.queue.depth().await.expect("counted").quarantined, 0);
    engine.queue.settle(&held, ended(&harness, End::Delivered)).await.expect("settled");
    let gone = engine.queue.bring_forward(webhook(1), worn, now).await.expect("answered");
    assert_eq!(gone, BringForward::Gone);
}

/// One that cannot be read does not keep the others from being leased, ready or behind a gate; it is told of and counted.
pub async fn what_cannot_be_read_goes_into_quarantine_and_holds_nobody_up<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let ready = push(&harness, &engine, webhook(1), "spoiled", Place::Ready).await.header.id;
    let behind = push(&harness, &engine, webhook(2), "spoiled", gated()).await.header.id;
    harness.crash(engine).await;
    harness.spoil(webhook(1), ready).await;
    harness.spoil(webhook(2), behind).await;

    let engine = harness.open().await;
    push(&harness, &engine, webhook(1), "good", Place::Ready).await;
    push(&harness, &engine, webhook(2), "good", gated()).await;
    assert_eq!(events(&[lease_one(&engine).await]), ["good"]);
    let mut gates = Gates::of(&engine).await;
    let taken = gates.take_one(webhook(2)).await;
    assert_eq!(events(&[taken]), ["good"]);
    quarantined(&harness, &engine, 2).await;
    for delivery in [ready, behind] {
        let entry = told(&engine, delivery).await;
        assert_eq!((entry.hop, entry.reason), (Hop(1), QuarantineReason::Unreadable));
    }
    // As long as it cannot be read it cannot be put back.
    let back = engine.queue.bring_forward(webhook(1), ready, harness.clock().now()).await.expect("answered");
    assert_eq!(back, BringForward::Gone);
}

/// What was leased too often from behind a gate goes aside as well, and the next one has its turn.
pub async fn a_gate_is_not_held_up_by_what_is_leased_too_often<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let worn = push(&harness, &engine, webhook(1), "worn", gated()).await.header.id;
    push(&harness, &engine, webhook(1), "next", gated()).await;
    let mut gates = Gates::of(&engine).await;
    for times in 0..OFTEN {
        let held = gates.take_one(webhook(1)).await;
        assert_eq!((held.delivery.header.id, held.redeliveries), (worn, times));
        engine.queue.abandon(&held).await.expect("given back");
    }
    let next = gates.take_one(webhook(1)).await;
    assert_eq!(events(&[next]), ["next"]);
    quarantined(&harness, &engine, 1).await;
    assert_eq!(told(&engine, worn).await.reason, QuarantineReason::LeasedTooOften);
}

/// The quarantine of a deleted webhook goes with what stands behind its gate.
pub async fn discarding_removes_what_is_in_quarantine<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let worn = push(&harness, &engine, webhook(1), "worn", Place::Ready).await.header.id;
    wear_out(&engine, worn).await;
    nothing_else(&harness, &engine).await;
    quarantined(&harness, &engine, 1).await;
    assert_eq!(engine.queue.discard(webhook(2)).await.expect("discarded"), 0);
    assert_eq!(engine.queue.discard(webhook(1)).await.expect("discarded"), 1);
    quarantined(&harness, &engine, 0).await;
    let gone = engine.queue.bring_forward(webhook(1), worn, harness.clock().now()).await.expect("answered");
    assert_eq!(gone, BringForward::Gone);
}

/// The owner of whatever partitions of gates it gets.
struct Gates {
    share: Box<dyn GateShare>,
    partitions: Vec<Arc<dyn GatePartition>>,
}

impl Gates {
    async fn of(engine: &Engine) -> Self {
        Self { share: engine.queue.own_gates().await.expect("a share"), partitions: Vec::new() }
    }

    /// Waits until something can be taken from behind the webhook's gate.
    async fn take_one(&mut self, webhook: WebhookId) -> Lease {
        soon(async {
            loop {
                for partition in &self.partitions {
                    if let Some(lease) = partition.take(webhook, 1).await.expect("taken").pop() {
                        return lease;
                    }
                }
                // Another partition may be the right one, or what was given back is on its way.
                if let Ok(more) = tokio::time::timeout(Duration::from_millis(10), self.share.next()).await {
                    self.partitions.push(more.expect("a partition"));
                }
            }
        })
        .await
    }
}

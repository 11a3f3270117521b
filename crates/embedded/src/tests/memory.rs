//! What the windows in memory must not do: hand a delivery out twice, or forget one.

use std::future::Future;
use std::time::Duration;

use fanfare_core::delivery::{End, Place as Stand};
use fanfare_core::ids::Hop;
use fanfare_core::ports::DeliveryQueue;
use fanfare_core::ports::dedup::Claim;
use fanfare_core::ports::delivery_queue::{BringForward, Push, QueueDepth, Settling};
use fanfare_testkit::conformance::Harness;
use fanfare_testkit::conformance::fixtures::{
    delivery, due_in, ended, events, gated, lease, lease_one, nothing_else, push, soon, waits, webhook,
};

use super::harness::{Busy, Ordinary, Tiny, ports};
use crate::Embedded;

/// A leased row still stands in the file, where the next reading finds it.
#[tokio::test]
async fn what_is_leased_is_not_read_back() {
    let harness = Tiny::start().await;
    let engine = ports(harness.place().open());
    for id in ["1", "2", "3", "4"] {
        push(&harness, &engine, webhook(1), id, Stand::Ready).await;
    }
    let all = lease(&engine, 4).await;
    // Only two fit: the third is pushed out to the file, and the fourth, which is leased, stands behind it there.
    for given_back in &all[..3] {
        engine.queue.abandon(given_back).await.unwrap();
    }
    let first = lease(&engine, 2).await;
    assert_eq!(events(&first), ["1", "2"]);
    assert_eq!(events(&soon(engine.queue.lease(5)).await.unwrap()), ["3"]);
    nothing_else(&harness, &engine).await;
    engine.queue.settle(&all[3], ended(&harness, End::Delivered)).await.unwrap();
    assert_eq!(engine.queue.depth().await.unwrap().in_flight, 3);
}

/// While it is being brought forward nobody may lease it where it stood; when that fails it stands there again.
#[tokio::test]
async fn what_could_not_be_brought_forward_comes_due_all_the_same() {
    let harness = Ordinary::start().await;
    let place = harness.place();
    let engine = place.open();
    let all = ports(engine.clone());
    let id = push(&harness, &all, webhook(1), "due", due_in(&harness, Duration::from_secs(5))).await.header.id;
    place.faults.fail_next();
    engine.bring_forward(webhook(1), id, harness.clock().now()).await.unwrap_err();
    nothing_else(&harness, &all).await;
    harness.pass(Duration::from_secs(5)).await;
    assert_eq!(events(&[lease_one(&all).await]), ["due"]);
    let answer = engine.bring_forward(webhook(1), id, harness.clock().now()).await.unwrap();
    assert_eq!(answer, BringForward::AlreadyReady);
}

/// What a test does while a change has been written and is not committed.
async fn amid_the_commit<T: Send + 'static>(
    engine: &Embedded,
    change: impl Future<Output = T> + Send + 'static,
) -> (Busy, tokio::task::JoinHandle<T>) {
    let first = Busy::keep(engine).await;
    let change = tokio::spawn(change);
    tokio::task::yield_now().await;
    // In the same batch, behind the change.
    let (busy, begun) = Busy::queue(engine).await;
    drop(first);
    soon(begun).await.unwrap();
    (busy, change)
}

#[tokio::test]
async fn a_lease_does_not_run_out_while_its_settlement_is_being_committed() {
    let harness = Ordinary::start().await;
    let engine = harness.place().open();
    let all = ports(engine.clone());
    push(&harness, &all, webhook(1), "order-1", Stand::Ready).await;
    let held = lease_one(&all).await;
    let (settler, settlement) = (engine.clone(), ended(&harness, End::Delivered));
    let settle = async move { settler.settle(&held, settlement).await };
    let (busy, settling) = amid_the_commit(&engine, settle).await;
    harness.pass(harness.lease_time()).await;
    waits(engine.lease(1)).await;
    drop(busy);
    assert_eq!(soon(settling).await.unwrap().unwrap(), Settling::Applied);
    nothing_else(&harness, &all).await;
}

#[tokio::test]
async fn nobody_leases_a_delivery_while_it_is_being_brought_forward() {
    let harness = Ordinary::start().await;
    let engine = harness.place().open();
    let all = ports(engine.clone());
    let id = push(&harness, &all, webhook(1), "due", due_in(&harness, Duration::from_secs(1))).await.header.id;
    let (forwarder, now) = (engine.clone(), harness.clock().now());
    let forward = async move { forwarder.bring_forward(webhook(1), id, now).await };
    let (busy, forwarding) = amid_the_commit(&engine, forward).await;
    harness.pass(Duration::from_secs(1)).await;
    waits(engine.lease(1)).await;
    drop(busy);
    assert_eq!(soon(forwarding).await.unwrap().unwrap(), BringForward::Ready(Hop(1)));
    assert_eq!(lease_one(&all).await.delivery.header.hop, Hop(1));
    nothing_else(&harness, &all).await;
}

/// One row is all there is of a delivery, so what is marked as ended stands nowhere any more.
#[tokio::test]
async fn what_is_marked_as_ended_leaves_the_queue() {
    let harness = Ordinary::start().await;
    let engine = ports(harness.place().open());
    let in_memory = push(&harness, &engine, webhook(1), "ready", Stand::Ready).await.header.id;
    let behind = push(&harness, &engine, webhook(1), "gated", gated()).await.header.id;
    let leased = push(&harness, &engine, webhook(1), "leased", Stand::Ready).await.header.id;
    let held = lease(&engine, 2).await;
    engine.queue.abandon(&held[0]).await.unwrap();
    for id in [in_memory, behind, leased] {
        engine.dedup.complete(id, End::Discarded, Duration::from_secs(60)).await.unwrap();
    }
    nothing_else(&harness, &engine).await;
    assert_eq!(engine.queue.depth().await.unwrap(), QueueDepth::default());
    let late = engine.queue.settle(&held[1], ended(&harness, End::Delivered)).await.unwrap();
    assert_eq!(late, Settling::Superseded);
}

/// A worker that gives a lease back has not sent; one that froze may be sending still.
#[tokio::test]
async fn giving_back_ends_ones_own_claim_and_no_other() {
    const LONG: Duration = Duration::from_secs(3600);
    let harness = Ordinary::start().await;
    let engine = ports(harness.place().open());
    let id = push(&harness, &engine, webhook(1), "order-1", Stand::Ready).await.header.id;
    let claim = || engine.dedup.claim(id, Hop(0), LONG, None);
    let first = lease_one(&engine).await;
    assert_eq!(claim().await.unwrap(), Claim::Claimed);
    engine.queue.abandon(&first).await.unwrap();
    lease_one(&engine).await;
    assert_eq!(claim().await.unwrap(), Claim::Claimed);

    harness.pass(harness.lease_time()).await;
    let third = lease_one(&engine).await;
    assert_eq!(claim().await.unwrap(), Claim::Busy);
    engine.queue.abandon(&third).await.unwrap();
    lease_one(&engine).await;
    assert_eq!(claim().await.unwrap(), Claim::Busy);
}

#[tokio::test]
async fn a_long_gate_is_discarded_to_its_end() {
    let harness = Ordinary::start().await;
    let engine = ports(harness.place().open());
    let now = harness.clock().now();
    let pushes = (0..2500).map(|number| Push {
        delivery: delivery(webhook(1), &number.to_string(), now),
        place: gated(),
        repeated: true,
    });
    assert_eq!(engine.queue.push(pushes.collect(), Vec::new()).await.unwrap(), 2500);
    assert_eq!(engine.queue.discard(webhook(1)).await.unwrap(), 2500);
    assert_eq!(engine.queue.depth().await.unwrap(), QueueDepth::default());
}

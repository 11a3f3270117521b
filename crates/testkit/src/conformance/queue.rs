//! What the queue promises about pushing and leasing.

use std::collections::HashSet;
use std::time::Duration;

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DueReason, End, Place};
use fanfare_core::ports::delivery_queue::{Push, QueueDepth};

use super::fixtures::{
    delivery, depth_in_flight, due_in, ended, events, failed, gated, lease, lease_one, nothing_else, push, soon, waits,
    webhook,
};
use super::{Engine, Harness};

/// Header, body, time and count of a lease are those of the push.
pub async fn a_pushed_delivery_is_leased_as_it_was_pushed<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let pushed = push(&harness, &engine, webhook(1), "order-1", Place::Ready).await;
    let lease = lease_one(&engine).await;
    assert_eq!(lease.delivery, pushed);
    assert_eq!(lease.redeliveries, 0);
    assert!(lease.ready_at <= harness.clock().now());
    assert!(lease.until > harness.clock().monotonic());
}

/// Pushing is idempotent by delivery id.
pub async fn pushing_again_does_nothing_wherever_the_delivery_stands<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let ready = push(&harness, &engine, webhook(1), "ready", Place::Ready).await;
    let due = push(&harness, &engine, webhook(1), "due", due_in(&harness, Duration::from_secs(600))).await;
    let behind = push(&harness, &engine, webhook(1), "gated", gated()).await;
    let again =
        |delivery: &fanfare_core::delivery::Delivery, place| Push { delivery: delivery.clone(), place, repeated: true };
    let pushes = vec![again(&ready, gated()), again(&due, Place::Ready), again(&behind, Place::Ready)];
    assert_eq!(engine.queue.push(pushes, Vec::new()).await.expect("pushed"), 0);

    let held = lease_one(&engine).await;
    assert_eq!(held.delivery, ready);
    assert_eq!(engine.queue.push(vec![again(&ready, Place::Ready)], Vec::new()).await.expect("pushed"), 0);
    nothing_else(&harness, &engine).await;
    assert_eq!(engine.queue.gate_depth(webhook(1)).await.expect("counted").count, 1);

    // In one call as well.
    let twice = delivery(webhook(1), "twice", harness.clock().now());
    let pushes = vec![again(&twice, Place::Ready), again(&twice, Place::Ready)];
    assert_eq!(engine.queue.push(pushes, Vec::new()).await.expect("pushed"), 1);
}

/// A fan-out that is repeated late does not deliver again.
pub async fn a_delivery_that_has_ended_is_not_pushed_again<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let pushed = push(&harness, &engine, webhook(1), "order-1", Place::Ready).await;
    let lease = lease_one(&engine).await;
    engine.queue.settle(&lease, ended(&harness, End::Delivered)).await.expect("settled");
    let again = || vec![Push { delivery: pushed.clone(), place: Place::Ready, repeated: true }];
    assert_eq!(engine.queue.push(again(), Vec::new()).await.expect("pushed"), 0);
    harness.crash(engine).await;
    let engine = harness.open().await;
    assert_eq!(engine.queue.push(again(), Vec::new()).await.expect("pushed"), 0);
    nothing_else(&harness, &engine).await;
}

/// What is leased is not leased to anybody else.
pub async fn leases_are_exclusive<H: Harness>(harness: H) {
    let engine = harness.open().await;
    push(&harness, &engine, webhook(1), "order-1", Place::Ready).await;
    lease_one(&engine).await;
    nothing_else(&harness, &engine).await;
}

/// The bound of a call is kept, and the queue is a queue.
pub async fn no_more_than_asked_for_and_the_oldest_first<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for number in 0..9 {
        push(&harness, &engine, webhook(number % 3), &format!("{number}"), Place::Ready).await;
        harness.pass(Duration::from_millis(5)).await;
    }
    let mut order = Vec::new();
    while order.len() < 9 {
        let leases = soon(engine.queue.lease(2)).await.expect("leased");
        assert!((1..=2).contains(&leases.len()));
        order.extend(events(&leases));
    }
    assert_eq!(order, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
}

/// A worker that waits is woken, and one that gives up waiting takes nothing with it.
pub async fn leasing_waits_for_a_push<H: Harness>(harness: H) {
    let engine = harness.open().await;
    waits(engine.queue.lease(10)).await;
    let worker = tokio::spawn({
        let queue = engine.queue.clone();
        async move { queue.lease(10).await }
    });
    tokio::task::yield_now().await;
    push(&harness, &engine, webhook(1), "order-1", Place::Ready).await;
    let leases = soon(worker).await.expect("no panic").expect("leased");
    assert_eq!(events(&leases), ["order-1"]);
}

/// Several workers beside several pushers: everything is leased, nothing twice.
pub async fn many_workers_share_everything_and_nothing_twice<H: Harness>(harness: H) {
    const PUSHERS: usize = 4;
    const EACH: usize = 50;
    let engine = harness.open().await;
    let (found, mut all) = tokio::sync::mpsc::channel(PUSHERS * EACH);
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (queue, found, settlement) = (engine.queue.clone(), found.clone(), ended(&harness, End::Delivered));
        workers.spawn(async move {
            loop {
                for lease in queue.lease(7).await.expect("leased") {
                    queue.settle(&lease, settlement.clone()).await.expect("settled");
                    found.send(lease.delivery.header.event.to_string()).await.expect("the test listens");
                }
            }
        });
    }
    let mut pushers = tokio::task::JoinSet::new();
    for pusher in 0..PUSHERS {
        let (queue, now) = (engine.queue.clone(), harness.clock().now());
        pushers.spawn(async move {
            for number in 0..EACH {
                let delivery = delivery(webhook(1), &format!("{pusher}-{number}"), now);
                let pushes = vec![Push { delivery, place: Place::Ready, repeated: true }];
                assert_eq!(queue.push(pushes, Vec::new()).await.expect("pushed"), 1);
            }
        });
    }
    soon(pushers.join_all()).await;
    let mut seen = HashSet::new();
    while seen.len() < PUSHERS * EACH {
        let event = soon(all.recv()).await.expect("the workers go on");
        assert!(seen.insert(event.clone()), "{event} was leased twice");
    }
    soon(workers.shutdown()).await;
    assert_eq!(depth_in_flight(&harness, &engine, 0).await, QueueDepth::default());
}

async fn depth(engine: &Engine) -> QueueDepth {
    engine.queue.depth().await.expect("counted")
}

/// Every place is counted, and what comes due counts as ready.
pub async fn depth_counts_where_deliveries_stand<H: Harness>(harness: H) {
    let engine = harness.open().await;
    assert_eq!(depth(&engine).await, QueueDepth::default());
    let start = harness.clock().now();
    let due = |reason, seconds| Place::Due { at: start.after(Duration::from_secs(seconds)), reason };
    push(&harness, &engine, webhook(1), "ready", Place::Ready).await;
    push(&harness, &engine, webhook(1), "retry", due(DueReason::Retry, 4)).await;
    push(&harness, &engine, webhook(1), "retry-after", due(DueReason::RetryAfter, 600)).await;
    push(&harness, &engine, webhook(1), "congested", due(DueReason::Congested, 600)).await;
    push(&harness, &engine, webhook(1), "gated", gated()).await;
    let before = depth(&engine).await;
    let oldest = before.oldest_ready.expect("one is ready");
    assert!(oldest.since(start) < Duration::from_secs(2) && start.since(oldest) < Duration::from_secs(2));
    let expected =
        QueueDepth { ready: 1, due_retry: 1, due_retry_after: 1, due_congested: 1, gated: 1, ..QueueDepth::default() };
    assert_eq!(QueueDepth { oldest_ready: None, ..before }, expected);
    let ready = engine.queue.ready().await.expect("counted");
    let oldest = ready.oldest.expect("one is ready");
    assert_eq!(ready.count, 1);
    assert!(oldest.since(start) < Duration::from_secs(2) && start.since(oldest) < Duration::from_secs(2));

    let lease = lease_one(&engine).await;
    let leased = depth(&engine).await;
    assert_eq!((leased.ready, leased.in_flight, leased.oldest_ready), (0, 1, None::<Timestamp>));
    engine.queue.settle(&lease, failed(&harness, gated())).await.expect("settled");
    assert_eq!(depth_in_flight(&harness, &engine, 0).await.gated, 2);

    harness.pass(Duration::from_secs(5)).await;
    // A server's timer may be late.
    let later = soon(async {
        loop {
            let later = depth(&engine).await;
            if later.due_retry == 0 {
                return later;
            }
            harness.pass(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!((later.ready, later.due_retry), (1, 0));
    harness.crash(engine).await;
    let engine = harness.open().await;
    let reopened = depth(&engine).await;
    assert_eq!(QueueDepth { oldest_ready: None, ..reopened }, QueueDepth { oldest_ready: None, ..later });
    assert_eq!(reopened.oldest_ready, Some(start.after(Duration::from_secs(4))));
}

/// What was answered is there after a crash, in its order.
pub async fn pushes_survive_a_crash<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for number in 0..12 {
        push(&harness, &engine, webhook(1), &format!("{number:02}"), Place::Ready).await;
    }
    harness.crash(engine).await;
    let engine = harness.open().await;
    let leases = lease(&engine, 12).await;
    assert_eq!(events(&leases), (0..12).map(|number| format!("{number:02}")).collect::<Vec<_>>());
    nothing_else(&harness, &engine).await;
}

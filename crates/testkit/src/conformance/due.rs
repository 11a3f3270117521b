//! What the queue promises about deliveries that wait for a time.

use std::time::Duration;

use fanfare_core::delivery::{DueReason, End, Place};
use fanfare_core::ids::Hop;
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::delivery_queue::{BringForward, Settling};
use fanfare_core::ports::journal::JournalPosition;

use super::Harness;
use super::fixtures::{
    delivery, due_in, ended, events, failed, gated, lease, lease_one, nothing_else, push, put_off, soon, webhook,
};

/// A time is kept to, also by workers that are waiting already; it counts as the time of readiness.
pub async fn nothing_is_leased_before_its_time<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let at = harness.clock().now().after(Duration::from_secs(4));
    push(&harness, &engine, webhook(1), "later", Place::Due { at, reason: DueReason::Retry }).await;
    push(&harness, &engine, webhook(1), "much-later", due_in(&harness, Duration::from_secs(600))).await;
    nothing_else(&harness, &engine).await;
    harness.pass(Duration::from_secs(2)).await;
    nothing_else(&harness, &engine).await;
    let worker = tokio::spawn({
        let queue = engine.queue.clone();
        async move { queue.lease(10).await }
    });
    tokio::task::yield_now().await;
    harness.pass(Duration::from_secs(2)).await;
    let leases = soon(worker).await.expect("no panic").expect("leased");
    assert_eq!(events(&leases), ["later"]);
    assert_eq!(leases[0].ready_at, at);
    assert!(harness.clock().now() >= at);
}

/// Hop rises with each move, attempts with none of them; every time it comes up again.
pub async fn a_delivery_put_off_again_and_again_stays_alive<H: Harness>(harness: H) {
    let engine = harness.open().await;
    push(&harness, &engine, webhook(1), "order-1", Place::Ready).await;
    for hop in 0..4 {
        let lease = lease_one(&engine).await;
        assert_eq!((lease.delivery.header.hop, lease.delivery.header.attempts), (Hop(hop), 0));
        let to = due_in(&harness, Duration::from_secs(3));
        assert_eq!(engine.queue.settle(&lease, put_off(&harness, to)).await.expect("settled"), Settling::Applied);
        nothing_else(&harness, &engine).await;
        harness.pass(Duration::from_secs(3)).await;
    }
    let lease = lease_one(&engine).await;
    assert_eq!((lease.delivery.header.hop, lease.delivery.header.attempts), (Hop(4), 0));
    engine.queue.settle(&lease, ended(&harness, End::Delivered)).await.expect("settled");
    harness.pass(Duration::from_secs(3)).await;
    nothing_else(&harness, &engine).await;
}

/// A retry asked for by hand: the same run, the next hop, once.
pub async fn bringing_forward_makes_a_waiting_delivery_ready_at_its_next_hop<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let pushed = push(&harness, &engine, webhook(1), "order-1", Place::Ready).await;
    let held = lease_one(&engine).await;
    let to = due_in(&harness, Duration::from_secs(5));
    engine.queue.settle(&held, failed(&harness, to)).await.expect("settled");
    nothing_else(&harness, &engine).await;

    let id = pushed.header.id;
    let now = harness.clock().now();
    let forward = || engine.queue.bring_forward(webhook(1), id, now);
    assert_eq!(forward().await.expect("brought"), BringForward::Ready(Hop(2)));
    assert_eq!(forward().await.expect("asked"), BringForward::AlreadyReady);
    let again = lease_one(&engine).await;
    assert_eq!((again.delivery.header.id, again.delivery.header.hop, again.delivery.header.attempts), (id, Hop(2), 1));
    assert_eq!(again.delivery.body, pushed.body);
    assert_eq!(forward().await.expect("asked"), BringForward::AlreadyReady);
    engine.queue.settle(&again, ended(&harness, End::Delivered)).await.expect("settled");
    assert_eq!(forward().await.expect("asked"), BringForward::Gone);
    // What would have come up at the old time does not.
    harness.pass(Duration::from_secs(6)).await;
    nothing_else(&harness, &engine).await;

    let mut reader = engine.journal.read(JournalPosition(0)).await.expect("read");
    let mut brought = Vec::new();
    // One entry of the move, one of bringing forward, one of the end, and those of the sentinels.
    while brought.is_empty() {
        for (_, entry) in soon(reader.next(10)).await.expect("read") {
            if let JournalEntry::BroughtForward(entry) = entry {
                brought.push((entry.delivery, entry.hop));
            }
        }
    }
    assert_eq!(brought, [(id, Hop(2))]);
}

/// Only what waits for a time is brought forward.
pub async fn bringing_forward_changes_nothing_elsewhere<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let ready = push(&harness, &engine, webhook(1), "ready", Place::Ready).await;
    let behind = push(&harness, &engine, webhook(1), "gated", gated()).await;
    let soon_due = push(&harness, &engine, webhook(1), "due", due_in(&harness, Duration::from_secs(1))).await;
    harness.pass(Duration::from_secs(2)).await;
    let unknown = delivery(webhook(1), "unknown", harness.clock().now());
    let now = harness.clock().now();
    let forward = |id| engine.queue.bring_forward(webhook(1), id, now);
    assert_eq!(forward(ready.header.id).await.expect("asked"), BringForward::AlreadyReady);
    assert_eq!(forward(behind.header.id).await.expect("asked"), BringForward::Gated);
    assert_eq!(forward(soon_due.header.id).await.expect("asked"), BringForward::AlreadyReady);
    assert_eq!(forward(unknown.header.id).await.expect("asked"), BringForward::Gone);
    let leases = lease(&engine, 2).await;
    assert!(leases.iter().all(|lease| lease.delivery.header.hop == Hop(0)));
    assert_eq!(engine.queue.gate_depth(webhook(1)).await.expect("counted").count, 1);
}

/// Times outlive the process, those that pass while it is away too.
pub async fn what_is_due_survives_a_crash<H: Harness>(harness: H) {
    /// Long past a crash and a start on a slow machine.
    const LATER: Duration = Duration::from_secs(12);
    let engine = harness.open().await;
    for number in 0..6 {
        push(&harness, &engine, webhook(1), &number.to_string(), due_in(&harness, Duration::from_secs(2))).await;
    }
    push(&harness, &engine, webhook(1), "later", due_in(&harness, LATER)).await;
    harness.crash(engine).await;
    harness.pass(Duration::from_secs(2)).await;
    let engine = harness.open().await;
    let leases = lease(&engine, 6).await;
    // They may come by several calls, in the order in which a server's timers fire.
    let mut come = events(&leases);
    come.sort();
    assert_eq!(come, ["0", "1", "2", "3", "4", "5"]);
    for lease in &leases {
        engine.queue.settle(lease, ended(&harness, End::Delivered)).await.expect("settled");
    }
    nothing_else(&harness, &engine).await;
    harness.pass(LATER).await;
    assert_eq!(events(&lease(&engine, 1).await), ["later"]);
}

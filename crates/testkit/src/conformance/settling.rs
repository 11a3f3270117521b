//! What the queue promises about settlements.

use std::time::Duration;

use fanfare_core::delivery::{End, Next, Place};
use fanfare_core::ids::Hop;
use fanfare_core::journal::{JournalEntry, Settled};
use fanfare_core::ports::dedup::Standing;
use fanfare_core::ports::delivery_queue::{Lease, Settling};
use fanfare_core::ports::journal::JournalPosition;

use super::fixtures::{
    due_in, ended, events, failed, gated, lease, lease_one, nothing_else, push, put_off, soon, webhook,
};
use super::{Engine, Harness};

/// The settlements in the journal, as soon as there are that many.
pub(super) async fn journaled(engine: &Engine, count: usize) -> Vec<Settled> {
    let mut reader = engine.journal.read(JournalPosition(0)).await.expect("read");
    let mut settled = Vec::new();
    while settled.len() < count {
        for (_, entry) in soon(reader.next(100)).await.expect("read") {
            if let JournalEntry::Settled(entry) = entry {
                settled.push(entry);
            }
        }
    }
    settled
}

fn place_in_line(lease: &Lease) -> (Hop, u32) {
    (lease.delivery.header.hop, lease.delivery.header.attempts)
}

/// Hop and attempts rise by one; the rest stays.
pub async fn an_attempt_that_failed_moves_the_delivery<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let pushed = push(&harness, &engine, webhook(1), "order-1", Place::Ready).await;
    let first = lease_one(&engine).await;
    let to = due_in(&harness, Duration::from_secs(2));
    assert_eq!(engine.queue.settle(&first, failed(&harness, to)).await.expect("settled"), Settling::Applied);
    nothing_else(&harness, &engine).await;
    harness.pass(Duration::from_secs(2)).await;
    let second = lease_one(&engine).await;
    assert_eq!(place_in_line(&second), (Hop(1), 1));
    let mut expected = pushed;
    (expected.header.hop, expected.header.attempts) = (Hop(1), 1);
    assert_eq!(second.delivery, expected);
}

/// A move to ready, without an attempt.
pub async fn a_move_without_an_attempt_raises_the_hop_alone<H: Harness>(harness: H) {
    let engine = harness.open().await;
    push(&harness, &engine, webhook(1), "order-1", Place::Ready).await;
    let first = lease_one(&engine).await;
    engine.queue.settle(&first, put_off(&harness, Place::Ready)).await.expect("settled");
    let second = lease_one(&engine).await;
    assert_eq!(place_in_line(&second), (Hop(1), 0));
    engine.queue.settle(&second, put_off(&harness, gated())).await.expect("settled");
    nothing_else(&harness, &engine).await;
    let behind = engine.queue.gate_read(webhook(1), Default::default(), 10).await.expect("read");
    assert_eq!(behind.iter().map(|(_, delivery)| delivery.header.hop).collect::<Vec<_>>(), [Hop(2)]);
}

/// Every kind of end is final and remembered as it was.
pub async fn an_end_removes_the_delivery_and_is_known<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for end in [End::Delivered, End::Exhausted, End::Expired, End::Discarded] {
        let pushed = push(&harness, &engine, webhook(1), &format!("{end:?}"), Place::Ready).await;
        let lease = lease_one(&engine).await;
        assert_eq!(engine.queue.settle(&lease, ended(&harness, end)).await.expect("settled"), Settling::Applied);
        let standing = engine.dedup.standing(&[pushed.header.id]).await.expect("asked");
        assert_eq!(standing, [Standing::Done(end)]);
    }
    harness.pass(harness.lease_time()).await;
    nothing_else(&harness, &engine).await;
}

/// A worker that did not hear the answer may say it again.
pub async fn settling_twice_changes_nothing<H: Harness>(harness: H) {
    let engine = harness.open().await;
    push(&harness, &engine, webhook(1), "moved", Place::Ready).await;
    let lease = lease_one(&engine).await;
    let settlement = failed(&harness, Place::Ready);
    assert_eq!(engine.queue.settle(&lease, settlement.clone()).await.expect("settled"), Settling::Applied);
    assert_eq!(engine.queue.settle(&lease, settlement).await.expect("answered"), Settling::Superseded);
    let again = lease_one(&engine).await;
    assert_eq!(place_in_line(&again), (Hop(1), 1));
    assert_eq!(engine.queue.settle(&again, ended(&harness, End::Delivered)).await.expect("settled"), Settling::Applied);
    let answer = engine.queue.settle(&again, failed(&harness, Place::Ready)).await.expect("answered");
    assert_eq!(answer, Settling::Superseded);
    nothing_else(&harness, &engine).await;
    // Both settlements and the sentinel's are in the journal, and nothing besides.
    let hops: Vec<Hop> = journaled(&engine, 3).await.iter().map(|settled| settled.delivery.hop).collect();
    assert_eq!(hops, [Hop(0), Hop(1), Hop(0)]);
}

/// The journal has the delivery as it was, the attempt whole, and what comes next.
pub async fn settling_journals_what_the_worker_held<H: Harness>(harness: H) {
    let engine = harness.open().await;
    push(&harness, &engine, webhook(1), "order-1", Place::Ready).await;
    let lease = lease_one(&engine).await;
    let settlement = failed(&harness, due_in(&harness, Duration::from_secs(600)));
    engine.queue.settle(&lease, settlement.clone()).await.expect("settled");
    let entries = journaled(&engine, 1).await;
    assert_eq!(entries.len(), 1);
    let expected = Settled {
        delivery: lease.delivery.header,
        attempt: settlement.attempt,
        next: settlement.next,
        at: settlement.at,
    };
    assert_eq!(entries[0], expected);
    assert!(matches!(entries[0].next, Next::Move(Place::Due { .. })));
}

/// What was answered `Applied` is so after a crash, whole.
pub async fn settlements_survive_a_crash<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for id in ["ended", "retried", "gated"] {
        push(&harness, &engine, webhook(1), id, Place::Ready).await;
        harness.pass(Duration::from_millis(5)).await;
    }
    let leases = lease(&engine, 3).await;
    assert_eq!(events(&leases), ["ended", "retried", "gated"]);
    let due = due_in(&harness, Duration::from_secs(2));
    engine.queue.settle(&leases[0], ended(&harness, End::Delivered)).await.expect("settled");
    engine.queue.settle(&leases[1], failed(&harness, due)).await.expect("settled");
    engine.queue.settle(&leases[2], failed(&harness, gated())).await.expect("settled");
    harness.crash(engine).await;
    harness.pass(Duration::from_secs(2)).await;

    let engine = harness.open().await;
    assert_eq!(journaled(&engine, 3).await.len(), 3);
    let standing = engine.dedup.standing(&[leases[0].delivery.header.id]).await.expect("asked");
    assert_eq!(standing, [Standing::Done(End::Delivered)]);
    let retried = lease_one(&engine).await;
    assert_eq!(
        (events(std::slice::from_ref(&retried)), place_in_line(&retried)),
        (vec!["retried".to_owned()], (Hop(1), 1))
    );
    nothing_else(&harness, &engine).await;
    let behind = engine.queue.gate_read(webhook(1), Default::default(), 10).await.expect("read");
    assert_eq!(behind.len(), 1);
    assert_eq!((behind[0].1.header.hop, behind[0].1.header.attempts), (Hop(1), 1));
}

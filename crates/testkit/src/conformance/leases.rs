//! What the queue promises about leases that are lost, prolonged and given back.

use std::time::Duration;

use fanfare_core::delivery::{End, Next, Place};
use fanfare_core::ids::Hop;
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::dedup::Claim;
use fanfare_core::ports::delivery_queue::{LeaseToken, Settling};
use fanfare_core::ports::journal::JournalPosition;

use super::Harness;
use super::fixtures::{
    TTL, depth_in_flight, due_in, ended, events, failed, lease, lease_one, nothing_else, push, put_off, soon, webhook,
};

/// A worker that froze loses its delivery, and cannot undo what the next one does with it.
pub async fn a_lease_that_runs_out_is_given_to_another_and_the_first_cannot_settle<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let pushed = push(&harness, &engine, webhook(1), "order-1", Place::Ready).await;
    let id = pushed.header.id;
    let frozen = lease_one(&engine).await;
    assert_eq!(engine.dedup.claim(id, Hop(0), harness.lease_time() * 2, None).await.expect("claimed"), Claim::Claimed);
    harness.pass(harness.lease_time()).await;

    let second = lease_one(&engine).await;
    assert_eq!((second.delivery.header.id, second.delivery.header.hop, second.redeliveries), (id, Hop(0), 1));
    // The frozen one may still be sending: its claim outlives its lease.
    assert_eq!(engine.dedup.claim(id, Hop(0), TTL, None).await.expect("asked"), Claim::Busy);
    harness.pass(harness.lease_time()).await;
    let third = lease_one(&engine).await;
    assert_eq!(third.redeliveries, 2);
    assert_eq!(engine.dedup.claim(id, Hop(0), TTL, None).await.expect("asked"), Claim::Claimed);

    let lost = engine.queue.settle(&frozen, ended(&harness, End::Exhausted)).await.expect("answered");
    assert_eq!(lost, Settling::Superseded);
    let to = due_in(&harness, Duration::from_secs(1));
    assert_eq!(engine.queue.settle(&third, failed(&harness, to)).await.expect("settled"), Settling::Applied);
    let lost = engine.queue.settle(&second, ended(&harness, End::Exhausted)).await.expect("answered");
    assert_eq!(lost, Settling::Superseded);

    harness.pass(Duration::from_secs(1)).await;
    let moved = lease_one(&engine).await;
    assert_eq!((moved.delivery.header.hop, moved.redeliveries), (Hop(1), 0));
    assert_eq!(engine.dedup.claim(id, Hop(0), TTL, None).await.expect("asked"), Claim::Stale);
    assert_eq!(engine.dedup.claim(id, Hop(1), TTL, None).await.expect("asked"), Claim::Claimed);
    let lost = engine.queue.settle(&frozen, ended(&harness, End::Exhausted)).await.expect("answered");
    assert_eq!(lost, Settling::Superseded, "an older hop");
    engine.queue.settle(&moved, ended(&harness, End::Delivered)).await.expect("settled");
    assert_eq!(engine.dedup.claim(id, Hop(1), TTL, None).await.expect("asked"), Claim::Done(End::Delivered));
}

/// An attempt that nothing came of, since the delivery was somebody else's by then, has been made: the journal tells of it.
pub async fn an_attempt_under_a_lost_lease_is_journaled_and_moves_nothing<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let id = push(&harness, &engine, webhook(1), "order-1", Place::Ready).await.header.id;
    let lost = lease_one(&engine).await;
    harness.pass(harness.lease_time()).await;
    let held = lease_one(&engine).await;
    for settlement in [failed(&harness, due_in(&harness, Duration::from_secs(1))), put_off(&harness, Place::Ready)] {
        assert_eq!(engine.queue.settle(&lost, settlement).await.expect("answered"), Settling::Superseded);
    }
    let settled = engine.queue.settle(&held, ended(&harness, End::Exhausted)).await.expect("settled");
    assert_eq!(settled, Settling::Applied);
    let (mut reader, mut late) = (engine.journal.read(JournalPosition(0)).await.expect("read"), Vec::new());
    'reading: loop {
        for (_, entry) in soon(reader.next(100)).await.expect("read") {
            match entry {
                JournalEntry::AttemptedLate(entry) => late.push((entry.delivery.id, entry.delivery.hop)),
                JournalEntry::Settled(entry) => {
                    assert_eq!((entry.delivery.id, entry.next), (id, Next::End { end: End::Exhausted }));
                    break 'reading;
                }
                _ => {}
            }
        }
    }
    assert_eq!(late, [(id, Hop(0))], "one attempt was made");
}

/// Renewing counts from now on.
pub async fn a_renewed_lease_does_not_run_out<H: Harness>(harness: H) {
    let engine = harness.open().await;
    push(&harness, &engine, webhook(1), "order-1", Place::Ready).await;
    let held = lease_one(&engine).await;
    for _ in 0..4 {
        harness.pass(harness.lease_time() / 2).await;
        assert_eq!(engine.queue.renew(&[held.token]).await.expect("renewed"), []);
    }
    nothing_else(&harness, &engine).await;
    let settled = engine.queue.settle(&held, ended(&harness, End::Delivered)).await.expect("settled");
    assert_eq!(settled, Settling::Applied);
    assert_eq!(engine.queue.renew(&[held.token]).await.expect("answered"), [held.token], "it is over");
}

/// Whoever renews learns which leases it has lost, and keeps the others.
pub async fn a_lost_lease_cannot_be_renewed<H: Harness>(harness: H) {
    let engine = harness.open().await;
    push(&harness, &engine, webhook(1), "lost", Place::Ready).await;
    let lost = lease_one(&engine).await;
    harness.pass(harness.lease_time()).await;
    let now_another = lease_one(&engine).await;
    assert_eq!(now_another.redeliveries, 1);
    let unknown = LeaseToken(u64::MAX);
    let not_held = engine.queue.renew(&[lost.token, now_another.token, unknown]).await.expect("answered");
    assert_eq!(not_held, [lost.token, unknown]);
}

/// What is given back stands where it stood, before what came later.
pub async fn abandoning_makes_it_ready_at_once_in_its_old_place<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for id in ["first", "second", "third"] {
        push(&harness, &engine, webhook(1), id, Place::Ready).await;
        harness.pass(Duration::from_millis(5)).await;
    }
    let leases = lease(&engine, 2).await;
    assert_eq!(events(&leases), ["first", "second"]);
    engine.queue.abandon(&leases[0]).await.expect("given back");
    let again = lease(&engine, 2).await;
    assert_eq!(events(&again), ["first", "third"]);
    assert_eq!(again[0].delivery, leases[0].delivery, "unchanged");
    assert_eq!(again[0].redeliveries, 1);
    let lost = engine.queue.settle(&leases[0], ended(&harness, End::Delivered)).await.expect("answered");
    assert_eq!(lost, Settling::Superseded);
    // Giving back what is not one's own any more takes nothing from whoever has it.
    engine.queue.abandon(&leases[0]).await.expect("answered");
    nothing_else(&harness, &engine).await;
}

/// A copy whose delivery has ended is recognised, dropped, and does not come again.
pub async fn a_copy_of_an_ended_delivery_is_dropped<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let pushed = push(&harness, &engine, webhook(1), "order-1", Place::Ready).await;
    let copy = lease_one(&engine).await;
    engine.dedup.complete(pushed.header.id, End::Delivered, TTL).await.expect("completed");
    let claim = engine.dedup.claim(pushed.header.id, Hop(0), TTL, None).await.expect("asked");
    assert_eq!(claim, Claim::Done(End::Delivered));
    engine.queue.drop_copy(&copy).await.expect("dropped");
    harness.pass(harness.lease_time()).await;
    nothing_else(&harness, &engine).await;
    assert_eq!(depth_in_flight(&harness, &engine, 0).await.ready, 0);
}

/// What was leased when a process died comes again, after the lease time at the latest.
pub async fn leases_end_with_the_process<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for number in 0..5 {
        push(&harness, &engine, webhook(1), &number.to_string(), Place::Ready).await;
    }
    let before = lease(&engine, 3).await;
    harness.crash(engine).await;
    harness.pass(harness.lease_time()).await;
    let engine = harness.open().await;
    let after = lease(&engine, 5).await;
    let mut events = events(&after);
    events.sort();
    assert_eq!(events, ["0", "1", "2", "3", "4"]);
    drop(before);
}

//! What claims promise.

use std::time::Duration;

use fanfare_core::delivery::{End, Place};
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::dedup::{Claim, Fence, Standing};
use uuid::Uuid;

use super::fixtures::{TTL, due_in, ended, lease_one, push, put_off, webhook};
use super::{Engine, Harness};

/// A delivery that no queue knows.
fn somebody(number: u128) -> DeliveryId {
    DeliveryId::from_uuid(Uuid::from_u128(number))
}

async fn claim(engine: &Engine, delivery: DeliveryId, hop: u32) -> Claim {
    engine.dedup.claim(delivery, Hop(hop), TTL, None).await.expect("asked")
}

/// One holder at a time, for as long as it said.
pub async fn a_claim_is_held_until_it_runs_out<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let ttl = Duration::from_secs(2);
    let short = || engine.dedup.claim(somebody(1), Hop(0), ttl, None);
    assert_eq!(short().await.expect("asked"), Claim::Claimed);
    assert_eq!(short().await.expect("asked"), Claim::Busy);
    assert_eq!(claim(&engine, somebody(2), 0).await, Claim::Claimed, "another delivery");
    harness.pass(ttl).await;
    assert_eq!(short().await.expect("asked"), Claim::Claimed);
}

/// A copy at a higher hop proves that the holder has moved on.
pub async fn a_higher_hop_takes_over_and_the_lower_is_stale<H: Harness>(harness: H) {
    let engine = harness.open().await;
    assert_eq!(claim(&engine, somebody(1), 3).await, Claim::Claimed);
    assert_eq!(claim(&engine, somebody(1), 5).await, Claim::TakenOver);
    assert_eq!(claim(&engine, somebody(1), 5).await, Claim::Busy);
    assert_eq!(claim(&engine, somebody(1), 3).await, Claim::Stale);
    assert_eq!(claim(&engine, somebody(1), 4).await, Claim::Stale);
    drop(harness);
}

/// A fence displaces nobody who lives: neither another process's claim nor one's own under an older token.
pub async fn a_fence_displaces_nobody_who_is_there<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let claim =
        |delivery, hop, fence: Option<u64>| engine.dedup.claim(somebody(delivery), Hop(hop), TTL, fence.map(Fence));
    assert_eq!(claim(1, 2, Some(7)).await.expect("asked"), Claim::Claimed);
    for fence in [Some(8), Some(7), Some(6), None, Some(10_000_000_000)] {
        assert_eq!(claim(1, 2, fence).await.expect("asked"), Claim::Busy, "{fence:?}");
    }
    assert_eq!(claim(2, 0, None).await.expect("asked"), Claim::Claimed);
    assert_eq!(claim(2, 0, Some(9)).await.expect("asked"), Claim::Busy);
    // A hop says more than a fence.
    assert_eq!(claim(1, 1, Some(u64::from(u32::MAX) * 9)).await.expect("asked"), Claim::Stale);
    assert_eq!(claim(1, 3, Some(1)).await.expect("asked"), Claim::TakenOver);
    drop(harness);
}

/// After a move only the hop it led to is live.
pub async fn a_release_makes_lower_hops_stale<H: Harness>(harness: H) {
    let engine = harness.open().await;
    assert_eq!(claim(&engine, somebody(1), 0).await, Claim::Claimed);
    engine.dedup.release(somebody(1), Hop(0)).await.expect("released");
    assert_eq!(claim(&engine, somebody(1), 0).await, Claim::Stale);
    assert_eq!(claim(&engine, somebody(1), 1).await, Claim::Claimed);
    engine.dedup.release(somebody(1), Hop(1)).await.expect("released");
    // An older release comes late: nothing that was stale comes back to life.
    engine.dedup.release(somebody(1), Hop(0)).await.expect("released");
    assert_eq!(claim(&engine, somebody(1), 1).await, Claim::Stale);
    assert_eq!(claim(&engine, somebody(1), 2).await, Claim::Claimed);
    drop(harness);
}

/// A release that comes late neither ends the claim of a higher hop nor prolongs it.
pub async fn a_release_leaves_a_higher_claim_as_it_is<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let ttl = Duration::from_secs(2);
    let third = || engine.dedup.claim(somebody(1), Hop(3), ttl, None);
    assert_eq!(third().await.expect("asked"), Claim::Claimed);
    harness.pass(ttl / 2).await;
    engine.dedup.release(somebody(1), Hop(1)).await.expect("released");
    assert_eq!(third().await.expect("asked"), Claim::Busy);
    assert_eq!(claim(&engine, somebody(1), 2).await, Claim::Stale);
    harness.pass(ttl / 2).await;
    assert_eq!(third().await.expect("asked"), Claim::Claimed);
}

/// An end is final: it answers every claim, and no later end replaces it.
pub async fn done_comes_first_and_the_first_end_stays<H: Harness>(harness: H) {
    let engine = harness.open().await;
    assert_eq!(claim(&engine, somebody(1), 2).await, Claim::Claimed);
    engine.dedup.complete(somebody(1), End::Delivered, TTL).await.expect("completed");
    for hop in [0, 2, 7] {
        assert_eq!(claim(&engine, somebody(1), hop).await, Claim::Done(End::Delivered));
    }
    engine.dedup.complete(somebody(1), End::Expired, TTL).await.expect("completed");
    assert_eq!(claim(&engine, somebody(1), 0).await, Claim::Done(End::Delivered));
    engine.dedup.release(somebody(1), Hop(9)).await.expect("released");
    assert_eq!(claim(&engine, somebody(1), 9).await, Claim::Done(End::Delivered));
    drop(harness);
}

/// What the queue does to a delivery its claims know.
pub async fn claims_of_queued_deliveries_follow_their_hop<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let id = push(&harness, &engine, webhook(1), "order-1", Place::Ready).await.header.id;
    let held = lease_one(&engine).await;
    assert_eq!(claim(&engine, id, 0).await, Claim::Claimed);
    assert_eq!(claim(&engine, id, 0).await, Claim::Busy);
    engine.queue.settle(&held, put_off(&harness, Place::Ready)).await.expect("settled");
    assert_eq!(claim(&engine, id, 0).await, Claim::Stale);
    let held = lease_one(&engine).await;
    assert_eq!(claim(&engine, id, 1).await, Claim::Claimed, "the move has closed the claim");
    engine.queue.settle(&held, ended(&harness, End::Delivered)).await.expect("settled");
    assert_eq!(claim(&engine, id, 1).await, Claim::Done(End::Delivered));
}

/// What fan-out asks before it pushes again.
pub async fn standing_says_what_is_known<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let ended_one = push(&harness, &engine, webhook(1), "ended", Place::Ready).await.header.id;
    let held = lease_one(&engine).await;
    engine.queue.settle(&held, ended(&harness, End::Expired)).await.expect("settled");
    let moved = push(&harness, &engine, webhook(1), "moved", Place::Ready).await.header.id;
    let held = lease_one(&engine).await;
    let to = due_in(&harness, Duration::from_secs(600));
    engine.queue.settle(&held, put_off(&harness, to)).await.expect("settled");
    assert_eq!(claim(&engine, somebody(1), 4).await, Claim::Claimed);
    engine.dedup.complete(somebody(2), End::Discarded, TTL).await.expect("completed");

    let asked = [somebody(3), ended_one, moved, somebody(1), somebody(2)];
    let expected = [
        Standing::Unknown,
        Standing::Done(End::Expired),
        Standing::Live(Hop(1)),
        Standing::Live(Hop(4)),
        Standing::Done(End::Discarded),
    ];
    assert_eq!(engine.dedup.standing(&asked).await.expect("asked"), expected);
    assert_eq!(engine.dedup.standing(&[]).await.expect("asked"), []);
}

/// Ends are durable when they have been answered.
pub async fn ends_are_remembered_after_a_crash<H: Harness>(harness: H) {
    let engine = harness.open().await;
    engine.dedup.complete(somebody(1), End::Exhausted, TTL).await.expect("completed");
    let id = push(&harness, &engine, webhook(1), "order-1", Place::Ready).await.header.id;
    let held = lease_one(&engine).await;
    engine.queue.settle(&held, ended(&harness, End::Delivered)).await.expect("settled");
    harness.crash(engine).await;
    let engine = harness.open().await;
    assert_eq!(claim(&engine, somebody(1), 0).await, Claim::Done(End::Exhausted));
    assert_eq!(claim(&engine, id, 0).await, Claim::Done(End::Delivered));
}

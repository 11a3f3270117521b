//! What becomes of a settlement when the process dies in the middle of it.

use std::time::Duration;

use fanfare_core::delivery::{End, Next, Place, Settlement};
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::dedup::{Claim, Standing};
use fanfare_core::ports::delivery_queue::{Lease, Settling};

use super::fixtures::{TTL, depth_in_flight, due_in, ended, failed, gated, lease_one, push, soon, webhook};
use super::settling::journaled;
use super::{Engine, Harness};

/// The delivery's time when it waits for one.
const WAIT: Duration = Duration::from_secs(1);

/// Leases a delivery, begins to settle it, and dies at the cut. Returns what was held, and the engine as it comes back,
/// when every lease has run out and every wait is over.
async fn cut_off<H: Harness>(harness: &H, cut: &'static str, next: Next) -> (Lease, Settlement, Engine) {
    let engine = harness.open().await;
    push(harness, &engine, webhook(1), "order-1", Place::Ready).await;
    let lease = lease_one(&engine).await;
    let id = lease.delivery.header.id;
    let ttl = harness.lease_time();
    assert_eq!(engine.dedup.claim(id, Hop(0), ttl, None).await.expect("claimed"), Claim::Claimed);
    let settlement = Settlement { next, ..failed(harness, Place::Ready) };
    harness.cut_next_settle(&engine, cut).await;
    let settling = tokio::time::timeout(Duration::from_secs(5), engine.queue.settle(&lease, settlement.clone())).await;
    assert!(!matches!(settling, Ok(Ok(_))), "a settlement that was cut off at {cut:?} was answered");
    harness.crash(engine).await;
    harness.pass(ttl * 2 + WAIT).await;
    (lease, settlement, harness.open().await)
}

/// Does what workers and the gate's owner do until nothing of the delivery is left to lease, and returns the live
/// copies: those whose claim succeeded. They stay leased.
async fn live_copies<H: Harness>(harness: &H, engine: &Engine, delivery: DeliveryId) -> Vec<Lease> {
    let mut live = Vec::new();
    let mut share = engine.queue.own_gates().await.expect("takes part");
    for _ in 0..harness.gate_partitions() {
        let partition = soon(share.next()).await.expect("a partition");
        for lease in partition.take(webhook(1), 10).await.unwrap_or_default() {
            keep_if_live(harness, engine, lease, &mut live).await;
        }
    }
    let sentinel = push(harness, engine, webhook(999), "sentinel", Place::Ready).await.header.id;
    loop {
        for lease in soon(engine.queue.lease(10)).await.expect("leased") {
            if lease.delivery.header.id == sentinel {
                engine.queue.settle(&lease, ended(harness, End::Delivered)).await.expect("settled");
                return live;
            }
            assert_eq!(lease.delivery.header.id, delivery);
            keep_if_live(harness, engine, lease, &mut live).await;
        }
    }
}

async fn keep_if_live<H: Harness>(harness: &H, engine: &Engine, lease: Lease, live: &mut Vec<Lease>) {
    let header = &lease.delivery.header;
    match engine.dedup.claim(header.id, header.hop, TTL, lease.fence).await.expect("asked") {
        Claim::Claimed => live.push(lease),
        // The copy at the lower hop is dead from now on: whoever holds it has been displaced.
        Claim::TakenOver => *live = vec![lease],
        // The end is journaled once more: the process may have died between recording it and journaling it.
        Claim::Done(end) => {
            let again = Settlement { attempt: None, ..ended(harness, end) };
            engine.queue.settle(&lease, again).await.expect("settled");
        }
        Claim::Stale => engine.queue.drop_copy(&lease).await.expect("dropped"),
        Claim::Busy => panic!("every claim has run out"),
    }
}

/// Wherever the crash comes: one live copy, as it was or as it was to be; or none, and the end is known.
pub async fn a_settlement_cut_off_is_wholly_before_or_wholly_after<H: Harness>(harness: H) {
    let mut harness = harness;
    let cuts = harness.settle_cuts();
    assert!(!cuts.is_empty(), "an engine can be killed somewhere");
    let (mut seen_before, mut seen_after) = (0, 0);
    for cut in cuts {
        let nexts = [
            Next::Move(Place::Ready),
            Next::Move(due_in(&harness, WAIT)),
            Next::Move(gated()),
            Next::End { end: End::Exhausted },
        ];
        for (kind, _) in nexts.iter().enumerate() {
            harness = H::start().await;
            // Due times count from the clock of this very harness.
            let next = if kind == 1 { Next::Move(due_in(&harness, WAIT)) } else { nexts[kind] };
            let (held, settlement, engine) = cut_off(&harness, cut, next).await;
            let id = held.delivery.header.id;
            let copies = live_copies(&harness, &engine, id).await;
            let standing = engine.dedup.standing(&[id]).await.expect("asked")[0];
            let describe = format!("cut {cut:?}, next {next:?}: {standing:?}, {copies:?}");
            assert!(copies.len() <= 1, "two live copies: {describe}");
            let after = match copies.first() {
                Some(copy) => {
                    let header = &copy.delivery.header;
                    assert_eq!(copy.delivery.body, held.delivery.body);
                    assert_eq!(header.hop.0, header.attempts, "hop and attempts move together here: {describe}");
                    assert!(header.hop <= Hop(1), "{describe}");
                    assert!(!matches!(standing, Standing::Done(_)), "{describe}");
                    assert!(header.hop == Hop(0) || matches!(next, Next::Move(_)), "{describe}");
                    header.hop == Hop(1)
                }
                None => {
                    assert_eq!(standing, Standing::Done(End::Exhausted), "lost: {describe}");
                    true
                }
            };
            if after {
                let attempt = settlement.attempt.as_ref().map(|attempt| attempt.id);
                let entries = journaled(&engine, 1).await;
                let is_end = matches!(next, Next::End { .. });
                let known = entries.iter().any(|entry| {
                    entry.attempt.as_ref().map(|attempt| attempt.id) == attempt || is_end && entry.next == next
                });
                assert!(known, "it took effect and is not in the journal: {describe}");
            }
            if after { seen_after += 1 } else { seen_before += 1 }
        }
    }
    assert!(
        seen_before > 0 && seen_after > 0,
        "the cuts are all on one side: {seen_before} before, {seen_after} after"
    );
}

/// The worker that takes over says the same again; the delivery ends once.
pub async fn a_repeated_settlement_after_a_cut_ends_the_delivery_once<H: Harness>(harness: H) {
    let mut harness = harness;
    for cut in harness.settle_cuts() {
        harness = H::start().await;
        let (held, _, engine) = cut_off(&harness, cut, Next::End { end: End::Delivered }).await;
        let id = held.delivery.header.id;
        for copy in live_copies(&harness, &engine, id).await {
            let settled = engine.queue.settle(&copy, ended(&harness, End::Delivered)).await.expect("settled");
            assert_eq!(settled, Settling::Applied);
        }
        assert_eq!(engine.dedup.standing(&[id]).await.expect("asked"), [Standing::Done(End::Delivered)]);
        assert_eq!(engine.dedup.claim(id, Hop(0), TTL, None).await.expect("asked"), Claim::Done(End::Delivered));
        harness.pass(harness.lease_time()).await;
        let depth = depth_in_flight(&harness, &engine, 0).await;
        assert_eq!((depth.ready, depth.gated, depth.due_retry), (0, 0, 0));
    }
}

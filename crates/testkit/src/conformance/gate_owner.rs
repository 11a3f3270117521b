//! What the queue promises to whoever owns the gates.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::delivery::{End, Place};
use fanfare_core::ids::{Hop, WebhookId};
use fanfare_core::ports::StoreErrorKind;
use fanfare_core::ports::dedup::Claim;
use fanfare_core::ports::delivery_queue::{GatePartition, GateShare, Lease, Settling};
use futures_util::future::select_all;

use super::fixtures::{
    TTL, due_in, ended, events, failed, gated, lease_one, nothing_else, push, put_off, soon, waits, webhook,
};
use super::gates::behind;
use super::{Engine, Harness};

/// An owner with all the partitions there are.
pub struct Owner {
    /// Its part in sharing them.
    pub share: Box<dyn GateShare>,
    /// What it owns.
    pub partitions: Vec<Arc<dyn GatePartition>>,
}

impl Owner {
    /// Takes part, and waits until it has all.
    pub async fn of<H: Harness>(harness: &H, engine: &Engine) -> Self {
        let mut share = engine.queue.own_gates().await.expect("takes part");
        let mut partitions = Vec::new();
        while partitions.len() < harness.gate_partitions() {
            partitions.push(soon(share.next()).await.expect("a partition"));
        }
        Self { share, partitions }
    }

    /// Takes from whichever partition the webhook is in.
    pub async fn take(&self, webhook: WebhookId, max: usize) -> Vec<Lease> {
        for partition in &self.partitions {
            let leases = partition.take(webhook, max).await.expect("taken");
            if !leases.is_empty() {
                assert!(leases.len() <= max);
                return leases;
            }
        }
        Vec::new()
    }

    /// Waits until it has been told of that many webhooks; in order. An engine may tell of one again for each of several
    /// pushes that it comes to know of one after another.
    async fn arrivals(&self, count: usize) -> Vec<WebhookId> {
        let mut webhooks = BTreeSet::new();
        while webhooks.len() < count {
            webhooks.extend(soon(self.next_arrivals()).await);
        }
        webhooks.into_iter().collect()
    }

    /// What any of the partitions tells of next: each webhook once.
    async fn next_arrivals(&self) -> Vec<WebhookId> {
        let waiting = self.partitions.iter().map(|partition| partition.arrivals());
        let (told, _, _) = select_all(waiting).await;
        let told = told.expect("told");
        let distinct: BTreeSet<&WebhookId> = told.iter().collect();
        assert_eq!(distinct.len(), told.len(), "one answer tells of a webhook once");
        told
    }

    /// Hears everything there is to tell now.
    async fn hear_all(&self) {
        while tokio::time::timeout(Duration::from_millis(20), self.next_arrivals()).await.is_ok() {}
    }

    async fn no_arrivals(&self) {
        for partition in &self.partitions {
            waits(partition.arrivals()).await;
        }
    }
}

/// The head first, and nothing twice.
pub async fn taking_skips_what_is_leased<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for number in 0..5 {
        push(&harness, &engine, webhook(1), &number.to_string(), gated()).await;
    }
    push(&harness, &engine, webhook(2), "other", gated()).await;
    let owner = Owner::of(&harness, &engine).await;
    assert_eq!(events(&owner.take(webhook(1), 2).await), ["0", "1"]);
    assert_eq!(events(&owner.take(webhook(1), 2).await), ["2", "3"]);
    assert_eq!(events(&owner.take(webhook(1), 2).await), ["4"]);
    assert!(owner.take(webhook(1), 2).await.is_empty());
    let depth = engine.queue.depth().await.expect("counted");
    assert_eq!((depth.gated, depth.in_flight), (1, 5));
}

/// It ends, moves to the end, or leaves by way of ready or due.
pub async fn what_is_taken_is_settled_like_any_other<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for id in ["ends", "stays", "retries", "leaves", "last"] {
        push(&harness, &engine, webhook(1), id, gated()).await;
    }
    let owner = Owner::of(&harness, &engine).await;
    let leases = owner.take(webhook(1), 4).await;
    assert_eq!(events(&leases), ["ends", "stays", "retries", "leaves"]);
    let settlements = [
        ended(&harness, End::Delivered),
        put_off(&harness, gated()),
        failed(&harness, due_in(&harness, Duration::from_secs(2))),
        put_off(&harness, Place::Ready),
    ];
    for (lease, settlement) in leases.iter().zip(settlements) {
        assert_eq!(engine.queue.settle(lease, settlement).await.expect("settled"), Settling::Applied);
    }
    assert_eq!(behind(&engine, webhook(1)).await, ["last", "stays"]);
    let left = lease_one(&engine).await;
    assert_eq!(events(std::slice::from_ref(&left)), ["leaves"]);
    engine.queue.settle(&left, ended(&harness, End::Delivered)).await.expect("settled");
    nothing_else(&harness, &engine).await;
    harness.pass(Duration::from_secs(2)).await;
    let retried = lease_one(&engine).await;
    assert_eq!(
        (events(std::slice::from_ref(&retried)), retried.delivery.header.hop),
        (vec!["retries".to_owned()], Hop(1))
    );
    let rest = owner.take(webhook(1), 10).await;
    assert_eq!(events(&rest), ["last", "stays"]);
    assert_eq!(rest.iter().map(|lease| lease.delivery.header.hop).collect::<Vec<_>>(), [Hop(0), Hop(1)]);
}

/// Abandoning neither loses a place in the line nor hands the delivery to a worker.
pub async fn what_is_given_back_comes_again_in_its_old_place<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for number in 0..3 {
        push(&harness, &engine, webhook(1), &number.to_string(), gated()).await;
    }
    let owner = Owner::of(&harness, &engine).await;
    owner.arrivals(1).await;
    let leases = owner.take(webhook(1), 2).await;
    engine.queue.abandon(&leases[0]).await.expect("given back");
    nothing_else(&harness, &engine).await;
    assert_eq!(owner.arrivals(1).await, [webhook(1)]);
    let again = owner.take(webhook(1), 2).await;
    assert_eq!(events(&again), ["0", "2"]);
    assert_eq!(again[0].redeliveries, 1);
    assert_eq!(behind(&engine, webhook(1)).await, ["0", "1", "2"], "what is leased still stands there");
}

/// An owner that waits is told when what it had taken, and lost, can be taken again.
pub async fn a_lease_from_a_gate_that_runs_out_is_an_arrival<H: Harness>(harness: H) {
    let engine = harness.open().await;
    push(&harness, &engine, webhook(1), "order-1", gated()).await;
    let owner = Owner::of(&harness, &engine).await;
    owner.arrivals(1).await;
    let lost = owner.take(webhook(1), 1).await;
    owner.no_arrivals().await;
    harness.pass(harness.lease_time()).await;
    assert_eq!(owner.arrivals(1).await, [webhook(1)]);
    let again = owner.take(webhook(1), 1).await;
    assert_eq!(again[0].redeliveries, 1);
    let answer = engine.queue.settle(&lost[0], ended(&harness, End::Delivered)).await.expect("answered");
    assert_eq!(answer, Settling::Superseded);
    nothing_else(&harness, &engine).await;
}

/// Pushes and moves behind gates wake the owner; each webhook is told of once until it is asked for again.
pub async fn arrivals_wake_the_owner_once_for_each_webhook<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let owner = Owner::of(&harness, &engine).await;
    owner.no_arrivals().await;
    for number in [1, 2, 1, 2, 1] {
        push(&harness, &engine, webhook(number), &ulid::Ulid::generate().to_string(), gated()).await;
    }
    assert_eq!(owner.arrivals(2).await, [webhook(1), webhook(2)]);
    // Taking finds all that was pushed before, so nothing more is on its way to the owner after it.
    assert_eq!(owner.take(webhook(1), 4).await.len(), 3);
    assert_eq!(owner.take(webhook(2), 4).await.len(), 2);
    owner.hear_all().await;
    owner.no_arrivals().await;
    push(&harness, &engine, webhook(3), "ready", Place::Ready).await;
    owner.no_arrivals().await;
    let lease = lease_one(&engine).await;
    engine.queue.settle(&lease, put_off(&harness, gated())).await.expect("settled");
    assert_eq!(owner.arrivals(1).await, [webhook(3)]);
}

/// Whoever takes over sees all that stands there, told of before or not; also after a crash.
pub async fn the_next_owner_is_told_of_everything<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for number in 1..=3 {
        push(&harness, &engine, webhook(number), &format!("{number}-a"), gated()).await;
        push(&harness, &engine, webhook(number), &format!("{number}-b"), gated()).await;
    }
    let all = [webhook(1), webhook(2), webhook(3)];
    let first = Owner::of(&harness, &engine).await;
    assert_eq!(first.arrivals(3).await, all);
    let mut waiting = engine.queue.own_gates().await.expect("takes part");
    if first.partitions.len() == 1 {
        waits(waiting.next()).await;
    }
    drop(waiting);
    drop(first);
    let second = Owner::of(&harness, &engine).await;
    assert_eq!(second.arrivals(3).await, all);
    assert_eq!(events(&second.take(webhook(2), 5).await), ["2-a", "2-b"]);
    drop(second);
    harness.crash(engine).await;

    harness.pass(harness.lease_time()).await;
    let engine = harness.open().await;
    let third = Owner::of(&harness, &engine).await;
    assert_eq!(third.arrivals(3).await, all);
    assert_eq!(events(&third.take(webhook(2), 5).await), ["2-a", "2-b"]);
}

/// Two owners never work on one gate: the old one is told.
pub async fn an_owner_that_has_lost_its_partition_takes_nothing<H: Harness>(harness: H) {
    let engine = harness.open().await;
    push(&harness, &engine, webhook(1), "order-1", gated()).await;
    let Owner { share, partitions } = Owner::of(&harness, &engine).await;
    drop(share);
    let next = Owner::of(&harness, &engine).await;
    assert!(next.partitions.iter().all(|held| held.is_held()));
    for lost in &partitions {
        assert!(!lost.is_held());
        assert_eq!(lost.take(webhook(1), 1).await.expect_err("lost").kind, StoreErrorKind::Lost);
        assert_eq!(soon(lost.arrivals()).await.expect_err("lost").kind, StoreErrorKind::Lost);
    }
    assert_eq!(next.arrivals(1).await, [webhook(1)]);
    assert_eq!(events(&next.take(webhook(1), 1).await), ["order-1"]);
    drop(next.share);
}

/// An owner that dies keeps the next one from nothing for long: what it had claimed it sends no more.
pub async fn what_an_owner_had_claimed_when_it_died_is_soon_the_next_ones<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let id = push(&harness, &engine, webhook(1), "order-1", gated()).await.header.id;
    let owner = Owner::of(&harness, &engine).await;
    let lease = owner.take(webhook(1), 1).await.remove(0);
    assert_eq!(engine.dedup.claim(id, Hop(0), TTL, lease.fence).await.expect("asked"), Claim::Claimed);
    harness.kill(&engine);
    drop(owner);
    harness.crash(engine).await;
    let engine = harness.open().await;
    let next = Owner::of(&harness, &engine).await;
    let again = next.take(webhook(1), 1).await.remove(0);
    assert!(lease.fence.is_some() && again.fence.is_some());
    let claim = soon(async {
        loop {
            match engine.dedup.claim(id, Hop(0), TTL, again.fence).await.expect("asked") {
                // The next owner may see that the partition is free before it is known that the process is gone.
                Claim::Busy => tokio::task::yield_now().await,
                claim => break claim,
            }
        }
    });
    // An engine may forget the claims of a process with it.
    let claim = claim.await;
    assert!(matches!(claim, Claim::TakenOver | Claim::Claimed), "{claim:?}");
    assert_eq!(engine.dedup.claim(id, Hop(0), TTL, again.fence).await.expect("asked"), Claim::Busy);
    assert_eq!(engine.queue.settle(&again, ended(&harness, End::Delivered)).await.expect("settled"), Settling::Applied);
}

/// An owner that gives its gates back is alive: it ends what it has begun, and until then nobody begins it again. It cannot take
/// back, or end, what the next one has claimed since.
pub async fn what_an_owner_had_claimed_that_gave_its_gates_back_is_its_own_until_it_ends<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let id = push(&harness, &engine, webhook(1), "order-1", gated()).await.header.id;
    let first = Owner::of(&harness, &engine).await;
    let lease = first.take(webhook(1), 1).await.remove(0);
    assert_eq!(engine.dedup.claim(id, Hop(0), TTL, lease.fence).await.expect("asked"), Claim::Claimed);
    drop(first);
    harness.pass(harness.lease_time()).await;
    let next = Owner::of(&harness, &engine).await;
    let again = next.take(webhook(1), 1).await.remove(0);
    assert_eq!(engine.dedup.claim(id, Hop(0), TTL, again.fence).await.expect("asked"), Claim::Busy);
    engine.queue.abandon(&lease).await.expect("given up");
    assert_eq!(engine.dedup.claim(id, Hop(0), TTL, again.fence).await.expect("asked"), Claim::Claimed);
    engine.queue.abandon(&lease).await.expect("given up");
    let settled = engine.queue.settle(&lease, put_off(&harness, gated())).await.expect("answered");
    assert_eq!(settled, Settling::Superseded);
    assert_eq!(
        engine.dedup.claim(id, Hop(0), TTL, again.fence).await.expect("asked"),
        Claim::Busy,
        "the next one's stays"
    );
    assert_eq!(engine.queue.settle(&again, ended(&harness, End::Delivered)).await.expect("settled"), Settling::Applied);
}

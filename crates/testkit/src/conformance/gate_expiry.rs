//! What the queue promises to the owner of gates about what has stood behind them for long enough.

use std::time::Duration;

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{End, Place};
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::StoreErrorKind;
use fanfare_core::ports::delivery_queue::{Lease, Push, Settling};

use super::fixtures::{delivery, ended, events, gated, lease_one, nothing_else, push, put_off, soon, webhook};
use super::gate_owner::Owner;
use super::gates::behind;
use super::{Engine, Harness};

/// How long what expires in these tests lives.
const LIFE: Duration = Duration::from_secs(2);

/// Pushes the delivery of an event that expires after [`LIFE`].
async fn push_expiring<H: Harness>(harness: &H, engine: &Engine, to: WebhookId, event: &str, place: Place) {
    let now = harness.clock().now();
    let mut delivery = delivery(to, event, now);
    delivery.header.expires_at = Some(now.after(LIFE));
    let pushes = vec![Push { delivery, place, repeated: true }];
    assert_eq!(engine.queue.push(pushes, Vec::new()).await.expect("pushed"), 1);
}

/// Before anything in these tests was made: nothing has stood for so long.
const NEVER: Timestamp = Timestamp::EPOCH;

impl Owner {
    /// One sweep over all partitions, by what has expired now and what has stood since before `held_before`.
    async fn sweep<H: Harness>(&self, harness: &H, held_before: Timestamp, max: usize) -> Vec<Lease> {
        let mut leases = Vec::new();
        for partition in &self.partitions {
            let taken = partition.take_expired(harness.clock().now(), held_before, max).await.expect("swept");
            assert!(taken.len() <= max);
            leases.extend(taken);
        }
        leases
    }

    /// Sweeps until it has this many: the owner may come to know of a push a moment later.
    async fn sweep_up<H: Harness>(&self, harness: &H, held_before: Timestamp, count: usize) -> Vec<Lease> {
        let mut leases = Vec::new();
        let sweeping = async {
            while leases.len() < count {
                leases.extend(self.sweep(harness, held_before, 100).await);
                tokio::task::yield_now().await;
            }
        };
        soon(sweeping).await;
        assert_eq!(leases.len(), count, "more was swept up: {:?}", events(&leases));
        leases
    }
}

fn sorted(leases: &[Lease]) -> Vec<String> {
    let mut events = events(leases);
    events.sort();
    events
}

/// Wherever it stands behind whichever gate; the others keep their order, and nothing is leased twice.
pub async fn what_expires_is_taken_from_the_midst_of_its_gate<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for event in ["a", "b-expires", "c", "d-expires", "e"] {
        match event.ends_with("expires") {
            true => push_expiring(&harness, &engine, webhook(1), event, gated()).await,
            false => drop(push(&harness, &engine, webhook(1), event, gated()).await),
        }
    }
    push_expiring(&harness, &engine, webhook(2), "f-expires", gated()).await;
    push(&harness, &engine, webhook(2), "g", gated()).await;
    push_expiring(&harness, &engine, webhook(3), "ready", Place::Ready).await;
    let owner = Owner::of(&harness, &engine).await;
    harness.pass(LIFE).await;

    let expired = owner.sweep_up(&harness, NEVER, 3).await;
    assert_eq!(sorted(&expired), ["b-expires", "d-expires", "f-expires"]);
    assert!(owner.sweep(&harness, NEVER, 100).await.is_empty(), "it is leased");
    assert_eq!(events(&owner.take(webhook(1), 9).await), ["a", "c", "e"]);
    for lease in &expired {
        let settled = engine.queue.settle(lease, ended(&harness, End::Expired)).await.expect("settled");
        assert_eq!(settled, Settling::Applied);
    }
    assert_eq!(behind(&engine, webhook(1)).await, ["a", "c", "e"]);
    assert_eq!(behind(&engine, webhook(2)).await, ["g"]);
    let depth = engine.queue.depth().await.expect("counted");
    assert_eq!((depth.gated, depth.in_flight, depth.ready), (1, 3, 1));
    // What is ready is a worker's to end.
    assert_eq!(events(&[lease_one(&engine).await]), ["ready"]);
}

/// By the time at which it came to stand there, whatever it says of itself; a few at a time.
pub async fn what_has_stood_too_long_is_taken_from_the_head<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for number in 0..4 {
        push(&harness, &engine, webhook(1), &format!("old-{number}"), gated()).await;
        push(&harness, &engine, webhook(2), &format!("old-{}", number + 4), gated()).await;
    }
    let owner = Owner::of(&harness, &engine).await;
    let began = harness.clock().now();
    harness.pass(LIFE).await;
    push(&harness, &engine, webhook(1), "new", gated()).await;
    let held_before = harness.clock().now().before(LIFE / 2);
    let mut old = Vec::new();
    soon(async {
        while old.len() < 8 {
            old.extend(owner.sweep(&harness, held_before, 1).await);
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(sorted(&old), (0..8).map(|number| format!("old-{number}")).collect::<Vec<_>>());
    assert!(owner.sweep(&harness, held_before, 100).await.is_empty());
    assert!(old.iter().all(|lease| lease.ready_at.since(began) < LIFE / 2 && lease.redeliveries == 0));
    assert_eq!(events(&owner.take(webhook(1), 9).await), ["new"]);
}

/// A lease like any other: given back, run out, moved.
pub async fn what_was_swept_up_and_not_settled_stands_there_again<H: Harness>(harness: H) {
    let engine = harness.open().await;
    push_expiring(&harness, &engine, webhook(1), "expires", gated()).await;
    push(&harness, &engine, webhook(1), "stays", gated()).await;
    let owner = Owner::of(&harness, &engine).await;
    harness.pass(LIFE).await;
    let first = owner.sweep_up(&harness, NEVER, 1).await;
    engine.queue.abandon(&first[0]).await.expect("given back");
    assert_eq!(behind(&engine, webhook(1)).await, ["expires", "stays"]);
    let second = owner.sweep_up(&harness, NEVER, 1).await;
    assert_eq!(second[0].redeliveries, 1);
    harness.pass(harness.lease_time()).await;
    let third = owner.sweep_up(&harness, NEVER, 1).await;
    assert_eq!(third[0].redeliveries, 2);
    let late = engine.queue.settle(&second[0], ended(&harness, End::Expired)).await.expect("answered");
    assert_eq!(late, Settling::Superseded);
    engine.queue.settle(&third[0], ended(&harness, End::Expired)).await.expect("settled");
    assert!(owner.sweep(&harness, NEVER, 100).await.is_empty());
    nothing_else(&harness, &engine).await;
}

/// Its expiry goes with it wherever it is put; it counts as standing there since then.
pub async fn what_a_worker_puts_behind_the_gate_expires_there<H: Harness>(harness: H) {
    let engine = harness.open().await;
    push_expiring(&harness, &engine, webhook(1), "expires", Place::Ready).await;
    let owner = Owner::of(&harness, &engine).await;
    let began = harness.clock().now();
    harness.pass(LIFE).await;
    let lease = lease_one(&engine).await;
    engine.queue.settle(&lease, put_off(&harness, gated())).await.expect("settled");
    assert!(owner.sweep(&harness, began, 100).await.len() <= 1);
    harness.pass(harness.lease_time()).await;
    let expired = owner.sweep_up(&harness, began, 1).await;
    assert_eq!(events(&expired), ["expires"]);
}

/// Whoever takes over knows of all that stands there and when it expires, by its first look; who was there before is refused.
pub async fn the_next_owner_sweeps_what_the_last_one_would_have<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for number in 0..6 {
        push_expiring(&harness, &engine, webhook(number), &format!("expires-{number}"), gated()).await;
        push(&harness, &engine, webhook(number), &format!("stays-{number}"), gated()).await;
    }
    let first = Owner::of(&harness, &engine).await;
    let (share, partitions) = (first.share, first.partitions);
    drop(share);
    let second = Owner::of(&harness, &engine).await;
    for lost in &partitions {
        let refused = lost.take_expired(harness.clock().now(), NEVER, 1).await.expect_err("lost");
        assert_eq!(refused.kind, StoreErrorKind::Lost);
    }
    drop((partitions, second));
    harness.crash(engine).await;

    harness.pass(LIFE).await;
    let engine = harness.open().await;
    let third = Owner::of(&harness, &engine).await;
    let expired = third.sweep(&harness, NEVER, 100).await;
    assert_eq!(sorted(&expired), (0..6).map(|number| format!("expires-{number}")).collect::<Vec<_>>());
    assert_eq!(events(&third.take(webhook(3), 9).await), ["stays-3"]);
}

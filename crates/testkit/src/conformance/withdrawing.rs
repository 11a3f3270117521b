//! What the queue promises about deliveries that are withdrawn, since their event was deleted.

use std::time::Duration;

use fanfare_core::delivery::{End, Place};
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::dedup::{Claim, Standing};
use fanfare_core::ports::delivery_queue::{BringForward, Push, Settling, Withdrawal};

use super::fixtures::{delivery, due_in, ended, failed, gated, lease_one, nothing_else, push, webhook};
use super::gates::behind;
use super::quarantine::{quarantined, wear_out};
use super::{Engine, Harness};

const CLAIM: Duration = Duration::from_secs(30);

async fn withdraw(engine: &Engine, delivery: DeliveryId) -> Withdrawal {
    engine.queue.withdraw(webhook(1), delivery).await.expect("withdrawn")
}

async fn is_discarded(engine: &Engine, delivery: DeliveryId) -> bool {
    let standing = engine.dedup.standing(&[delivery]).await.expect("looked up");
    standing == [Standing::Done(End::Discarded)]
}

/// Whoever leases what was withdrawn is told that it has ended; until then the rest comes as ever.
async fn only<H: Harness>(harness: &H, engine: &Engine, wanted: &[&str]) {
    let mut come = Vec::new();
    while come.len() < wanted.len() {
        let held = lease_one(engine).await;
        let header = &held.delivery.header;
        match engine.dedup.claim(header.id, header.hop, CLAIM, None).await.expect("claimed") {
            Claim::Done(End::Discarded) => engine.queue.drop_copy(&held).await.expect("dropped"),
            Claim::Claimed => {
                come.push(header.event.to_string());
                engine.queue.settle(&held, ended(harness, End::Delivered)).await.expect("settled");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(come, wanted);
}

/// Wherever it stood, it is over, nobody sends it, it is not pushed again, and what stands around it goes on; after a crash too.
pub async fn what_is_withdrawn_is_over_wherever_it_stood<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let due = due_in(&harness, Duration::from_secs(2));
    let mut ids = Vec::new();
    for (name, place) in [("ready", Place::Ready), ("due", due), ("gated", gated())] {
        ids.push(push(&harness, &engine, webhook(1), name, place).await.header.id);
    }
    push(&harness, &engine, webhook(1), "next-gated", gated()).await;
    push(&harness, &engine, webhook(1), "next-ready", Place::Ready).await;
    for id in &ids {
        assert_ne!(withdraw(&engine, *id).await, Withdrawal::Gone);
        assert!(is_discarded(&engine, *id).await);
    }
    assert_eq!(behind(&engine, webhook(1)).await, ["next-gated"]);
    let depth = engine.queue.depth().await.expect("counted");
    assert_eq!((depth.due_retry, depth.gated), (0, 1));
    only(&harness, &engine, &["next-ready"]).await;
    for id in &ids {
        assert_eq!(withdraw(&engine, *id).await, Withdrawal::Gone, "it is over");
    }
    harness.crash(engine).await;

    let engine = harness.open().await;
    for (name, id) in ["ready", "due", "gated"].into_iter().zip(ids) {
        assert!(is_discarded(&engine, id).await, "{name}");
        let again = delivery(webhook(1), name, harness.clock().now());
        let again = Push { delivery: again, place: Place::Ready, repeated: true };
        // An engine may find out only when it is leased.
        engine.queue.push(vec![again], Vec::new()).await.expect("answered");
        let brought = engine.queue.bring_forward(webhook(1), id, harness.clock().now()).await.expect("answered");
        assert!(matches!(brought, BringForward::Gone | BringForward::AlreadyReady), "{name}: {brought:?}");
    }
    harness.pass(Duration::from_secs(3)).await;
    push(&harness, &engine, webhook(2), "later", Place::Ready).await;
    only(&harness, &engine, &["later"]).await;
}

/// What somebody works on is left to them; where they put it, it is found by the next look.
pub async fn what_is_in_flight_is_left_to_its_holder<H: Harness>(harness: H) {
    let engine = harness.open().await;
    for (name, fails) in [("delivered", false), ("failed", true)] {
        let id = push(&harness, &engine, webhook(1), name, Place::Ready).await.header.id;
        let held = lease_one(&engine).await;
        assert_eq!(engine.dedup.claim(id, Hop(0), CLAIM, None).await.expect("claimed"), Claim::Claimed);
        assert_eq!(withdraw(&engine, id).await, Withdrawal::InFlight);
        let settlement = if fails {
            failed(&harness, due_in(&harness, Duration::from_secs(3600)))
        } else {
            ended(&harness, End::Delivered)
        };
        assert_eq!(engine.queue.settle(&held, settlement).await.expect("settled"), Settling::Applied);
        let wanted = if fails { Withdrawal::Discarded } else { Withdrawal::Gone };
        assert_eq!(withdraw(&engine, id).await, wanted, "{name}");
        assert_eq!(engine.queue.depth().await.expect("counted").due_retry, 0);
    }
}

/// What stands aside is over too, and does not come back.
pub async fn what_is_in_quarantine_is_withdrawn<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let worn = push(&harness, &engine, webhook(1), "worn", Place::Ready).await.header.id;
    wear_out(&engine, worn).await;
    nothing_else(&harness, &engine).await;
    quarantined(&harness, &engine, 1).await;
    assert_eq!(withdraw(&engine, worn).await, Withdrawal::Discarded);
    assert!(is_discarded(&engine, worn).await);
    assert_eq!(engine.queue.depth().await.expect("counted").quarantined, 0);
    let brought = engine.queue.bring_forward(webhook(1), worn, harness.clock().now()).await.expect("answered");
    assert_eq!(brought, BringForward::Gone);
}

/// What has ended keeps its end.
pub async fn what_is_not_there_is_gone<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let id = push(&harness, &engine, webhook(1), "done", Place::Ready).await.header.id;
    let held = lease_one(&engine).await;
    engine.queue.settle(&held, ended(&harness, End::Delivered)).await.expect("settled");
    assert_eq!(withdraw(&engine, id).await, Withdrawal::Gone);
    let standing = engine.dedup.standing(&[id]).await.expect("looked up");
    assert_eq!(standing, [Standing::Done(End::Delivered)], "the end it had stays");
}

//! What a claim's answer leads to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanfare_core::delivery::{End, Next};
use fanfare_core::ports::dedup::Claim;
use fanfare_core::ports::delivery_queue::DeliveryQueue;
use fanfare_delivery::{DedupOnUnavailable, DeliveryConfig};
use fanfare_testkit::{Receiver, Reply};

use super::doubles::{Claims, Doctored, away};
use super::rig::{PATIENCE, Rig, until};

/// Leases one delivery, once, with this answer to its claim, and stops when it has been dealt with.
async fn claimed_as(claim: Claim, decision: &str) -> (Rig, Receiver, Arc<Doctored>) {
    let rig = Rig::new().await;
    let claims = Claims::new(&rig, move |_| Some(Ok(claim)));
    let queue = Doctored::new(&rig, true);
    rig.start_on(Arc::clone(&queue) as Arc<dyn DeliveryQueue>, claims, DeliveryConfig::default());
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    rig.push(webhook, "order-1").await;
    until("the claim", async || rig.metrics.dedup_decisions.with_label_values(&[decision]).get() == 1).await;
    rig.tasks.stop(PATIENCE).await.unwrap();
    (rig, receiver, queue)
}

#[tokio::test]
async fn what_is_done_is_journaled_again_and_not_sent() {
    let (rig, receiver, _) = claimed_as(Claim::Done(End::Exhausted), "done").await;
    let settled = rig.settled_until("its end", |settled| !settled.is_empty()).await;
    assert_eq!((&settled[0].attempt, settled[0].next), (&None, Next::End { end: End::Exhausted }));
    assert!(receiver.so_far().is_empty());
    assert_eq!(rig.ended("exhausted"), 0, "it had been counted when it ended");
}

#[tokio::test]
async fn an_overtaken_copy_is_removed_and_not_sent() {
    let (_rig, receiver, queue) = claimed_as(Claim::Stale, "stale").await;
    assert_eq!(queue.drops.load(Ordering::SeqCst), 1);
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn one_that_somebody_else_is_at_is_left_to_them() {
    let (rig, receiver, queue) = claimed_as(Claim::Busy, "busy").await;
    let depth = rig.engine.depth().await.unwrap();
    assert_eq!((depth.ready, depth.in_flight), (0, 1), "its lease runs out by itself");
    assert_eq!(queue.drops.load(Ordering::SeqCst), 0);
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn without_claims_it_delivers_all_the_same_and_counts_it() {
    let rig = Rig::new().await;
    let claims = Claims::new(&rig, |_| Some(away()));
    rig.start_on(Arc::new(rig.engine.clone()), claims, DeliveryConfig::default());
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let delivery = rig.push(webhook, "order-1").await;
    assert_eq!(rig.settled(delivery, 1).await[0].next, Next::End { end: End::Delivered });
    assert_eq!(rig.metrics.dedup_decisions.with_label_values(&["unavailable"]).get(), 1);
}

#[tokio::test]
async fn told_to_wait_for_claims_it_sends_nothing_until_they_are_answered() {
    let rig = Rig::new().await;
    let back = Arc::new(AtomicBool::new(false));
    let is_back = Arc::clone(&back);
    let claims = Claims::new(&rig, move |_| (!is_back.load(Ordering::SeqCst)).then(away));
    let config = DeliveryConfig { dedup_on_unavailable: DedupOnUnavailable::Wait, ..DeliveryConfig::default() };
    rig.start_on(Arc::new(rig.engine.clone()), claims, config);
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let delivery = rig.push(webhook, "order-1").await;
    let asked = || rig.metrics.dedup_decisions.with_label_values(&["unavailable"]).get();
    until("the first claim", async || asked() == 1).await;
    rig.clock.advance(Duration::from_secs(1));
    until("another claim", async || asked() == 2).await;
    assert!(receiver.so_far().is_empty());
    back.store(true, Ordering::SeqCst);
    until("the delivery", async || {
        rig.clock.advance(Duration::from_millis(100));
        !receiver.so_far().is_empty()
    })
    .await;
    assert_eq!(rig.settled(delivery, 1).await[0].next, Next::End { end: End::Delivered });
}

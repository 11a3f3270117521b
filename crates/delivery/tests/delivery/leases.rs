//! What happens when leases are lost, last long, or are given back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanfare_core::delivery::{End, Next};
use fanfare_core::ports::delivery_queue::DeliveryQueue;
use fanfare_delivery::DeliveryConfig;

use super::doubles::{Claims, Doctored};
use super::gated_receiver::GatedReceiver;
use super::rig::{PATIENCE, Rig, until};

#[tokio::test]
async fn a_frozen_worker_changes_nothing_when_it_thaws() {
    let rig = Rig::new().await;
    rig.start_on(Doctored::new(&rig, true), Arc::new(rig.engine.clone()), DeliveryConfig::default());
    let receiver = GatedReceiver::start().await;
    let webhook = rig.webhook(&receiver.url(), |_| ()).await;
    let delivery = rig.push(webhook, "order-1").await;
    receiver.arrived(1).await;
    rig.clock.advance(Duration::from_secs(11));
    let other = tokio::time::timeout(PATIENCE, rig.engine.lease(1)).await.unwrap().unwrap();
    assert_eq!((other[0].delivery.header.id, other[0].redeliveries), (delivery, 1));

    receiver.answer(1);
    until("the late settlement to be refused", async || rig.metrics.delivery_superseded.get() == 1).await;
    assert_eq!(rig.ended("delivered"), 0);
    let depth = rig.engine.depth().await.unwrap();
    assert_eq!((depth.in_flight, depth.ready), (1, 0), "the other worker still has it");
}

#[tokio::test]
async fn a_lease_is_renewed_for_as_long_as_its_request_takes() {
    let rig = Rig::new().await;
    let queue = Doctored::new(&rig, false);
    rig.start_on(Arc::clone(&queue) as Arc<dyn DeliveryQueue>, Arc::new(rig.engine.clone()), DeliveryConfig::default());
    let receiver = GatedReceiver::start().await;
    let webhook = rig.webhook(&receiver.url(), |_| ()).await;
    let delivery = rig.push(webhook, "order-1").await;
    receiver.arrived(1).await;
    // The ten seconds of a lease pass twice over.
    for renewals in 1..=6 {
        rig.clock.advance(Duration::from_millis(3400));
        until("a renewal", async || queue.renewals.load(Ordering::SeqCst) >= renewals).await;
    }
    receiver.answer(1);
    let settled = rig.settled(delivery, 1).await;
    assert_eq!(settled[0].next, Next::End { end: End::Delivered });
    assert_eq!(rig.metrics.delivery_superseded.get(), 0);
    assert_eq!(receiver.requests(), 1);
}

#[tokio::test]
async fn shutdown_finishes_what_is_sent_and_gives_back_what_waits() {
    let rig = Rig::new().await;
    rig.start(DeliveryConfig { lane_limit: 1, ..DeliveryConfig::default() });
    let receiver = GatedReceiver::start().await;
    let webhook = rig.webhook(&receiver.url(), |_| ()).await;
    let first = rig.push(webhook, "order-1").await;
    receiver.arrived(1).await;
    rig.push(webhook, "order-2").await;
    rig.push(webhook, "order-3").await;
    until("all to be leased", async || rig.engine.depth().await.unwrap().in_flight == 3).await;

    let stopping = tokio::spawn({
        let tasks = rig.tasks.clone();
        async move { tasks.stop(PATIENCE).await }
    });
    until("two to be given back", async || rig.engine.depth().await.unwrap().ready == 2).await;
    assert!(!stopping.is_finished(), "the request under way is waited for");
    receiver.answer(3);
    stopping.await.unwrap().unwrap();
    assert_eq!(rig.settled(first, 1).await[0].next, Next::End { end: End::Delivered });
    assert_eq!(receiver.requests(), 1);
    let again = rig.engine.lease(10).await.unwrap();
    assert_eq!(again.iter().map(|lease| lease.delivery.header.attempts).collect::<Vec<_>>(), [0, 0]);
}

#[tokio::test]
async fn a_worker_that_was_frozen_after_its_claim_sends_nothing() {
    let rig = Rig::new().await;
    let clock = rig.clock.clone();
    let freezing = Claims::new(&rig, move |_| {
        clock.advance(Duration::from_secs(11));
        None
    });
    rig.start_on(Doctored::new(&rig, true), freezing, DeliveryConfig::default());
    let receiver = GatedReceiver::start().await;
    let webhook = rig.webhook(&receiver.url(), |_| ()).await;
    let delivery = rig.push(webhook, "order-1").await;
    let other = tokio::time::timeout(PATIENCE, async {
        until("the claim", async || rig.metrics.dedup_decisions.with_label_values(&["claimed"]).get() == 1).await;
        rig.engine.lease(1).await.unwrap()
    });
    assert_eq!(other.await.unwrap()[0].delivery.header.id, delivery);
    rig.tasks.stop(PATIENCE).await.unwrap();
    assert_eq!(receiver.requests(), 0);
}

//! Rates: a webhook's own, and that of a release.

use std::time::Duration;

use fanfare_core::clock::Clock as _;
use fanfare_core::delivery::Place;
use fanfare_core::health::{Gate, GateReason, Health};
use fanfare_core::ports::config_store::Record;
use fanfare_core::rate_limit::RateLimit;
use fanfare_testkit::{Receiver, Reply};

use super::rig::{Rig, until};

/// Lets a second pass in small steps, and checks after each that no more came than the rate allows until then.
async fn second(rig: &Rig, receiver: &Receiver, from: usize, burst: usize, per_second: usize) {
    let began = rig.clock.monotonic();
    for _ in 0..50 {
        rig.clock.advance(Duration::from_millis(20));
        tokio::time::sleep(Duration::from_millis(2)).await;
        let passed = rig.clock.monotonic().since(began).as_secs_f64();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
        let most = from + burst + (passed * per_second as f64).ceil() as usize;
        assert!(receiver.so_far().len() <= most, "{} > {most} after {passed} s", receiver.so_far().len());
    }
}

#[tokio::test]
async fn a_webhook_with_a_rate_gets_no_more_than_that_and_all_of_it() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let rate = RateLimit::new(50, 1, 5).unwrap();
    let webhook = rig.webhook(&receiver.url("/"), |webhook| webhook.rate_limit = Some(rate)).await;
    assert_eq!(rig.registry.gate(webhook), Some(GateReason::RateLimit));
    for n in 0..200 {
        rig.push(webhook, &format!("order-{n}")).await;
    }
    while receiver.so_far().len() < 200 {
        let from = receiver.so_far().len();
        second(&rig, &receiver, from, 5, 50).await;
    }
    until("all ends", async || rig.ended("delivered") == 200).await;
    assert_eq!(receiver.so_far().len(), 200);
    assert_eq!(rig.registry.gate(webhook), Some(GateReason::RateLimit), "it stays up");
}

#[tokio::test]
async fn one_in_an_hour_waits_without_being_held_and_goes_at_once_after_a_quiet_hour() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let rate = RateLimit::new(1, 3600, 1).unwrap();
    let webhook = rig.webhook(&receiver.url("/"), |webhook| webhook.rate_limit = Some(rate)).await;
    // Of what was sent before this process came nothing is known.
    rig.push(webhook, "order-0").await;
    rig.clock.advance(Duration::from_secs(3601));
    until("the first end", async || rig.ended("delivered") == 1).await;
    rig.clock.advance(Duration::from_secs(3601));
    rig.push(webhook, "order-1").await;
    receiver.received(2).await;
    rig.push(webhook, "order-2").await;
    until("the second to wait behind the gate", async || {
        let depth = fanfare_core::ports::DeliveryQueue::depth(&rig.engine).await.unwrap();
        (depth.gated, depth.in_flight, depth.ready) == (1, 0, 0)
    })
    .await;
    rig.clock.advance(Duration::from_secs(3500));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(receiver.so_far().len(), 2);
    rig.clock.advance(Duration::from_secs(200));
    receiver.received(3).await;
}

#[tokio::test]
async fn a_release_with_a_rate_goes_no_faster() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    rig.put(Record::Health(rig.paused(webhook))).await;
    for n in 0..60 {
        rig.push_with(webhook, &format!("order-{n}"), Place::Gated { reason: GateReason::Paused }, None).await;
    }
    let paused = rig.health(webhook).await.unwrap();
    let gate = Some(Gate::Releasing { since: rig.clock.now(), rate: Some(20) });
    rig.put(Record::Health(Health { gate, ..paused })).await;
    while receiver.so_far().len() < 60 {
        let from = receiver.so_far().len();
        second(&rig, &receiver, from, 1, 20).await;
    }
    until("the gate to go down", async || {
        rig.clock.advance(Duration::from_millis(100));
        rig.registry.gate(webhook).is_none()
    })
    .await;
}

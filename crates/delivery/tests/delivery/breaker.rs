//! The breaker: opened by failures, probed at growing intervals, closed into a release that begins with one at a time.

use std::time::Duration;

use fanfare_core::clock::Clock as _;
use fanfare_core::delivery::{End, Next, Place};
use fanfare_core::health::{Gate, GateReason, PauseReason, WebhookState};
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::delivery_queue::DeliveryQueue as _;
use fanfare_core::ports::journal::{Journal as _, JournalPosition};
use fanfare_delivery::DeliveryConfig;
use fanfare_runtime::Span;
use fanfare_testkit::{Receiver, Reply};

use super::rig::{Rig, until};

/// One request at a time, so that it is known which is the tenth.
fn one_at_a_time() -> DeliveryConfig {
    DeliveryConfig { lane_limit: 1, ..DeliveryConfig::default() }
}

/// A webhook whose breaker is open after ten failed deliveries, and which has `more` behind its gate.
async fn broken(rig: &Rig, receiver: &Receiver, more: usize) -> fanfare_core::ids::WebhookId {
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    for n in 0..10 {
        let delivery = rig.push(webhook, &format!("order-{n}")).await;
        rig.settled(delivery, 1).await;
    }
    until("the breaker to open", async || rig.registry.gate(webhook) == Some(GateReason::BreakerOpen)).await;
    for n in 0..more {
        let delivery = rig.push(webhook, &format!("held-{n}")).await;
        let behind = Next::Move(Place::Gated { reason: GateReason::BreakerOpen });
        let settled = rig.settled(delivery, 1).await;
        assert_eq!((&settled[0].attempt, settled[0].next), (&None, behind));
    }
    webhook
}

#[tokio::test]
async fn ten_failures_open_it_a_probe_that_succeeds_closes_it_and_all_that_waited_is_delivered() {
    let rig = Rig::new().await;
    rig.start(one_at_a_time());
    let receiver = Receiver::http(|_| Reply::Status(500)).await;
    let webhook = broken(&rig, &receiver, 20).await;
    assert_eq!(rig.registry.state(webhook), WebhookState::Failing);
    assert_eq!((receiver.so_far().len(), rig.engine.gate_depth(webhook).await.unwrap().count), (10, 20));

    // The first probe fails, and is the only request: its delivery waits for its own next attempt.
    rig.pass_until("the first probe", async || receiver.so_far().len() == 11).await;
    let delivery = rig.settled_until("the probe's settlement", |all| {
        all.iter().filter(|entry| entry.attempt.is_some()).count() == 11
    });
    let probe = delivery.await.into_iter().rfind(|entry| entry.attempt.is_some()).unwrap();
    assert_eq!((probe.delivery.event.as_str(), probe.delivery.attempts), ("held-0", 0));
    assert!(matches!(probe.next, Next::Move(Place::Due { .. })), "{:?}", probe.next);
    until("the next probe's time", async || {
        matches!(rig.health(webhook).await.unwrap().gate, Some(Gate::BreakerOpen { probes: 1, .. }))
    })
    .await;
    assert_eq!(rig.metrics.delivery_probes.with_label_values(&["failure"]).get(), 1);

    receiver.answer(|_| Reply::Status(200));
    rig.pass_until("the gate to go down", async || rig.registry.gate(webhook).is_none()).await;
    // Those that failed before come again by their own schedule.
    rig.pass_until("all ends", async || rig.ended("delivered") == 30).await;
    assert_eq!(receiver.so_far().len(), 41, "ten and a probe failed, thirty succeeded");
    assert_eq!(rig.registry.state(webhook), WebhookState::Healthy);
    assert_eq!(rig.health(webhook).await.unwrap().failing_since, None);
}

#[tokio::test]
async fn while_it_is_open_there_are_only_probes_and_each_is_an_attempt_that_was_due() {
    let rig = Rig::new().await;
    rig.start(one_at_a_time());
    let receiver = Receiver::http(|_| Reply::Status(503)).await;
    broken(&rig, &receiver, 5).await;
    // An hour: at most one request each 16 seconds, after the first few.
    let began = rig.clock.now();
    let mut sent = 10;
    while rig.clock.now().since(began) < Duration::from_secs(3600) {
        rig.clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(1)).await;
        sent = receiver.so_far().len();
    }
    let most = 10 + 6 + 3600 / 16;
    assert!(sent <= most, "{sent} requests, at most {most} were to be made");
    until("all that ended to be journaled", async || rig.engine.depth().await.unwrap().in_flight == 0).await;
    let settled = rig.settled_until("something exhausted", |all| {
        all.iter().any(|entry| entry.next == Next::End { end: End::Exhausted })
    });
    for entry in settled.await {
        // The schedule has two retries: nobody is asked a fourth time.
        assert!(entry.delivery.attempts < 3, "{entry:?}");
    }
}

#[tokio::test]
async fn failing_for_as_long_as_pause_after_says_pauses() {
    let rig = Rig::new().await;
    rig.start(DeliveryConfig { pause_after: Span::from_secs(60), ..one_at_a_time() });
    let receiver = Receiver::http(|_| Reply::Status(500)).await;
    let webhook = broken(&rig, &receiver, 30).await;
    rig.pass_until("the pause", async || rig.registry.gate(webhook) == Some(GateReason::Paused)).await;
    let health = rig.health(webhook).await.unwrap();
    assert!(matches!(health.gate, Some(Gate::Paused { by: PauseReason::Failing, .. })), "{health:?}");
    // Every change is told, with its reason; the probes between are not.
    let mut reader = rig.engine.read(JournalPosition(0)).await.unwrap();
    let mut told = Vec::new();
    while told.last() != Some(&Some(GateReason::Paused)) {
        for (_, entry) in reader.next(100).await.unwrap() {
            if let JournalEntry::HealthChanged(changed) = entry {
                told.push(changed.health.gate.as_ref().map(Gate::reason));
            }
        }
    }
    told.dedup();
    assert_eq!(told, [None, Some(GateReason::BreakerOpen), Some(GateReason::Paused)]);
}

#[tokio::test]
async fn a_probe_waits_as_long_as_the_receiver_asks_for() {
    let rig = Rig::new().await;
    rig.start(one_at_a_time());
    let busy = |received: &fanfare_testkit::Received| match received.index {
        0..10 => Reply::Status(500),
        _ => Reply::Full(503, vec![("retry-after", "600".to_owned())], bytes::Bytes::new()),
    };
    let receiver = Receiver::http(busy).await;
    let webhook = broken(&rig, &receiver, 5).await;
    rig.pass_until("the first probe", async || receiver.so_far().len() == 11).await;
    until("the next probe's time", async || match rig.health(webhook).await.unwrap().gate {
        Some(Gate::BreakerOpen { next_probe, .. }) => next_probe.since(rig.clock.now()) > Duration::from_secs(590),
        _ => false,
    })
    .await;
}

#[tokio::test]
async fn one_that_fails_again_under_its_backlog_is_probed_after_ever_longer_intervals() {
    let rig = Rig::new().await;
    rig.start(one_at_a_time());
    // It takes a probe, and nothing else.
    let receiver = Receiver::http(|_| Reply::Status(500)).await;
    let webhook = broken(&rig, &receiver, 60).await;
    for times in 1..=3 {
        let from = receiver.so_far().len();
        receiver.answer(move |received| Reply::Status(if received.index == from { 200 } else { 500 }));
        rig.pass_until("the breaker to open again", async || {
            matches!(rig.health(webhook).await.unwrap().gate, Some(Gate::BreakerOpen { probes: 0, from, .. }) if from == times)
        })
        .await;
        let health = rig.health(webhook).await.unwrap();
        let Some(Gate::BreakerOpen { since, next_probe, .. }) = health.gate else { panic!("{health:?}") };
        let interval = next_probe.since(since).as_secs_f64();
        let expected = f64::from(1 << times);
        assert!((expected * 0.8..=expected * 1.2).contains(&interval), "the {times}. time: {interval} s");
    }
}

#[tokio::test]
async fn a_receiver_that_says_when_to_come_back_gets_nothing_of_its_lane_until_then() {
    let rig = Rig::new().await;
    rig.start(one_at_a_time());
    let busy = |received: &fanfare_testkit::Received| match received.index {
        0 => Reply::Full(429, vec![("retry-after", "5".to_owned())], bytes::Bytes::new()),
        _ => Reply::Status(200),
    };
    let receiver = Receiver::http(busy).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let began = rig.clock.monotonic();
    let first = rig.push(webhook, "order-0").await;
    rig.settled(first, 1).await;
    assert_eq!(rig.metrics.delivery_lanes_held_back.get(), 1);
    let mut others = Vec::new();
    for n in 1..=4 {
        others.push(rig.push(webhook, &format!("order-{n}")).await);
    }
    rig.pass_until("the next request", async || receiver.so_far().len() > 1).await;
    assert!(rig.clock.monotonic().since(began) >= Duration::from_secs(5));
    for other in others {
        let settled = rig.settled(other, 1).await;
        assert_eq!((settled.len(), settled[0].next), (1, Next::End { end: End::Delivered }), "one attempt was enough");
    }
    assert_eq!(rig.metrics.delivery_lanes_held_back.get(), 0);
}

#[tokio::test]
async fn a_lane_falls_to_one_request_at_a_time_where_a_receiver_does_not_answer() {
    let rig = Rig::new().await;
    rig.start(DeliveryConfig { breaker_failures: 1000, breaker_percent: 100, ..DeliveryConfig::default() });
    let receiver = Receiver::http(|received| Reply::Status(if received.index % 2 == 0 { 503 } else { 200 })).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    for n in 0..100 {
        rig.push(webhook, &format!("order-{n}")).await;
    }
    receiver.received(100).await;
    assert_ne!(rig.registry.gate(webhook), Some(GateReason::BreakerOpen));
}

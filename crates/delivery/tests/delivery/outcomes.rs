//! What comes of deliveries: success, retries, their end.

use std::time::Duration;

use bytes::Bytes;
use fanfare_core::attempt::OutcomeClass;
use fanfare_core::clock::Clock as _;
use fanfare_core::delivery::{DueReason, End, Next, Place};
use fanfare_core::ids::WebhookId;
use fanfare_core::retry::RetrySchedule;
use fanfare_testkit::{Receiver, Reply};

use super::rig::{BODY, Rig, until};

#[tokio::test]
async fn a_delivery_reaches_its_receiver_and_ends() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Full(201, vec![], Bytes::from_static(b"thanks"))).await;
    let webhook = rig.webhook(&receiver.url("/hook?key=1"), |_| ()).await;
    let delivery = rig.push(webhook, "order-1").await;
    let received = receiver.received(1).await;
    assert_eq!((received[0].path.as_str(), &*received[0].body), ("/hook?key=1", BODY));
    assert_eq!(received[0].header("x-webhook-attempt"), "1");
    assert_eq!(received[0].header("x-webhook-event"), "order.placed");

    let settled = rig.settled(delivery, 1).await;
    assert_eq!(settled[0].next, Next::End { end: End::Delivered });
    let attempt = settled[0].attempt.as_ref().unwrap();
    assert_eq!((attempt.number, attempt.status, attempt.outcome), (1, Some(201), OutcomeClass::Success));
    assert_eq!(attempt.response_body.bytes, b"thanks");
    let mut logged: Vec<_> = attempt.request_headers.iter().collect();
    let headers = received[0].headers.iter();
    let mut sent: Vec<_> = headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    logged.sort();
    sent.sort();
    assert_eq!(logged, sent, "what is logged is what was sent");
    until("the count of what was delivered", async || rig.ended("delivered") == 1).await;
    assert_eq!(rig.metrics.delivery_attempts.with_label_values(&["success"]).get(), 1);
    assert_eq!(rig.metrics.dedup_decisions.with_label_values(&["claimed"]).get(), 1);
    until("nothing in flight", async || rig.metrics.delivery_in_flight.get() == 0).await;
}

#[tokio::test]
async fn failures_are_retried_by_the_schedule_under_the_same_key() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|received| Reply::Status(if received.index < 2 { 500 } else { 200 })).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let delivery = rig.push(webhook, "order-1").await;
    for (failures, delay) in [(1, 5.0), (2, 30.0)] {
        let settled = rig.settled(delivery, failures).await;
        let Next::Move(Place::Due { at, reason: DueReason::Retry }) = settled[failures - 1].next else {
            panic!("{settled:?}")
        };
        let wait = at.since(rig.clock.now()).as_secs_f64();
        assert!(wait >= delay * 0.8 && wait <= delay * 1.2, "{wait} for {delay}");
        rig.advance_to(&settled[failures - 1]);
    }
    let received = receiver.received(3).await;
    let attempts: Vec<_> = received.iter().map(|received| received.header("x-webhook-attempt")).collect();
    assert_eq!(attempts, ["1", "2", "3"]);
    assert!(received.iter().all(|other| other.key() == received[0].key() && !other.key().is_empty()));
    let settled = rig.settled(delivery, 3).await;
    assert_eq!(settled[2].next, Next::End { end: End::Delivered });
    // While it failed the webhook was failing; now it is not.
    until("the webhook to be healthy", async || {
        rig.health(webhook).await.is_some_and(|health| health.failing_since.is_none())
    })
    .await;
}

#[tokio::test]
async fn a_failing_webhook_is_noted_with_the_time_of_its_first_failure() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Status(500)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let began = rig.clock.now();
    let delivery = rig.push(webhook, "order-1").await;
    until("the note", async || rig.health(webhook).await.is_some()).await;
    rig.caught_up().await;
    rig.advance_to(&rig.settled(delivery, 1).await[0]);
    rig.settled(delivery, 2).await;
    assert_eq!(rig.health(webhook).await.unwrap().failing_since, Some(began));
}

#[tokio::test]
async fn retry_after_puts_the_next_attempt_off() {
    let rig = Rig::started().await;
    let busy = |_: &_| Reply::Full(503, vec![("retry-after", "120".to_owned())], Bytes::new());
    let receiver = Receiver::http(busy).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let delivery = rig.push(webhook, "order-1").await;
    let settled = rig.settled(delivery, 1).await;
    let at = rig.clock.now().after(Duration::from_secs(120));
    assert_eq!(settled[0].next, Next::Move(Place::Due { at, reason: DueReason::RetryAfter }));
}

#[tokio::test]
async fn the_last_failure_of_the_schedule_exhausts_a_delivery() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Status(404)).await;
    let schedule = RetrySchedule::custom(&[1]).unwrap();
    let webhook = rig.webhook(&receiver.url("/"), |webhook| webhook.retry_schedule = schedule).await;
    let delivery = rig.push(webhook, "order-1").await;
    rig.advance_to(&rig.settled(delivery, 1).await[0]);
    let settled = rig.settled(delivery, 2).await;
    assert_eq!(settled[1].next, Next::End { end: End::Exhausted });
    until("the count", async || rig.ended("exhausted") == 1).await;
}

#[tokio::test]
async fn a_refused_address_counts_as_an_attempt() {
    let rig = Rig::started().await;
    let webhook = rig.webhook("https://10.1.2.3/", |_| ()).await;
    let delivery = rig.push(webhook, "order-1").await;
    let settled = rig.settled(delivery, 1).await;
    assert_eq!(settled[0].attempt.as_ref().unwrap().outcome, OutcomeClass::EgressDenied);
    rig.advance_to(&settled[0]);
    assert_eq!(rig.settled(delivery, 2).await[1].attempt.as_ref().unwrap().number, 2);
}

#[tokio::test]
async fn what_has_expired_or_has_no_webhook_ends_without_an_attempt() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let expired = rig.push_with(webhook, "order-1", Place::Ready, Some(rig.clock.now())).await;
    let orphan = rig.push(WebhookId::from_bytes([9; 16]), "order-1").await;
    for (delivery, end) in [(expired, End::Expired), (orphan, End::Discarded)] {
        let settled = rig.settled(delivery, 1).await;
        assert_eq!((&settled[0].attempt, settled[0].next), (&None, Next::End { end }));
    }
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn a_retry_is_never_put_past_the_expiry() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Status(500)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let soon = rig.clock.now().after(Duration::from_secs(2));
    let delivery = rig.push_with(webhook, "order-1", Place::Ready, Some(soon)).await;
    let settled = rig.settled(delivery, 1).await;
    assert_eq!(settled[0].next, Next::End { end: End::Expired });
    assert!(settled[0].attempt.is_some());
}

//! Gates: raised by 410 or by the owner, worked off in order, lowered.

use fanfare_core::delivery::{End, Next, Place};
use fanfare_core::health::{Gate, GateReason, PauseReason};
use fanfare_core::ports::config_store::Record;
use fanfare_core::ports::delivery_queue::DeliveryQueue as _;
use fanfare_delivery::DeliveryConfig;
use fanfare_testkit::{Receiver, Reply};

use super::rig::{Rig, until};

const BEHIND: Next = Next::Move(Place::Gated { reason: GateReason::Paused });

/// One request at a time, so that the order of arrival is the order of sending.
fn one_at_a_time() -> DeliveryConfig {
    DeliveryConfig { lane_limit: 1, ..DeliveryConfig::default() }
}

#[tokio::test]
async fn gone_pauses_and_activation_releases_in_order() {
    let rig = Rig::new().await;
    rig.start(one_at_a_time());
    let receiver = Receiver::http(|_| Reply::Status(410)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let first = rig.push(webhook, "order-1").await;
    let settled = rig.settled(first, 1).await;
    assert_eq!(settled[0].next, BEHIND);
    assert_eq!(settled[0].attempt.as_ref().unwrap().status, Some(410));
    let paused = rig.health(webhook).await.unwrap().gate;
    assert!(matches!(paused, Some(Gate::Paused { by: PauseReason::Gone, .. })), "{paused:?}");

    // What a fan-out pushes that has not seen the gate yet is put behind it, unsent.
    for event in ["order-2", "order-3", "order-4"] {
        let delivery = rig.push(webhook, event).await;
        let settled = rig.settled(delivery, 1).await;
        assert_eq!((&settled[0].attempt, settled[0].next), (&None, BEHIND));
    }
    assert_eq!(receiver.so_far().len(), 1);
    assert_eq!(rig.engine.gate_depth(webhook).await.unwrap().count, 4);

    receiver.answer(|_| Reply::Status(200));
    rig.release(webhook).await;
    let received = receiver.received(5).await;
    rig.gate_down(webhook).await;
    let attempts: Vec<_> =
        received[1..].iter().map(|received| received.header("x-webhook-attempt").to_owned()).collect();
    assert_eq!(attempts, ["2", "1", "1", "1"]);
    assert_eq!(received[1].key(), received[0].key());
    let ended = rig
        .settled_until("four ends", |all| {
            all.iter().filter(|entry| entry.next == Next::End { end: End::Delivered }).count() == 4
        })
        .await;
    let order: Vec<_> = ended
        .iter()
        .filter(|entry| matches!(entry.next, Next::End { .. }))
        .map(|entry| entry.delivery.event.as_str().to_owned())
        .collect();
    assert_eq!(order, ["order-1", "order-2", "order-3", "order-4"]);

    // And the webhook is served as ever.
    rig.push(webhook, "order-5").await;
    receiver.received(6).await;
}

#[tokio::test]
async fn still_gone_after_activation_pauses_again() {
    let rig = Rig::new().await;
    rig.start(one_at_a_time());
    let receiver = Receiver::http(|_| Reply::Status(410)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let first = rig.push(webhook, "order-1").await;
    rig.settled(first, 1).await;
    let second = rig.push(webhook, "order-2").await;
    rig.settled(second, 1).await;
    rig.release(webhook).await;
    let settled = rig.settled(first, 2).await;
    assert_eq!(settled[1].next, BEHIND);
    rig.caught_up().await;
    assert_eq!(rig.registry.gate(webhook), Some(GateReason::Paused));
    until("both to stand behind the gate", async || {
        let depth = rig.engine.depth().await.unwrap();
        (depth.gated, depth.in_flight, depth.ready) == (2, 0, 0)
    })
    .await;
    assert_eq!(receiver.so_far().len(), 2, "the second was not sent");
}

#[tokio::test]
async fn an_inactive_webhook_holds_what_is_pending_until_it_is_active() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = rig.webhook(&receiver.url("/"), |webhook| webhook.active = false).await;
    let delivery = rig.push(webhook, "order-1").await;
    assert_eq!(rig.settled(delivery, 1).await[0].next, BEHIND);
    let mut record = rig.registry.webhook(webhook).unwrap().webhook.clone();
    record.active = true;
    rig.put(Record::Webhook(record)).await;
    receiver.received(1).await;
    assert_eq!(rig.settled(delivery, 2).await[1].next, Next::End { end: End::Delivered });
}

#[tokio::test]
async fn what_is_pushed_behind_a_gate_that_is_down_is_delivered() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let late = Place::Gated { reason: GateReason::Releasing };
    let delivery = rig.push_with(webhook, "order-1", late, None).await;
    receiver.received(1).await;
    assert_eq!(rig.settled(delivery, 1).await[0].next, Next::End { end: End::Delivered });
}

#[tokio::test]
async fn a_gate_with_many_behind_it_is_worked_off_whole() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    rig.put(Record::Health(rig.paused(webhook))).await;
    for n in 0..300 {
        rig.push_with(webhook, &format!("order-{n}"), Place::Gated { reason: GateReason::Paused }, None).await;
    }
    rig.release(webhook).await;
    receiver.received(300).await;
    rig.gate_down(webhook).await;
    until("all ends", async || rig.ended("delivered") == 300).await;
    assert_eq!(receiver.so_far().len(), 300);
}

#[tokio::test]
async fn a_gate_with_nothing_behind_it_goes_down_by_itself() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    rig.release(webhook).await;
    rig.gate_down(webhook).await;
}

//! One receiver never slows another.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanfare_core::delivery::{End, Next, Place};
use fanfare_core::health::GateReason;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::config_store::Record;
use fanfare_core::ports::delivery_queue::DeliveryQueue;
use fanfare_delivery::DeliveryConfig;
use fanfare_testkit::{Receiver, Reply};

use super::doubles::Doctored;
use super::gated_receiver::GatedReceiver;
use super::rig::{Rig, until};

const BEHIND: Next = Next::Move(Place::Gated { reason: GateReason::Congested });

#[tokio::test]
async fn webhooks_that_never_answer_leave_room_for_the_others() {
    let rig = Rig::new().await;
    rig.start(DeliveryConfig { max_in_flight: 48, lease_batch: 8, lane_limit: 4, ..DeliveryConfig::default() });
    let (black_hole, healthy) = (GatedReceiver::start().await, Receiver::http(|_| Reply::Status(200)).await);
    for _ in 0..5 {
        let dead = rig.webhook(&black_hole.url(), |_| ()).await;
        for n in 0..40 {
            rig.push(dead, &format!("order-{n}")).await;
        }
    }
    let webhook = rig.webhook(&healthy.url("/"), |_| ()).await;
    for n in 0..20 {
        let delivery = rig.push(webhook, &format!("order-{n}")).await;
        let settled = rig.settled(delivery, 1).await;
        assert_eq!(settled[0].next, Next::End { end: End::Delivered });
    }
    assert_eq!(healthy.so_far().len(), 20);
    // Nothing is lost of what the others had no room for: it waits behind their gates.
    let all = rig.settled_until("moves behind gates", |all| all.iter().any(|entry| entry.next == BEHIND)).await;
    for entry in all.iter().filter(|entry| entry.delivery.webhook != webhook) {
        assert_eq!((entry.next, &entry.attempt), (BEHIND, &None));
        assert_eq!(rig.registry.gate(entry.delivery.webhook), Some(GateReason::Congested));
    }
}

/// More comes at once than the worker may hold; the receiver is fast. No clock is advanced: nothing waits for a time.
#[tokio::test]
async fn what_a_lane_has_no_room_for_is_worked_off_as_it_frees() {
    let rig = Rig::new().await;
    rig.start(DeliveryConfig { max_in_flight: 24, lease_batch: 8, lane_limit: 4, ..DeliveryConfig::default() });
    let slow = GatedReceiver::start().await;
    let webhook = rig.webhook(&slow.url(), |_| ()).await;
    for n in 0..200 {
        rig.push(webhook, &format!("order-{n}")).await;
    }
    slow.arrived(4).await;
    rig.settled_until("a move behind the gate", |all| all.iter().any(|entry| entry.next == BEHIND)).await;
    slow.answer(1000);
    let all = rig
        .settled_until("every end", |all| {
            all.iter().filter(|entry| entry.next == Next::End { end: End::Delivered }).count() == 200
        })
        .await;
    assert!(all.iter().all(|entry| entry.next == BEHIND || entry.next == Next::End { end: End::Delivered }));
    rig.gate_down(webhook).await;
    assert_eq!(slow.requests(), 200, "each was sent once");
    assert_eq!(rig.health(webhook).await.and_then(|health| health.gate), None);
}

/// A store that has become slow holds up leasing. To the lanes its delay is nobody's fault: no gate goes up for it.
#[tokio::test]
async fn a_store_that_settles_slowly_raises_no_gates_and_holds_up_leasing() {
    let rig = Rig::new().await;
    let queue = Doctored::slow(&rig);
    let config = DeliveryConfig { max_in_flight: 128, lease_batch: 4, ..DeliveryConfig::default() };
    rig.start_on(Arc::clone(&queue) as Arc<dyn DeliveryQueue>, Arc::new(rig.engine.clone()), config);
    let healthy = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = rig.webhook(&healthy.url("/"), |_| ()).await;
    // One after the other, so that none ever waits in its lane.
    for n in 1..=32 {
        rig.push(webhook, &format!("order-{n}")).await;
        until("the settlement", async || queue.settlements.load(Ordering::SeqCst) == n).await;
    }
    for n in 33..=60 {
        rig.push(webhook, &format!("order-{n}")).await;
    }
    queue.settling.add_permits(1000);
    let all = rig.settled_until("every end", |all| all.len() >= 60).await;
    let first = all.iter().filter(|entry| (1..=32).any(|n| entry.delivery.event.as_str() == format!("order-{n}")));
    assert!(first.clone().count() == 32 && first.clone().all(|entry| entry.next == Next::End { end: End::Delivered }));
    let most = queue.most_settling.load(Ordering::SeqCst);
    assert!(most <= 36, "{most} at once");
}

/// Puts so many behind a webhook's gate, and has it worked off.
async fn release(rig: &Rig, webhook: WebhookId, count: usize) {
    for n in 0..count {
        rig.push_with(webhook, &format!("order-{n}"), Place::Gated { reason: GateReason::Paused }, None).await;
    }
    rig.release(webhook).await;
}

#[tokio::test]
async fn gates_worked_off_against_slow_receivers_leave_room_for_what_is_ready() {
    let rig = Rig::new().await;
    rig.start(DeliveryConfig { max_in_flight: 24, lease_batch: 8, lane_limit: 4, ..DeliveryConfig::default() });
    let (black_hole, healthy) = (GatedReceiver::start().await, Receiver::http(|_| Reply::Status(200)).await);
    for _ in 0..6 {
        let slow = rig.webhook(&black_hole.url(), |_| ()).await;
        rig.put(Record::Health(rig.paused(slow))).await;
        release(&rig, slow, 8).await;
    }
    black_hole.arrived(24).await;
    let webhook = rig.webhook(&healthy.url("/"), |_| ()).await;
    let delivery = rig.push(webhook, "order-1").await;
    let settled = rig.settled(delivery, 1).await;
    assert_eq!(settled[0].next, Next::End { end: End::Delivered });
}

#[tokio::test]
async fn a_gate_with_a_long_backlog_gives_others_their_turn() {
    let rig = Rig::new().await;
    rig.start(DeliveryConfig { max_releases: 1, lane_limit: 2, ..DeliveryConfig::default() });
    let (slow, healthy) = (GatedReceiver::start().await, Receiver::http(|_| Reply::Status(200)).await);
    let (first, second) = (rig.webhook(&slow.url(), |_| ()).await, rig.webhook(&healthy.url("/"), |_| ()).await);
    for webhook in [first, second] {
        rig.put(Record::Health(rig.paused(webhook))).await;
    }
    release(&rig, first, 100).await;
    slow.arrived(2).await;
    release(&rig, second, 1).await;
    // Longer than a turn; what is in hand then comes back, and no more is taken.
    rig.clock.advance(Duration::from_secs(6));
    slow.answer(10);
    healthy.received(1).await;
    rig.gate_down(second).await;
    slow.answer(200);
    rig.gate_down(first).await;
    assert_eq!(slow.requests(), 100);
}

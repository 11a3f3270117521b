//! One receiver never slows another.

use std::time::Duration;

use fanfare_core::clock::Clock as _;
use fanfare_core::delivery::{DueReason, End, Next, Place};
use fanfare_delivery::DeliveryConfig;
use fanfare_testkit::{Receiver, Reply};

use super::gated_receiver::GatedReceiver;
use super::rig::Rig;

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
    // Nothing is lost of what the others had no room for: it is due again, later.
    let all = rig
        .settled_until("put-offs", |all| {
            all.iter().any(|entry| matches!(entry.next, Next::Move(Place::Due { reason: DueReason::Congested, .. })))
        })
        .await;
    for entry in all.iter().filter(|entry| entry.delivery.webhook != webhook) {
        let Next::Move(Place::Due { at, reason: DueReason::Congested }) = entry.next else { panic!("{entry:?}") };
        assert!(entry.attempt.is_none());
        let wait = at.since(rig.clock.now());
        assert!(wait >= Duration::from_millis(250) && wait <= Duration::from_secs(30), "{wait:?}");
    }
}

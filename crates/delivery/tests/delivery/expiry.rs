//! What stands behind gates ends when its time is over: its own, or the longest that anything is held.

use std::time::Duration;

use fanfare_core::clock::Clock as _;
use fanfare_core::delivery::{End, Next, Place};
use fanfare_core::health::GateReason;
use fanfare_core::ports::config_store::Record;
use fanfare_core::ports::delivery_queue::DeliveryQueue as _;
use fanfare_delivery::DeliveryConfig;
use fanfare_runtime::Span;
use fanfare_testkit::{Receiver, Reply};

use super::rig::{PATIENCE, Rig};

const BEHIND: Place = Place::Gated { reason: GateReason::Paused };
const EXPIRED: Next = Next::End { end: End::Expired };
/// Short beside a lease, so that none runs out while the clock goes on.
const STEP: Duration = Duration::from_secs(1);

fn config() -> DeliveryConfig {
    DeliveryConfig {
        lane_limit: 1,
        hold_max_age: Span::from_secs(3600),
        expiry_interval: Span::from_secs(1),
        ..DeliveryConfig::default()
    }
}

/// Lets time go on step by step until so many have ended as expired.
async fn expired(rig: &Rig, count: u64) {
    let waiting = async {
        while rig.ended("expired") < count {
            let ended = async {
                while rig.ended("expired") < count {
                    tokio::task::yield_now().await;
                }
            };
            // Whoever sweeps may just have looked.
            if tokio::time::timeout(Duration::from_millis(50), ended).await.is_err() {
                rig.clock.advance(STEP);
            }
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited {PATIENCE:?} for {count} to expire");
    assert_eq!(rig.ended("expired"), count);
}

#[tokio::test]
async fn what_expired_behind_a_gate_ends_at_the_first_look_and_the_others_keep_their_order() {
    let rig = Rig::new().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    rig.put(Record::Health(rig.paused(webhook))).await;
    let expiry = Some(rig.clock.now().after(Duration::from_secs(60)));
    let mut expire = Vec::new();
    for number in 0..6 {
        let expires_at = if number % 2 == 0 { expiry } else { None };
        let delivery = rig.push_with(webhook, &format!("order-{number}"), BEHIND, expires_at).await;
        if expires_at.is_some() {
            expire.push(delivery);
        }
    }
    rig.clock.advance(Duration::from_secs(60));
    rig.start(config());
    for delivery in expire {
        let settled = rig.settled(delivery, 1).await;
        assert_eq!((&settled[0].attempt, settled[0].next), (&None, EXPIRED));
    }
    expired(&rig, 3).await;
    assert_eq!(rig.engine.gate_depth(webhook).await.unwrap().count, 3);
    assert!(receiver.so_far().is_empty());
    rig.release(webhook).await;
    let all = rig
        .settled_until("three deliveries", |all| {
            all.iter().filter(|entry| entry.next == Next::End { end: End::Delivered }).count() == 3
        })
        .await;
    let delivered = all.iter().filter(|entry| entry.next == Next::End { end: End::Delivered });
    let order: Vec<_> = delivered.map(|entry| entry.delivery.event.as_str().to_owned()).collect();
    assert_eq!(order, ["order-1", "order-3", "order-5"]);
}

#[tokio::test]
async fn what_expires_later_ends_then_whatever_the_gate_is_up_for() {
    let rig = Rig::new().await;
    rig.start(config());
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let paused = rig.webhook(&receiver.url("/paused"), |_| ()).await;
    rig.put(Record::Health(rig.paused(paused))).await;
    let inactive = rig.webhook(&receiver.url("/inactive"), |webhook| webhook.active = false).await;
    let expiry = rig.clock.now().after(Duration::from_secs(7));
    for webhook in [paused, inactive] {
        rig.push_with(webhook, "expires", BEHIND, Some(expiry)).await;
        rig.push_with(webhook, "stays", BEHIND, None).await;
        // Ready, it is put behind the gate by whoever meets it.
        rig.push_with(webhook, "ready", Place::Ready, Some(expiry)).await;
    }
    expired(&rig, 4).await;
    assert!(rig.clock.now() >= expiry);
    for webhook in [paused, inactive] {
        assert_eq!(rig.engine.gate_depth(webhook).await.unwrap().count, 1);
    }
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn nothing_is_held_for_longer_than_it_may_be_however_much_there_is() {
    const MANY: u64 = 600;
    let rig = Rig::new().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    rig.put(Record::Health(rig.paused(webhook))).await;
    for number in 0..MANY {
        rig.push_with(webhook, &format!("old-{number}"), BEHIND, None).await;
    }
    rig.clock.advance(Duration::from_secs(1800));
    rig.push_with(webhook, "new", BEHIND, None).await;
    rig.start(config());
    rig.clock.advance(Duration::from_secs(1801));
    expired(&rig, MANY).await;
    assert_eq!(rig.engine.gate_depth(webhook).await.unwrap().count, 1);
    assert!(receiver.so_far().is_empty());
}

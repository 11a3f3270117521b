//! What an event becomes.

use fanfare_core::clock::Clock as _;
use fanfare_core::delivery::Place;
use fanfare_core::health::{Gate, GateReason, Health, PauseReason};
use fanfare_core::ids::{DeliveryId, Hop, ProjectId, Run};
use fanfare_core::ports::config_store::Record;
use fanfare_core::ports::delivery_queue::{DeliveryQueue as _, GatePosition};
use fanfare_fanout::FanoutConfig;

use super::rig::Rig;

#[tokio::test]
async fn an_event_becomes_a_delivery_for_each_match_and_non_matches_are_journalled_too() {
    let rig = Rig::new().await;
    let mut webhooks = [rig.webhook().await, rig.webhook().await];
    webhooks.sort_unstable();
    rig.start(FanoutConfig::default());
    rig.publish("order.paid", "order-1").await;
    rig.publish("invoice.paid", "invoice-1").await;

    let mut journal = rig.fanned_out().await;
    let [matched, unmatched] = [journal.one().await, journal.one().await];
    assert_eq!(matched.event, rig.event("order.paid", "order-1").header);
    assert_eq!(matched.data_bytes, 19);
    let mut told: Vec<_> = matched.deliveries.iter().map(|to| (to.webhook, to.delivery, to.place)).collect();
    told.sort_unstable_by_key(|(webhook, ..)| *webhook);
    let id = |webhook| DeliveryId::derive(webhook, &matched.event.id, &Run::Original);
    assert_eq!(told, webhooks.map(|webhook| (webhook, id(webhook), Place::Ready)));
    assert_eq!((unmatched.event.id.as_str(), unmatched.deliveries.len()), ("invoice-1", 0));

    let mut leases = rig.lease(2).await;
    leases.sort_unstable_by_key(|lease| lease.delivery.header.webhook);
    for (lease, webhook) in leases.iter().zip(webhooks) {
        let header = &lease.delivery.header;
        assert_eq!((header.id, header.webhook, header.hop, header.attempts), (id(webhook), webhook, Hop(0), 0));
        assert_eq!(header.accepted_at, rig.clock.now());
        assert_eq!(&lease.delivery.body[..], b"{\"order\":\"order-1\"}");
    }
    for (result, count) in [("matched", 1), ("unmatched", 1)] {
        assert_eq!(rig.metrics.fanout_events.with_label_values(&[result]).get(), count, "{result}");
    }
    rig.until("the pushes to be counted", async || rig.metrics.fanout_deliveries.get() == 2).await;
}

#[tokio::test]
async fn a_gate_that_is_up_has_deliveries_pushed_behind_it() {
    let rig = Rig::new().await;
    let (open, gated) = (rig.webhook().await, rig.webhook().await);
    let gate = Some(Gate::Paused { by: PauseReason::Gone, since: rig.clock.now() });
    let health = Health { gate, ..Health::new(gated, ProjectId::new("acme").unwrap()) };
    rig.put(Record::Health(health)).await;
    rig.start(FanoutConfig::default());
    rig.publish("order.paid", "order-1").await;

    let entry = rig.fanned_out().await.one().await;
    let behind = Place::Gated { reason: GateReason::Paused };
    for (webhook, place) in [(open, Place::Ready), (gated, behind)] {
        let told = entry.deliveries.iter().find(|to| to.webhook == webhook).unwrap();
        assert_eq!(told.place, place);
    }
    assert_eq!(rig.lease(1).await[0].delivery.header.webhook, open);
    let stands = rig.engine.gate_read(gated, GatePosition(0), 10).await.unwrap();
    assert_eq!(stands.len(), 1);
    assert_eq!(stands[0].1.header.event.as_str(), "order-1");
    assert_eq!(rig.engine.depth().await.unwrap().ready, 0);
}

#[tokio::test]
async fn a_webhook_that_was_created_just_before_an_event_is_matched_however_late_this_process_hears_of_it() {
    let rig = Rig::new().await;
    rig.start(FanoutConfig::default());
    rig.store.hold_back(true);
    let webhook = rig.webhook().await;
    rig.publish("order.paid", "order-1").await;
    // Nothing was told of the webhook; fan-out has to wait for it, since the store says that there is something to tell.
    assert!(rig.registry.webhook(webhook).is_none());
    rig.until("fan-out to read the event", async || rig.store.asked() > 0).await;
    rig.store.hold_back(false);
    let entry = rig.fanned_out().await.one().await;
    assert_eq!(entry.deliveries.iter().map(|to| to.webhook).collect::<Vec<_>>(), [webhook]);
}

#[tokio::test]
async fn an_event_with_many_matches_is_pushed_in_several_parts_that_make_up_the_whole() {
    let rig = Rig::new().await;
    let mut webhooks = Vec::new();
    for _ in 0..10 {
        webhooks.push(rig.webhook().await);
    }
    rig.start(FanoutConfig { push_deliveries: 3, ..FanoutConfig::default() });
    rig.publish("order.paid", "order-1").await;
    rig.publish("invoice.paid", "invoice-1").await;

    let mut journal = rig.fanned_out().await;
    let parts = journal.next(4).await;
    assert!(parts.iter().all(|part| part.event.id.as_str() == "order-1"));
    assert_eq!(parts.iter().map(|part| part.deliveries.len()).collect::<Vec<_>>(), [3, 3, 3, 1]);
    let mut told: Vec<_> = parts.iter().flat_map(|part| &part.deliveries).map(|to| to.webhook).collect();
    let mut leased: Vec<_> = rig.lease(10).await.iter().map(|lease| lease.delivery.header.webhook).collect();
    for list in [&mut webhooks, &mut told, &mut leased] {
        list.sort_unstable();
    }
    assert_eq!(told, webhooks);
    assert_eq!(leased, webhooks);
    assert_eq!(journal.one().await.event.id.as_str(), "invoice-1");
}

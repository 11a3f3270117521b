//! Positions, and what is done again after a crash.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Clock as _;
use fanfare_core::delivery::{Delivery, DeliveryHeader, DueReason, Next, Place};
use fanfare_core::ids::{DeliveryId, Hop, Run, WebhookId};
use fanfare_core::ports::Dedup;
use fanfare_core::ports::delivery_queue::{DeliveryQueue as _, Push};
use fanfare_core::ports::event_log::EventLog as _;
use fanfare_fanout::FanoutConfig;
use fanfare_runtime::Span;

use super::away::Away;
use super::rig::{PATIENCE, Rig};

/// What fan-out pushes of an event.
fn push(rig: &Rig, webhook: WebhookId, id: &str) -> Push {
    let event = rig.event("order.paid", id);
    let header = DeliveryHeader {
        id: DeliveryId::derive(webhook, &event.header.id, &Run::Original),
        project: event.header.project,
        webhook,
        event: event.header.id,
        event_type: event.header.event_type,
        source: None,
        subject: None,
        expires_at: None,
        accepted_at: event.header.accepted_at,
        run: Run::Original,
        hop: Hop(0),
        attempts: 0,
    };
    Push { delivery: Delivery { header, body: event.data }, place: Place::Ready, repeated: true }
}

#[tokio::test]
async fn what_has_ended_or_moved_is_not_pushed_again_when_an_event_is_redelivered() {
    let rig = Rig::new().await;
    let [done, moved, ready, missing] =
        [rig.webhook().await, rig.webhook().await, rig.webhook().await, rig.webhook().await];
    rig.publish("order.paid", "order-1").await;
    {
        // An earlier fan-out: it read the event, pushed three of its four deliveries, and died before the rest.
        let mut share = rig.engine.consume().await.unwrap();
        let mut reader = share.next().await.unwrap();
        assert!(!reader.next(10).await.unwrap()[0].redelivered);
        let pushes = [done, moved, ready].map(|webhook| push(&rig, webhook, "order-1"));
        assert_eq!(rig.engine.push(pushes.to_vec(), Vec::new()).await.unwrap(), 3);
    }
    let due = Place::Due { at: rig.clock.now().after(Duration::from_secs(60)), reason: DueReason::Retry };
    for lease in rig.lease(3).await {
        match lease.delivery.header.webhook {
            webhook if webhook == done => rig.deliver(&lease).await,
            webhook if webhook == moved => rig.settle(&lease, Next::Move(due)).await,
            _ => rig.engine.abandon(&lease).await.unwrap(),
        }
    }

    rig.start(FanoutConfig::default());
    let entry = rig.fanned_out().await.one().await;
    let mut told: Vec<_> = entry.deliveries.iter().map(|to| to.webhook).collect();
    told.sort_unstable();
    let mut expected = [ready, missing];
    expected.sort_unstable();
    assert_eq!(told, expected);
    rig.until("the push to be counted", async || rig.metrics.fanout_deliveries.get() > 0).await;
    assert_eq!(rig.metrics.fanout_deliveries.get(), 1, "only the one that was missing is new");
    let mut leased: Vec<_> = rig.lease(2).await.iter().map(|lease| lease.delivery.header.webhook).collect();
    leased.sort_unstable();
    assert_eq!(leased, expected);
    let depth = rig.engine.depth().await.unwrap();
    assert_eq!((depth.ready, depth.due_retry), (0, 1));
}

#[tokio::test]
async fn redelivered_events_go_on_while_nobody_says_what_is_known() {
    let rig = Rig::new().await;
    let [done, missing] = [rig.webhook().await, rig.webhook().await];
    rig.publish_many(3).await;
    {
        // An earlier fan-out read them, pushed one delivery of the first, which was made, and died.
        let mut share = rig.engine.consume().await.unwrap();
        let events = share.next().await.unwrap().next(10).await.unwrap();
        assert_eq!(events.len(), 3);
        let first = push(&rig, done, events[0].event.header.id.as_str());
        assert_eq!(rig.engine.push(vec![first], Vec::new()).await.unwrap(), 1);
    }
    rig.deliver(&rig.lease(1).await[0]).await;

    let away = Arc::new(Away::default());
    rig.start_asking(Arc::clone(&away) as Arc<dyn Dedup>, FanoutConfig::default());
    rig.fanned_out().await.next(3).await;
    rig.until("the pushes to be counted", async || rig.metrics.fanout_deliveries.get() > 0).await;
    assert_eq!(rig.metrics.fanout_deliveries.get(), 5, "the one that was made is recognised by the queue");
    let leased = rig.lease(5).await;
    assert_eq!(leased.iter().filter(|lease| lease.delivery.header.webhook == missing).count(), 3);
    assert_eq!(rig.engine.depth().await.unwrap().ready, 0);
    assert_eq!(away.asked(), 1, "who does not answer is not asked for each event");
}

#[tokio::test]
async fn the_position_follows_at_intervals() {
    let rig = Rig::new().await;
    rig.start(FanoutConfig::default());
    rig.publish_many(3).await;
    rig.fanned_out().await.next(3).await;
    assert_eq!(rig.engine.backlog().await.unwrap(), 3, "no interval has passed");
    rig.until("the position to be advanced", async || rig.engine.backlog().await.unwrap() == 0).await;
}

#[tokio::test]
async fn a_stop_advances_the_position_so_that_the_next_start_repeats_nothing() {
    for _ in 0..20 {
        let rig = Rig::new().await;
        let config = FanoutConfig { advance_every: Span::from_secs(3600), ..FanoutConfig::default() };
        let tasks = rig.start(config.clone());
        rig.publish_many(3).await;
        let mut journal = rig.fanned_out().await;
        journal.next(3).await;
        assert_eq!(rig.engine.backlog().await.unwrap(), 3);
        tasks.stop(PATIENCE).await.unwrap();
        assert_eq!(rig.engine.backlog().await.unwrap(), 0);

        // Another takes over where it stopped.
        rig.start(config);
        rig.publish("order.paid", "order-after").await;
        assert_eq!(journal.one().await.event.id.as_str(), "order-after");
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_configuration_that_does_not_come() {
    let rig = Rig::new().await;
    let tasks = rig.start(FanoutConfig::default());
    rig.store.hold_back(true);
    rig.webhook().await;
    rig.publish("order.paid", "order-1").await;
    rig.until("fan-out to read the event", async || rig.store.asked() > 0).await;
    tasks.stop(PATIENCE).await.unwrap();
    assert_eq!(rig.engine.backlog().await.unwrap(), 1, "the event is for the next fan-out");
}

//! What a project is told of its webhooks and deliveries.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fanfare_core::clock::Clock as _;
use fanfare_core::delivery::{Delivery, DeliveryHeader, End, Next, Place};
use fanfare_core::event::{Event, EventType};
use fanfare_core::health::Gate;
use fanfare_core::ids::{DeliveryId, EventId, Hop, ProjectId, Run, WebhookId};
use fanfare_core::ports::delivery_queue::{DeliveryQueue as _, Push};
use fanfare_core::ports::event_log::{Appended, PartitionShare};
use fanfare_core::ports::{EventLog, StoreError, StoreErrorKind, StoreResult};
use fanfare_core::retry::RetrySchedule;
use fanfare_core::webhook::Webhook;
use fanfare_delivery::DeliveryConfig;
use fanfare_testkit::{Receiver, Reply};
use serde_json::{Value, json};

use super::rig::{BODY, Rig, until};

const OWN: &str = "fanfare.webhook.failing";

/// An event of the rig's project, by its id.
async fn told(rig: &Rig, id: &str) -> Option<(EventType, Value)> {
    let (project, id) = (ProjectId::new("acme").unwrap(), EventId::new(id).unwrap());
    let event = rig.engine.get(&project, &id).await.unwrap()?;
    Some((event.header.event_type, serde_json::from_slice(&event.data).unwrap()))
}

/// Pushes one of which the first attempt has failed.
async fn push_of_type(rig: &Rig, webhook: WebhookId, event: &str, event_type: &str) -> DeliveryId {
    let event = EventId::new(event).unwrap();
    let id = DeliveryId::derive(webhook, &event, &Run::Original);
    let header = DeliveryHeader {
        id,
        project: ProjectId::new("acme").unwrap(),
        webhook,
        event,
        event_type: EventType::new(event_type).unwrap(),
        source: None,
        subject: None,
        expires_at: None,
        accepted_at: rig.clock.now(),
        run: Run::Original,
        hop: Hop(0),
        attempts: 1,
    };
    let delivery = Delivery { header, body: Bytes::from_static(BODY) };
    rig.engine.push(vec![Push { delivery, place: Place::Ready, repeated: false }], Vec::new()).await.unwrap();
    id
}

/// The second attempt is the last.
fn twice(webhook: &mut Webhook) {
    webhook.retry_schedule = RetrySchedule::custom(&[1]).unwrap();
}

fn counted(rig: &Rig, event_type: &str, result: &str) -> u64 {
    rig.metrics.operational_events.with_label_values(&[event_type, result]).get()
}

fn paused_id(rig: &Rig, webhook: WebhookId) -> String {
    format!("fanfare.webhook.paused:{webhook}:{}", rig.clock.now().as_millis())
}

#[tokio::test]
async fn a_pause_by_410_is_told_once_and_before_the_delivery_is_settled() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|_| Reply::Status(410)).await;
    let webhook = rig.webhook(&receiver.url("/?token=s3cret"), |_| ()).await;
    let delivery = rig.push(webhook, "order-1").await;
    rig.settled(delivery, 1).await;
    let (name, data) = told(&rig, &paused_id(&rig, webhook)).await.expect("it is told");
    assert_eq!(name.as_str(), "fanfare.webhook.paused");
    let now = rig.clock.now().to_string();
    let expected = json!({"webhook_id": webhook, "reason": "gone", "since": now, "failing_since": now});
    assert_eq!(data, expected);
    let second = rig.push(webhook, "order-2").await;
    rig.settled(second, 1).await;
    assert_eq!(counted(&rig, "fanfare.webhook.paused", "told"), 1);
    assert_eq!(counted(&rig, "fanfare.webhook.paused", "repeated"), 0);
}

#[tokio::test]
async fn an_exhausted_delivery_is_told_of_with_what_came_of_its_last_attempt() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|received| Reply::Status(500 + u16::try_from(received.index).unwrap())).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let delivery = rig.push(webhook, "order-1").await;
    let id = format!("fanfare.delivery.exhausted:{delivery}");
    for failures in 1..=2 {
        let settled = rig.settled(delivery, failures).await;
        assert_eq!(told(&rig, &id).await, None);
        rig.advance_to(&settled[failures - 1]);
    }
    assert_eq!(rig.settled(delivery, 3).await[2].next, Next::End { end: End::Exhausted });
    let (name, data) = told(&rig, &id).await.expect("it is told");
    assert_eq!(name.as_str(), "fanfare.delivery.exhausted");
    let expected = json!({
        "webhook_id": webhook, "delivery_id": delivery, "event_id": "order-1", "event_type": "order.placed",
        "attempts": 3, "last_outcome": "server_error", "last_status": 502,
    });
    assert_eq!(data, expected);
}

#[tokio::test]
async fn nothing_is_told_of_deliveries_of_what_is_told() {
    let rig = Rig::started().await;
    let receiver = Receiver::http(|received| Reply::Status(if received.path == "/gone" { 410 } else { 500 })).await;
    let failing = rig.webhook(&receiver.url("/failing"), twice).await;
    let exhausted = push_of_type(&rig, failing, "told-1", OWN).await;
    assert_eq!(rig.settled(exhausted, 1).await[0].next, Next::End { end: End::Exhausted });
    assert_eq!(told(&rig, &format!("fanfare.delivery.exhausted:{exhausted}")).await, None);
    let gone = rig.webhook(&receiver.url("/gone"), |_| ()).await;
    let delivery = push_of_type(&rig, gone, "told-2", OWN).await;
    rig.settled(delivery, 1).await;
    assert!(matches!(rig.health(gone).await.unwrap().gate, Some(Gate::Paused { .. })));
    assert_eq!(told(&rig, &paused_id(&rig, gone)).await, None);
}

#[tokio::test]
async fn a_breaker_that_opens_and_closes_is_told_of() {
    let rig = Rig::new().await;
    rig.start(DeliveryConfig { lane_limit: 1, ..DeliveryConfig::default() });
    let receiver = Receiver::http(|_| Reply::Status(500)).await;
    let webhook = rig.webhook(&receiver.url("/"), |_| ()).await;
    let began = rig.clock.now();
    for number in 0..10 {
        let delivery = rig.push(webhook, &format!("order-{number}")).await;
        rig.settled(delivery, 1).await;
    }
    until("the failing to be told", async || counted(&rig, "fanfare.webhook.failing", "told") == 1).await;
    let id = |name: &str| format!("{name}:{webhook}:{}", began.as_millis());
    let (_, failing) = told(&rig, &id("fanfare.webhook.failing")).await.expect("it is told");
    assert_eq!((&failing["reason"], &failing["failing_since"]), (&json!("breaker_open"), &json!(began)));

    receiver.answer(|_| Reply::Status(200));
    rig.push(webhook, "order-10").await;
    rig.pass_until("the recovery to be told", async || counted(&rig, "fanfare.webhook.recovered", "told") == 1).await;
    let (_, recovered) = told(&rig, &id("fanfare.webhook.recovered")).await.expect("it is told");
    assert_eq!((&recovered["reason"], &recovered["failing_since"]), (&json!("succeeded"), &json!(began)));
}

/// A log that is away: it refuses, or never answers.
#[derive(Debug)]
struct Away {
    hangs: bool,
}

#[async_trait]
impl EventLog for Away {
    async fn append(&self, _: Vec<Event>) -> StoreResult<Vec<Appended>> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Err(StoreError::new(StoreErrorKind::Full, "append events", "full"))
    }

    async fn get(&self, _: &ProjectId, _: &EventId) -> StoreResult<Option<Event>> {
        Ok(None)
    }

    async fn erase(&self, _: &ProjectId, _: &EventId) -> StoreResult<()> {
        Ok(())
    }

    async fn is_crowded(&self, _: &[Event], _: u64) -> StoreResult<bool> {
        Ok(false)
    }

    async fn backlog(&self) -> StoreResult<u64> {
        Ok(0)
    }

    async fn consume(&self) -> StoreResult<Box<dyn PartitionShare>> {
        Err(StoreError::lost("consume"))
    }
}

#[tokio::test]
async fn a_log_that_is_away_does_not_keep_a_delivery_from_its_end() {
    for hangs in [false, true] {
        let rig = Rig::new().await;
        rig.start_telling(Arc::new(Away { hangs }), DeliveryConfig::default());
        let receiver = Receiver::http(|_| Reply::Status(500)).await;
        let webhook = rig.webhook(&receiver.url("/"), twice).await;
        let delivery = push_of_type(&rig, webhook, "order-1", "order.placed").await;
        receiver.received(1).await;
        if hangs {
            until("the log to be given up", async || {
                rig.clock.advance(Duration::from_millis(1));
                counted(&rig, "fanfare.delivery.exhausted", "failed") == 1
            })
            .await;
        }
        assert_eq!(rig.settled(delivery, 1).await[0].next, Next::End { end: End::Exhausted });
        assert_eq!(counted(&rig, "fanfare.delivery.exhausted", "failed"), 1);
    }
}

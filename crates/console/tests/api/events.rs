//! `GET /v1/events`, `GET /v1/events/{id}` and `DELETE /v1/events/{id}`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_console::ConsoleConfig;
use fanfare_core::clock::{Clock, Monotonic, Sleep, Timestamp};
use fanfare_core::delivery::{DueReason, End, Next, Place};
use fanfare_core::event::{ContentHash, Event};
use fanfare_core::health::GateReason;
use fanfare_core::ids::DeliveryId;
use fanfare_core::ports::dedup::Standing;
use fanfare_core::ports::event_log::Appended;
use fanfare_core::ports::{Dedup as _, DeliveryQueue as _, EventLog as _};
use fanfare_runtime::Span;
use serde_json::{Value, json};

use crate::world::{READER, State, World, acme, attempt};

#[tokio::test]
async fn right_after_its_acceptance_an_event_is_shown_as_pending() {
    let world = World::new().await;
    world.accept("order/1", "{\"z\":1,\"a\":9007199254740993}").await;
    let shown = world.get("/v1/events/order%2F1").await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert_eq!((&shown.body["status"], &shown.body["fanned_out_at"]), (&json!("pending"), &Value::Null));
    assert_eq!((&shown.body["id"], &shown.body["type"]), (&json!("order/1"), &json!("order.paid")));
    assert_eq!(shown.body["data"].to_string(), "{\"z\":1,\"a\":9007199254740993}", "byte for byte");
    assert_eq!(shown.body["data_bytes"], 28);
    assert_eq!(shown.body["extensions"], json!({"region": "eu"}));
    assert_eq!((&shown.body["deliveries"], &shown.body["non_matches"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn an_event_that_the_read_model_does_not_know_is_not_called_pending_for_ever() {
    let world = World::new().await;
    let header = world.accepted_before("order-1", std::time::Duration::from_secs(61)).await;
    let shown = world.get("/v1/events/order-1").await.body;
    assert_eq!((&shown["status"], &shown["data"]), (&json!("not_recorded"), &json!({})));
    assert!(shown["note"].as_str().unwrap().contains("history.db"), "{shown}");
    let webhook = world.some_webhook().await;
    world.fan_out(&header, webhook, Place::Ready).await;
    let shown = world.eventually("/v1/events/order-1", |answer| answer.body["status"] == "fanned_out").await.body;
    assert_eq!(shown.get("note"), None, "{shown}");
}

#[tokio::test]
async fn a_fanned_out_event_shows_where_it_went_and_where_it_did_not() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let other = world.webhook(json!({"url": "https://127.0.0.1:1/other", "events": ["invoice.*"]})).await;
    let event = world.accept("order-1", "{}").await;
    let delivery = world.fan_out(&event, webhook, Place::Ready).await;
    let path = "/v1/events/order-1";
    let shown = world.eventually(path, |answer| answer.body["non_matches_total"] == 1).await.body;
    assert_eq!(shown["status"], "fanned_out");
    assert!(shown["fanned_out_at"].is_string());
    assert_eq!((&shown["deliveries_total"], &shown["deliveries"][0]["id"]), (&json!(1), &json!(delivery)));
    assert_eq!(shown["deliveries"][0]["status"], "pending");
    assert_eq!(shown["non_matches"], json!([{"webhook_id": other["id"], "reason": "type"}]));
    assert_eq!(shown["data"], json!({}));
}

#[tokio::test]
async fn events_are_listed_by_what_they_are_about_and_when_and_page_by_page() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let mut times = Vec::new();
    for number in 0..5_u32 {
        let mut event = world.accept(&format!("order-{number}"), "{}").await;
        event.source = Some(format!("shop {}", number % 2).parse().unwrap());
        event.subject = Some(format!("customer {number}").parse().unwrap());
        event.event_type = ["order.paid", "order.sent"][number as usize / 3].parse().unwrap();
        world.fan_out(&event, webhook, Place::Ready).await;
        times.push(event.accepted_at);
        world.until("the next millisecond", || async { world.clock.now() > event.accepted_at }).await;
    }
    let all = world.eventually("/v1/events", |answer| answer.body["data"].as_array().unwrap().len() == 5).await.body;
    assert_eq!((&all["next"], all["data"][0].get("data")), (&Value::Null, None));
    let first = &all["data"][4];
    assert_eq!(
        (&first["id"], &first["source"], &first["status"]),
        (&json!("order-0"), &json!("shop 0"), &json!("fanned_out"))
    );
    assert_eq!((&first["deliveries_total"], &first["extensions"]), (&json!(1), &json!({"region": "eu"})));
    let since = times[1].to_string();
    for (query, expected) in [
        ("type=order.sent".to_owned(), vec![4, 3]),
        ("source=shop+1".to_owned(), vec![3, 1]),
        ("subject=customer%202".to_owned(), vec![2]),
        (format!("since={since}"), vec![4, 3, 2, 1]),
        (format!("until={since}&type=order.paid"), vec![0]),
        ("source=nobody".to_owned(), vec![]),
    ] {
        let listed = world.call_as(READER, "GET", &format!("/v1/events?{query}"), None).await.body;
        let ids: Vec<&str> =
            listed["data"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap()).collect();
        let expected: Vec<String> = expected.iter().map(|number| format!("order-{number}")).collect();
        assert_eq!(ids, expected, "{query}");
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/v1/events?limit=2{after}")).await.body;
        seen.extend(page["data"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        // What has been shown goes; the rest is where it was.
        let last = seen.last().unwrap();
        assert_eq!(world.call("DELETE", &format!("/v1/events/{last}"), None).await.status, 204);
        let Some(next) = page["next"].as_str() else { break };
        assert_eq!(world.get(&format!("/v1/deliveries?after={next}")).await.status, 400, "another list's cursor");
        after = format!("&after={next}");
    }
    assert_eq!(seen, ["order-4", "order-3", "order-2", "order-1", "order-0"]);
}

/// Deliveries of one event in every place there is, to a webhook each.
async fn spread(world: &World) -> Vec<(DeliveryId, &'static str)> {
    let event = world.accept("order-1", "{\"name\":\"Ada\"}").await;
    let mut deliveries = Vec::new();
    for (number, wanted) in ["delivered", "waiting", "gated", "pending"].into_iter().enumerate() {
        let made = world.webhook(json!({"url": format!("https://127.0.0.1:1/{number}"), "events": ["**"]})).await;
        let webhook = made["id"].as_str().unwrap().parse().unwrap();
        let place = match wanted {
            "gated" => Place::Gated { reason: GateReason::Paused },
            _ => Place::Ready,
        };
        let id = world.fan_out(&event, webhook, place).await;
        let due = Place::Due { at: world.clock.now().after(Duration::from_secs(3600)), reason: DueReason::Retry };
        match wanted {
            "delivered" => {
                let lease = world.lease().await;
                world.settle(&lease, Some(attempt(200, b"Ada was here")), Next::End { end: End::Delivered }).await;
            }
            "waiting" => {
                let lease = world.lease().await;
                world.settle(&lease, Some(attempt(500, b"Ada is not here")), Next::Move(due)).await;
            }
            _ => {}
        }
        world.eventually(&format!("/v1/deliveries/{id}"), |answer| answer.body["status"] == wanted).await;
        deliveries.push((id, wanted));
    }
    deliveries
}

#[tokio::test]
async fn a_deleted_event_is_erased_and_its_open_deliveries_are_discarded() {
    let world = World::new().await;
    let deliveries = spread(&world).await;
    let repeated = world.event("order-1");
    world.acts.take();
    assert_eq!(world.call_as(READER, "DELETE", "/v1/events/order-1", None).await.status, 403);
    let answer = world.call("DELETE", "/v1/events/order-1", None).await;
    assert_eq!((answer.status, answer.body.is_null()), (204, true), "{}", answer.body);
    assert_eq!(world.acts.take(), ["journal event deleted"]);
    for (method, path) in [("GET", "/v1/events/order-1"), ("DELETE", "/v1/events/order-1")] {
        assert_eq!(world.call(method, path, None).await.status, 404, "{method}");
    }
    assert_eq!(world.get("/v1/events").await.body["data"], json!([]));
    let depth = world.engine.depth().await.unwrap();
    assert_eq!((depth.ready, depth.due_retry, depth.gated, depth.in_flight), (0, 0, 0, 0));
    for (id, was) in deliveries {
        let wanted = if was == "delivered" { was } else { "discarded" };
        let path = format!("/v1/deliveries/{id}");
        let shown = world.eventually(&path, |answer| answer.body["attempts"] == json!([])).await.body;
        assert_eq!((&shown["status"], &shown["event_id"]), (&json!(wanted), &json!("order-1")), "{shown}");
        assert!(shown["ended_at"].is_string() && !shown.to_string().contains("Ada"), "{shown}");
        assert_eq!(shown["attempt_count"], json!(u32::from(was == "delivered" || was == "waiting")), "{shown}");
        let retried = world.call("POST", &format!("{path}/retry"), None).await;
        assert_eq!((retried.status, retried.code()), (410, "event-not-retained"), "{}", retried.body);
    }
    let listed = world.get("/v1/deliveries?event_id=order-1&status=discarded").await.body;
    assert_eq!(listed["data"].as_array().unwrap().len(), 3);
    // A producer that repeats it late does not bring it back.
    let again =
        Event { header: repeated, data: Bytes::from_static(b"{\"name\":\"Ada\"}"), content: ContentHash([1; 32]) };
    assert_eq!(world.engine.append(vec![again]).await.unwrap(), [Appended::Duplicate]);
    assert_eq!(world.get("/v1/events/order-1").await.status, 404);
}

#[tokio::test]
async fn an_event_that_is_not_fanned_out_yet_is_not_deleted() {
    let world = World::new().await;
    world.accept("order-1", "{}").await;
    let answer = world.call("DELETE", "/v1/events/order-1", None).await;
    assert_eq!((answer.status, answer.code()), (409, "event-pending"), "{}", answer.body);
    assert_eq!(world.get("/v1/events/order-1").await.body["data"], json!({}));
    assert_eq!(world.call("DELETE", "/v1/events/order-2", None).await.status, 404);
    assert_eq!(world.call("DELETE", "/v1/events/a%20b", None).await.status, 404);
}

#[tokio::test]
async fn a_deletion_that_the_journal_did_not_take_can_be_repeated() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let id = world.delivery("order-1", webhook, State::Waiting).await;
    world.journal.broken(true);
    assert_eq!(world.call("DELETE", "/v1/events/order-1", None).await.status, 503);
    world.journal.broken(false);
    assert_eq!(world.get(&format!("/v1/deliveries/{id}")).await.body["status"], "waiting");
    assert_eq!(world.call("DELETE", "/v1/events/order-1", None).await.status, 204);
    world.eventually(&format!("/v1/deliveries/{id}"), |answer| answer.body["status"] == "discarded").await;
    assert_eq!(world.engine.depth().await.unwrap().due_retry, 0);
}

/// What was in flight, and what a crash left, is found by the sweep once it cannot be in flight any more.
#[tokio::test]
async fn what_was_in_flight_when_its_event_was_deleted_is_found_later() {
    let sweep_every = Span::from_millis(10);
    let world = World::with_config(ConsoleConfig { sweep_every, ..ConsoleConfig::default() }).await;
    let webhook = world.some_webhook().await;
    let event = world.accept("order-1", "{}").await;
    let id = world.fan_out(&event, webhook, Place::Ready).await;
    let held = world.lease().await;
    world.eventually("/v1/events/order-1", |answer| answer.body["status"] == "fanned_out").await;
    assert_eq!(world.call("DELETE", "/v1/events/order-1", None).await.status, 204);
    let due = Place::Due { at: world.clock.now().after(Duration::from_secs(3600)), reason: DueReason::Retry };
    world.settle(&held, Some(attempt(500, b"")), Next::Move(due)).await;
    world.eventually(&format!("/v1/deliveries/{id}"), |answer| answer.body["status"] == "discarded").await;
    assert_eq!(world.engine.depth().await.unwrap().due_retry, 1, "it was put where nobody had looked");
    // A minute later, by a clock that is ahead.
    let ahead: Arc<dyn Clock> = Arc::new(Ahead(Arc::clone(&world.clock)));
    world.console.start(ahead, &world.tasks);
    world.until("the end of the deletion", || async { world.engine.depth().await.unwrap().due_retry == 0 }).await;
    let standing = world.engine.standing(&[id]).await.unwrap();
    assert_eq!(standing, [Standing::Done(End::Discarded)]);
    world.tasks.stop(Duration::from_secs(30)).await.unwrap();
    assert_eq!(world.engine.get(&acme(), &event.id).await.unwrap().map(|event| event.data), None);
}

/// A clock that is two minutes ahead of another.
struct Ahead(Arc<dyn Clock>);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.0.now().after(Duration::from_secs(120))
    }

    fn monotonic(&self) -> Monotonic {
        self.0.monotonic()
    }

    fn sleep_until(&self, time: Monotonic) -> Sleep {
        self.0.sleep_until(time)
    }
}

//! Events that are listed, and events that are deleted.

use fanfare_testkit::{Engine, Fanfare, Receiver, Reply};
use serde_json::{Value, json};

use crate::samples::order;

on_both_engines!(
    events_are_listed_page_by_page_while_others_come,
    a_deleted_event_is_erased_and_what_was_open_is_discarded
);

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// All pages of a list; something is published between them.
async fn pages(fanfare: &Fanfare, path: &str, between: &mut u32) -> Vec<String> {
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let (status, page) = fanfare.call("GET", &format!("{path}{after}"), None).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { return seen };
        after = format!("&after={next}");
        *between += 1;
        fanfare.publish(order(&format!("late-{between}"))).await;
    }
}

async fn events_are_listed_page_by_page_while_others_come(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &crate::samples::NO_BREAKER).await;
    let receiver = Receiver::http(|request| Reply::Status(if request.index % 4 == 0 { 500 } else { 200 })).await;
    for schedule in [json!([1]), json!([3600])] {
        let url = receiver.url(&format!("/{}", schedule[0]));
        let webhook = json!({"url": url, "events": ["order.*"], "retry_schedule": schedule});
        fanfare.create_webhook(webhook).await;
    }
    for number in 0..24 {
        let event = json!({
            "id": format!("event-{number}"), "type": format!("order.{}", ["paid", "sent"][number % 2]), "data": {},
            "source": format!("shop {}", number % 3), "subject": format!("customer {}", number % 4),
        });
        fanfare.publish(event).await;
    }
    // Of a delivery whose attempts all failed the project is told by an event of its own.
    let own = |id: &str| id.starts_with("event-");
    let all = |_: u16, page: &Value| {
        let rows = page["data"].as_array().map_or(&[][..], Vec::as_slice);
        rows.iter().filter(|row| row["id"].as_str().is_some_and(own)).count() == 24
    };
    let listed = fanfare.eventually("/v1/events?limit=100", all).await;
    let every: Vec<String> = ids(&listed).into_iter().filter(|id| own(id)).collect();
    let rows = listed["data"].as_array().unwrap().iter().filter(|row| row["id"].as_str().is_some_and(own));
    assert!(rows.clone().all(|row| row["deliveries_total"] == 2), "{listed}");
    let mut late = 0;
    let only = |wanted: &dyn Fn(usize) -> bool| -> Vec<String> {
        let number = |id: &String| id.trim_start_matches("event-").parse::<usize>().unwrap();
        every.iter().filter(|id| wanted(number(id))).cloned().collect()
    };
    for (filter, wanted) in [
        ("until=2999-01-01T00:00:00Z", only(&|_| true)),
        ("type=order.sent", only(&|number| number % 2 == 1)),
        ("source=shop%202", only(&|number| number % 3 == 2)),
        ("subject=customer+3&type=order.sent&since=2020-01-01T00:00:00Z", only(&|number| number % 4 == 3)),
        ("since=2999-01-01T00:00:00Z", Vec::new()),
    ] {
        let seen = pages(&fanfare, &format!("/v1/events?limit=5&{filter}"), &mut late).await;
        let seen: Vec<String> = seen.into_iter().filter(|id| own(id)).collect();
        assert_eq!(seen, wanted, "{filter}");
    }
    // The delivery log likewise: what was there when the first page was asked for is on the pages once each.
    let settled = |_: u16, page: &Value| page["data"].as_array().is_some_and(Vec::is_empty);
    fanfare.eventually("/v1/deliveries?status=pending", settled).await;
    for status in [
        "status=delivered",
        "status=delivered,waiting,exhausted",
        "event_type=order.sent",
        "until=2999-01-01T00:00:00Z",
    ] {
        let before = pages(&fanfare, &format!("/v1/deliveries?limit=100&{status}"), &mut late).await;
        let during = pages(&fanfare, &format!("/v1/deliveries?limit=7&{status}"), &mut late).await;
        let kept: Vec<&String> = during.iter().filter(|id| before.contains(id)).collect();
        assert_eq!(kept, before.iter().collect::<Vec<_>>(), "{status}");
        let distinct: std::collections::HashSet<&String> = during.iter().collect();
        assert_eq!(distinct.len(), during.len(), "{status}");
        fanfare.eventually("/v1/deliveries?status=pending", settled).await;
    }
}

/// Waits until nothing is due and nothing stands behind a gate.
async fn nothing_stands(fanfare: &Fanfare) {
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    let empty = async {
        loop {
            ticks.tick().await;
            let metrics = fanfare.metrics().await;
            let counted =
                |line: &&str| line.starts_with("fanfare_delivery_gated ") || line.starts_with("fanfare_delivery_due{");
            if metrics.lines().filter(counted).all(|line| line.ends_with(" 0")) {
                return;
            }
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), empty).await;
    assert!(waited.is_ok(), "something of a deleted event still stands in the queue");
}

async fn a_deleted_event_is_erased_and_what_was_open_is_discarded(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let good = Receiver::http(|_| Reply::Status(200)).await;
    let failing = Receiver::http(|_| Reply::Status(500)).await;
    let gone = Receiver::http(|_| Reply::Status(410)).await;
    let mut paused = Value::Null;
    for receiver in [&good, &failing, &gone] {
        let webhook = json!({"url": receiver.url("/"), "events": ["order.*"], "retry_schedule": [3600]});
        paused = fanfare.create_webhook(webhook).await["id"].clone();
    }
    let secret = json!({"id": "order-1", "type": "order.paid", "subject": "Ada", "data": {"name": "Ada Lovelace"}});
    fanfare.publish(secret.clone()).await;
    let path = "/v1/events/order-1";
    let statuses = |shown: &Value| -> Vec<String> {
        let rows = shown["deliveries"].as_array().or(shown["data"].as_array()).map_or(&[][..], Vec::as_slice);
        let mut statuses: Vec<String> = rows.iter().map(|row| row["status"].as_str().unwrap().to_owned()).collect();
        statuses.sort();
        statuses
    };
    let shown = fanfare.eventually(path, |_, shown| statuses(shown) == ["delivered", "gated", "waiting"]).await;
    let waiting = shown["deliveries"].as_array().unwrap().iter().find(|row| row["status"] == "waiting").unwrap();
    let delivery = format!("/v1/deliveries/{}", waiting["id"].as_str().unwrap());

    assert_eq!(fanfare.call("DELETE", path, None).await, (204, Value::Null));
    assert_eq!(fanfare.call("GET", path, None).await.0, 404);
    assert_eq!(fanfare.call("DELETE", path, None).await.0, 404);
    let log = "/v1/deliveries?event_id=order-1";
    let log = fanfare.eventually(log, |_, shown| statuses(shown) == ["delivered", "discarded", "discarded"]).await;
    assert!(!log.to_string().contains("Ada"), "{log}");
    let one = fanfare.eventually(&delivery, |_, shown| shown["attempts"] == json!([])).await;
    assert_eq!((&one["status"], &one["attempt_count"]), (&json!("discarded"), &json!(1)), "{one}");
    let (status, refused) = fanfare.call("POST", &format!("{delivery}/retry"), None).await;
    assert_eq!(status, 410, "{refused}");
    // A late repetition by its producer is recognised.
    let (status, repeated) = fanfare.call("POST", "/v1/events", Some(secret)).await;
    assert_eq!((status, &repeated["status"]), (202, &json!("duplicate")));
    nothing_stands(&fanfare).await;
    // Nothing of it comes when the webhook that was paused is activated.
    gone.answer(|_| Reply::Status(200));
    let activate = format!("/v1/webhooks/{}/activate", paused.as_str().unwrap());
    assert_eq!(fanfare.call("POST", &activate, None).await.0, 200);
    fanfare.publish(order("order-2")).await;
    let got = gone.received(2).await;
    let events: Vec<bool> = got.iter().map(|request| request.body.windows(3).any(|part| part == b"Ada")).collect();
    assert_eq!(events, [true, false], "the first attempt, which was answered 410, and the next event");
}

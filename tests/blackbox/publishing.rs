//! Every way in, and that an id is accepted once.

use bytes::Bytes;
use fanfare_testkit::process::API_KEY;
use fanfare_testkit::{Engine, Fanfare, Receiver, Reply};
use serde_json::{Value, json};

use crate::samples::{order, webhook};

crate::on_both_engines! {
    one_a_batch_and_binary_mode_all_arrive_as_they_were_sent,
    an_id_is_accepted_once_also_by_many_at_the_same_time_and_other_content_is_refused,
    a_webhook_gets_the_first_event_published_after_it_was_created,
    over_the_quota_is_429_and_nothing_is_kept,
    a_project_whose_line_is_too_long_is_429_until_it_is_shorter,
}

async fn post(fanfare: &Fanfare, headers: &[(&str, &str)], body: impl Into<Bytes>) -> (u16, Value) {
    let mut request = fanfare.client().post(fanfare.url("/v1/events")).header("x-api-key", API_KEY);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.body(reqwest::Body::from(body.into())).send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

async fn one_a_batch_and_binary_mode_all_arrive_as_they_were_sent(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    let one = json!({"specversion": "1.0", "id": "one", "type": "order.paid", "data": {"n": 1}}).to_string();
    let (status, answer) = post(&fanfare, &[("content-type", "application/cloudevents+json")], one).await;
    assert_eq!((status, answer), (202, json!({"id": "one", "status": "accepted"})));

    let batch = json!([order("two"), {"type": "no data"}, order("one")]).to_string();
    let (status, answer) = post(&fanfare, &[("content-type", "application/cloudevents-batch+json")], batch).await;
    assert_eq!(status, 207, "{answer}");
    assert_eq!(answer["results"][0], json!({"id": "two", "status": "accepted"}));
    assert!(answer["results"][1]["error"].to_string().contains("$[1].type"), "{answer}");
    assert!(answer["results"][2]["error"].to_string().contains("one"), "{answer}");

    let batch = json!([order("three"), order("two")]).to_string();
    let (status, answer) = post(&fanfare, &[("content-type", "application/json")], batch).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer["results"][1], json!({"id": "two", "status": "duplicate"}));

    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "four"),
        ("ce-type", "order.paid"),
        ("ce-subject", "%E2%82%AC%20caf%C3%A9"),
    ];
    let (status, answer) = post(&fanfare, &headers, "{ \"n\" : 1.0, \"10\": [ ] }").await;
    assert_eq!((status, answer), (202, json!({"id": "four", "status": "accepted"})));
    let requests = receiver.received(4).await;
    assert!(requests.iter().any(|request| request.body == "{\"10\":[],\"n\":1}"), "normalised as JavaScript writes it");
    let shown = fanfare.eventually("/v1/events/four", |status, _| status == 200).await;
    assert_eq!(shown["subject"], "€ café");
}

async fn an_id_is_accepted_once_also_by_many_at_the_same_time_and_other_content_is_refused(engine: Engine) {
    const IDS: usize = 10;
    /// Events of so many contents are published under each id, each so many times, all at once.
    const CONTENTS: usize = 3;
    const TIMES: usize = 15;
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    let content = |id: usize, content: usize| json!({"order": format!("same-{id}"), "total": content});
    let mut kept = Vec::new();
    for id in 0..IDS {
        let mut calls = tokio::task::JoinSet::new();
        for call in 0..CONTENTS * TIMES {
            let event = json!({"id": format!("same-{id}"), "type": "order.paid", "data": content(id, call % CONTENTS)});
            let request = fanfare.client().post(fanfare.url("/v1/events")).header("x-api-key", API_KEY);
            let request = request.header("content-type", "application/json").body(event.to_string());
            calls.spawn(async move {
                let answer = request.send().await.unwrap();
                let status = answer.status().as_u16();
                let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
                (call % CONTENTS, status, said["status"].clone())
            });
        }
        let answers = calls.join_all().await;
        let accepted: Vec<_> =
            answers.iter().filter(|(_, status, said)| *status == 202 && said == "accepted").collect();
        assert_eq!(accepted.len(), 1, "{answers:?}");
        let winner = accepted[0].0;
        for (content, status, said) in &answers {
            // A problem says its status again.
            let refused = *status == 409 && *said == 409;
            let taken = *status == 202 && (said == "accepted" || said == "duplicate");
            assert!(if *content == winner { taken } else { refused }, "{content} of {winner}: {status} {said}");
        }
        kept.push(content(id, winner));
    }
    let requests = receiver.received(IDS).await;
    fanfare
        .eventually("/v1/deliveries?status=delivered&limit=100", |_, list| {
            list["data"].as_array().is_some_and(|delivered| delivered.len() == IDS)
        })
        .await;
    for kept in &kept {
        assert!(requests.iter().any(|request| request.body == kept.to_string()), "{kept} did not arrive");
    }
    assert_eq!(receiver.so_far().len(), IDS);
}

async fn a_webhook_gets_the_first_event_published_after_it_was_created(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    for number in 0..50 {
        let path = format!("/{number}");
        let event_type = format!("round.n{number}");
        fanfare.create_webhook(json!({"url": receiver.url(&path), "events": [event_type]})).await;
        fanfare.publish(json!({"type": event_type, "data": {}})).await;
    }
    let requests = receiver.received(50).await;
    for number in 0..50 {
        assert!(
            requests.iter().any(|request| request.path == format!("/{number}")),
            "webhook {number} missed its event"
        );
    }
}

async fn a_project_whose_line_is_too_long_is_429_until_it_is_shorter(engine: Engine) {
    // What has been fanned out counts for as long as its position has not passed it.
    let fanfare = Fanfare::start_on(engine, &[("FANFARE_FANOUT_ADVANCE_EVERY", "5s")]).await;
    let publish = async |prefix: &str| {
        let batch: Vec<Value> = (0..500).map(|number| order(&format!("{prefix}-{number}"))).collect();
        fanfare.call("POST", "/v1/events", Some(Value::from(batch))).await
    };
    let mut accepted = 0;
    let refused = loop {
        let (status, answer) = publish(&format!("order-{accepted}")).await;
        if status == 429 {
            break answer;
        }
        assert_eq!(status, 202, "{answer}");
        accepted += 500;
        assert!(accepted <= 20_000, "nothing is refused");
    };
    assert_eq!(refused["type"], "urn:fanfare:problem:too-many-requests", "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("500 or more events of this project"), "{refused}");
    let counted = fanfare.metric("fanfare_ingest_events_total{result=\"accepted\"}").await;
    assert!((counted - f64::from(accepted)).abs() < 0.5, "nothing of what was refused was accepted");
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
    while publish("later").await.0 != 202 {
        ticks.tick().await;
    }
}

async fn over_the_quota_is_429_and_nothing_is_kept(engine: Engine) {
    let options = [("FANFARE_INGEST_EVENTS_PER_SECOND", "1"), ("FANFARE_INGEST_BURST", "500")];
    let fanfare = Fanfare::start_on(engine, &options).await;
    let batch: Vec<Value> = (0..500).map(|number| order(&format!("order-{number}"))).collect();
    assert_eq!(fanfare.call("POST", "/v1/events", Some(Value::from(batch.clone()))).await.0, 202);
    let request = fanfare.client().post(fanfare.url("/v1/events")).header("x-api-key", API_KEY);
    let request =
        request.header("content-type", "application/json").body(Value::from(batch[..100].to_vec()).to_string());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 429);
    let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=100).contains(&seconds), "Retry-After: {seconds}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert!((fanfare.metric("fanfare_ingest_events_total{result=\"accepted\"}").await - 500.0).abs() < 0.5);
    assert!(fanfare.metric("fanfare_ingest_events_total{result=\"quota\"}").await >= 1.0);
}

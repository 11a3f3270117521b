//! Receivers that are ill or far behind keep nothing from those that are well. How much later these get theirs the bench
//! measures; here they get all of it while the others still have not answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanfare_testkit::{Engine, Fanfare, Received, Receiver, Reply};
use serde_json::json;

on_both_engines!(the_ill_keep_nothing_from_the_well, a_backlog_keeps_nothing_from_a_well_one,);

/// A worker that holds little at once, so that there is something to take away from others.
const LITTLE: [(&str, &str); 2] = [("FANFARE_DELIVERY_MAX_IN_FLIGHT", "100"), ("FANFARE_DELIVERY_LEASE_BATCH", "16")];

/// Publishes events of one type, numbered.
pub(crate) async fn publish(fanfare: &Fanfare, event_type: &str, count: usize) {
    // As many at once as a batch has.
    for numbers in (0..count).collect::<Vec<_>>().chunks(500) {
        let event = |number: &usize| json!({"type": event_type, "data": {"number": number}});
        let events: Vec<_> = numbers.iter().map(event).collect();
        let accepted = async {
            // A line that is full takes more as soon as fan-out has taken some of it.
            loop {
                match fanfare.call("POST", "/v1/events", Some(events.clone().into())).await {
                    (202, _) => return,
                    (status, answer) => assert_eq!(status, 429, "{answer}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), accepted).await.expect("a batch is accepted");
    }
}

/// How many requests came for each delivery.
pub(crate) fn times(requests: &[Received]) -> HashMap<&str, usize> {
    let mut times = HashMap::new();
    requests.iter().for_each(|request| *times.entry(request.key()).or_default() += 1);
    times
}

async fn the_ill_keep_nothing_from_the_well(engine: Engine) {
    const WELL: usize = 12;
    const EVENTS: usize = 10;
    let fanfare = Fanfare::start_on(engine, &LITTLE).await;
    let illnesses = [Reply::Hang, Reply::Status(500), Reply::After(Duration::from_secs(2), 200), Reply::Reset];
    let mut ill = Vec::new();
    for (number, illness) in illnesses.iter().cycle().take(2 * illnesses.len()).enumerate() {
        let reply = illness.clone();
        let receiver = Receiver::http(move |_| reply.clone()).await;
        let event_type = format!("ill.number{number}");
        let webhook = json!({"url": receiver.url("/"), "events": [event_type], "timeout_seconds": 30});
        fanfare.create_webhook(webhook).await;
        ill.push((receiver, event_type));
    }
    let mut well = Vec::new();
    for _ in 0..WELL {
        let receiver = Receiver::http(|_| Reply::Status(200)).await;
        fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["well.sent"]})).await;
        well.push(receiver);
    }
    // More than the worker holds at once for each of them.
    for (_, event_type) in &ill {
        publish(&fanfare, event_type, 10 * EVENTS).await;
    }
    for (receiver, _) in &ill {
        receiver.received(1).await;
    }
    publish(&fanfare, "well.sent", EVENTS).await;
    for receiver in &well {
        let requests = receiver.received(EVENTS).await;
        assert_eq!(times(&requests).len(), EVENTS);
    }
    // Nobody had to wait until those that hang were given up.
    let given_up = fanfare.metric("fanfare_delivery_attempts_total{outcome=\"timeout\"}").await;
    assert!(given_up < 1.0, "{given_up} requests ran out of time before the well had theirs");
    assert!(well.iter().all(|receiver| receiver.so_far().len() == EVENTS), "nothing comes twice");
}

async fn a_backlog_keeps_nothing_from_a_well_one(engine: Engine) {
    const BACKLOG: usize = 2000;
    const EVENTS: usize = 20;
    let fanfare = Fanfare::start_on(engine, &LITTLE).await;
    let is_quick = Arc::new(AtomicBool::new(false));
    let quick = Arc::clone(&is_quick);
    let slow = Receiver::http(move |_| {
        if quick.load(Ordering::Relaxed) { Reply::Status(200) } else { Reply::After(Duration::from_secs(1), 200) }
    })
    .await;
    let well = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(json!({"url": slow.url("/"), "events": ["slow.sent"]})).await;
    fanfare.create_webhook(json!({"url": well.url("/"), "events": ["well.sent"]})).await;
    publish(&fanfare, "slow.sent", BACKLOG).await;
    slow.received(1).await;
    publish(&fanfare, "well.sent", EVENTS).await;
    assert_eq!(times(&well.received(EVENTS).await).len(), EVENTS);
    let before = slow.so_far().len();
    assert!(before < BACKLOG, "the whole backlog came first");
    is_quick.store(true, Ordering::Relaxed);
    let requests = slow.until("the backlog", |requests| times(requests).len() == BACKLOG).await;
    assert_eq!(requests.len(), BACKLOG, "nothing comes twice");
}

//! Many deliveries that fall due within seconds. How late they are the bench measures; here each has to come, once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use fanfare_testkit::{Engine, Fanfare, Receiver, Reply};
use parking_lot::Mutex;
use serde_json::json;

use crate::samples::{NO_BREAKER, order};

on_both_engines!(what_falls_due_together_comes_once_each);

const WEBHOOKS: usize = 5;
const EVENTS: usize = 200;

async fn what_falls_due_together_comes_once_each(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &NO_BREAKER).await;
    let refused = Arc::new(Mutex::new(HashSet::new()));
    let receiver = Receiver::http(move |request| {
        if refused.lock().insert((request.path.clone(), request.key().to_owned())) {
            // Too early, which says nothing of what else the receiver would take; 429 and 503 hold the whole lane back.
            Reply::Full(425, vec![("retry-after", "4".to_owned())], Bytes::new())
        } else {
            Reply::Status(200)
        }
    })
    .await;
    for webhook in 0..WEBHOOKS {
        let url = receiver.url(&format!("/{webhook}"));
        fanfare.create_webhook(json!({"url": url, "events": ["**"], "retry_schedule": [1]})).await;
    }
    for number in 0..EVENTS {
        fanfare.publish(order(&format!("order-{number}"))).await;
    }
    receiver.received(2 * WEBHOOKS * EVENTS).await;
    let open = "/v1/deliveries?status=pending,waiting,gated,exhausted";
    fanfare.eventually(open, |_, list| list["data"].as_array().is_some_and(Vec::is_empty)).await;
    let mut times: HashMap<(String, String), usize> = HashMap::new();
    for request in receiver.so_far() {
        *times.entry((request.path.clone(), request.key().to_owned())).or_default() += 1;
    }
    assert_eq!(times.len(), WEBHOOKS * EVENTS);
    assert!(times.values().all(|times| *times == 2), "each is refused once and taken once");
}

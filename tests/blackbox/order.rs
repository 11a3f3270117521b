//! The order within a conversation, however many fan-outs there are and whichever is killed.

use std::collections::HashMap;
use std::time::Duration;

use fanfare_testkit::process::API_KEY;
use fanfare_testkit::{Fanfare, Receiver, Reply, Servers};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::samples::webhook;

const CONVERSATIONS: usize = 10;
/// The least number of events in each.
const LEAST: usize = 40;

/// How long a test waits for what must happen, in seconds; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Deliveries are pushed in the order of their conversation's events: one worker that makes one request at a time, of a queue
/// in which all of them stand before it starts, sends them in the order in which they were pushed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_fan_outs_one_killed_twice_push_every_conversation_in_order() {
    let servers = Servers::start().await;
    let quick = [("FANFARE_DISTRIBUTED_PARTITION_LEASE", "1s")];
    // With room for all of them: what had none would be put off, and come later.
    let one_at_a_time = [("FANFARE_DELIVERY_LANE_LIMIT", "1"), ("FANFARE_DELIVERY_MAX_IN_FLIGHT", "10000")];
    let console = Fanfare::start_role("console", &servers, &quick).await;
    let ingest = Fanfare::start_role("ingest", &servers, &quick).await;
    let mut killed = Fanfare::start_role("fanout", &servers, &quick).await;
    let other = Fanfare::start_role("fanout", &servers, &quick).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    console.create_webhook(webhook(&receiver.url("/"))).await;

    let (stop, _) = watch::channel(false);
    let mut publishers = tokio::task::JoinSet::new();
    for conversation in 0..CONVERSATIONS {
        let (client, url, stop) = (ingest.client().clone(), ingest.url("/v1/events"), stop.subscribe());
        publishers.spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            let mut number = 0;
            while number < LEAST || !*stop.borrow() {
                ticks.tick().await;
                let event = json!({
                    "id": format!("c{conversation}-{number}"),
                    "type": "order.paid",
                    "subject": format!("conversation {conversation}"),
                    "data": {"conversation": conversation, "number": number},
                });
                let request = client.post(&url).header("x-api-key", API_KEY).header("content-type", "application/json");
                // The next one is published when this one is accepted: that is what their order is.
                assert_eq!(request.body(event.to_string()).send().await.unwrap().status().as_u16(), 202);
                number += 1;
            }
            number
        });
    }
    for _ in 0..2 {
        // It has its share of the work by then, and is in the middle of it.
        until_it_fans_out(&killed).await;
        killed.kill().await;
        killed.start_again().await;
    }
    until_it_fans_out(&killed).await;
    stop.send_replace(true);
    let published: usize = publishers.join_all().await.into_iter().sum();
    until_it_fans_out(&other).await;

    let _delivery = Fanfare::start_role("delivery", &servers, &one_at_a_time).await;
    let requests = receiver.received(published).await;
    println!("one of two fan-outs killed twice: {published} events in {CONVERSATIONS} conversations");
    let mut conversations: HashMap<u64, Vec<u64>> = HashMap::new();
    for request in &requests {
        let data: Value = serde_json::from_slice(&request.body).unwrap();
        conversations.entry(data["conversation"].as_u64().unwrap()).or_default().push(data["number"].as_u64().unwrap());
    }
    assert_eq!(conversations.len(), CONVERSATIONS);
    for (conversation, numbers) in &conversations {
        assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "conversation {conversation}: {numbers:?}");
    }
    assert_eq!(conversations.values().map(Vec::len).sum::<usize>(), published);
}

async fn until_it_fans_out(fanout: &Fanfare) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let waiting = async {
        while fanout.metric("fanfare_fanout_events_total{result=\"matched\"}").await < 1.0 {
            ticks.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "it got nothing to do within {PATIENCE:?}");
}

//! A webhook is subscribed from the moment in which its creation is answered, whichever processes are asked.

use std::collections::HashSet;

use fanfare_testkit::{Fanfare, Receiver, Reply, Servers};
use serde_json::json;

const ROUNDS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_used_at_once_through_other_processes_misses_nothing() {
    let servers = Servers::start().await;
    let (mut consoles, mut ingests, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2 {
        consoles.push(Fanfare::start_role("console", &servers, &[]).await);
        ingests.push(Fanfare::start_role("ingest", &servers, &[]).await);
        others.push(Fanfare::start_role("fanout", &servers, &[]).await);
    }
    others.push(Fanfare::start_role("delivery", &servers, &[]).await);
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    for round in 0..ROUNDS {
        // Another pair each time, and another subject: another partition, and so either fan-out.
        let (console, ingest) = (&consoles[round % 2], &ingests[round / 2 % 2]);
        let event_type = format!("round.n{round}");
        console.create_webhook(json!({"url": receiver.url(&format!("/{round}")), "events": [event_type]})).await;
        ingest.publish(json!({"type": event_type, "subject": format!("s{round}"), "data": {}})).await;
    }
    let all_there = |requests: &[fanfare_testkit::Received]| {
        let paths: HashSet<_> = requests.iter().map(|request| request.path.clone()).collect();
        (0..ROUNDS).all(|round| paths.contains(&format!("/{round}")))
    };
    let requests = receiver.until("an event at each of the webhooks", all_there).await;
    assert_eq!(requests.len(), ROUNDS);
    for fanout in &others[..2] {
        assert!(fanout.metric("fanfare_fanout_events_total{result=\"matched\"}").await > 0.0, "one had nothing to do");
    }
}

//! A webhook is subscribed from the moment in which its creation is answered, whichever processes are asked.

use std::collections::HashSet;

use fanfare_testkit::{Fanfare, Receiver, Reply, Servers};
use serde_json::json;

/// The least number of webhooks.
const LEAST: usize = 100;
/// So many are enough for either fan-out to have got its share of the work.
const MOST: usize = 5000;

/// A short time, so that the fan-outs share the work soon.
const QUICK: [(&str, &str); 1] = [("FANFARE_DISTRIBUTED_PARTITION_LEASE", "1s")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_used_at_once_through_other_processes_misses_nothing() {
    let servers = Servers::start().await;
    let (mut consoles, mut ingests, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2 {
        consoles.push(Fanfare::start_role("console", &servers, &QUICK).await);
        ingests.push(Fanfare::start_role("ingest", &servers, &QUICK).await);
        others.push(Fanfare::start_role("fanout", &servers, &QUICK).await);
    }
    others.push(Fanfare::start_role("delivery", &servers, &QUICK).await);
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let mut rounds = 0;
    while rounds < LEAST || !both_have_worked(&others[..2]).await {
        assert!(rounds < MOST, "one of the fan-outs has nothing to do");
        let round = rounds;
        // Another pair each time, and another subject: another partition, and so either fan-out.
        let (console, ingest) = (&consoles[round % 2], &ingests[round / 2 % 2]);
        let event_type = format!("round.n{round}");
        console.create_webhook(json!({"url": receiver.url(&format!("/{round}")), "events": [event_type]})).await;
        ingest.publish(json!({"type": event_type, "subject": format!("s{round}"), "data": {}})).await;
        rounds += 1;
    }
    let all_there = |requests: &[fanfare_testkit::Received]| {
        let paths: HashSet<_> = requests.iter().map(|request| request.path.clone()).collect();
        (0..rounds).all(|round| paths.contains(&format!("/{round}")))
    };
    let requests = receiver.until("an event at each of the webhooks", all_there).await;
    assert_eq!(requests.len(), rounds);
    println!("{rounds} webhooks, each used at once");
}

async fn both_have_worked(fanouts: &[Fanfare]) -> bool {
    for fanout in fanouts {
        if fanout.metric("fanfare_fanout_events_total{result=\"matched\"}").await < 1.0 {
            return false;
        }
    }
    true
}

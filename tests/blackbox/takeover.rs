//! A fan-out that dies while Redis is away: the one that takes over cannot ask what of its events was pushed, and goes on.

use std::collections::HashSet;

use fanfare_testkit::{Fanfare, Receiver, Reply, Servers};
use serde_json::json;

use crate::load::id_of;
use crate::samples::webhook;

/// Enough subjects for most partitions to have some.
const SUBJECTS: u8 = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_out_is_taken_over_from_without_redis_and_nothing_waits_for_it() {
    let mut servers = Servers::start().await;
    // Positions are advanced late: whatever one fan-out has just done, the next one meets again.
    let options = [("FANFARE_DISTRIBUTED_PARTITION_LEASE", "1s"), ("FANFARE_FANOUT_ADVANCE_EVERY", "10s")];
    let mut members = Vec::new();
    for role in ["console", "ingest", "delivery", "fanout"] {
        members.push(Fanfare::start_role(role, &servers, &options).await);
    }
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    members[0].create_webhook(webhook(&receiver.url("/"))).await;
    let publish = async |ingest: &Fanfare, round: &str| {
        for subject in 0..SUBJECTS {
            let id = format!("{round}-{subject}");
            let event = json!({"id": id, "type": "order.paid", "subject": format!("s{subject}"), "data": {"id": id}});
            ingest.publish(event).await;
        }
    };
    publish(&members[1], "before").await;
    receiver.received(usize::from(SUBJECTS)).await;

    servers.redis.kill().await;
    members[3].kill().await;
    let next = Fanfare::start_role("fanout", &servers, &options).await;
    publish(&members[1], "after").await;
    let both = 2 * usize::from(SUBJECTS);
    let all = |requests: &[fanfare_testkit::Received]| requests.iter().map(id_of).collect::<HashSet<_>>().len() == both;
    let requests = receiver.until("every event while Redis is away", all).await;
    let met = next.metric("fanfare_fanout_events_total{result=\"matched\"}").await;
    assert!(met > f64::from(SUBJECTS), "only {met} events were fanned out: none was met again");
    println!("{both} events, {} requests without Redis", requests.len());
    // The queue recognises by their message ids what was pushed a moment ago.
    assert_eq!(requests.len(), both);
}

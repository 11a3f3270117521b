//! A cluster of three NATS servers that keeps every stream on all of them, and loses one after another.

use std::time::Duration;

use fanfare_testkit::{ClusterServers, Fanfare, Receiver, Reply};

use crate::load::{Load, all_taken};
use crate::samples::webhook;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_after_another_is_killed_under_load_and_every_accepted_event_arrives() {
    let mut servers = ClusterServers::start().await;
    let mut members = Vec::new();
    for role in ["console", "ingest", "ingest", "fanout", "delivery"] {
        // They are started while the cluster is still finding itself.
        let mut environment = servers.environment();
        environment.push(("FANFARE_DISTRIBUTED_PARTITION_LEASE".to_owned(), "1s".to_owned()));
        let mut member = Fanfare::stopped_role_with(role, environment);
        member.launch();
        members.push(member);
    }
    for member in &mut members {
        member.wait_until_ready().await;
    }
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    members[0].create_webhook(webhook(&receiver.url("/"))).await;
    let ingests = [&members[1], &members[2]];
    let mut load = Load::start(&[ingests[0], ingests[1], ingests[0], ingests[1]], Duration::from_millis(10));
    // Most of the time passes in elections, whose timeouts are the servers' own: 4 to 9 seconds.
    for node in [0, 1] {
        load.more(50).await;
        servers.nats.nodes[node].kill().await;
        // The two that are left elect leaders and accept.
        load.more(100).await;
        servers.nats.nodes[node].start_again().await;
        // It is back: the next one may go once this one has caught up, which the next accepted events do not tell.
        servers.nats.caught_up(node).await;
    }
    load.more(50).await;
    let accepted = load.stop().await;
    let duplicates = all_taken(&receiver, &accepted, |_| true).await;
    println!("2 of 3 nodes killed one after the other: {} events accepted, {duplicates} duplicates", accepted.len());
}

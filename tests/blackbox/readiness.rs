//! What a process says it waits for, or goes on without, on the distributed engine; and that it mends by itself.

use fanfare_testkit::{Fanfare, Receiver, Reply, Servers};

use crate::samples::{order, webhook};
use crate::weather::wait_for;

async fn says(process: &Fanfare, status: u16, body: &str) {
    wait_for(body, async || process.readiness().await.filter(|said| said.0 == status && said.1 == body).map(|_| ()))
        .await;
}

const READY: &str = r#"{"status":"ready"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_ready_without_redis_and_says_so_but_for_one_that_is_told_to_wait() {
    let mut servers = Servers::start().await;
    let console = Fanfare::start_role("console", &servers, &[]).await;
    let ingest = Fanfare::start_role("ingest", &servers, &[]).await;
    let fanout = Fanfare::start_role("fanout", &servers, &[]).await;
    let patient = [("FANFARE_DELIVERY_DEDUP_ON_UNAVAILABLE", "wait")];
    let patient = Fanfare::start_role("delivery", &servers, &patient).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    console.create_webhook(webhook(&receiver.url("/"))).await;
    ingest.publish(order("order-1")).await;
    receiver.received(1).await;

    servers.redis.kill().await;
    says(&patient, 503, r#"{"status":"waiting","waiting_for":["Redis"]}"#).await;
    for process in [&console, &fanout] {
        says(process, 200, r#"{"status":"ready","without":["Redis"]}"#).await;
    }
    says(&ingest, 200, READY).await;
    ingest.publish(order("order-2")).await;
    let unavailable = "fanfare_dedup_decisions_total{decision=\"unavailable\"}";
    wait_for("a claim that nobody answers", async || (patient.metric(unavailable).await >= 1.0).then_some(())).await;
    assert_eq!(receiver.so_far().len(), 1, "it was sent without a claim");

    // One that may deliver without claims does.
    let eager = Fanfare::start_role("delivery", &servers, &[]).await;
    says(&eager, 200, r#"{"status":"ready","without":["Redis"]}"#).await;
    ingest.publish(order("order-3")).await;
    servers.redis.start_again().await;
    receiver.received(3).await;
    for process in [&console, &ingest, &fanout, &patient, &eager] {
        says(process, 200, READY).await;
    }
    assert!(patient.metric("fanfare_redis_reconnects_total").await >= 1.0);
    assert!(patient.metric("fanfare_redis_failures_total{operation=\"claim\"}").await >= 1.0);
    assert!(patient.metric("fanfare_redis_operation_duration_seconds_count{operation=\"claim\"}").await >= 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_going_away_is_said_by_all_and_all_come_back_and_show_what_they_hold() {
    let mut servers = Servers::start().await;
    let mut processes = Vec::new();
    for role in ["console", "ingest", "fanout", "delivery"] {
        processes.push(Fanfare::start_role(role, &servers, &[]).await);
    }
    servers.nats.kill().await;
    for process in &processes {
        says(process, 503, r#"{"status":"waiting","waiting_for":["NATS"]}"#).await;
    }
    servers.nats.start_again().await;
    for process in &processes {
        says(process, 200, READY).await;
        assert!(process.metric("fanfare_nats_reconnects_total").await >= 1.0);
    }
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let [console, ingest, fanout, delivery] = processes.as_slice() else { panic!("there are four") };
    console.create_webhook(webhook(&receiver.url("/"))).await;
    ingest.publish(order("order-1")).await;
    receiver.received(1).await;
    let shows = async |process: &Fanfare, series: &str, wanted: f64| {
        wait_for(series, async || (process.metric(series).await >= wanted).then_some(())).await;
    };
    shows(ingest, "fanfare_nats_publishes_total{result=\"stored\",stream=\"events\"}", 1.0).await;
    shows(fanout, "fanfare_nats_publishes_total{result=\"stored\",stream=\"deliveries\"}", 1.0).await;
    shows(fanout, "fanfare_partitions_held{kind=\"events\"}", 16.0).await;
    shows(delivery, "fanfare_partitions_held{kind=\"gates\"}", 64.0).await;
    shows(delivery, "fanfare_nats_publishes_total{result=\"stored\",stream=\"journal\"}", 1.0).await;
    for process in &processes {
        shows(process, "fanfare_nats_stream_messages{stream=\"events\"}", 1.0).await;
        shows(process, "fanfare_nats_stream_bytes{stream=\"journal\"}", 100.0).await;
        shows(process, "fanfare_nats_store_bytes", 100.0).await;
    }
}

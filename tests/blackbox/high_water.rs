//! Stores that are full, or have as much as they may: who sends more is told when to come back, fan-out pauses, and all goes on
//! when there is room.

use fanfare_testkit::{Fanfare, Receiver, Reply, Servers};
use serde_json::{Value, json};

use crate::samples::{order, webhook};
use crate::weather::wait_for;

/// Publishes an event of some 10 kB: the status, and after how many seconds to come back.
async fn publish(ingest: &Fanfare, id: &str) -> (u16, Option<u64>) {
    let mut event: Value = order(id);
    event["data"] = json!({"filling": "x".repeat(10_000)});
    let request = ingest.client().post(ingest.url("/v1/events")).header("x-api-key", fanfare_testkit::process::API_KEY);
    let request = request.header("content-type", "application/json").body(event.to_string());
    let answer = request.send().await.unwrap();
    let after = answer.headers().get("retry-after").and_then(|after| after.to_str().ok()?.parse().ok());
    (answer.status().as_u16(), after)
}

/// Publishes until it is refused; answers how many were accepted.
async fn fill(ingest: &Fanfare) -> usize {
    for number in 0..1000 {
        match publish(ingest, &format!("order-{number}")).await {
            (202, _) => {}
            (503, after) => {
                assert!(after.is_some_and(|seconds| (1..=60).contains(&seconds)), "Retry-After: {after:?}");
                return number;
            }
            (other, _) => panic!("order-{number} was answered {other}"),
        }
    }
    panic!("it is never full");
}

/// Fills ingest up while there is no fan-out, then holds the rest of the pipeline to working it off.
async fn full_then_free(environment: &[(&str, &str)]) {
    let servers = Servers::start().await;
    let console = Fanfare::start_role("console", &servers, environment).await;
    let ingest = Fanfare::start_role("ingest", &servers, environment).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    console.create_webhook(webhook(&receiver.url("/"))).await;
    let accepted = fill(&ingest).await;
    assert!(accepted >= 5, "only {accepted} were accepted");
    let _fanout = Fanfare::start_role("fanout", &servers, environment).await;
    let _delivery = Fanfare::start_role("delivery", &servers, environment).await;
    receiver.received(accepted).await;
    wait_for("ingest to take events again", async || (publish(&ingest, "afterwards").await.0 == 202).then_some(()))
        .await;
    let requests = receiver.received(accepted + 1).await;
    let events: std::collections::HashSet<_> = requests.iter().map(|request| request.key().to_owned()).collect();
    assert_eq!(events.len(), accepted + 1, "each that was accepted, and none that was refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_log_that_is_full_refuses_until_there_is_room() {
    full_then_free(&[("FANFARE_DISTRIBUTED_EVENT_MAX_BYTES", "200000")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_at_its_bound_refuses_until_it_is_worked_off() {
    full_then_free(&[("FANFARE_INGEST_MAX_BACKLOG", "20")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fan_out_pauses_while_deliveries_are_at_their_mark_and_loses_none() {
    let mark = [("FANFARE_DISTRIBUTED_DELIVERY_HIGH_WATER_BYTES", "100000")];
    let servers = Servers::start().await;
    let console = Fanfare::start_role("console", &servers, &mark).await;
    let ingest = Fanfare::start_role("ingest", &servers, &mark).await;
    let fanout = Fanfare::start_role("fanout", &servers, &mark).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    console.create_webhook(webhook(&receiver.url("/"))).await;
    let mut accepted = 0;
    // What was seen of the streams is good for a second, in which the mark may be passed.
    wait_for("fan-out to pause", async || {
        assert_eq!(publish(&ingest, &format!("order-{accepted}")).await.0, 202);
        accepted += 1;
        let backlog = fanout.metric("fanfare_fanout_backlog_events").await;
        (backlog >= 5.0 && accepted >= 20).then_some(())
    })
    .await;
    let pushed = fanout.metric("fanfare_fanout_deliveries_total").await;
    assert!(pushed < f64::from(accepted), "{pushed} of {accepted} were pushed");
    let _delivery = Fanfare::start_role("delivery", &servers, &mark).await;
    let accepted = usize::try_from(accepted).unwrap();
    receiver.received(accepted).await;
    wait_for("an empty backlog", async || (fanout.metric("fanfare_fanout_backlog_events").await == 0.0).then_some(()))
        .await;
    assert_eq!(receiver.so_far().len(), accepted);
}

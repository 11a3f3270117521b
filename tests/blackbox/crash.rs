//! Killed at random moments under load, restarted on what it left: every event that was answered 202 arrives everywhere.

use std::time::Duration;

use fanfare_testkit::{Fanfare, Received, Receiver, Reply};
use serde_json::{Value, json};

use crate::load::{Load, Random, all_taken};

/// How often the process is killed.
const KILLS: u64 = 30;
/// How many requests one lane makes at once.
const LANE: u64 = 32;
/// How many publishers there are, each waiting for its answer before the next event.
const PUBLISHERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_kills_lose_nothing_and_no_repeat_has_a_new_key() {
    let mut fanfare = Fanfare::start(&[]).await;
    // One receiver is well; the other fails every fifth request, so that retries are always under way.
    let fails = |request: &Received| request.index.is_multiple_of(5);
    let well = Receiver::http(|_| Reply::Status(200)).await;
    let shaky = Receiver::http(move |request| Reply::Status(if fails(request) { 500 } else { 200 })).await;
    for receiver in [&well, &shaky] {
        let webhook = json!({"url": receiver.url("/"), "events": ["**"], "retry_schedule": vec![1; 20]});
        fanfare.create_webhook(webhook).await;
    }

    let load = Load::start(&[&fanfare; PUBLISHERS], Duration::from_millis(10));
    let mut random = Random::of_this_run();
    for _ in 0..KILLS {
        let moment = Duration::from_millis(30 + random.below(250));
        tokio::time::sleep_until(tokio::time::Instant::now() + moment).await;
        fanfare.kill().await;
        fanfare.start_again().await;
    }
    let accepted = load.stop().await;

    println!("seed {}", random.seed);
    let duplicates = all_taken(&well, &accepted, |_| true).await;
    all_taken(&shaky, &accepted, |request| !fails(request)).await;
    let none_open = |_: u16, list: &Value| list["data"].as_array().is_some_and(Vec::is_empty);
    fanfare.eventually("/v1/deliveries?status=pending,waiting,gated", none_open).await;

    // A well receiver gets an event twice only if the process died between the request and the record of its answer.
    println!("{KILLS} kills, {} events accepted, {duplicates} duplicates at the well receiver", accepted.len());
    assert!(accepted.len() > 100, "the load was too small to say anything: {} events", accepted.len());
    assert!(duplicates as u64 <= LANE * KILLS, "{duplicates} duplicates are more than can have been in flight");
}

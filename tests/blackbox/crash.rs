//! Killed at random moments under load, restarted on what it left: every event that was answered 202 arrives everywhere.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanfare_testkit::process::API_KEY;
use fanfare_testkit::{Fanfare, Receiver, Reply};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// How often the process is killed.
const KILLS: u32 = 30;
/// How many publishers there are, each waiting for its answer before the next event.
const PUBLISHERS: usize = 8;

/// A small deterministic generator (xorshift), so that a failing run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_kills_lose_nothing_and_no_repeat_has_a_new_key() {
    let mut fanfare = Fanfare::start(&[]).await;
    // One receiver is well; the other fails every fifth request, so that retries are always under way.
    let well = Receiver::http(|_| Reply::Status(200)).await;
    let shaky = Receiver::http(|request| Reply::Status(if request.index % 5 == 0 { 500 } else { 200 })).await;
    for receiver in [&well, &shaky] {
        let webhook = json!({"url": receiver.url("/"), "events": ["**"], "retry_schedule": vec![1; 20]});
        fanfare.create_webhook(webhook).await;
    }

    let accepted: Arc<Mutex<HashSet<String>>> = Arc::default();
    let stop = Arc::new(AtomicBool::new(false));
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let (client, url) = (fanfare.client().clone(), fanfare.url("/v1/events"));
        let (accepted, stop) = (Arc::clone(&accepted), Arc::clone(&stop));
        publishers.spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                ticks.tick().await;
                let id = format!("p{publisher}-{number}");
                let body = json!({"id": id, "type": "order.paid", "data": {"id": id}}).to_string();
                let request = client.post(&url).header("x-api-key", API_KEY).header("content-type", "application/json");
                // While the process is down, requests fail: those events were not accepted, and need not arrive.
                if request.body(body).send().await.is_ok_and(|answer| answer.status().as_u16() == 202) {
                    accepted.lock().await.insert(id);
                }
            }
        });
    }

    let seed = u64::from(std::process::id()) | 1;
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    for _ in 0..KILLS {
        let moment = Duration::from_millis(30 + random.below(250));
        let at = tokio::time::Instant::now() + moment;
        tokio::time::sleep_until(at).await;
        fanfare.kill().await;
        fanfare.start_again().await;
    }
    stop.store(true, Ordering::Relaxed);
    publishers.join_all().await;
    let accepted = accepted.lock().await.clone();

    let mut printed = Vec::new();
    for (name, receiver) in [("well", &well), ("shaky", &shaky)] {
        let expected = accepted.clone();
        let arrived = receiver
            .until(&format!("all {} accepted events (seed {seed})", expected.len()), move |requests| {
                let seen: HashSet<_> = requests.iter().map(|request| id_of(&request.body)).collect();
                expected.iter().all(|id| seen.contains(id))
            })
            .await;
        let mut keys: HashMap<String, HashSet<String>> = HashMap::new();
        for request in &arrived {
            keys.entry(id_of(&request.body)).or_default().insert(request.key().to_owned());
        }
        assert!(keys.values().all(|keys| keys.len() == 1), "a repeat has a new key (seed {seed})");
        printed.push(format!("{name}: {} requests for {} events", arrived.len(), keys.len()));
    }
    let none_open = |_: u16, list: &Value| list["data"].as_array().is_some_and(Vec::is_empty);
    fanfare.eventually("/v1/deliveries?status=pending,waiting,gated", none_open).await;

    // A well receiver gets an event twice only if the process died between the request and the record of its answer.
    let requests = well.so_far();
    let distinct: HashSet<_> = requests.iter().map(|request| request.key().to_owned()).collect();
    let duplicates = requests.len() - distinct.len();
    println!(
        "{KILLS} kills, {} events accepted; {}; {duplicates} duplicates at the well one",
        accepted.len(),
        printed.join("; ")
    );
    assert!(accepted.len() > 100, "the load was too small to say anything: {} events", accepted.len());
    let in_flight_at_a_kill = 32 * KILLS as usize;
    assert!(duplicates <= in_flight_at_a_kill, "{duplicates} duplicates are more than can have been in flight");
}

fn id_of(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["id"].as_str().unwrap_or_default().to_owned()
}

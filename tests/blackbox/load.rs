//! Events published without a pause while something happens to the services, and the check that each accepted one arrives.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use fanfare_testkit::process::API_KEY;
use fanfare_testkit::{Fanfare, Received, Receiver};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a test waits until enough was accepted, in seconds; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a producer waits for JetStream's acknowledgement.
const ACKNOWLEDGED: Duration = Duration::from_secs(2);

/// Publishers, each of which waits for an answer before its next event. What is neither answered 202 nor acknowledged by
/// JetStream was not accepted, and need not arrive.
pub(crate) struct Load {
    add: Arc<watch::Sender<HashSet<String>>>,
    accepted: watch::Receiver<HashSet<String>>,
    stop: watch::Sender<bool>,
    publishers: JoinSet<()>,
}

impl Load {
    /// Starts one publisher for each entry of `ingests`, with an event every `pause`.
    pub(crate) fn start(ingests: &[&Fanfare], pause: Duration) -> Self {
        let (add, accepted) = watch::channel(HashSet::new());
        let (stop, _) = watch::channel(false);
        let add = Arc::new(add);
        let mut publishers = JoinSet::new();
        for (publisher, ingest) in ingests.iter().enumerate() {
            let (client, url) = (ingest.client().clone(), ingest.url("/v1/events"));
            let (add, stop) = (Arc::clone(&add), stop.subscribe());
            publishers.spawn(async move {
                let mut ticks = tokio::time::interval(pause);
                for number in 0.. {
                    if *stop.borrow() {
                        return;
                    }
                    ticks.tick().await;
                    let id = format!("p{publisher}-{number}");
                    let body = json!({"id": id, "type": "order.paid", "data": {"id": id}}).to_string();
                    let request =
                        client.post(&url).header("x-api-key", API_KEY).header("content-type", "application/json");
                    if request.body(body).send().await.is_ok_and(|answer| answer.status().as_u16() == 202) {
                        add.send_if_modified(|accepted| accepted.insert(id));
                    }
                }
            });
        }
        Self { add, accepted, stop, publishers }
    }

    /// So many more, each with a connection of its own straight to NATS; the ids of their events begin with `d`.
    pub(crate) async fn also_straight_to_nats(mut self, url: &str, producers: usize, pause: Duration) -> Self {
        for producer in 0..producers {
            let mut stream = jetstream::new(async_nats::connect(url).await.unwrap());
            stream.set_timeout(ACKNOWLEDGED);
            let (add, stop) = (Arc::clone(&self.add), self.stop.subscribe());
            self.publishers.spawn(async move {
                let mut ticks = tokio::time::interval(pause);
                for number in 0.. {
                    if *stop.borrow() {
                        return;
                    }
                    ticks.tick().await;
                    let id = format!("d{producer}-{number}");
                    let body = json!({"id": id, "data": {"id": id}}).to_string();
                    if let Ok(kept) = stream.publish("fanfare.events.default.order.paid", body.into()).await
                        && kept.await.is_ok()
                    {
                        add.send_if_modified(|accepted| accepted.insert(id));
                    }
                }
            });
        }
        self
    }

    /// How many events have been accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.borrow().len()
    }

    /// Waits until `count` more events have been accepted than so far.
    pub(crate) async fn more(&mut self, count: usize) {
        let wanted = self.accepted() + count;
        let reached = self.accepted.wait_for(|accepted| accepted.len() >= wanted);
        let reached = tokio::time::timeout(PATIENCE, reached).await.map(|accepted| accepted.is_ok());
        assert!(reached.is_ok_and(|reached| reached), "{count} more events were not accepted");
    }

    /// Stops and returns the ids of all accepted events.
    pub(crate) async fn stop(self) -> HashSet<String> {
        self.stop.send_replace(true);
        self.publishers.join_all().await;
        self.accepted.borrow().clone()
    }
}

/// The id in an event's data.
pub(crate) fn id_of(request: &Received) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    body["id"].as_str().unwrap_or_default().to_owned()
}

/// Waits until the receiver has taken each of the events, where `takes` says which requests it answers with success; holds
/// repeats against their keys; and returns how often an event came again after it had been taken.
pub(crate) async fn all_taken(
    receiver: &Receiver,
    accepted: &HashSet<String>,
    takes: impl Fn(&Received) -> bool,
) -> usize {
    let wanted = format!("all {} accepted events", accepted.len());
    let requests = receiver
        .until(&wanted, |requests| {
            if requests.len() < accepted.len() {
                return false;
            }
            let taken: HashSet<_> = requests.iter().filter(|request| takes(request)).map(id_of).collect();
            accepted.is_subset(&taken)
        })
        .await;
    let mut keys: HashMap<String, HashSet<String>> = HashMap::new();
    let (mut taken, mut again) = (HashSet::new(), 0);
    for request in &requests {
        let id = id_of(request);
        keys.entry(id.clone()).or_default().insert(request.key().to_owned());
        if taken.contains(&id) {
            again += 1;
        } else if takes(request) {
            taken.insert(id);
        }
    }
    assert!(keys.values().all(|keys| keys.len() == 1), "a repeat has a new key");
    again
}

/// A small deterministic generator (xorshift), so that a failing run can be repeated by its seed.
pub(crate) struct Random {
    /// What it began with.
    pub(crate) seed: u64,
    state: u64,
}

impl Random {
    /// A generator whose seed differs from run to run.
    pub(crate) fn of_this_run() -> Self {
        let seed = u64::from(std::process::id()) | 1;
        Self { seed, state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) }
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % bound
    }
}

//! A gate whose owner is killed while it works the gate off: somebody takes it over, nothing is lost, and the order stays.

use std::collections::HashSet;
use std::time::Duration;

use fanfare_testkit::{Engine, Fanfare, Received, Receiver, Reply, Servers};
use serde_json::{Value, json};

use crate::load::Random;

on_both_engines!(a_gate_whose_owner_is_killed_again_and_again_loses_nothing_and_keeps_its_order);

/// So many, and each takes so long, that there are some left when the last owner is killed, on a slow machine too.
const DELIVERIES: usize = 400;
const EACH: Duration = Duration::from_millis(40);
const KILLS: usize = 5;
/// How many processes deliver, on the distributed engine.
const WORKERS: usize = 3;
/// How long a gate may be without an owner; only a broken takeover takes so long.
const TAKEOVER: Duration = Duration::from_secs(10);
/// One request at a time, so that there is an order at all; short leases on partitions, so that the test is short.
const OPTIONS: [(&str, &str); 2] =
    [("FANFARE_DELIVERY_LANE_LIMIT", "1"), ("FANFARE_DISTRIBUTED_PARTITION_LEASE", "1s")];

/// An installation in which whoever delivers can be killed.
struct Installation {
    members: Vec<Fanfare>,
    /// Which of them take events, and which deliver.
    ingest: usize,
    workers: Vec<usize>,
    _servers: Option<Servers>,
}

impl Installation {
    async fn start(engine: Engine) -> Self {
        match engine {
            Engine::Embedded => {
                let members = vec![Fanfare::start_on(engine, &OPTIONS[..1]).await];
                Self { members, ingest: 0, workers: vec![0], _servers: None }
            }
            Engine::Distributed => {
                let servers = Servers::start().await;
                let mut members = Vec::new();
                for role in ["console", "ingest", "fanout"].into_iter().chain(["delivery"; WORKERS]) {
                    members.push(Fanfare::start_role(role, &servers, &OPTIONS).await);
                }
                Self { members, ingest: 1, workers: (3..3 + WORKERS).collect(), _servers: Some(servers) }
            }
        }
    }

    /// Which one delivers: it has made most requests since it was started.
    async fn owner(&self, before: &[f64]) -> usize {
        let mut most = (0.0, self.workers[0]);
        for (worker, before) in self.workers.iter().zip(before) {
            let made = self.members[*worker].metric(SUCCESSES).await - before;
            if made > most.0 {
                most = (made, *worker);
            }
        }
        most.1
    }

    async fn successes(&self) -> Vec<f64> {
        let mut successes = Vec::new();
        for worker in &self.workers {
            successes.push(self.members[*worker].metric(SUCCESSES).await);
        }
        successes
    }
}

const SUCCESSES: &str = "fanfare_delivery_attempts_total{outcome=\"success\"}";

fn number(request: &Received) -> u64 {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    body["number"].as_u64().unwrap()
}

async fn a_gate_whose_owner_is_killed_again_and_again_loses_nothing_and_keeps_its_order(engine: Engine) {
    let mut installation = Installation::start(engine).await;
    let receiver = Receiver::http(|_| Reply::Status(410)).await;
    let webhook = json!({"url": receiver.url("/"), "events": ["order.*"]});
    let webhook = installation.members[0].create_webhook(webhook).await;
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    // About one subject: they stand behind the gate in the order of publication.
    let event = |number: usize| json!({"type": "order.paid", "subject": "all", "data": {"number": number}});
    installation.members[installation.ingest].publish(event(0)).await;
    installation.members[0].eventually(&path, |_, shown| shown["state"] == "paused").await;
    // The gate comes up first, then that delivery behind it: what is published in between would stand before it.
    installation.members[0].eventually(&format!("{path}/health"), |_, shown| shown["waiting"] == 1).await;
    for number in 1..DELIVERIES {
        installation.members[installation.ingest].publish(event(number)).await;
    }
    receiver.answer(|_| Reply::After(EACH, 200));
    let refused = receiver.so_far().len();
    let (status, shown) = installation.members[0].call("POST", &format!("{path}/activate"), None).await;
    assert_eq!(status, 200, "{shown}");

    let mut random = Random::of_this_run();
    println!("seed {}", random.seed);
    let mut longest = Duration::ZERO;
    for _ in 0..KILLS {
        let before = installation.successes().await;
        let more = usize::try_from(2 + random.below(15)).unwrap();
        receiver.received(receiver.so_far().len() + more).await;
        let owner = installation.owner(&before).await;
        installation.members[owner].kill().await;
        let killed = receiver.so_far();
        let (count, at) = (killed.len(), killed.last().unwrap().at);
        if engine == Engine::Embedded {
            installation.members[owner].start_again().await;
        }
        let taken_over = receiver.received(count + 1).await[count].at;
        longest = longest.max(taken_over - at);
        if engine == Engine::Distributed {
            installation.members[owner].start_again().await;
        }
    }
    let requests = receiver
        .until("every delivery", |requests| {
            requests[refused..].iter().map(number).collect::<HashSet<_>>().len() == DELIVERIES
        })
        .await;
    let (mut come, mut highest, mut overtaken) = (HashSet::new(), 0, Vec::new());
    for number in requests[refused..].iter().map(number) {
        if come.insert(number) && number < highest {
            overtaken.push(number);
        }
        highest = highest.max(number);
    }
    let duplicates = requests.len() - refused - come.len();
    println!("{KILLS} kills: {duplicates} duplicates, {overtaken:?} overtaken, nothing for {longest:?} at the longest");
    assert!(overtaken.is_empty(), "{overtaken:?} came after later ones");
    // One that was being sent, and one that was being settled.
    assert!(duplicates <= 2 * KILLS, "{duplicates} came again");
    if engine == Engine::Distributed {
        assert!(longest < TAKEOVER, "nobody took over for {longest:?}");
    }
}

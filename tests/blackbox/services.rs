//! The services as processes of their own over NATS and Redis, several of each; killed one after another, the servers too.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanfare_testkit::process::API_KEY;
use fanfare_testkit::{Fanfare, Receiver, Reply, Servers};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::samples::{order, webhook};

/// How often something is killed.
const KILLS: u64 = 30;

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

/// Short times, so that what a killed process held is taken over soon.
const QUICK: [(&str, &str); 1] = [("FANFARE_DISTRIBUTED_PARTITION_LEASE", "1s")];

/// Two of each service.
async fn two_of_each(servers: &Servers) -> Vec<Fanfare> {
    let mut members = Vec::new();
    for role in ["console", "ingest", "fanout", "delivery"] {
        for _ in 0..2 {
            members.push(Fanfare::start_role(role, servers, &QUICK).await);
        }
    }
    members
}

const CONSOLE: usize = 0;
const INGEST: [usize; 2] = [2, 3];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_goes_through_all_services_and_every_console_shows_it() {
    let servers = Servers::start().await;
    let members = two_of_each(&servers).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    members[CONSOLE].create_webhook(webhook(&receiver.url("/"))).await;
    for (number, ingest) in INGEST.into_iter().enumerate() {
        members[ingest].publish(order(&format!("order-{number}"))).await;
    }
    receiver.received(2).await;
    for console in &members[..2] {
        for number in 0..2 {
            let path = format!("/v1/events/order-{number}");
            console.eventually(&path, |_, shown| shown["deliveries"][0]["status"] == "delivered").await;
        }
    }
    assert_eq!(receiver.so_far().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_its_own_without_servers_is_refused_and_waits_for_those_that_are_away() {
    let mut servers = Servers::start().await;
    let mut lonely = Fanfare::stopped_role("ingest", &servers, &[("FANFARE_DISTRIBUTED_NATS_URLS", "")]).command();
    let output = lonely.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--nats"), "{said}");

    servers.nats.kill().await;
    servers.redis.kill().await;
    let mut early = Fanfare::stopped_role("console", &servers, &QUICK);
    early.launch();
    // It is alive, not ready, and says what it waits for.
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let said = loop {
        ticks.tick().await;
        if let Ok(answer) = early.client().get(early.admin_url("/readyz")).send().await {
            assert_eq!(answer.status().as_u16(), 503);
            let text = answer.text().await.unwrap();
            if text.contains("NATS") {
                break text;
            }
        }
    };
    assert!(said.contains("waiting"), "{said}");
    servers.nats.start_again().await;
    servers.redis.start_again().await;
    early.wait_until_ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_kills_of_services_and_servers_lose_nothing() {
    let mut servers = Servers::start().await;
    let mut members = two_of_each(&servers).await;
    let well = Receiver::http(|_| Reply::Status(200)).await;
    let shaky = Receiver::http(|request| Reply::Status(if request.index % 5 == 0 { 500 } else { 200 })).await;
    for receiver in [&well, &shaky] {
        let webhook = json!({"url": receiver.url("/"), "events": ["**"], "retry_schedule": vec![1; 20]});
        members[CONSOLE].create_webhook(webhook).await;
    }

    let accepted: Arc<Mutex<HashSet<String>>> = Arc::default();
    let stop = Arc::new(AtomicBool::new(false));
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..4 {
        let member = &members[INGEST[publisher % 2]];
        let (client, url) = (member.client().clone(), member.url("/v1/events"));
        let (accepted, stop) = (Arc::clone(&accepted), Arc::clone(&stop));
        publishers.spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                ticks.tick().await;
                let id = format!("p{publisher}-{number}");
                let body = json!({"id": id, "type": "order.paid", "data": {"id": id}}).to_string();
                let request = client.post(&url).header("x-api-key", API_KEY).header("content-type", "application/json");
                if request.body(body).send().await.is_ok_and(|answer| answer.status().as_u16() == 202) {
                    accepted.lock().await.insert(id);
                }
            }
        });
    }

    let seed = u64::from(std::process::id()) | 1;
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    for _ in 0..KILLS {
        let pause = |random: &mut Random| tokio::time::Instant::now() + Duration::from_millis(20 + random.below(200));
        tokio::time::sleep_until(pause(&mut random)).await;
        let victim = usize::try_from(random.below(10)).unwrap();
        match victim {
            8 => servers.nats.kill().await,
            9 => servers.redis.kill().await,
            service => members[service].kill().await,
        }
        tokio::time::sleep_until(pause(&mut random)).await;
        match victim {
            8 => servers.nats.start_again().await,
            9 => servers.redis.start_again().await,
            // It waits for whatever is away; nobody else is restarted for it.
            service => members[service].launch(),
        }
    }
    for member in &mut members {
        member.wait_until_ready().await;
    }
    stop.store(true, Ordering::Relaxed);
    publishers.join_all().await;
    let accepted = accepted.lock().await.clone();

    let mut printed = Vec::new();
    for (name, receiver) in [("well", &well), ("shaky", &shaky)] {
        let expected = accepted.clone();
        let arrived = receiver
            .until(
                &format!("all {} accepted events at the {name} one (seed {seed})", expected.len()),
                move |requests| {
                    let seen: HashSet<_> = requests.iter().map(|request| id_of(&request.body)).collect();
                    expected.iter().all(|id| seen.contains(id))
                },
            )
            .await;
        let mut keys: HashMap<String, HashSet<String>> = HashMap::new();
        for request in &arrived {
            keys.entry(id_of(&request.body)).or_default().insert(request.key().to_owned());
        }
        assert!(keys.values().all(|keys| keys.len() == 1), "a repeat has a new key (seed {seed})");
        printed.push(format!("{name}: {} requests for {} events", arrived.len(), keys.len()));
    }
    assert!(accepted.len() > 50, "the load was too small to say anything: {} events", accepted.len());
    println!("{KILLS} kills, {} events accepted; {}", accepted.len(), printed.join("; "));
}

fn id_of(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["id"].as_str().unwrap_or_default().to_owned()
}

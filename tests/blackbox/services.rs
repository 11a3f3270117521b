//! The services as processes of their own over NATS and Redis, several of each; killed one after another, the servers too.

use std::time::Duration;

use fanfare_testkit::{Fanfare, Received, Receiver, Reply, Servers};
use serde_json::json;

use crate::load::{Load, Random, all_taken};
use crate::samples::{order, webhook};

/// How often something is killed.
const KILLS: u64 = 30;

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
    let fails = |request: &Received| request.index.is_multiple_of(5);
    let well = Receiver::http(|_| Reply::Status(200)).await;
    let shaky = Receiver::http(move |request| Reply::Status(if fails(request) { 500 } else { 200 })).await;
    for receiver in [&well, &shaky] {
        let webhook = json!({"url": receiver.url("/"), "events": ["**"], "retry_schedule": vec![1; 20]});
        members[CONSOLE].create_webhook(webhook).await;
    }

    let ingests = INGEST.map(|ingest| &members[ingest]);
    let pause = Duration::from_millis(20);
    let load = Load::start(&[ingests[0], ingests[1], ingests[0], ingests[1]], pause);
    let load = load.also_straight_to_nats(&servers.nats.url(), 3, pause).await;
    let mut random = Random::of_this_run();
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
    let accepted = load.stop().await;

    println!("seed {}", random.seed);
    let duplicates = all_taken(&well, &accepted, |_| true).await;
    all_taken(&shaky, &accepted, |request| !fails(request)).await;
    let straight = accepted.iter().filter(|id| id.starts_with('d')).count();
    let over_http = accepted.len() - straight;
    assert!(
        over_http > 50 && straight > 50,
        "the load was too small to say anything: {over_http} and {straight} events"
    );
    println!(
        "{KILLS} kills, {over_http} events answered 202, {straight} acknowledged by JetStream, {duplicates} duplicates at the well \
         receiver"
    );
}

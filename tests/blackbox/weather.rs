//! Servers that are away, emptied or too old, and processes that freeze: weather, in which nothing is lost and nobody has
//! to be restarted.

use std::collections::HashMap;
use std::time::Duration;

use fanfare_testkit::{Fanfare, Receiver, Reply, Servers};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::load::{Load, all_taken};
use crate::samples::{order, webhook};

/// How long a test waits for what must happen, in seconds; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

const ROLES: [&str; 4] = ["console", "ingest", "fanout", "delivery"];

/// Short times, so that what a process held is taken over soon.
const QUICK: [(&str, &str); 2] = [("FANFARE_DISTRIBUTED_PARTITION_LEASE", "1s"), ("FANFARE_DISTRIBUTED_LEASE", "1s")];

/// Waits until what is looked at is as wanted.
pub(crate) async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let looking = async {
        loop {
            ticks.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(seen) => seen,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

async fn claims(delivery: &Fanfare, decision: &str) -> f64 {
    delivery.metric(&format!("fanfare_dedup_decisions_total{{decision=\"{decision}\"}}")).await
}

/// One of each service, started without waiting while neither server is there, and seen to wait for NATS.
async fn early(servers: &mut Servers) -> Vec<Fanfare> {
    servers.nats.kill().await;
    servers.redis.kill().await;
    let mut members: Vec<Fanfare> = ROLES.map(|role| Fanfare::stopped_role(role, servers, &QUICK)).into();
    for member in &mut members {
        member.launch();
    }
    for member in &members {
        all_wait_for_nats(member).await;
    }
    members
}

async fn all_wait_for_nats(member: &Fanfare) {
    // The listener is there before the engine, so the first answers may not name NATS yet.
    let names_nats = async || member.readiness().await.filter(|said| said.1.contains("NATS"));
    let said = wait_for("an answer that names NATS", names_nats).await;
    assert_eq!(said.0, 503, "{}", said.1);
    assert!(said.1.contains("waiting"), "{}", said.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_then_nats_appear_and_every_service_becomes_ready_by_itself() {
    let mut servers = Servers::start().await;
    let mut members = early(&mut servers).await;
    servers.redis.start_again().await;
    for member in &members {
        all_wait_for_nats(member).await;
    }
    servers.nats.start_again().await;
    for member in &mut members {
        member.wait_until_ready().await;
    }
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    members[0].create_webhook(webhook(&receiver.url("/"))).await;
    members[1].publish(order("order-1")).await;
    receiver.received(1).await;
    assert!(claims(&members[3], "claimed").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_appears_first_and_deliveries_go_on_without_redis_until_it_does() {
    let mut servers = Servers::start().await;
    let mut members = early(&mut servers).await;
    servers.nats.start_again().await;
    // Redis is not waited for: what is delivered without it may be delivered twice, and is counted.
    for member in &mut members {
        member.wait_until_ready().await;
    }
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    members[0].create_webhook(webhook(&receiver.url("/"))).await;
    members[1].publish(order("order-1")).await;
    receiver.received(1).await;
    assert!(claims(&members[3], "unavailable").await >= 1.0);

    servers.redis.start_again().await;
    let mut number = 1;
    wait_for("a claim by Redis", async || {
        number += 1;
        members[1].publish(order(&format!("order-{number}"))).await;
        receiver.received(number).await;
        (claims(&members[3], "claimed").await >= 1.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_emptied_and_away_in_flight_loses_nothing() {
    let mut servers = Servers::start().await;
    let mut members = Vec::new();
    for role in ["console", "ingest", "fanout", "delivery", "delivery"] {
        members.push(Fanfare::start_role(role, &servers, &QUICK).await);
    }
    let well = Receiver::http(|_| Reply::Status(200)).await;
    let shaky = Receiver::http(|request| Reply::Status(if request.index % 5 == 0 { 500 } else { 200 })).await;
    for receiver in [&well, &shaky] {
        let webhook = json!({"url": receiver.url("/"), "events": ["**"], "retry_schedule": vec![1; 20]});
        members[0].create_webhook(webhook).await;
    }
    let mut load = Load::start(&[&members[1]; 4], Duration::from_millis(10));
    for _ in 0..3 {
        load.more(50).await;
        servers.redis.empty().await;
    }
    load.more(50).await;
    servers.redis.kill().await;
    // What is accepted from now on is delivered without it.
    let without = load.accepted();
    load.more(100).await;
    well.received(without + 50).await;
    servers.redis.start_again().await;
    let again = [claims(&members[3], "claimed").await, claims(&members[4], "claimed").await];
    load.more(100).await;
    wait_for("claims by Redis", async || {
        let now = [claims(&members[3], "claimed").await, claims(&members[4], "claimed").await];
        (now[0] > again[0] && now[1] > again[1]).then_some(())
    })
    .await;
    let accepted = load.stop().await;

    let twice_well = all_taken(&well, &accepted, |_| true).await;
    let twice_shaky = all_taken(&shaky, &accepted, |request| request.index % 5 != 0).await;
    let unavailable = claims(&members[3], "unavailable").await + claims(&members[4], "unavailable").await;
    assert!(unavailable >= 50.0, "only {unavailable} claims were counted as unavailable");
    println!(
        "Redis emptied 3 times and away once: {} events accepted, {unavailable} claims without it, \
         {twice_well} duplicates at the well receiver, {twice_shaky} at the shaky one",
        accepted.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_frozen_beyond_its_leases_sends_nothing_more_of_them() {
    const LANE: usize = 8;
    const EVENTS: usize = 2 * LANE;
    let servers = Servers::start().await;
    let mut members = Vec::new();
    for role in ROLES {
        members.push(Fanfare::start_role(role, &servers, &QUICK).await);
    }
    let zombie = &members[3];
    let receiver = Receiver::http(|_| Reply::Hang).await;
    let webhook = json!({
        "url": receiver.url("/"),
        "events": ["**"],
        "timeout_seconds": 3,
        "retry_schedule": vec![1; 20],
    });
    members[0].create_webhook(webhook).await;
    for number in 0..EVENTS {
        members[1].publish(order(&format!("order-{number}"))).await;
    }
    // Its lane is full of requests without an answer, and the rest waits behind them.
    receiver.received(LANE).await;
    zombie.freeze().await;
    receiver.answer(|_| Reply::Status(200));
    let left_before = receiver.so_far();

    // What it had not claimed is delivered by the other one, which leaves alone what it had.
    let other = Fanfare::start_role("delivery", &servers, &QUICK).await;
    receiver.received(left_before.len() + EVENTS - LANE).await;
    wait_for("copies that the frozen one has claimed", async || (claims(&other, "busy").await >= 1.0).then_some(()))
        .await;
    zombie.thaw().await;
    // Its requests have run out of time, and so have its leases.
    let superseded = wait_for("refused settlements", async || {
        let count = zombie.metric("fanfare_delivery_superseded_total").await;
        (count >= 1.0).then_some(count)
    })
    .await;
    let taken = |requests: &[fanfare_testkit::Received]| {
        let mut taken: HashMap<String, usize> = HashMap::new();
        for request in requests.iter().skip(left_before.len()) {
            *taken.entry(request.key().to_owned()).or_default() += 1;
        }
        taken
    };
    let requests = receiver.until("every event", |requests| taken(requests).len() == EVENTS).await;
    let taken = taken(&requests);
    let duplicates: usize = taken.values().map(|count| count - 1).sum();
    // What it had not sent is not its any more: it learns so from its leases, before it claims or sends anything.
    let lost = wait_for("leases that are known to be lost", async || {
        let count = zombie.metric("fanfare_delivery_leases_lost_total").await;
        (count >= 1.0).then_some(count)
    })
    .await;
    // Everything after the freeze is accounted for: one request of the other worker for each event. More would be what had
    // passed the zombie's last look at its claim, which nothing had here: its lane was full.
    let sent_by_zombie = receiver.so_far().len() - left_before.len() - EVENTS;
    println!(
        "frozen beyond its leases: {} requests left before, {sent_by_zombie} after; {superseded} settlements refused at first \
         sight, {lost} leases lost, {} claims stale, {} busy; {duplicates} duplicates",
        left_before.len(),
        claims(zombie, "stale").await + claims(&other, "stale").await,
        claims(&other, "busy").await,
    );
    assert_eq!(sent_by_zombie, 0, "the thawed worker sent what was not its any more");
    assert_eq!(duplicates, 0, "what was taken once was sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_frozen_under_load_lose_nothing() {
    let servers = Servers::start().await;
    let mut members = Vec::new();
    for role in ["console", "ingest", "fanout", "delivery", "delivery"] {
        members.push(Fanfare::start_role(role, &servers, &QUICK).await);
    }
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    members[0].create_webhook(webhook(&receiver.url("/"))).await;
    let mut load = Load::start(&[&members[1]; 4], Duration::from_millis(10));
    for round in 0..4 {
        let frozen = &members[3 + round % 2];
        load.more(20).await;
        frozen.freeze().await;
        // At 400 events a second at most: 600 take longer than the leases last.
        load.more(600).await;
        frozen.thaw().await;
    }
    let accepted = load.stop().await;
    let duplicates = all_taken(&receiver, &accepted, |_| true).await;
    let (mut seen, mut recognised) = (String::new(), 0.0);
    for (name, member) in ["first", "second"].into_iter().zip(&members[3..]) {
        let superseded = member.metric("fanfare_delivery_superseded_total").await;
        let lost = member.metric("fanfare_delivery_leases_lost_total").await;
        let (stale, busy) = (claims(member, "stale").await, claims(member, "busy").await);
        recognised += superseded + lost + stale + busy;
        seen += &format!("; the {name}: {superseded} superseded, {lost} leases lost, {stale} stale, {busy} busy");
    }
    println!("4 freezes: {} events accepted, {duplicates} duplicates{seen}", accepted.len());
    assert!(recognised >= 1.0, "no worker noticed that it had been frozen{seen}");
    // What was answered while its worker was frozen is sent again: not more than a lane has requests.
    assert!(duplicates <= 4 * 32, "{duplicates} duplicates are more than can have been in flight");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_that_is_too_old_is_refused_by_its_version() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let greeting = format!(
        "INFO {{\"server_id\":\"OLD\",\"server_name\":\"old\",\"version\":\"2.9.10\",\"go\":\"go1.19\",\
         \"host\":\"127.0.0.1\",\"port\":{},\"headers\":true,\"max_payload\":1048576,\"proto\":1,\
         \"jetstream\":true}}\r\n",
        address.port()
    );
    let old = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(greeting.as_bytes()).await.unwrap();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                if buffer[..count].windows(6).any(|window| window == b"PING\r\n") {
                    stream.write_all(b"PONG\r\n").await.unwrap();
                }
            }
        }
    });
    let environment = [
        ("FANFARE_DISTRIBUTED_NATS_URLS", format!("nats://{address}")),
        ("FANFARE_DISTRIBUTED_REDIS_URL", "redis://127.0.0.1:1".to_owned()),
        ("FANFARE_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
    let mut command = Fanfare::stopped_role_with("ingest", environment).command();
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it does not wait").unwrap();
    old.abort();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("2.9.10") && said.contains("2.14"), "{said}");
}
